//! Painted pairs in memory.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::{DynamicImage, GrayImage, RgbImage};
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
    /// See [`Pair::mask`].
    pub mask: Option<GrayImage>,
    /// See [`Pair::next`].
    pub next: Option<RgbImage>,
}

/// Reads all pairs of `folder` that serve `split`, in the index's order.
///
/// # Errors
/// When the index or a picture cannot be read, or the two pictures of a pair differ in size.
pub fn load(folder: &Path, split: Split) -> Result<Vec<LoadedPair>> {
    load_those(folder, |entry| entry.split == split)
}

/// Reads those pairs of `folder` that are `wanted`, in the index's order.
///
/// # Errors
/// As [`load`].
pub fn load_those(folder: &Path, wanted: impl Fn(&Pair) -> bool + Sync + Send) -> Result<Vec<LoadedPair>> {
    let entries = read_index(folder).context("make the pairs with `nijigen-train paint` first")?;
    let read = |name: &str| -> Result<DynamicImage> {
        let path = folder.join(name);
        image::open(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    entries
        .into_par_iter()
        .filter(wanted)
        .map(|entry| {
            let (photo, target) = (read(&entry.photo)?.into_rgb8(), read(&entry.target)?.into_rgb8());
            let mask = entry.mask.as_deref().map(read).transpose()?.map(DynamicImage::into_luma8);
            let next = entry.next.as_deref().map(read).transpose()?.map(DynamicImage::into_rgb8);
            let others = [
                Some(target.dimensions()),
                mask.as_ref().map(GrayImage::dimensions),
                next.as_ref().map(RgbImage::dimensions),
            ];
            ensure!(
                others.into_iter().flatten().all(|size| size == photo.dimensions()),
                "{} and what belongs to it differ in size; paint the pair again",
                entry.photo
            );
            Ok(LoadedPair { entry, photo, target, mask, next })
        })
        .collect()
}
