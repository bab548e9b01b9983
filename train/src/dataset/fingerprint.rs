//! Telling copies of a picture that were saved anew, in another size or quality, from other pictures.

use image::imageops::{self, FilterType};
use image::{GrayImage, RgbImage};

/// Side of the small picture that colours are compared on.
const SIDE: u32 = 16;
/// Bits of the hash that may differ, of 128.
const BITS: u32 = 12;
/// Mean difference of the small pictures, of 255, up to which they are the same.
const COLOURS: f64 = 6.0;

/// What a picture is known by: whether it grows lighter to the right and downward in an 8×8 grid (the difference hash),
/// and a small copy, since flat pictures agree in the first by chance.
#[derive(Debug, Clone)]
pub struct Fingerprint {
    gradients: u128,
    small: RgbImage,
}

impl Fingerprint {
    /// Of a picture.
    pub fn of(picture: &RgbImage) -> Self {
        let grid = |width, height| -> GrayImage {
            imageops::grayscale(&imageops::resize(picture, width, height, FilterType::Triangle))
        };
        let (wide, high) = (grid(9, 8), grid(8, 9));
        let mut gradients = 0;
        for y in 0..8 {
            for x in 0..8 {
                gradients = (gradients << 1) | u128::from(wide[(x, y)].0 < wide[(x + 1, y)].0);
                gradients = (gradients << 1) | u128::from(high[(x, y)].0 < high[(x, y + 1)].0);
            }
        }
        Self { gradients, small: imageops::resize(picture, SIDE, SIDE, FilterType::Triangle) }
    }

    /// Whether both are of the same picture, nearly.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.gradients ^ other.gradients).count_ones() <= BITS
            && crate::metrics::l1(&self.small, &other.small) <= COLOURS
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Cursor;

    use image::Rgb;
    use image::codecs::jpeg::JpegEncoder;

    use super::*;

    fn scene(number: u32) -> RgbImage {
        RgbImage::from_fn(160, 120, |x, y| {
            let shape = ((x + 13 * number) / (17 + number) + y / (11 + 2 * number)) % 4;
            Rgb([40 + 50 * shape as u8, 200 - y as u8, (x + 20 * number) as u8 / 2])
        })
    }

    #[test]
    fn a_copy_in_another_size_and_quality_is_known_other_pictures_are_not() {
        let prints: Vec<_> = (0..6).map(|n| Fingerprint::of(&scene(n))).collect();
        for (n, print) in prints.iter().enumerate() {
            let small = imageops::resize(&scene(n as u32), 103, 77, FilterType::Lanczos3);
            let mut bytes = Cursor::new(Vec::new());
            JpegEncoder::new_with_quality(&mut bytes, 50).encode_image(&small).unwrap();
            let copy = image::load_from_memory(bytes.get_ref()).unwrap().into_rgb8();
            let copy = Fingerprint::of(&copy);
            let like: Vec<bool> = prints.iter().map(|print| print.is_like(&copy)).collect();
            assert!(print.is_like(&copy), "{n}: {like:?}");
            assert_eq!(like.iter().filter(|&&like| like).count(), 1, "{n}: {like:?}");
        }
    }

    #[test]
    fn flat_pictures_of_two_colours_are_two_pictures() {
        let flat = |value| Fingerprint::of(&RgbImage::from_pixel(64, 64, Rgb([value; 3])));
        assert!(!flat(40).is_like(&flat(90)) && flat(40).is_like(&flat(41)));
    }
}
