//! The file of a data set: writing and reading.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use nijigen::output::Output;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{Art, Item, Kind, Part};
use crate::data::photos;

/// The form of the index; another is refused.
const VERSION: u32 = 1;
const INDEX: &str = "index.json";
const LICENCES: &str = "licences.csv";
/// Quality at which photos and frames are kept; what they come from was compressed already, mostly harder.
const QUALITY: u8 = 95;
/// Bytes of the largest entry that is read.
const LARGEST: u64 = 256 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Index {
    version: u32,
    items: Vec<Item>,
}

/// A data set that is being written.
pub struct Packer<'o> {
    archive: ZipWriter<&'o mut File>,
    items: Vec<Item>,
}

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(false)
}

impl<'o> Packer<'o> {
    /// Into an output, which is committed by the caller once this is finished.
    pub fn new(output: &'o mut Output) -> Self {
        Self { archive: ZipWriter::new(output.file()), items: Vec::new() }
    }

    /// Adds a picture; the names of its entries are made here.
    ///
    /// # Errors
    /// When it cannot be encoded or written.
    pub fn add(&mut self, mut item: Item, picture: &RgbImage, smoothed: Option<&RgbImage>) -> Result<()> {
        let number = self.items.len();
        let (folder, ending) = match item.kind {
            Kind::Photo => ("photo", "jpg"),
            Kind::Frame => ("frame", "jpg"),
            Kind::Art => ("art", "png"),
        };
        item.file = format!("{folder}/{number:06}.{ending}");
        let bytes = if item.kind == Kind::Art { png(picture)? } else { jpeg(picture)? };
        self.write(&item.file, &bytes)?;
        if let Some(smoothed) = smoothed {
            let name = format!("smoothed/{number:06}.png");
            self.write(&name, &png(smoothed)?)?;
            item.smoothed = Some(name);
        }
        self.items.push(item);
        Ok(())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let failed = || format!("cannot write the entry {name}");
        self.archive.start_file(name, stored()).with_context(failed)?;
        self.archive.write_all(bytes).with_context(failed)
    }

    /// Writes licences and index; returns what was packed.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn finish(mut self) -> Result<Vec<Item>> {
        // Two folders may hold files of the same name: a source is known by its content.
        let line = |item: &Item| {
            let licence = item.licence.as_deref().unwrap_or("not stated");
            format!("{},{},{licence}\n", item.source, item.source_sha256)
        };
        let lines: BTreeSet<String> = self.items.iter().map(line).collect();
        let licences: String = std::iter::once("source,sha256,licence\n".to_owned()).chain(lines).collect();
        self.write(LICENCES, licences.as_bytes())?;
        let index = Index { version: VERSION, items: std::mem::take(&mut self.items) };
        self.write(INDEX, &serde_json::to_vec_pretty(&index)?)?;
        self.archive.finish().context("cannot end the archive")?;
        Ok(index.items)
    }
}

fn jpeg(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(picture).context("cannot encode a JPEG")?;
    Ok(bytes)
}

fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive)
        .write_image(picture.as_raw(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .context("cannot encode a PNG")?;
    Ok(bytes.into_inner())
}

/// A data set that is read.
#[derive(Debug)]
pub struct Dataset {
    path: PathBuf,
    archive: Mutex<ZipArchive<File>>,
    items: Vec<Item>,
}

impl Dataset {
    /// Opens what `nijigen-train prepare` wrote.
    ///
    /// # Errors
    /// When it cannot be read or is no such file.
    pub fn open(path: &Path) -> Result<Self> {
        let no_dataset = || format!("{} is no data set: make one with `nijigen-train prepare`", path.display());
        let file = File::open(path).map_err(|error| nijigen::Error::io("read", path, error))?;
        let mut archive = ZipArchive::new(file).with_context(no_dataset)?;
        let index = entry(&mut archive, INDEX).with_context(no_dataset)?;
        let index: Index = serde_json::from_slice(&index).with_context(no_dataset)?;
        ensure!(
            index.version == VERSION,
            "{} is of version {}, this program reads {VERSION}",
            path.display(),
            index.version
        );
        Ok(Self { path: path.to_path_buf(), archive: Mutex::new(archive), items: index.items })
    }

    /// All that it holds, in the file's order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Pictures of a kind and part with what the index says of them.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn pictures(&self, kind: Kind, part: Part) -> Result<Vec<(Item, RgbImage)>> {
        let items: Vec<&Item> = self.items.iter().filter(|item| (item.kind, item.part) == (kind, part)).collect();
        items.into_par_iter().map(|item| Ok((item.clone(), self.picture(&item.file)?))).collect()
    }

    /// Art with its smoothed twins.
    ///
    /// # Errors
    /// When one cannot be read, or the two differ in size.
    pub fn art(&self, part: Part) -> Result<Vec<Art>> {
        let items: Vec<&Item> = self.items.iter().filter(|item| (item.kind, item.part) == (Kind::Art, part)).collect();
        items
            .into_par_iter()
            .map(|item| {
                let picture = self.picture(&item.file)?;
                let twin = item.smoothed.as_deref().with_context(|| format!("{} has no smoothed twin", item.file))?;
                let smoothed = self.picture(twin)?;
                ensure!(picture.dimensions() == smoothed.dimensions(), "{twin} differs in size from {}", item.file);
                Ok(Art { picture, smoothed })
            })
            .collect()
    }

    fn picture(&self, name: &str) -> Result<RgbImage> {
        let damaged =
            || format!("{} is damaged: its entry {name} cannot be read; prepare it again", self.path.display());
        let bytes = {
            // A panic elsewhere leaves the archive as it was.
            let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
            entry(&mut archive, name).with_context(damaged)?
        };
        photos::decode(&bytes).with_context(damaged)
    }
}

