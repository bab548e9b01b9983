//! Where a flicker counts: where the scene stands from one frame to the next, and less on drawn lines.

use image::{Rgb, RgbImage};

/// Radius of the window in which two frames are compared, pixels: noise averages out in it.
const STANDING_RADIUS: usize = 3;
/// Difference of its mean, of 255, from which on something moves, and from which on nothing of it is taken as standing.
const STANDING_BELOW: f32 = 4.0;
const MOVES_ABOVE: f32 = 8.0;
/// How much a drawn line counts beside a surface: on it the eye sees little flicker, and a network that is to hold it
/// still draws it fainter instead.
const LINES_SPARED: f32 = 0.25;
/// Contrast of a pixel with its neighbours, of 255, up to which it is on a surface, and from which on on a line.
const SURFACE_BELOW: f32 = 24.0;
const LINE_ABOVE: f32 = 64.0;

/// Where a scene stands between two frames: 1 where it does, 0 where something moves, one value per pixel.
pub fn standing(now: &RgbImage, next: &RgbImage) -> Vec<f32> {
    let (width, height) = (now.width() as usize, now.height() as usize);
    let difference: Vec<f32> = now.pixels().zip(next.pixels()).map(|(a, b)| grey(a) - grey(b)).collect();
    let mean = |window: &[f32]| window.iter().sum::<f32>() / window.len() as f32;
    let means = windowed(&difference, width, height, STANDING_RADIUS, mean);
    means.iter().map(|d| 1.0 - rise(d.abs(), STANDING_BELOW, MOVES_ABOVE)).collect()
}

/// Lowers `standing`, one value per pixel of `target`, where that has a drawn line: to [`LINES_SPARED`] of it on the
/// line's edges and on what lies within a pixel of one, which is all of a thin line.
pub fn spare_lines(standing: &mut [f32], target: &RgbImage) {
    let (width, height) = (target.width() as usize, target.height() as usize);
    let grey: Vec<f32> = target.pixels().map(grey).collect();
    let brightest = windowed(&grey, width, height, 1, |window| window.iter().copied().fold(f32::MIN, f32::max));
    let darkest = windowed(&grey, width, height, 1, |window| window.iter().copied().fold(f32::MAX, f32::min));
    for (value, (bright, dark)) in standing.iter_mut().zip(brightest.iter().zip(&darkest)) {
        *value *= 1.0 - (1.0 - LINES_SPARED) * rise(bright - dark, SURFACE_BELOW, LINE_ABOVE);
    }
}

/// 0 up to `below`, 1 from `above` on, straight between them.
fn rise(value: f32, below: f32, above: f32) -> f32 {
    ((value - below) / (above - below)).clamp(0.0, 1.0)
}

fn grey(pixel: &Rgb<u8>) -> f32 {
    pixel.0.iter().map(|&v| f32::from(v)).sum::<f32>() / 3.0
}

/// `reduce` over windows of 2·`radius` + 1 (at the border what lies inside), along rows and then along columns.
fn windowed(values: &[f32], width: usize, height: usize, radius: usize, reduce: impl Fn(&[f32]) -> f32) -> Vec<f32> {
    let along = |values: &[f32], length: usize, lines: usize, at: &dyn Fn(usize, usize) -> usize| {
        let mut out = vec![0.0; values.len()];
        let mut line = vec![0.0; length];
        for number in 0..lines {
            for (i, value) in line.iter_mut().enumerate() {
                *value = values[at(number, i)];
            }
            for i in 0..length {
                out[at(number, i)] = reduce(&line[i.saturating_sub(radius)..(i + radius + 1).min(length)]);
            }
        }
        out
    };
    let rows = along(values, width, height, &|y, x| y * width + x);
    along(&rows, height, width, &|x, y| y * width + x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_stands_and_what_moves_does_not() {
        let wall = |square: u32, noise: u32| {
            RgbImage::from_fn(64, 64, move |x, y| {
                let moving = (square..square + 12).contains(&x) && (20..40).contains(&y);
                Rgb([if moving { 230 } else { 100 + ((x * 7 + y * 13 + noise) % 5) as u8 }; 3])
            })
        };
        let standing = standing(&wall(10, 0), &wall(22, 3));
        let at = |x: usize, y: usize| standing[y * 64 + x];
        assert!(at(16, 30) == 0.0 && at(28, 30) == 0.0, "where the square was and is");
        assert!(at(50, 30) == 1.0 && at(16, 55) == 1.0, "noise stands");
    }

    #[test]
    fn a_drawn_line_counts_little_and_a_shade_as_before() {
        // A line of two dark pixels on a surface whose shade falls slowly.
        let target =
            RgbImage::from_fn(32, 16, |x, _| Rgb([if (15..17).contains(&x) { 40 } else { 220 - 2 * x as u8 }; 3]));
        let mut standing = vec![1.0; 32 * 16];
        standing[3 * 32 + 15] = 0.0;
        spare_lines(&mut standing, &target);
        let row = |y: usize| &standing[y * 32..][..32];
        assert!((14..18).all(|x| row(8)[x] == LINES_SPARED), "{:?}", row(8));
        assert!((0..14).chain(18..32).all(|x| row(8)[x] == 1.0), "{:?}", row(8));
        assert_eq!((row(3)[15], row(3)[16]), (0.0, LINES_SPARED), "what moves does not come back");
    }
}
