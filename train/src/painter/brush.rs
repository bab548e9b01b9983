//! Brush: the picture in dabs of paint that lie along its shapes.
//!
//! Anisotropic Kuwahara filter (Kyprianidis, Kang & Döllner 2009, "Image and Video Abstraction by Anisotropic Kuwahara
//! Filtering"), with the polynomial weights of Kyprianidis, Semmo, Kang & Döllner 2010. An ellipse along the shape
//! around each pixel is cut into eight overlapping sectors; their mean colours are mixed, the more uniform a sector
//! the more of it. All weights are smooth, so that noise shifts the mixture a little and flips nothing.

use super::flow::Flow;
use super::plane::{Lab, Plane};
use super::stages::Brush;

const SECTORS: usize = 8;
/// Half the angle at which a sector's weight has become 0 (γ of the paper).
const SECTOR_ANGLE: f32 = 3.0 / 8.0 * std::f32::consts::PI;

/// Paints `picture` in dabs. Where `detail` (0..1) is 1, in faces, `face_keeps` of it stays as it is.
pub fn brush(picture: &Lab, detail: &Plane, recipe: &Brush) -> Lab {
    let mut out = picture.clone();
    for _ in 0..recipe.passes {
        out = dabs(&out, &Flow::of(&out, recipe.flow_sigma), recipe);
    }
    for (out, picture) in [(&mut out.l, &picture.l), (&mut out.a, &picture.a), (&mut out.b, &picture.b)] {
        for ((out, kept), detail) in out.values.iter_mut().zip(&picture.values).zip(&detail.values) {
            *out += detail * recipe.face_keeps * (kept - *out);
        }
    }
    out
}

/// One pass of the filter.
fn dabs(picture: &Lab, flow: &Flow, recipe: &Brush) -> Lab {
    let (width, height) = (picture.l.width, picture.l.height);
    let radius = recipe.radius;
    let pad = (2.0 * radius).ceil() as usize + 1;
    let padded = [picture.l.padded(pad), picture.a.padded(pad), picture.b.padded(pad)];
    let per_range = 1.0 / (recipe.range * recipe.range);
    let mut out = picture.clone();
    for y in 0..height {
        for x in 0..width {
            let i = y * width + x;
            let (nx, ny) = (flow.x.values[i], flow.y.values[i]);
            let stretch = 1.0 + flow.anisotropy.values[i];
            let sectors = sums(&padded, (x + pad, y + pad), (nx, ny), (radius * stretch, radius / stretch), radius);
            let [weight, l, a, b, square] = sectors;
            let mut mixed = [0.0f32; 3];
            let mut total = 0.0;
            for k in 0..SECTORS {
                let one = 1.0 / weight[k].max(1e-12);
                let mean = [l[k] * one, a[k] * one, b[k] * one];
                let variance = square[k] * one - mean.iter().map(|m| m * m).sum::<f32>();
                let share = 1.0 / (1.0 + (variance.max(0.0) * per_range).powf(0.5 * recipe.sharpness));
                total += share;
                mixed.iter_mut().zip(mean).for_each(|(mixed, mean)| *mixed += share * mean);
            }
            out.l.values[i] = mixed[0] / total;
            out.a.values[i] = mixed[1] / total;
            out.b.values[i] = mixed[2] / total;
        }
    }
    out
}

