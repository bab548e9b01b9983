//! Flicker: how much a video changes from frame to frame where the scene stands still.

use image::RgbImage;

use crate::metrics::luma;

/// A place stands where its smoothed grey level stays within this over [`WINDOW`] frames, of 255.
const STANDING_RANGE: f64 = 6.0;
/// Frames over which a place must stand; a clip's remainder beyond a multiple of it is not looked at.
pub const WINDOW: usize = 16;
/// Pixels by which standing regions are eroded, so that no mover's edge is counted.
const EROSION: usize = 15;
/// Radius of the box that smooths the grey level.
const SMOOTHING: usize = 2;

/// For each window of 16 frames, which pixels stand.
pub fn standing(frames: &[RgbImage]) -> Vec<Vec<bool>> {
    let Some(first) = frames.first() else { return Vec::new() };
    let (width, height) = (first.width() as usize, first.height() as usize);
    let smooth: Vec<Vec<f64>> = frames.iter().map(|frame| box_filter(&luma(frame), width, height, SMOOTHING)).collect();
    smooth
        .chunks_exact(WINDOW)
        .map(|window| {
            let moving: Vec<f64> = (0..width * height)
                .map(|i| {
                    let low = window.iter().map(|f| f[i]).fold(f64::INFINITY, f64::min);
                    let high = window.iter().map(|f| f[i]).fold(f64::NEG_INFINITY, f64::max);
                    f64::from(u8::from(high - low > STANDING_RANGE))
                })
                .collect();
            // A place with no mover within the box around it.
            box_filter(&moving, width, height, EROSION).iter().map(|&share| share < 1e-9).collect()
        })
        .collect()
}

/// Mean absolute change from frame to frame, of 255, over standing pixels; `None` where nothing stands.
pub fn flicker(frames: &[RgbImage], standing: &[Vec<bool>]) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u64);
    for (window, mask) in frames.chunks_exact(WINDOW).zip(standing) {
        for pair in window.windows(2) {
            for ((a, b), _) in pair[0].pixels().zip(pair[1].pixels()).zip(mask).filter(|(_, stands)| **stands) {
                sum += a.0.iter().zip(&b.0).map(|(&a, &b)| f64::from(a.abs_diff(b))).sum::<f64>();
                count += 3;
            }
        }
    }
    (count > 0).then(|| sum / count as f64)
}

/// Mean over a square of side 2·radius + 1, cut off at the borders, by running sums.
fn box_filter(plane: &[f64], width: usize, height: usize, radius: usize) -> Vec<f64> {
    let line = |from: &dyn Fn(usize) -> f64, length: usize| -> Vec<f64> {
        let mut sums = vec![0.0; length + 1];
        for i in 0..length {
            sums[i + 1] = sums[i] + from(i);
        }
        (0..length)
            .map(|i| {
                let (low, high) = (i.saturating_sub(radius), (i + radius + 1).min(length));
                (sums[high] - sums[low]) / (high - low) as f64
            })
            .collect()
    };
    let rows: Vec<Vec<f64>> = (0..height).map(|y| line(&|x| plane[y * width + x], width)).collect();
    let columns: Vec<Vec<f64>> = (0..width).map(|x| line(&|y| rows[y][x], height)).collect();
    (0..width * height).map(|i| columns[i % width][i / width]).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::Rgb;

    use super::*;

    /// A wall that alternates by one grey level, before which a white square moves.
    fn scene() -> Vec<RgbImage> {
        (0..WINDOW as u32)
            .map(|t| {
                RgbImage::from_fn(120, 80, |x, y| {
                    let square = (10 + t..25 + t).contains(&x) && (30..45).contains(&y);
                    Rgb([if square { 255 } else { 100 + (t % 2) as u8 }; 3])
                })
            })
            .collect()
    }

    #[test]
    fn only_the_standing_wall_counts() {
        let frames = scene();
        let standing = standing(&frames);
        assert_eq!(standing.len(), 1);
        assert!(!standing[0][35 * 120 + 20], "the square's way does not stand");
        assert!(!standing[0][35 * 120 + 50], "nor does its surroundings");
        assert!(standing[0][35 * 120 + 100], "the far wall does");
        assert_eq!(flicker(&frames, &standing).unwrap(), 1.0);
    }

    #[test]
    fn nothing_standing_gives_no_number() {
        let frames: Vec<_> =
            (0..WINDOW as u32).map(|t| RgbImage::from_pixel(32, 32, Rgb([(t * 16) as u8; 3]))).collect();
        assert_eq!(flicker(&frames, &standing(&frames)), None);
    }
}
