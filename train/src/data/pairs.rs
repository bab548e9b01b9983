//! Painted pairs on disk: `photo/NAME.png`, `target/NAME.png`, and `index.jsonl` with one line per pair.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, bail};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, GrayImage, ImageEncoder, RgbImage};
use serde::{Deserialize, Serialize};

use super::read_file;
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
        if place_of(&sha256(file_name.as_bytes())) < 0.06 { Self::HeldOut } else { Self::Train }
    }
}

/// Whether what has this content is among the 6 % of what is not held out by which weights are chosen, instead of training
/// on it.
pub fn is_for_validation(sha256: &str) -> bool {
    place_of(sha256) < 0.06
}

/// Where in 0..1 a checksum lies.
fn place_of(sha256: &str) -> f64 {
    let hash = sha256.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    hash.map_or(1.0, |hash| f64::from(hash) / f64::from(u32::MAX))
}

/// One line of the index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The photo as the student sees it, relative to the index.
    pub photo: String,
    /// What it is to become, of the same size; the photo itself where that is to be restored.
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
    /// How certainly each pixel of the photo is of a person (8 bits, 255 certainly), where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mask: Option<String>,
    /// The clip's next frame, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// The pictures of a pair that are to be written, all of one size.
#[derive(Debug, Clone, Copy)]
pub struct Pictures<'a> {
    /// What the student sees, and what it is to make of it.
    pub painted: Option<(&'a RgbImage, &'a RgbImage)>,
    /// See [`Pair::mask`].
    pub mask: Option<&'a GrayImage>,
    /// See [`Pair::next`].
    pub next: Option<&'a RgbImage>,
}

/// Checksum of an index, by which a run knows the pairs that it was made with.
///
/// # Errors
/// When the index cannot be read.
pub fn index_sha256(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join(INDEX);
    Ok(sha256(&read_file(&path)?))
}

/// The largest scale at which each source was painted: what is looked at once for each photo is looked at there.
#[derive(Debug)]
pub struct LargestScales(BTreeMap<(String, String), f32>);

impl LargestScales {
    /// Of these pairs' sources.
    pub fn of<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> Self {
        let mut largest = BTreeMap::new();
        for pair in pairs {
            let known = largest.entry((pair.source.clone(), pair.source_sha256.clone())).or_insert(pair.scale);
            *known = known.max(pair.scale);
        }
        Self(largest)
    }

    /// Whether a pair is its source at that scale.
    pub fn is_of(&self, pair: &Pair) -> bool {
        self.0.get(&(pair.source.clone(), pair.source_sha256.clone())) == Some(&pair.scale)
    }
}

/// Reads an index: its pairs in the order of their targets' names. Of two lines on one target the later counts (the
/// program was stopped between them). A last line that was cut off is passed over.
///
/// # Errors
/// When it cannot be read, or another line is damaged.
pub fn read_index(folder: &Path) -> anyhow::Result<Vec<Pair>> {
    let path = folder.join(INDEX);
    let bytes = read_file(&path)?;
    let mut pairs = BTreeMap::new();
    let lines: Vec<&[u8]> = bytes.split(|&b| b == b'\n').collect();
    for (i, line) in lines.iter().enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Pair>(line) {
            Ok(pair) => {
                pairs.insert(pair.target.clone(), pair);
            }
            // Every whole line ends in a line feed, so that the last piece is one that does not.
            Err(error) if i + 1 == lines.len() => log::debug!("{}: the last line is cut off: {error}", path.display()),
            Err(error) => bail!(
                "{}, line {}, is damaged ({error}): delete that line and paint again with the same command",
                path.display(),
                i + 1
            ),
        }
    }
    Ok(pairs.into_values().collect())
}

/// A folder of pairs that is being filled.
pub struct PairWriter {
    folder: PathBuf,
    before: BTreeMap<String, Pair>,
    journal: Mutex<(File, BTreeMap<String, Pair>)>,
}

/// The index of a folder that was filled.
#[derive(Debug)]
pub struct Filled {
    /// All its pairs.
    pub pairs: Vec<Pair>,
    /// How many of them are of earlier runs, from sources that were not named this time.
    pub earlier: usize,
    /// How many pairs of earlier runs are no longer in it.
    pub dropped: usize,
}

