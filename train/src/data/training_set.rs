//! Painted pairs in memory.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::RgbImage;
use rayon::prelude::*;

use super::pairs::{Pair, Split, read_index};

/// A pair with its pictures, which are of the same size.
#[derive(Debug, Clone)]
pub struct LoadedPair {
    /// What the index says of it.
    pub entry: Pair,
    /// The photo.
    pub photo: RgbImage,
    /// Its painted picture.
    pub target: RgbImage,
}

/// Reads all pairs of `folder` that serve `split`, in the index's order.
///
/// # Errors
/// When the index or a picture cannot be read, or the two pictures of a pair differ in size.
pub fn load(folder: &Path, split: Split) -> Result<Vec<LoadedPair>> {
    let entries = read_index(folder).context("make the pairs with `nijigen-train paint` first")?;
    let read = |name: &str| -> Result<RgbImage> {
        let path = folder.join(name);
        Ok(image::open(&path).with_context(|| format!("cannot read {}", path.display()))?.into_rgb8())
    };
    entries
        .into_par_iter()
        .filter(|entry| entry.split == split)
        .map(|entry| {
            let (photo, target) = (read(&entry.photo)?, read(&entry.target)?);
            ensure!(
                photo.dimensions() == target.dimensions(),
                "{} and {} differ in size; paint the pair again",
                entry.photo,
                entry.target
            );
            Ok(LoadedPair { entry, photo, target })
        })
        .collect()
}