/// Per sector of the ellipse around a pixel: the weights' sum, those of `L`, `a`, `b`, and that of their squares.
/// `across` is the unit vector across the shape, `axes` the ellipse's half axes along and across it.
fn sums(
    picture: &[Plane; 3],
    (x, y): (usize, usize),
    (nx, ny): (f32, f32),
    (along, across): (f32, f32),
    radius: f32,
) -> [[f32; SECTORS]; 5] {
    let zeta = 2.0 / radius;
    let eta = (zeta + SECTOR_ANGLE.cos()) / SECTOR_ANGLE.sin().powi(2);
    let reach = |t: f32, n: f32| ((along * t).powi(2) + (across * n).powi(2)).sqrt() as isize;
    let (reach_x, reach_y) = (reach(ny, nx), reach(nx, ny));
    let mut sums = [[0.0f32; SECTORS]; 5];
    for dy in -reach_y..=reach_y {
        let rows = picture.each_ref().map(|p| p.row(y.wrapping_add_signed(dy)));
        for dx in -reach_x..=reach_x {
            let (fx, fy) = (dx as f32, dy as f32);
            let u = (ny * fx - nx * fy) / along;
            let v = (nx * fx + ny * fy) / across;
            let far = u * u + v * v;
            if far > 1.0 {
                continue;
            }
            let (p, q) = (std::f32::consts::FRAC_1_SQRT_2 * (u - v), std::f32::consts::FRAC_1_SQRT_2 * (u + v));
            let [uu, vv, pp, qq] = [u, v, p, q].map(|t| zeta - eta * t * t);
            let mut weights = [v + uu, q + pp, u + vv, p + qq, uu - v, pp - q, vv - u, qq - p];
            weights.iter_mut().for_each(|w| *w = w.max(0.0) * w.max(0.0));
            // Close to the paper's Gaussian, and 0 at the ellipse's border: a tap that enters it moves nothing.
            let near = (1.0 - far) * (1.0 - far) / weights.iter().sum::<f32>();
            let i = x.wrapping_add_signed(dx);
            let [l, a, b] = rows.map(|row| row[i]);
            let values = [near, near * l, near * a, near * b, near * (l * l + a * a + b * b)];
            for (sums, value) in sums.iter_mut().zip(values) {
                for k in 0..SECTORS {
                    sums[k] += weights[k] * value;
                }
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::painter::Recipe;

    const SIDE: usize = 48;

    fn recipe() -> Brush {
        Recipe::parse(Recipe::builtin("oil").unwrap()).unwrap().brush.unwrap()
    }

    /// Lightness by position, without colour.
    fn picture(l: impl Fn(usize, usize) -> f32) -> Lab {
        let values = (0..SIDE * SIDE).map(|i| l(i % SIDE, i / SIDE)).collect();
        let neutral = Plane::filled(SIDE, SIDE, 0.0);
        Lab { l: Plane { width: SIDE, height: SIDE, values }, a: neutral.clone(), b: neutral }
    }

    fn brushed(photo: &Lab, detail: f32) -> Plane {
        brush(photo, &Plane::filled(SIDE, SIDE, detail), &recipe()).l
    }

    #[test]
    fn an_even_area_keeps_its_value() {
        let out = brushed(&picture(|_, _| 0.6), 0.0);
        assert!(out.values.iter().all(|v| (v - 0.6).abs() < 1e-4));
    }

    #[test]
    fn an_edge_stays_sharp_while_the_texture_beside_it_goes() {
        let texture = |x: usize, y: usize| if (x / 2 + y / 2).is_multiple_of(2) { 0.02 } else { -0.02 };
        let out = brushed(&picture(|x, y| if x < 24 { 0.3 } else { 0.7 } + texture(x, y)), 0.0);
        let row = out.row(24);
        assert!(row[26] - row[21] > 0.9 * 0.4, "{row:?}");
        let (low, high) = row[6..18].iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
        assert!(high - low < 0.012, "of a texture of 0.04 {} is left", high - low);
    }

    #[test]
    fn a_dab_lies_along_a_stripe_and_not_across_it() {
        // Diagonal stripes, each with a spot: spots are brushed away, stripes stay.
        let stripe = |x: usize, y: usize| if ((x + y) / 8).is_multiple_of(2) { 0.35 } else { 0.65 };
        let out = brushed(&picture(stripe), 0.0);
        let across: Vec<f32> = (8..40).map(|x| out.row(24)[x]).collect();
        let (low, high) = across.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
        assert!(low < 0.4 && high > 0.6, "stripes of 0.35 and 0.65 became {low} and {high}");
        let along: Vec<f32> = (12..36).map(|x| out.row(47 - x)[x]).collect();
        let (low, high) = along.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
        assert!(high - low < 0.03, "along a stripe it varies by {}", high - low);
    }

    #[test]
    fn faces_keep_their_share() {
        let spot = picture(|x, y| if x.abs_diff(24) < 2 && y.abs_diff(24) < 2 { 0.3 } else { 0.7 });
        let (outside, face) = (brushed(&spot, 0.0).row(24)[24], brushed(&spot, 1.0).row(24)[24]);
        let kept = recipe().face_keeps;
        assert!((face - (outside + kept * (0.3 - outside))).abs() < 1e-5, "{outside} and {face}");
    }
}
