//! Tone: lightness in a few tones with soft borders, and areas of solid black, as inkers spot them.
//!
//! Soft thresholds on a locally sharpened picture, after the extended difference of Gaussians (Winnemöller, Kyprianidis
//! & Olsen 2012, "XDoG"): a thing that stands out darker than its surroundings gets the darker tone earlier.

use super::plane::{Lab, Plane, smoothstep};
use super::stages::{Spot, Tone};

/// Returns the lightness in the recipe's tones. `detail` (0..1) is where faces are.
pub fn tone(flat: &Lab, detail: &Plane, recipe: &Tone) -> Plane {
    let seen = sharpened(&flat.l, recipe.local, recipe.local_sigma);
    let mut out = flat.l.clone();
    for ((out, seen), detail) in out.values.iter_mut().zip(&seen.values).zip(&detail.values) {
        let seen = seen + recipe.face_lift * detail;
        let steps = recipe.levels.windows(2).zip(&recipe.thresholds);
        let tone = steps.fold(recipe.levels[0], |tone, (levels, &at)| {
            tone + (levels[1] - levels[0]) * smoothstep(at - recipe.softness, at + recipe.softness, seen)
        });
        *out += recipe.strength * (tone - *out);
    }
    out.blurred(recipe.smooth_sigma)
}

/// Fills `ink` where `flat` is dark. Colour and faces (`detail`, 0..1) are reluctant to become black.
pub fn spot(ink: &mut Plane, flat: &Lab, detail: &Plane, recipe: &Spot) {
    let mut black = flat.l.blurred(recipe.local_sigma);
    for (i, value) in black.values.iter_mut().enumerate() {
        let l = flat.l.values[i];
        let seen = l + (recipe.local + recipe.face_local * detail.values[i]) * (l - *value);
        let chroma = (flat.a.values[i].powi(2) + flat.b.values[i].powi(2)).sqrt();
        let light = seen + recipe.chroma_relief * chroma + recipe.face_relief * detail.values[i];
        *value = 1.0 - smoothstep(recipe.below - recipe.softness, recipe.below + recipe.softness, light);
    }
    let black = black.blurred(recipe.smooth_sigma);
    for (ink, black) in ink.values.iter_mut().zip(&black.values) {
        *ink = 1.0 - (1.0 - *ink) * (1.0 - black);
    }
}

/// The plane with what differs from its surroundings brought out by the share `by`.
fn sharpened(l: &Plane, by: f32, sigma: f32) -> Plane {
    let around = l.blurred(sigma);
    Plane { values: l.values.iter().zip(&around.values).map(|(l, around)| l + by * (l - around)).collect(), ..*l }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::painter::Recipe;

    fn recipe(name: &str) -> Recipe {
        Recipe::parse(Recipe::builtin(name).unwrap()).unwrap()
    }

    /// An even area.
    fn area(l: f32, a: f32) -> Lab {
        let plane = |value| Plane::filled(16, 16, value);
        Lab { l: plane(l), a: plane(a), b: plane(0.0) }
    }

    fn toned(l: f32) -> f32 {
        tone(&area(l, 0.0), &Plane::filled(16, 16, 0.0), recipe("ink").tone.as_ref().unwrap()).values[100]
    }

    fn black(l: f32, a: f32, face: f32) -> f32 {
        let mut ink = Plane::filled(16, 16, 0.0);
        spot(&mut ink, &area(l, a), &Plane::filled(16, 16, face), recipe("comic").spot.as_ref().unwrap());
        ink.values[100]
    }

    #[test]
    fn light_falls_into_the_tones_and_rises_with_the_photo() {
        let recipe = recipe("ink").tone.unwrap();
        let tones: Vec<f32> = (0..=200).map(|i| toned(i as f32 / 200.0)).collect();
        assert!(tones.windows(2).all(|w| w[1] >= w[0] - 1e-5), "{tones:?}");
        let at_a_level = |v: &f32| recipe.levels.iter().any(|level| (level - v).abs() < 0.002);
        let share = tones.iter().filter(|v| at_a_level(v)).count() as f32 / tones.len() as f32;
        assert!(share > 0.75, "only {share} lie at a level");
        // Soft: noise at a threshold moves the tone, but does not flip it.
        assert!((toned(recipe.thresholds[0] + 0.003) - toned(recipe.thresholds[0] - 0.003)).abs() < 0.05);
    }

    #[test]
    fn dark_areas_are_spotted_black_and_skin_is_not() {
        assert!(black(0.2, 0.0, 0.0) > 0.99, "dark hair: {}", black(0.2, 0.0, 0.0));
        assert_eq!(black(0.6, 0.0, 0.0), 0.0);
        // The skin of a dark-skinned person in shadow.
        assert!(black(0.38, 0.05, 1.0) < 0.02, "{}", black(0.38, 0.05, 1.0));
        let below = recipe("comic").spot.unwrap().below;
        let soft = black(below - 0.005, 0.0, 0.0) - black(below + 0.005, 0.0, 0.0);
        assert!(soft > 0.0 && soft < 0.4, "{soft}");
    }

    #[test]
    fn spotted_black_leaves_lines_as_they_are() {
        let mut ink = Plane::filled(16, 16, 0.7);
        spot(&mut ink, &area(0.8, 0.0), &Plane::filled(16, 16, 0.0), recipe("comic").spot.as_ref().unwrap());
        assert!(ink.values.iter().all(|v| (v - 0.7).abs() < 1e-6));
    }

    #[test]
    fn what_stands_out_darker_takes_the_darker_tone_earlier() {
        let l =
            Plane { width: 64, height: 64, values: (0..4096).map(|i| if i % 64 < 40 { 0.6 } else { 1.0 }).collect() };
        let seen = sharpened(&l, 0.5, 6.0);
        assert!(seen.row(32)[38] < 0.55 && (seen.row(32)[4] - 0.6).abs() < 0.01, "{:?}", seen.row(32));
    }
}
