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

/// A staircase of `steps` treads over 0..1; at `steepness` 0 it would be a ramp, at infinity hard steps.
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
