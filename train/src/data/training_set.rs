//! Painted pairs in memory.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use image::{DynamicImage, GrayImage, RgbImage};
use rayon::prelude::*;

use super::pairs::{Pair, Split, is_for_validation, read_index};

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

/// Reads the pairs of `folder` to train on, and those to choose weights by: of the photos that are not held out those
/// whose content [`is_for_validation`]. Clips are few, and all of them are trained on. What is held out is kept for the end,
/// unless there would be nothing to choose by, or more than a quarter of all set apart.
///
/// # Errors
/// As [`load`].
pub fn load_with_validation(folder: &Path) -> Result<(Vec<LoadedPair>, Vec<LoadedPair>)> {
    let all = load(folder, Split::Train)?;
    let is_apart = |pair: &LoadedPair| pair.entry.frame.is_none() && is_for_validation(&pair.entry.source_sha256);
    let apart = all.iter().filter(|pair| is_apart(pair)).count();
    if (2..=all.len() / 4).contains(&apart) {
        let (validation, train) = all.into_iter().partition(is_apart);
        return Ok((train, validation));
    }
    log::info!("the pairs are too few to set some apart: weights are chosen by those held out");
    Ok((all, load(folder, Split::HeldOut)?))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Pairs that are all the same picture: content, frame of a clip, part.
    fn pairs(folder: &Path, sources: &[(&str, Option<u32>, Split)]) {
        let line = |(i, (sha256, frame, split)): (usize, &(&str, Option<u32>, Split))| {
            let name = format!("{i}.png");
            RgbImage::new(2, 2).save(folder.join(&name)).unwrap();
            let pair = Pair {
                photo: name.clone(),
                target: name,
                source: (*sha256).into(),
                frame: *frame,
                scale: 1.0,
                width: 2,
                height: 2,
                faces: vec![],
                licence: None,
                source_sha256: (*sha256).into(),
                recipe: String::new(),
                recipe_sha256: String::new(),
                split: *split,
                mask: None,
                next: None,
            };
            serde_json::to_string(&pair).unwrap() + "\n"
        };
        std::fs::write(
            folder.join(super::super::pairs::INDEX),
            sources.iter().enumerate().map(line).collect::<String>(),
        )
        .unwrap();
    }

    #[test]
    fn some_photos_are_set_apart_to_choose_by_and_what_is_held_out_is_kept_for_the_end() {
        let (apart, other) = ("00000000", "80000000");
        let folder = tempfile::tempdir().unwrap();
        let divided = || {
            let (train, validation) = load_with_validation(folder.path()).unwrap();
            [train, validation].map(|part| {
                part.into_iter().map(|pair| (pair.entry.source, pair.entry.frame, pair.entry.split)).collect::<Vec<_>>()
            })
        };
        let expected = |part: &[(&str, Option<u32>, Split)]| {
            part.iter().map(|(source, frame, split)| ((*source).to_owned(), *frame, *split)).collect::<Vec<_>>()
        };
        // Two scales of one photo, and a clip.
        let set_apart = [(apart, None, Split::Train), (apart, None, Split::Train)];
        let trained = [[(other, None, Split::Train); 3], [(apart, Some(3), Split::Train); 3]].concat();
        let held_out = [(other, None, Split::HeldOut)];
        pairs(folder.path(), &[&set_apart[..], &trained, &held_out].concat());
        assert_eq!(divided(), [expected(&trained), expected(&set_apart)]);
        // Too few to choose by, and too few left to train on.
        for some in [&[&set_apart[..1], &trained].concat()[..], &[set_apart[0], set_apart[1], trained[0]]] {
            pairs(folder.path(), &[some, &held_out].concat());
            assert_eq!(divided(), [expected(some), expected(&held_out)]);
        }
    }
}
