//! Relief: thick paint, lit from above.
//!
//! Its height follows the photo alone. Paint is the thicker the lighter it is, and the photo's own texture, drawn out
//! along the flow, gives the bristles' furrows. Noise makes no paint: faint texture and gentle shading are cored away. The
//! light comes from straight above, so that a mirrored picture has mirrored relief.

use super::flow::Flow;
use super::grade::Rgb;
use super::plane::{Lab, Plane};
use super::stages::Relief;

/// Lights `picture`, which was painted from `photo` in the dabs `flat`.
pub fn relief(picture: &mut Rgb, photo: &Lab, flat: &Lab, detail: &Plane, recipe: &Relief) {
    let (bristles, form) = (bristles(photo, flat, recipe), photo.l.blurred(recipe.form_sigma));
    let (width, rows) = (form.width, form.height);
    let (bristles, form) = (bristles.padded(1), form.padded(1));
    for y in 0..rows {
        for x in 0..width {
            let i = y * width + x;
            // Where paint rises downwards its slope faces the light.
            let slope = |plane: &Plane| 0.5 * (plane.row(y + 2)[x + 1] - plane.row(y)[x + 1]);
            let slope = recipe.bristles * slope(&bristles) + recipe.form * cored(slope(&form), recipe.form_from);
            let thick = 1.0 - recipe.face_relief * detail.values[i];
            let lit = thick * (recipe.strength * slope).tanh();
            for plane in picture.iter_mut() {
                let v = &mut plane.values[i];
                *v += if lit > 0.0 { 2.0 * recipe.shine * lit * (1.0 - *v) * *v } else { recipe.shade * lit * *v };
            }
        }
    }
}

/// Height of the bristles' furrows, in lightness.
fn bristles(photo: &Lab, flat: &Lab, recipe: &Relief) -> Plane {
    let flow = Flow::of(flat, recipe.flow_sigma);
    let (fine, coarse) = (photo.l.blurred(recipe.bristle_sigma), photo.l.blurred(2.5 * recipe.bristle_sigma));
    let texture = fine.values.iter().zip(&coarse.values).map(|(f, c)| {
        // A silhouette is no thicker than a strand of hair, or it would get a bright rim.
        recipe.bristle_limit * (cored(f - c, recipe.bristle_from) / recipe.bristle_limit).tanh()
    });
    flow.smoothed(&Plane { values: texture.collect(), ..fine }, recipe.along)
}

/// `value` where it is well above `noise`, next to nothing where it is below.
fn cored(value: f32, noise: f32) -> f32 {
    value.powi(3) / (value * value + noise * noise)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::painter::Recipe;

    const SIDE: usize = 64;

    fn recipe() -> Relief {
        Recipe::parse(Recipe::builtin("oil").unwrap()).unwrap().relief.unwrap()
    }

    fn lab(l: impl Fn(usize, usize) -> f32) -> Lab {
        let values = (0..SIDE * SIDE).map(|i| l(i % SIDE, i / SIDE)).collect();
        let neutral = Plane::filled(SIDE, SIDE, 0.0);
        Lab { l: Plane { width: SIDE, height: SIDE, values }, a: neutral.clone(), b: neutral }
    }

    /// How much relief changes a grey picture of a scene, and the result.
    fn lit(scene: &Lab, face: f32) -> (f32, Plane) {
        let mut picture: Rgb = std::array::from_fn(|_| Plane::filled(SIDE, SIDE, 0.5));
        relief(&mut picture, scene, scene, &Plane::filled(SIDE, SIDE, face), &recipe());
        let most = picture[0].values.iter().map(|v| (v - 0.5).abs()).fold(0.0, f32::max);
        let [plane, ..] = picture;
        (most, plane)
    }

    #[test]
    fn noise_and_a_gently_lit_wall_give_no_paint() {
        let noise = |x: usize, y: usize| ((x * 7919 + y * 104_729) % 97) as f32 / 97.0 * 0.01;
        let (most, _) = lit(&lab(|x, y| 0.6 + 0.0004 * y as f32 + noise(x, y)), 0.0);
        assert!(most < 0.01, "{most}");
    }

    #[test]
    fn a_shaded_form_gets_relief_and_a_face_less_of_it() {
        let form = lab(|_, y| 0.3 + 0.006 * y as f32);
        let (most, _) = lit(&form, 0.0);
        assert!(most > 0.01, "{most}");
        assert!(lit(&form, 1.0).0 < 0.7 * most);
    }

    #[test]
    fn a_mirrored_scene_has_mirrored_relief() {
        let shape = |x: usize, y: usize| 0.3 + 0.005 * y as f32 + 0.1 * (x as f32 / 9.0).sin();
        let (_, plane) = lit(&lab(shape), 0.0);
        let (_, mirrored) = lit(&lab(|x, y| shape(SIDE - 1 - x, y)), 0.0);
        let apart = |x: usize, y: usize| (plane.row(y)[x] - mirrored.row(y)[SIDE - 1 - x]).abs();
        let most = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y))).map(|(x, y)| apart(x, y));
        assert!(most.fold(0.0, f32::max) < 1e-3);
    }
}
