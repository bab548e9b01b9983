//! How well a student knows the person in a picture.

use image::GrayImage;

/// From this certainty on, of 255, a pixel is of the person.
const CERTAIN: u8 = 128;

/// Intersection over union of the person in two masks of one size (0..1); `None` where neither shows one.
pub fn intersection_over_union(mask: &[u8], label: &GrayImage) -> Option<f64> {
    let (mut both, mut either) = (0_u64, 0_u64);
    for (a, b) in mask.iter().zip(label.as_raw()) {
        let (a, b) = (*a >= CERTAIN, *b >= CERTAIN);
        both += u64::from(a && b);
        either += u64::from(a || b);
    }
    (either > 0).then(|| both as f64 / either as f64)
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    fn columns(of: std::ops::Range<u32>) -> GrayImage {
        GrayImage::from_fn(12, 4, |x, _| Luma([if of.contains(&x) { 200 } else { 40 }]))
    }

    fn shared(of: std::ops::Range<u32>, label: std::ops::Range<u32>) -> Option<f64> {
        intersection_over_union(columns(of).as_raw(), &columns(label))
    }

    #[test]
    fn what_both_show_is_counted_against_what_either_shows() {
        assert_eq!(shared(0..6, 3..9), Some(3.0 / 9.0));
        assert_eq!(shared(2..5, 2..5), Some(1.0));
        assert_eq!(shared(0..2, 8..9), Some(0.0));
        assert_eq!(shared(0..0, 0..0), None);
    }
}
