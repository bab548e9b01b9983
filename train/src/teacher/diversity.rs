//! How much pictures differ from one another: a generator that has collapsed gives one picture for every photo.

use image::{RgbImage, imageops};

/// Pictures are compared at this size: shapes and colours, not lines.
const SIDE: u32 = 16;

/// Mean absolute difference between each two of `pictures`, of 255, seen small.
pub fn diversity(pictures: &[&RgbImage]) -> f64 {
    let small: Vec<RgbImage> =
        pictures.iter().map(|picture| imageops::resize(*picture, SIDE, SIDE, imageops::FilterType::Triangle)).collect();
    let (mut total, mut pairs) = (0.0, 0_u32);
    for (i, a) in small.iter().enumerate() {
        for b in &small[i + 1..] {
            total += crate::metrics::l1(a, b);
            pairs += 1;
        }
    }
    total / f64::from(pairs.max(1))
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn it_is_the_mean_over_all_pairs() {
        let grey = |value: u8| RgbImage::from_pixel(40, 30, Rgb([value; 3]));
        let (a, b, c) = (grey(10), grey(20), grey(50));
        assert_eq!(diversity(&[&a, &b, &c]), (10.0 + 40.0 + 30.0) / 3.0);
        assert_eq!(diversity(&[&a, &a]), 0.0);
        assert_eq!(diversity(&[&a]), 0.0);
    }
}
