//! Dodge: dark surroundings are lifted before anything is painted, as a print is dodged in the darkroom.

use super::plane::Lab;
use super::stages::Dodge;

/// Multiplies the lightness where its surroundings are darker than `towards`, so that black stays black and what is
/// lit stays as it is; chroma grows along with it.
pub fn dodge(lab: &mut Lab, recipe: &Dodge) {
    let around = lab.l.blurred(recipe.sigma);
    for (i, around) in around.values.iter().enumerate() {
        let missing = (recipe.towards - around).max(0.0) / recipe.towards;
        // Squared, so that it sets in smoothly.
        let gain = 1.0 + recipe.lift * missing * missing;
        let l = lab.l.values[i];
        // A light thing in dark surroundings is lifted less: it would clip.
        let lifted = l * gain / (1.0 + (gain - 1.0) * l * l);
        let grown = if l > 0.0 { lifted / l } else { 1.0 };
        lab.l.values[i] = lifted;
        lab.a.values[i] *= grown;
        lab.b.values[i] *= grown;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::painter::Recipe;
    use crate::painter::plane::Plane;

    /// What becomes of a colour in a large area of itself.
    fn dodged(l: f32, a: f32) -> (f32, f32) {
        let mut lab = Lab { l: Plane::filled(8, 8, l), a: Plane::filled(8, 8, a), b: Plane::filled(8, 8, 0.0) };
        dodge(&mut lab, &Recipe::parse(Recipe::builtin("ink").unwrap()).unwrap().dodge.unwrap());
        (lab.l.values[20], lab.a.values[20])
    }

    #[test]
    fn dark_surroundings_are_lifted_and_what_is_lit_or_black_stays() {
        assert!(dodged(0.25, 0.0).0 > 0.28, "{:?}", dodged(0.25, 0.0));
        assert_eq!(dodged(0.0, 0.0).0, 0.0);
        for l in [0.65, 0.8, 1.0] {
            assert_eq!(dodged(l, 0.02), (l, 0.02));
        }
    }

    #[test]
    fn lighter_stays_lighter_and_colour_keeps_its_hue_and_saturation() {
        let rising: Vec<f32> = (0..=20).map(|i| dodged(i as f32 / 20.0, 0.0).0).collect();
        assert!(rising.windows(2).all(|w| w[0] < w[1]) && rising[20] <= 1.0, "{rising:?}");
        let (l, a) = dodged(0.2, 0.06);
        assert!((a / l - 0.06 / 0.2).abs() < 1e-5);
    }
}