impl PairWriter {
    /// Makes the folder, or goes on with one.
    ///
    /// # Errors
    /// When it cannot be made, or its index cannot be read or written.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let create =
            |path: &Path| std::fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()));
        create(folder)?;
        // First of all, since by it a folder of pairs is told from others.
        let index = folder.join(INDEX);
        let before = if index.exists() { read_index(folder)? } else { Vec::new() };
        // Whole lines only: what is added must not go on with one that was cut off.
        write_whole(&index, &lines(before.iter())?)?;
        ["photo", "target", "mask", "next"].iter().try_for_each(|part| create(&folder.join(part)))?;
        let journal = OpenOptions::new()
            .append(true)
            .open(&index)
            .with_context(|| format!("cannot write {}", index.display()))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            before: before.into_iter().map(|p| (p.target.clone(), p)).collect(),
            journal: Mutex::new((journal, BTreeMap::new())),
        })
    }

    /// Whether this very pair was painted before and its files are still there; it is then kept, with what `pair` says
    /// of split and licence.
    pub fn has(&self, pair: &Pair) -> bool {
        let same = self.was_painted(pair) && self.is_there(pair);
        if same {
            self.kept().1.insert(pair.target.clone(), pair.clone());
        }
        same
    }

    /// Whether photo and target of this very pair are there, if perhaps not what else belongs to it.
    pub fn was_painted(&self, pair: &Pair) -> bool {
        let Some(before) = self.before.get(&pair.target) else { return false };
        let told_anew = Pair {
            split: pair.split,
            licence: pair.licence.clone(),
            mask: pair.mask.clone(),
            next: pair.next.clone(),
            ..before.clone()
        };
        told_anew == *pair && self.is_there(before)
    }

    fn is_there(&self, pair: &Pair) -> bool {
        let files = [Some(&pair.photo), Some(&pair.target), pair.mask.as_ref(), pair.next.as_ref()];
        files.into_iter().flatten().all(|file| self.folder.join(file).is_file())
    }

    /// Writes the pictures of a pair, then its line. What [`Pictures`] lacks is there already.
    pub fn add(&self, pair: &Pair, pictures: Pictures<'_>) -> anyhow::Result<()> {
        let Pictures { painted, mask, next } = pictures;
        let write = |name: &str, picture: &RgbImage| {
            let png = png(picture.as_raw(), picture.dimensions(), ExtendedColorType::Rgb8)?;
            write_whole(&self.folder.join(name), &png)
        };
        if let Some((photo, target)) = painted {
            write(&pair.photo, photo)?;
            if pair.target != pair.photo {
                write(&pair.target, target)?;
            }
        }
        if let (Some(name), Some(mask)) = (&pair.mask, mask) {
            let png = png(mask.as_raw(), mask.dimensions(), ExtendedColorType::L8)?;
            write_whole(&self.folder.join(name), &png)?;
        }
        if let (Some(name), Some(next)) = (&pair.next, next) {
            write(name, next)?;
        }
        let line = lines([pair].into_iter())?;
        let mut kept = self.kept();
        kept.0.write_all(&line).context("cannot write the index")?;
        kept.1.insert(pair.target.clone(), pair.clone());
        Ok(())
    }

    /// Sorts the index. Of the sources painted by this run it holds what this run asked for; pairs that earlier runs
    /// painted from other sources stay, if by the same recipe.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn finish(self, recipe_sha256: &str) -> anyhow::Result<Filled> {
        let mut pairs = std::mem::take(&mut self.kept().1);
        let painted: BTreeSet<String> = pairs.values().map(|pair| pair.source_sha256.clone()).collect();
        let (mut earlier, mut dropped) = (0, 0);
        for (target, pair) in &self.before {
            if pairs.contains_key(target) {
                continue;
            }
            if pair.recipe_sha256 == recipe_sha256 && !painted.contains(&pair.source_sha256) && self.is_there(pair) {
                pairs.insert(target.clone(), pair.clone());
                earlier += 1;
            } else {
                dropped += 1;
            }
        }
        write_whole(&self.folder.join(INDEX), &lines(pairs.values())?)?;
        Ok(Filled { pairs: pairs.into_values().collect(), earlier, dropped })
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, (File, BTreeMap<String, Pair>)> {
        // A panic elsewhere leaves both parts valid: they are changed last.
        self.journal.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Lines of an index.
fn lines<'p>(pairs: impl Iterator<Item = &'p Pair>) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    for pair in pairs {
        serde_json::to_writer(&mut text, pair).context("cannot write the index")?;
        text.push(b'\n');
    }
    Ok(text)
}

