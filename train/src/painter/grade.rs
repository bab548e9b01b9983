//! Grade: the colours of the style, the ink on top of them, and the glow of what is bright.

use super::plane::{Lab, Plane, smoothstep, srgb};
use super::recipe::{Glow, Grade};

/// A picture in sRGB, three planes of 0..1.
pub type Rgb = [Plane; 3];

/// Colours `flat` with the lightness `light`, then lays `ink` on it.
///
/// Near-neutral colours keep their `a` and `b`: a camera's cast on a white wall or in the dark is no colour to boost.
pub fn grade(flat: &Lab, light: &Plane, ink: &Plane, recipe: &Grade) -> Rgb {
    let mut out: Rgb = std::array::from_fn(|_| light.clone());
    for i in 0..light.values.len() {
        let (l, a, b) = colour(light.values[i], flat.a.values[i], flat.b.values[i], recipe);
        let paint = srgb(l, a, b);
        let covered = ink.values[i] * recipe.ink_opacity;
        for c in 0..3 {
            let line = recipe.ink_keeps * paint[c] + (1.0 - recipe.ink_keeps) * recipe.ink_colour[c] / 255.0;
            // Ink never lightens what it is laid on.
            out[c].values[i] = paint[c] + covered * (line.min(paint[c]) - paint[c]);
        }
    }
    out
}

/// The colour that the style gives to an Oklab colour.
fn colour(l: f32, a: f32, b: f32, recipe: &Grade) -> (f32, f32, f32) {
    let chroma = (a * a + b * b).sqrt();
    let coloured = smoothstep(recipe.neutral_below, recipe.coloured_above, chroma);
    // The boost fades as chroma grows, so that what is vivid already does not turn garish.
    let boost = 1.0 + recipe.boost * coloured * (1.0 - smoothstep(recipe.vivid_from, recipe.vivid_to, chroma));
    let lifted = ((l - recipe.black) / (recipe.white - recipe.black)).clamp(0.0, 1.0).powf(recipe.gamma);
    let shadow = coloured * (1.0 - smoothstep(0.0, recipe.shadow_below, lifted));
    let high = coloured * smoothstep(recipe.highlight_above, 1.0, lifted);
    (
        lifted,
        a * boost + recipe.shadow_shift[0] * shadow + recipe.highlight_shift[0] * high,
        b * boost + recipe.shadow_shift[1] * shadow + recipe.highlight_shift[1] * high,
    )
}

/// Lets what is bright glow: its light, blurred, is added by screening.
pub fn glow(picture: &mut Rgb, recipe: &Glow) {
    let [r, g, b] = &*picture;
    let luma: Vec<f32> = (0..r.values.len())
        .map(|i| 0.299 * r.values[i] + 0.587 * g.values[i] + 0.114 * b.values[i])
        .map(|l| smoothstep(recipe.above, 1.0, l))
        .collect();
    for plane in picture {
        let bright = Plane { values: plane.values.iter().zip(&luma).map(|(v, l)| v * l).collect(), ..*plane };
        let light = bright.blurred(recipe.sigma);
        for (v, light) in plane.values.iter_mut().zip(&light.values) {
            *v = 1.0 - (1.0 - *v) * (1.0 - recipe.amount * light);
        }
    }
}
