//! Whether lines are drawn where they are wanted.

use image::RgbImage;

use crate::metrics::luma;

/// A pixel is ink where its luminance lies so far (of 255) below the median of its surroundings.
const DEPTH: f64 = 20.0;
/// Radius of these surroundings, pixels: several times as wide as a line.
const RADIUS: usize = 7;

/// What precision and recall are counted from, over any number of pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct InkCounts {
    drawn: u64,
    drawn_rightly: u64,
    wanted: u64,
    wanted_and_drawn: u64,
}

impl InkCounts {
    /// Compares the ink of a picture with its target's, of the same size; a line that is off by one pixel is right.
    pub fn add(&mut self, picture: &RgbImage, target: &RgbImage) {
        let size = (picture.width() as usize, picture.height() as usize);
        let (drawn, wanted) = (ink(picture), ink(target));
        let (near_drawn, near_wanted) = (widened(&drawn, size), widened(&wanted, size));
        let both = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| **a && **b).count() as u64;
        self.drawn += both(&drawn, &drawn);
        self.drawn_rightly += both(&drawn, &near_wanted);
        self.wanted += both(&wanted, &wanted);
        self.wanted_and_drawn += both(&wanted, &near_drawn);
    }

    /// F1 score, 0..1, 1 where all lines are right; `None` where there is no ink at all.
    pub fn f1(&self) -> Option<f64> {
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let (precision, recall) = (share(self.drawn_rightly, self.drawn), share(self.wanted_and_drawn, self.wanted));
        if self.drawn + self.wanted == 0 {
            return None;
        }
        Some(if precision + recall == 0.0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) })
    }
}

/// Which pixels are ink.
pub fn ink(picture: &RgbImage) -> Vec<bool> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let luma: Vec<u8> = luma(picture).iter().map(|l| l.round() as u8).collect();
    let mut ink = vec![false; width * height];
    for y in 0..height {
        // The histogram of a window that moves along the row (Huang et al. 1979).
        let mut histogram = [0_u32; 256];
        let rows = y.saturating_sub(RADIUS)..(y + RADIUS + 1).min(height);
        let mut count = 0;
        let column = |histogram: &mut [u32; 256], count: &mut u32, x: usize, adds: bool| {
            for row in rows.clone() {
                let bin = &mut histogram[usize::from(luma[row * width + x])];
                (*bin, *count) = if adds { (*bin + 1, *count + 1) } else { (*bin - 1, *count - 1) };
            }
        };
        (0..RADIUS.min(width)).for_each(|x| column(&mut histogram, &mut count, x, true));
        for x in 0..width {
            if x + RADIUS < width {
                column(&mut histogram, &mut count, x + RADIUS, true);
            }
            if x > RADIUS {
                column(&mut histogram, &mut count, x - RADIUS - 1, false);
            }
            let mut below = 0;
            let median = histogram.iter().position(|bin| {
                below += bin;
                2 * below > count
            });
            let here = luma[y * width + x];
            ink[y * width + x] = f64::from(here) + DEPTH < median.unwrap_or(0) as f64;
        }
    }
    ink
}

/// The pixels, and those beside them.
fn widened(set: &[bool], (width, height): (usize, usize)) -> Vec<bool> {
    let mut out = vec![false; set.len()];
    for y in 0..height {
        for x in 0..width {
            let near = |x: usize, y: usize| set[y * width + x];
            out[y * width + x] = (y.saturating_sub(1)..(y + 2).min(height))
                .any(|v| (x.saturating_sub(1)..(x + 2).min(width)).any(|u| near(u, v)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgb;

    use super::*;

    /// A grey picture with upright black lines, two pixels wide, from these columns on.
    fn lines(columns: &[u32]) -> RgbImage {
        RgbImage::from_fn(60, 30, |x, _| {
            Rgb([if columns.iter().any(|c| (*c..c + 2).contains(&x)) { 20 } else { 180 }; 3])
        })
    }

    fn f1(picture: &RgbImage, target: &RgbImage) -> Option<f64> {
        let mut counts = InkCounts::default();
        counts.add(picture, target);
        counts.f1()
    }

    #[test]
    fn ink_is_a_line_and_no_dark_surface() {
        let picture = RgbImage::from_fn(60, 30, |x, _| {
            Rgb([if x < 30 {
                40
            } else if x == 45 {
                90
            } else {
                180
            }; 3])
        });
        let ink = ink(&picture);
        let columns: Vec<usize> = (0..60).filter(|x| ink[15 * 60 + x]).collect();
        assert!(columns.contains(&45) && columns.iter().all(|x| (22..31).contains(x) || *x == 45), "{columns:?}");
        assert!(!ink[15 * 60 + 10], "within the dark surface");
    }

    #[test]
    fn lines_are_right_within_a_pixel_and_missing_or_odd_ones_cost() {
        let target = lines(&[20, 40]);
        assert_eq!(f1(&target, &target), Some(1.0));
        assert_eq!(f1(&lines(&[21, 40]), &target), Some(1.0), "off by one");
        assert_eq!(f1(&lines(&[26, 50]), &target), Some(0.0));
        assert_eq!(f1(&lines(&[20]), &target), Some(2.0 / 3.0), "one of two");
        assert_eq!(f1(&lines(&[8, 20, 32, 40]), &target), Some(2.0 / 3.0), "two too many");
        assert_eq!(f1(&lines(&[]), &lines(&[])), None);
    }
}
