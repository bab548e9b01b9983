//! Cel: lightness in a few soft steps, as cel animation shades with two or three tones.

use super::plane::{Lab, Plane, smoothstep};
use super::recipe::Cel;

/// Returns the lightness of the flattened picture in soft steps. Where the shading is too gentle to be seen as a
/// shape (a lit wall), there are no steps: they would draw borders that sensor noise moves about (Winnemöller et al.
/// 2006 soften the quantization by the local gradient for the same reason).
pub fn cel(flat: &Lab, recipe: &Cel) -> Plane {
    let slope = shading_slope(&flat.l, recipe);
    let mut stepped = flat.l.clone();
    for (value, &slope) in stepped.values.iter_mut().zip(&slope.values) {
        let amount = recipe.strength * smoothstep(recipe.slope_from, recipe.slope_to, slope);
        *value += amount * (step(*value, recipe.steps, recipe.steepness) - *value);
    }
    stepped.blurred(recipe.smooth_sigma)
}

/// A staircase of `steps` treads over 0..1: nearly a ramp at a small `steepness` (above 0), hard steps at a large one.
fn step(v: f32, steps: f32, steepness: f32) -> f32 {
    let level = v * steps;
    let tread = level.floor() + 0.5;
    (tread + 0.5 * ((level - tread) * steepness).tanh() / (steepness / 2.0).tanh()) / steps
}

/// How steep the shading around each pixel is. Edges of things do not count, or a wall would be stepped near whatever
/// stands before it, and only there.
fn shading_slope(l: &Plane, recipe: &Cel) -> Plane {
    let slope = gradient_length(l);
    let shading = slope.map(|s| 1.0 - smoothstep(0.5 * recipe.edge_slope, recipe.edge_slope, s));
    let product = slope.values.iter().zip(&shading.values).map(|(s, w)| s * w).collect();
    let mut mean = Plane { values: product, ..slope }.blurred(recipe.gradient_sigma);
    let weight = shading.blurred(recipe.gradient_sigma);
    for (mean, weight) in mean.values.iter_mut().zip(&weight.values) {
        *mean /= weight.max(0.05);
    }
    mean
}

/// Length of the gradient, per pixel.
fn gradient_length(plane: &Plane) -> Plane {
    let padded = plane.padded(1);
    let mut out = Plane::filled(plane.width, plane.height, 0.0);
    for y in 0..plane.height {
        let (above, here, below) = (padded.row(y), padded.row(y + 1), padded.row(y + 2));
        for x in 0..plane.width {
            let (dx, dy) = (here[x + 2] - here[x], below[x + 1] - above[x + 1]);
            out.values[y * plane.width + x] = 0.5 * (dx * dx + dy * dy).sqrt();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn recipe() -> Cel {
        Cel {
            steps: 6.0,
            steepness: 7.0,
            strength: 0.65,
            gradient_sigma: 4.0,
            edge_slope: 0.03,
            slope_from: 0.0007,
            slope_to: 0.003,
            smooth_sigma: 0.7,
        }
    }

    /// Lightness that rises by `slope` per pixel from left to right.
    fn ramp(slope: f32) -> Lab {
        let l = Plane { width: 80, height: 6, values: (0..480).map(|i| 0.1 + slope * (i % 80) as f32).collect() };
        let neutral = Plane::filled(80, 6, 0.0);
        Lab { l, a: neutral.clone(), b: neutral }
    }

    /// The smallest and the largest step from pixel to pixel in the middle of a row.
    fn slopes(plane: &Plane) -> (f32, f32) {
        let steps = plane.row(3)[15..65].windows(2).map(|w| w[1] - w[0]);
        steps.fold((f32::MAX, f32::MIN), |(low, high), step| (low.min(step), high.max(step)))
    }

    #[test]
    fn shading_that_shows_becomes_treads_and_risers() {
        let (low, high) = slopes(&cel(&ramp(0.008), &recipe()));
        assert!((0.0..0.5 * 0.008).contains(&low), "no tread: {low}");
        assert!(high > 2.0 * 0.008, "no riser: {high}");
    }

    #[test]
    fn a_gently_lit_wall_stays_as_it_is() {
        let wall = ramp(0.0005);
        let light = cel(&wall, &recipe());
        let away = light.values.iter().zip(&wall.l.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(away < 0.002, "{away}");
    }

    #[test]
    fn steps_keep_black_white_and_order() {
        for steepness in [0.01, 7.0, 500.0] {
            let values: Vec<f32> = (0..=100).map(|i| step(i as f32 / 100.0, 6.0, steepness)).collect();
            assert!(values[0].abs() < 1e-3 && (values[100] - 1.0).abs() < 1e-3, "steepness {steepness}");
            assert!(values.windows(2).all(|w| w[1] >= w[0] - 1e-6), "steepness {steepness}");
        }
        assert!((step(0.3, 6.0, 0.01) - 0.3).abs() < 1e-3, "nearly a ramp");
        assert!((step(0.3, 6.0, 500.0) - 2.0 / 6.0).abs() < 1e-3, "the nearest tread");
    }
}