/// Encodes losslessly and fast.
fn png(pixels: &[u8], (width, height): (u32, u32), colour: ExtendedColorType) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(pixels, width, height, colour)
        .context("cannot encode a PNG")?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn pair(source: &str, scale: f32, split: Split, recipe: &str) -> Pair {
        let name = format!("{source}-{scale}.png");
        Pair {
            photo: format!("photo/{name}"),
            target: format!("target/{name}"),
            source: source.into(),
            frame: None,
            scale,
            width: 2,
            height: 1,
            faces: vec![],
            licence: None,
            source_sha256: format!("of {source}"),
            recipe: "test".into(),
            recipe_sha256: recipe.into(),
            split,
            mask: None,
            next: None,
        }
    }

    #[test]
    fn each_source_is_looked_at_once_at_its_largest() {
        let pairs = [("a", 0.5), ("a", 0.85), ("b", 0.5), ("a", 0.3)]
            .map(|(name, scale)| pair(name, scale, Split::HeldOut, "r"));
        let largest = LargestScales::of(&pairs);
        let looked_at: Vec<bool> = pairs.iter().map(|pair| largest.is_of(pair)).collect();
        assert_eq!(looked_at, [false, true, true, false]);
        assert!(!largest.is_of(&pair("c", 0.5, Split::HeldOut, "r")), "it was not among them");
    }

    /// Paints `pairs` into `folder` as one run does; returns how many were new, and the index.
    fn fill(folder: &Path, recipe: &str, pairs: &[Pair]) -> (usize, Filled) {
        let writer = PairWriter::open(folder).unwrap();
        let picture = RgbImage::new(2, 1);
        let new: Vec<_> = pairs.iter().filter(|pair| !writer.has(pair)).collect();
        let pictures = Pictures { painted: Some((&picture, &picture)), mask: None, next: None };
        new.iter().for_each(|pair| writer.add(pair, pictures).unwrap());
        (new.len(), writer.finish(recipe).unwrap())
    }

    #[test]
    fn other_sources_of_the_same_recipe_stay_and_the_rest_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let a = [pair("a", 1.0, Split::Train, "r"), pair("a", 0.5, Split::Train, "r")];
        let b = [pair("b", 1.0, Split::HeldOut, "r")];
        assert_eq!(fill(folder.path(), "r", &a).0, 2);
        let (new, filled) = fill(folder.path(), "r", &b);
        assert_eq!((new, filled.pairs.len(), filled.earlier, filled.dropped), (1, 3, 2, 0));
        // Of a source that is named again only what is asked for now counts: its scales cannot be in two splits.
        let held_out = pair("a", 1.0, Split::HeldOut, "r");
        let (new, filled) = fill(folder.path(), "r", std::slice::from_ref(&held_out));
        assert_eq!((new, filled.earlier, filled.dropped), (0, 1, 1), "a changed split is no reason to paint again");
        assert_eq!(filled.pairs, [held_out, b[0].clone()]);
        assert_eq!(read_index(folder.path()).unwrap(), filled.pairs);
        let (_, filled) = fill(folder.path(), "s", &[pair("c", 1.0, Split::Train, "s")]);
        assert_eq!((filled.pairs.len(), filled.dropped), (1, 2), "painted by another recipe");
    }

    #[test]
    fn a_painted_pair_can_be_given_a_mask_later() {
        let folder = tempfile::tempdir().unwrap();
        let plain = pair("a", 1.0, Split::Train, "r");
        fill(folder.path(), "r", std::slice::from_ref(&plain));
        let masked = Pair { mask: Some("mask/a-1.png".into()), ..plain };
        let writer = PairWriter::open(folder.path()).unwrap();
        assert!(!writer.has(&masked) && writer.was_painted(&masked));
        assert!(!writer.was_painted(&Pair { recipe_sha256: "s".into(), ..masked.clone() }));
        let mask = GrayImage::new(2, 1);
        writer.add(&masked, Pictures { painted: None, mask: Some(&mask), next: None }).unwrap();
        assert_eq!(writer.finish("r").unwrap().pairs, std::slice::from_ref(&masked));
        let writer = PairWriter::open(folder.path()).unwrap();
        assert!(writer.has(&masked));
    }

    #[test]
    fn a_pair_whose_file_is_gone_leaves_the_index() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), "r", &[pair("a", 1.0, Split::Train, "r")]);
        std::fs::remove_file(folder.path().join("target/a-1.png")).unwrap();
        let (_, filled) = fill(folder.path(), "r", &[pair("b", 1.0, Split::Train, "r")]);
        assert_eq!((filled.pairs.len(), filled.dropped), (1, 1));
    }

    #[test]
    fn only_a_last_line_may_be_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let pairs = ["a", "b", "c"].map(|source| pair(source, 1.0, Split::Train, "r"));
        fill(folder.path(), "r", &pairs);
        let index = folder.path().join(INDEX);
        let text = std::fs::read_to_string(&index).unwrap();
        std::fs::write(&index, &text[..text.len() - 9]).unwrap();
        assert_eq!(read_index(folder.path()).unwrap(), pairs[..2]);
        // A run that is stopped at once leaves whole lines.
        drop(PairWriter::open(folder.path()).unwrap());
        assert_eq!(std::fs::read_to_string(&index).unwrap().lines().count(), 2);
        std::fs::write(&index, text.replacen("\"b-1", "b-1", 1).replacen("{", "", 1)).unwrap();
        let error = read_index(folder.path()).unwrap_err().to_string();
        assert!(error.contains("index.jsonl, line 1, is damaged"), "{error}");
    }
}
