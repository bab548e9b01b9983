//! Painted pairs on disk: photos and their targets, listed in `index.jsonl`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use image::RgbImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The file that lists the pairs of a folder, one JSON object per line.
pub const INDEX: &str = "index.jsonl";

/// Which part of training a pair serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Trained on.
    Train,
    /// Never trained on: measured on.
    HeldOut,
}

/// A face, in pixels of the picture that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FaceBox {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height, from the brow to the chin.
    pub height: f32,
}

/// One line of the index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairEntry {
    /// The photo's file, relative to the folder.
    pub photo: String,
    /// The painted picture's file, relative to the folder; same size.
    pub target: String,
    /// The file that the photo was made from.
    pub source: String,
    /// The photo's size as a share of the largest one painted of that source.
    pub scale: f32,
    /// Faces in it.
    pub faces: Vec<FaceBox>,
    /// Which part of training it serves.
    pub split: Split,
}

/// A pair in memory.
#[derive(Debug, Clone)]
pub struct Pair {
    /// What the index says of it.
    pub entry: PairEntry,
    /// The photo.
    pub photo: RgbImage,
    /// Its painted picture, same size.
    pub target: RgbImage,
}

/// Reads all pairs of `folder` that serve `split`, in the index's order.
///
/// # Errors
/// When the index or a picture cannot be read, or the two pictures of a pair differ in size.
pub fn load(folder: &Path, split: Split) -> Result<Vec<Pair>> {
    let index = folder.join(INDEX);
    let text = fs::read_to_string(&index)
        .with_context(|| format!("cannot read {}; make the pairs with `nijigen-train paint` first", index.display()))?;
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let entry: PairEntry =
            serde_json::from_str(line).with_context(|| format!("line {} of {}", number + 1, index.display()))?;
        if entry.split == split {
            entries.push(entry);
        }
    }
    let read = |name: &str| -> Result<RgbImage> {
        let path = folder.join(name);
        Ok(image::open(&path).with_context(|| format!("cannot read {}", path.display()))?.into_rgb8())
    };
    entries
        .into_par_iter()
        .map(|entry| {
            let (photo, target) = (read(&entry.photo)?, read(&entry.target)?);
            if photo.dimensions() != target.dimensions() {
                bail!("{} and {} differ in size; paint the pair again", entry.photo, entry.target);
            }
            Ok(Pair { entry, photo, target })
        })
        .collect()
}
