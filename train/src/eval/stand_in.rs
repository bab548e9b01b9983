//! What is measured in a network's place: to tell what a figure is worth, or what a network was made from.

use std::collections::HashMap;

use image::RgbImage;
use nijigen::engine::Generator;
use nijigen::frame::Size;

use crate::data::training_set::LoadedPair;

/// A function from photo to picture, RGB bytes both.
pub struct StandIn<F>(F);

/// What changes nothing.
pub fn untouched() -> impl Generator {
    StandIn(|photo: &[u8], picture: &mut [u8]| {
        picture.copy_from_slice(photo);
        Ok(())
    })
}

/// A teacher's pictures, which `repaint` made, of the photos of `pairs`.
pub fn repainted(pairs: Vec<LoadedPair>) -> impl Generator {
    let pictures: HashMap<Vec<u8>, RgbImage> =
        pairs.into_iter().map(|pair| (pair.photo.into_raw(), pair.target)).collect();
    StandIn(move |photo: &[u8], picture: &mut [u8]| {
        let unknown = || nijigen::Error::Style("a held-out photo was not repainted: run `repaint` again".into());
        picture.copy_from_slice(pictures.get(photo).ok_or_else(unknown)?);
        Ok(())
    })
}

impl<F: FnMut(&[u8], &mut [u8]) -> nijigen::Result<()> + Send> Generator for StandIn<F> {
    fn run(&mut self, input: &[u8], _: Size, output: &mut [u8]) -> nijigen::Result<()> {
        (self.0)(input, output)
    }

    fn macs(&self, _: Size) -> u64 {
        0
    }

    fn engine(&self) -> &'static str {
        "none"
    }

    fn isa(&self) -> &'static str {
        "none"
    }

    fn halo(&self) -> Option<u32> {
        None
    }

    fn multiple(&self) -> u32 {
        1
    }
}
