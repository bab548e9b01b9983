//! Painted pairs on disk: `photo/NAME.png`, `target/NAME.png`, and `index.jsonl` with one line per pair.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use serde::{Deserialize, Serialize};

use super::{sha256, write_whole};
use crate::painter::FaceBox;

/// The index's file name in the folder of the pairs.
pub const INDEX: &str = "index.jsonl";

/// Which part of the data a pair belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// To train on.
    Train,
    /// To measure on: no scale or frame of the same source is trained on.
    HeldOut,
}

impl Split {
    /// The split of a photo by its file name: about 6 % are held out.
    pub fn of_photo(file_name: &str) -> Self {
        let hash = sha256(file_name.as_bytes());
        let share = u32::from_str_radix(&hash[..8], 16).map_or(1.0, |h| f64::from(h) / f64::from(u32::MAX));
        if share < 0.06 { Self::HeldOut } else { Self::Train }
    }
}

/// One line of the index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The photo as the student sees it, relative to the index.
    pub photo: String,
    /// What it is to become, of the same size.
    pub target: String,
    /// File name of the photo or clip that it was made from.
    pub source: String,
    /// Frame of the clip.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub frame: Option<u32>,
    /// Scale relative to the largest picture made of the same source.
    pub scale: f32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Faces, in pixels of this picture.
    pub faces: Vec<FaceBox>,
    /// Licence of the source, where known.
    pub licence: Option<String>,
    /// SHA-256 of the source file.
    pub source_sha256: String,
    /// Name of the recipe.
    pub recipe: String,
    /// SHA-256 of the recipe and the painter's version.
    pub recipe_sha256: String,
    /// Train or held out.
    pub split: Split,
}

/// Checksum of an index, by which a run knows the pairs that it was made with.
///
/// # Errors
/// When the index cannot be read.
pub fn index_sha256(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join(INDEX);
    Ok(sha256(&std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?))
}

/// Reads an index. A last line that was cut off (the program was stopped while it wrote) is passed over.
pub fn read_index(folder: &Path) -> anyhow::Result<Vec<Pair>> {
    let path = folder.join(INDEX);
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut pairs = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        match serde_json::from_str(&line) {
            Ok(pair) => pairs.push(pair),
            Err(error) => log::debug!("{}: a line is no pair: {error}", path.display()),
        }
    }
    Ok(pairs)
}

/// A folder of pairs that is being filled.
pub struct PairWriter {
    folder: PathBuf,
    before: BTreeMap<String, Pair>,
    journal: Mutex<(File, BTreeMap<String, Pair>)>,
}

impl PairWriter {
    /// Makes the folder, or goes on with one.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        for part in ["photo", "target"] {
            let part = folder.join(part);
            std::fs::create_dir_all(&part).with_context(|| format!("cannot create {}", part.display()))?;
        }
        let index = folder.join(INDEX);
        let before = if index.exists() { read_index(folder)? } else { Vec::new() };
        let mut journal = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&index)
            .with_context(|| format!("cannot write {}", index.display()))?;
        if !before.is_empty() {
            // Ends a line that was cut off.
            journal.write_all(b"\n").with_context(|| format!("cannot write {}", index.display()))?;
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            before: before.into_iter().map(|p| (p.target.clone(), p)).collect(),
            journal: Mutex::new((journal, BTreeMap::new())),
        })
    }

    /// Whether this very pair was made before and its files are still there; it is then kept.
    pub fn has(&self, pair: &Pair) -> bool {
        let same = self.before.get(&pair.target) == Some(pair)
            && [&pair.photo, &pair.target].iter().all(|file| self.folder.join(file).is_file());
        if same {
            self.kept().1.insert(pair.target.clone(), pair.clone());
        }
        same
    }

    /// Writes the two pictures of a pair, then its line.
    pub fn add(&self, pair: &Pair, photo: &RgbImage, target: &RgbImage) -> anyhow::Result<()> {
        write_whole(&self.folder.join(&pair.photo), &png(photo)?)?;
        write_whole(&self.folder.join(&pair.target), &png(target)?)?;
        let mut line = serde_json::to_vec(pair).context("cannot write the index")?;
        line.push(b'\n');
        let mut kept = self.kept();
        kept.0.write_all(&line).context("cannot write the index")?;
        kept.1.insert(pair.target.clone(), pair.clone());
        Ok(())
    }

    /// Sorts the index and leaves out pairs that this run did not ask for. Returns all pairs.
    pub fn finish(self) -> anyhow::Result<Vec<Pair>> {
        let (_, kept) = self.journal.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut text = Vec::new();
        for pair in kept.values() {
            serde_json::to_writer(&mut text, pair).context("cannot write the index")?;
            text.push(b'\n');
        }
        write_whole(&self.folder.join(INDEX), &text)?;
        Ok(kept.into_values().collect())
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, (File, BTreeMap<String, Pair>)> {
        // A panic elsewhere leaves both parts valid: they are changed last.
        self.journal.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Encodes losslessly and fast.
fn png(picture: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .context("cannot encode a PNG")?;
    Ok(bytes.into_inner())
}
