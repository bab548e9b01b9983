//! Turning and mirroring pictures where they are: a second picture beside a large one would double what it takes.

use image::metadata::Orientation;

use crate::frame::Size;

/// Brings `pixels`, rows of a picture of `size`, upright, and returns its size then.
pub fn apply<T: Copy>(pixels: &mut [T], size: Size, orientation: Orientation) -> Size {
    let turned = Size::new(size.height, size.width);
    match orientation {
        Orientation::NoTransforms => size,
        Orientation::FlipHorizontal => {
            mirror(pixels, size);
            size
        }
        Orientation::FlipVertical => {
            pixels.reverse();
            mirror(pixels, size);
            size
        }
        Orientation::Rotate180 => {
            pixels.reverse();
            size
        }
        Orientation::Rotate90 => {
            transpose(pixels, size);
            mirror(pixels, turned);
            turned
        }
        Orientation::Rotate270 => {
            transpose(pixels, size);
            pixels.reverse();
            mirror(pixels, turned);
            turned
        }
        Orientation::Rotate90FlipH => {
            transpose(pixels, size);
            turned
        }
        Orientation::Rotate270FlipH => {
            transpose(pixels, size);
            pixels.reverse();
            turned
        }
    }
}

/// Left to right.
fn mirror<T>(pixels: &mut [T], size: Size) {
    pixels.chunks_exact_mut(size.width as usize).for_each(<[T]>::reverse);
}

/// Rows become columns. Each pixel moves to its place and pushes out the one there, around cycles (Knuth, "The Art of
/// Computer Programming" 1, 1.3.3, exercise 12); one bit per pixel tells which have moved.
fn transpose<T: Copy>(pixels: &mut [T], size: Size) {
    let (width, height) = (size.width as usize, size.height as usize);
    let mut moved = vec![0_u64; pixels.len().div_ceil(64)];
    for start in 0..pixels.len() {
        let (mut at, mut carried) = (start, pixels[start]);
        while moved[at / 64] >> (at % 64) & 1 == 0 {
            moved[at / 64] |= 1 << (at % 64);
            at = at % width * height + at / width;
            std::mem::swap(&mut carried, &mut pixels[at]);
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, GrayImage};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pictures_turn_as_the_image_crate_turns_copies(width in 1..40_u32, height in 1..40_u32, exif in 1..=8_u8) {
            let mut pixels: Vec<u8> = (0..width * height).map(|i| (i * 7 + i / 251) as u8).collect();
            let Some(orientation) = Orientation::from_exif(exif) else { return Err(TestCaseError::fail("1 to 8")) };
            let Some(copy) = GrayImage::from_raw(width, height, pixels.clone()) else {
                return Err(TestCaseError::fail("one byte per pixel"));
            };
            let mut copy = DynamicImage::from(copy);
            copy.apply_orientation(orientation);
            let size = apply(&mut pixels, Size::new(width, height), orientation);
            prop_assert_eq!((size.width, size.height), (copy.width(), copy.height()));
            prop_assert_eq!(pixels, copy.into_bytes());
        }
    }
}
