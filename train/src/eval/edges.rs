//! Whether edges are where the target has them.

use image::RgbImage;

use crate::metrics::luma;

/// The share of a picture's pixels that are its strongest edges.
const STRONGEST: f64 = 0.05;
/// How far an edge is looked for, pixels; further away it is missing.
const REACH: i64 = 12;

/// For each of the target's strongest edge pixels, how far it is to the nearest one of the picture's, in pixels (of the
/// same size).
pub fn displacements(picture: &RgbImage, target: &RgbImage) -> Vec<f64> {
    let (width, height) = (i64::from(target.width()), i64::from(target.height()));
    let (drawn, wanted) = (strongest(picture), strongest(target));
    let mut found = Vec::new();
    for y in 0..height {
        for x in 0..width {
            if !wanted[(y * width + x) as usize] {
                continue;
            }
            let mut nearest = (REACH * REACH) as f64;
            for v in (y - REACH).max(0)..(y + REACH + 1).min(height) {
                for u in (x - REACH).max(0)..(x + REACH + 1).min(width) {
                    let distance = ((u - x).pow(2) + (v - y).pow(2)) as f64;
                    if distance < nearest && drawn[(v * width + u) as usize] {
                        nearest = distance;
                    }
                }
            }
            found.push(nearest.sqrt());
        }
    }
    found
}

/// The pixels whose gradient (Sobel) is among the strongest.
fn strongest(picture: &RgbImage) -> Vec<bool> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let luma = luma(picture);
    let at = |x: usize, y: usize| luma[y.min(height - 1) * width + x.min(width - 1)];
    let mut gradient = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            let (left, right, above, below) = (x.saturating_sub(1), x + 1, y.saturating_sub(1), y + 1);
            let dx = at(right, above) + 2.0 * at(right, y) + at(right, below)
                - at(left, above)
                - 2.0 * at(left, y)
                - at(left, below);
            let dy = at(left, below) + 2.0 * at(x, below) + at(right, below)
                - at(left, above)
                - 2.0 * at(x, above)
                - at(right, above);
            gradient.push(dx * dx + dy * dy);
        }
    }
    let mut sorted = gradient.clone();
    sorted.sort_by(f64::total_cmp);
    let threshold = sorted.get((sorted.len() as f64 * (1.0 - STRONGEST)) as usize).copied().unwrap_or(f64::MAX);
    gradient.iter().map(|g| *g > 0.0 && *g >= threshold).collect()
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn post(at: u32) -> RgbImage {
        RgbImage::from_fn(100, 40, |x, _| Rgb([if (at..at + 1).contains(&x) { 10 } else { 200 }; 3]))
    }

    fn median(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    #[test]
    fn the_way_to_the_nearest_edge_is_measured() {
        assert_eq!(median(displacements(&post(50), &post(50))), 0.0);
        // Both sides of the post move, and one lies nearer to where the other was.
        assert!((2.0..=4.0).contains(&median(displacements(&post(54), &post(50)))));
        assert_eq!(median(displacements(&post(90), &post(50))), REACH as f64, "further away it is missing");
    }
}
