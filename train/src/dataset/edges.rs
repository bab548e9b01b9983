//! Pictures with smoothed edges: AnimeGAN's extra negative (Chen et al. 2019, from CartoonGAN). A discriminator that must
//! refuse them learns that clear lines are part of the style.

use image::{Rgb, RgbImage, imageops};

/// Thresholds of the edges' gradient (Sobel, |dx| + |dy|), as AnimeGAN's.
const STRONG: i32 = 200;
const WEAK: i32 = 100;
/// How far around an edge it is smoothed: a square of 5 by 5.
const REACH: i64 = 2;
/// The deviation that OpenCV takes for a Gaussian of 5 by 5.
const SIGMA: f32 = 1.1;

/// `picture` with its surroundings of edges blurred, the rest as it is.
pub fn smooth_edges(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let edges = edges(picture);
    let blurred = imageops::blur(picture, SIGMA);
    let near = dilated(&edges, i64::from(width), i64::from(height));
    RgbImage::from_fn(width, height, |x, y| -> Rgb<u8> {
        if near[(y * width + x) as usize] { blurred[(x, y)] } else { picture[(x, y)] }
    })
}

/// Edges after Canny (1986), without the blur before: ridges of the gradient that are strong or hang on strong ones.
fn edges(picture: &RgbImage) -> Vec<bool> {
    let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
    let luma: Vec<i32> = crate::metrics::luma(picture).into_iter().map(|l| l.round() as i32).collect();
    let at = |x: i64, y: i64| luma[(y.clamp(0, height - 1) * width + x.clamp(0, width - 1)) as usize];
    let gradients: Vec<(i32, i32)> = (0..width * height)
        .map(|i| {
            let (x, y) = (i % width, i / width);
            let dx = at(x + 1, y - 1) - at(x - 1, y - 1) + 2 * (at(x + 1, y) - at(x - 1, y)) + at(x + 1, y + 1)
                - at(x - 1, y + 1);
            let dy = at(x - 1, y + 1) - at(x - 1, y - 1) + 2 * (at(x, y + 1) - at(x, y - 1)) + at(x + 1, y + 1)
                - at(x + 1, y - 1);
            (dx, dy)
        })
        .collect();
    let strength = |x: i64, y: i64| {
        if !(0..width).contains(&x) || !(0..height).contains(&y) {
            return 0;
        }
        let (dx, dy) = gradients[(y * width + x) as usize];
        dx.abs() + dy.abs()
    };
    // 0: none, 1: weak, 2: strong.
    let mut class: Vec<u8> = (0..width * height)
        .map(|i| {
            let (x, y) = (i % width, i / width);
            let (dx, dy) = gradients[i as usize];
            let (dx, dy) = (f64::from(dx), f64::from(dy));
            // The neighbours across the edge, in the nearest of four directions (tan 22.5° and tan 67.5°).
            let (sx, sy) = match dy.abs() / dx.abs().max(1e-9) {
                slope if slope < 0.414 => (1, 0),
                slope if slope > 2.414 => (0, 1),
                _ if dx * dy > 0.0 => (1, 1),
                _ => (1, -1),
            };
            let here = strength(x, y);
            let is_ridge = here > strength(x - sx, y - sy) && here >= strength(x + sx, y + sy);
            u8::from(is_ridge && here > WEAK) + u8::from(is_ridge && here > STRONG)
        })
        .collect();
    let mut open: Vec<i64> = (0..width * height).filter(|&i| class[i as usize] == 2).collect();
    while let Some(i) = open.pop() {
        for (x, y) in around(i % width, i / width, 1) {
            let inside = (0..width).contains(&x) && (0..height).contains(&y);
            if inside && class[(y * width + x) as usize] == 1 {
                class[(y * width + x) as usize] = 2;
                open.push(y * width + x);
            }
        }
    }
    class.into_iter().map(|class| class == 2).collect()
}

fn dilated(edges: &[bool], width: i64, height: i64) -> Vec<bool> {
    let mut near = vec![false; edges.len()];
    for i in (0..width * height).filter(|&i| edges[i as usize]) {
        for (x, y) in around(i % width, i / width, REACH) {
            if (0..width).contains(&x) && (0..height).contains(&y) {
                near[(y * width + x) as usize] = true;
            }
        }
    }
    near
}

/// The square around a place.
fn around(x: i64, y: i64, reach: i64) -> impl Iterator<Item = (i64, i64)> {
    (-reach..=reach).flat_map(move |dy| (-reach..=reach).map(move |dx| (x + dx, y + dy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_smoothed_and_what_is_far_from_it_stays() {
        let picture =
            RgbImage::from_fn(40, 30, |x, y| if x == 20 { Rgb([10; 3]) } else { Rgb([200, 180 + y as u8, 190]) });
        let smooth = smooth_edges(&picture);
        let jump = |p: &RgbImage| i32::from(p[(19, 15)].0[0]) - i32::from(p[(20, 15)].0[0]);
        assert!(jump(&smooth) < jump(&picture) / 2, "{} of {}", jump(&smooth), jump(&picture));
        for x in (0..16).chain(25..40) {
            assert_eq!(smooth[(x, 15)], picture[(x, 15)]);
        }
    }

    #[test]
    fn a_gentle_shade_has_no_edge_and_a_weak_edge_counts_where_it_hangs_on_a_strong_one() {
        let shade = RgbImage::from_fn(60, 20, |x, _| Rgb([2 * x as u8; 3]));
        assert_eq!(smooth_edges(&shade), shade);
        // The step grows weaker downward.
        let step = |top: u8, bottom: u8| {
            let edge = RgbImage::from_fn(20, 40, |x, y| {
                let height = if y < 20 { top } else { bottom };
                Rgb([if x < 10 { 100 } else { 100 + height }; 3])
            });
            edges(&edge)[30 * 20..31 * 20].iter().any(|&e| e)
        };
        assert!(step(120, 40) && !step(40, 40));
    }
}
