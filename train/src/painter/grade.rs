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
    let (l, a, b) = (
        lifted,
        a * boost + recipe.shadow_shift[0] * shadow + recipe.highlight_shift[0] * high,
        b * boost + recipe.shadow_shift[1] * shadow + recipe.highlight_shift[1] * high,
    );
    match &recipe.lift {
        Some(lift) => {
            // Dark skin is a colour, and keeps its own.
            let dark = (1.0 - coloured) * (1.0 - smoothstep(0.0, lift.below, l));
            (lift.floor + (1.0 - lift.floor) * l, a + lift.tint[0] * dark, b + lift.tint[1] * dark)
        }
        None => (l, a, b),
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::painter::Recipe;

    fn recipe() -> Recipe {
        Recipe::parse(Recipe::builtin("anime").unwrap()).unwrap()
    }

    /// What becomes of one Oklab colour with so much ink on it, as red, green, blue in 0..1.
    fn graded(l: f32, a: f32, b: f32, ink: f32) -> [f32; 3] {
        let [l, a, b, ink] = [l, a, b, ink].map(|value| Plane::filled(1, 1, value));
        let flat = Lab { l: l.clone(), a, b };
        grade(&flat, &l, &ink, &recipe().grade).map(|plane| plane.values[0])
    }

    fn cast(rgb: [f32; 3]) -> f32 {
        rgb.iter().fold(0.0_f32, |m, &v| m.max(v)) - rgb.iter().fold(1.0_f32, |m, &v| m.min(v))
    }

    #[test]
    fn greys_stay_neutral_from_black_to_white() {
        let greys: Vec<_> = (0..=20).map(|i| graded(i as f32 / 20.0, 0.0, 0.0, 0.0)).collect();
        assert!(greys.iter().all(|&grey| cast(grey) < 1e-3), "{greys:?}");
        assert!(greys.windows(2).all(|w| w[1][1] >= w[0][1]), "lighter stays lighter");
        assert!(greys[0][1] < 1e-3 && greys[20][1] > 0.999, "black and white are kept");
    }

    #[test]
    fn colours_gain_and_a_cast_does_not() {
        let chroma = |l, a, b| cast(graded(l, a, b, 0.0)) / cast(srgb(colour(l, 0.0, 0.0, &recipe().grade).0, a, b));
        assert!(chroma(0.6, 0.08, 0.05) > 1.1, "skin: {}", chroma(0.6, 0.08, 0.05));
        let cast = chroma(0.6, -0.012, 0.006);
        assert!((cast - 1.0).abs() < 1e-3, "a wall in tinted light: {cast}");
    }

    #[test]
    fn ink_darkens_and_never_lightens() {
        for l in [0.0, 0.05, 0.3, 0.7, 1.0] {
            let (bare, inked) = (graded(l, 0.05, 0.02, 0.0), graded(l, 0.05, 0.02, 1.0));
            assert!(bare.iter().zip(&inked).all(|(bare, inked)| inked <= bare), "{bare:?} became {inked:?}");
        }
        assert!(graded(0.9, 0.0, 0.0, 1.0).iter().all(|&v| v < 0.45), "a full line on a light wall is dark");
    }

    #[test]
    fn what_is_bright_glows_into_its_surroundings() {
        let lamp = |bright: f32| {
            let values = (0..40 * 40).map(|i| if i % 40 < 20 { bright } else { 0.2 }).collect();
            let plane = Plane { width: 40, height: 40, values };
            let mut picture = [plane.clone(), plane.clone(), plane];
            glow(&mut picture, &recipe().glow);
            picture[0].row(20)[22]
        };
        assert!(lamp(1.0) > 0.22, "beside a lamp: {}", lamp(1.0));
        assert!((lamp(0.5) - 0.2).abs() < 1e-6, "beside a wall");
    }
}
