//! Cutting off what is no picture: bars, margins, and what is transparent.

use image::{Rgb, RgbImage, RgbaImage, imageops};

use crate::data::photos::over_white;

/// Difference from the corner's colour, of 255, up to which a border's pixel belongs to it.
const ALIKE: u8 = 8;
/// Opaque enough to count as drawn.
const OPAQUE: u8 = 8;
/// Most of the sides' length that is cut off: a figure before an even ground is no picture with bars.
const MOST: f32 = 0.4;

/// Without rows and columns of one colour at its borders (bars of a film, margins of a scan), unless they are most of
/// it.
pub fn without_bars(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let even = |mut pixels: Box<dyn Iterator<Item = Rgb<u8>> + '_>| {
        let Some(first) = pixels.next() else { return true };
        pixels.all(|pixel| pixel.0.iter().zip(first.0).all(|(a, b)| a.abs_diff(b) <= ALIKE))
    };
    let row = |y: u32| even(Box::new((0..width).map(move |x| picture[(x, y)])));
    let column = |x: u32| even(Box::new((0..height).map(move |y| picture[(x, y)])));
    let top = (0..height).take_while(|&y| row(y)).count() as u32;
    let bottom = (top..height).rev().take_while(|&y| row(y)).count() as u32;
    let left = (0..width).take_while(|&x| column(x)).count() as u32;
    let right = (left..width).rev().take_while(|&x| column(x)).count() as u32;
    let within = |cut: u32, side: u32| (cut as f32) <= MOST * side as f32;
    let (top, bottom) = if within(top + bottom, height) { (top, bottom) } else { (0, 0) };
    let (left, right) = if within(left + right, width) { (left, right) } else { (0, 0) };
    imageops::crop_imm(picture, left, top, width - left - right, height - top - bottom).to_image()
}

/// The part that is not transparent, before white; `None` where nothing is drawn.
pub fn opaque(picture: &RgbaImage) -> Option<RgbImage> {
    let drawn = || picture.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[3] > OPAQUE);
    let (left, right) = (drawn().map(|(x, _, _)| x).min()?, drawn().map(|(x, _, _)| x).max()?);
    let (top, bottom) = (drawn().map(|(_, y, _)| y).min()?, drawn().map(|(_, y, _)| y).max()?);
    let (width, height) = (right - left + 1, bottom - top + 1);
    Some(over_white(&imageops::crop_imm(picture, left, top, width, height).to_image()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgba;

    use super::*;

    #[test]
    fn bars_go_and_a_figure_before_an_even_ground_stays() {
        let barred = RgbImage::from_fn(40, 30, |x, y| {
            if (5..25).contains(&y) { Rgb([(x * 6) as u8, (y * 8) as u8, 90]) } else { Rgb([2; 3]) }
        });
        assert_eq!(without_bars(&barred).dimensions(), (40, 20));
        let figure = RgbImage::from_fn(40, 30, |x, y| {
            Rgb(if (18..22).contains(&x) && (12..16).contains(&y) { [0; 3] } else { [255; 3] })
        });
        assert_eq!(without_bars(&figure), figure);
        let flat = RgbImage::new(8, 8);
        assert_eq!(without_bars(&flat), flat);
    }

    #[test]
    fn what_is_transparent_is_cut_off_or_white() {
        let figure = RgbaImage::from_fn(20, 20, |x, y| {
            Rgba(if (4..10).contains(&x) && (6..9).contains(&y) {
                [10, 20, 30, if x == 5 { 0 } else { 255 }]
            } else {
                [9, 9, 9, 0]
            })
        });
        let drawn = opaque(&figure).unwrap();
        assert_eq!(drawn.dimensions(), (6, 3));
        assert_eq!((drawn[(0, 0)], drawn[(1, 0)]), (Rgb([10, 20, 30]), Rgb([255; 3])));
        assert!(opaque(&RgbaImage::new(3, 3)).is_none());
    }
}
