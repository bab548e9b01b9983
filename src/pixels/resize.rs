//! Resizing RGB pictures.

use std::ops::Range;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, ResizeOptions, Resizer};

use crate::error::{Error, Result};
use crate::frame::Size;

/// `pixels` (RGB, `from`) at the size `to`, through a Lanczos filter of radius 3 that is widened where it shrinks.
///
/// # Errors
/// [`Error::Input`] where `pixels` is not of the size `from`, or a side is 0.
pub fn resize(pixels: &[u8], from: Size, to: Size) -> Result<Vec<u8>> {
    resize_rows(pixels, from, to, 0..to.height)
}

/// Only `rows` of what [`resize`] gives, without computing the others.
///
/// # Errors
/// As [`resize`].
pub fn resize_rows(pixels: &[u8], from: Size, to: Size, rows: Range<u32>) -> Result<Vec<u8>> {
    let cannot = |why: String| Error::Input(format!("a picture of {from} cannot be resized to {to}: {why}"));
    let source =
        ImageRef::new(from.width, from.height, pixels, PixelType::U8x3).map_err(|error| cannot(error.to_string()))?;
    let mut target = Image::new(to.width, rows.end - rows.start, PixelType::U8x3);
    // The filter also reads what lies beyond the part, as Pillow's `box` does.
    let scale = f64::from(from.height) / f64::from(to.height);
    let (top, height) = (f64::from(rows.start) * scale, f64::from(rows.end - rows.start) * scale);
    let options = ResizeOptions::new().crop(0.0, top, f64::from(from.width), height);
    Resizer::new().resize(&source, &mut target, &options).map_err(|error| cannot(error.to_string()))?;
    Ok(target.into_vec())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_even_picture_stays_even_at_any_size() {
        let pixels = [200, 100, 50].repeat(35);
        for to in [Size::new(1, 1), Size::new(7, 5), Size::new(40, 3), Size::new(3, 40)] {
            assert_eq!(resize(&pixels, Size::new(7, 5), to).unwrap(), [200, 100, 50].repeat(to.area()));
        }
    }

    #[test]
    fn strips_together_are_the_whole() {
        let (from, to) = (Size::new(23, 31), Size::new(50, 117));
        let pixels: Vec<u8> = (0..from.rgb_len()).map(|i| (i * 37 % 251) as u8).collect();
        let whole = resize(&pixels, from, to).unwrap();
        let strips: Vec<u8> = [0..40, 40..41, 41..117]
            .into_iter()
            .flat_map(|rows| resize_rows(&pixels, from, to, rows).unwrap())
            .collect();
        assert!(whole.iter().zip(&strips).all(|(a, b)| a.abs_diff(*b) <= 1));
    }

    #[test]
    fn a_picture_of_another_length_is_refused() {
        assert!(resize(&[0; 30], Size::new(7, 5), Size::new(3, 3)).is_err());
    }
}