/// The bytes of an entry; the archive checks them against their checksum.
fn entry(archive: &mut ZipArchive<File>, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    archive.by_name(name)?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgb;

    use super::*;

    fn item(kind: Kind, part: Part, source: &str) -> Item {
        Item {
            kind,
            part,
            file: String::new(),
            smoothed: None,
            source: source.into(),
            source_sha256: "00".into(),
            frame: None,
            width: 24,
            height: 16,
            licence: source.starts_with('a').then(|| "CC0-1.0".to_owned()),
        }
    }

    fn packed(path: &Path) {
        let picture = RgbImage::from_fn(24, 16, |x, y| Rgb([(x * 9) as u8, (y * 13) as u8, 60]));
        let smooth = RgbImage::from_pixel(24, 16, Rgb([77; 3]));
        let mut output = Output::create(path).unwrap();
        let mut packer = Packer::new(&mut output);
        packer.add(item(Kind::Photo, Part::Train, "a.jpg"), &picture, None).unwrap();
        packer.add(item(Kind::Art, Part::Train, "b.png"), &picture, Some(&smooth)).unwrap();
        packer.add(item(Kind::Frame, Part::HeldOut, "c.mkv"), &picture, None).unwrap();
        assert_eq!(packer.finish().unwrap().len(), 3);
        output.commit().unwrap();
    }

    #[test]
    fn what_was_packed_is_read_by_kind_and_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.zip");
        packed(&path);
        let set = Dataset::open(&path).unwrap();
        let photos = set.pictures(Kind::Photo, Part::Train).unwrap();
        assert_eq!((photos.len(), photos[0].0.licence.as_deref()), (1, Some("CC0-1.0")));
        assert!(set.pictures(Kind::Photo, Part::HeldOut).unwrap().is_empty());
        assert_eq!(set.pictures(Kind::Frame, Part::HeldOut).unwrap()[0].0.source, "c.mkv");
        let art = set.art(Part::Train).unwrap();
        assert_eq!((art[0].picture[(2, 1)], art[0].smoothed[(2, 1)]), (Rgb([18, 13, 60]), Rgb([77; 3])));
        // The same content gives the same bytes.
        let bytes = std::fs::read(&path).unwrap();
        packed(&path);
        assert!(bytes == std::fs::read(&path).unwrap());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.zip");
        packed(&path);
        let bytes = std::fs::read(&path).unwrap();
        for broken in [&bytes[..bytes.len() / 2], b"no archive", b""] {
            std::fs::write(&path, broken).unwrap();
            let error = format!("{:#}", Dataset::open(&path).unwrap_err());
            assert!(error.contains("set.zip is no data set"), "{error}");
        }
        let mut flipped = bytes.clone();
        flipped[200] ^= 1;
        std::fs::write(&path, flipped).unwrap();
        let error = format!("{:#}", Dataset::open(&path).unwrap().pictures(Kind::Photo, Part::Train).unwrap_err());
        assert!(error.contains("set.zip is damaged"), "{error}");
    }
}
