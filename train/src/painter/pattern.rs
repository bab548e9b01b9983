//! Pattern: what paper, canvas or a screen of dots adds, fixed to the picture's upper left corner.
//!
//! It repeats every [`PERIOD`] pixels and is its own mirror image in both directions, so that a network that works on
//! blocks of that size can learn it exactly, from flipped pictures too. Crops must begin at multiples of the period.

use std::f32::consts::TAU;

use super::grade::Rgb;
use super::plane::{Plane, smoothstep};
use super::stages::{Pattern, PatternKind};

/// Pixels after which a pattern repeats, across and down.
pub const PERIOD: u32 = 8;

/// Half the width of a dot's soft border, in units of the spot function, which changes by about 0.6 from pixel to pixel.
const DOT_BORDER: f32 = 0.36;

/// A quarter of a cell of paper grain, mirrored into the other three: valleys and hills that sum up to 0.
const GRAIN: [[f32; 4]; 4] =
    [[0.9, -0.5, 0.3, -0.9], [-0.4, 0.7, -0.8, 0.5], [0.6, -1.0, 0.2, 0.8], [-0.6, 0.4, 0.7, -0.9]];

/// A quarter of a cell of canvas, mirrored into the other three: a plain weave, each thread four pixels wide, over one and
/// under the next. Light where a thread lies on top, dark beside it, so that it sums up to 0.
const WEAVE: [[f32; 4]; 4] =
    [[1.0, -0.5, 0.5, 1.0], [0.5, -1.0, -1.0, -0.5], [-0.5, -1.0, -1.0, 0.5], [1.0, 0.5, -0.5, 1.0]];

/// Lays the recipe's pattern over a picture. `tone` (0 dark to 1 light) is what a screen of dots prints; without it
/// there are no dots.
pub fn lay(picture: &mut Rgb, tone: Option<&Plane>, recipe: &Pattern) {
    let cell = cell(recipe.kind);
    let width = picture[0].width;
    for i in 0..picture[0].values.len() {
        let at = cell[i / width % PERIOD as usize][i % width % PERIOD as usize];
        match (recipe.kind, tone) {
            (PatternKind::Dots, Some(tone)) => {
                let dot = dot(at, 1.0 - tone.values[i]) * recipe.amount;
                picture.iter_mut().for_each(|plane| plane.values[i] *= 1.0 - dot);
            }
            (PatternKind::Dots, None) => {}
            // Most in the mid tones; black and white stay what they are.
            (PatternKind::Paper, _) => raise(picture, i, recipe.amount * at, |v| 4.0 * v * (1.0 - v)),
            // Thick paint hides it: where it is darkest, and in the highest lights.
            (PatternKind::Canvas, _) => {
                raise(picture, i, recipe.amount * at, |v| smoothstep(0.1, 0.3, v) * (1.0 - smoothstep(0.85, 1.0, v)))
            }
        }
    }
}

/// Makes a pixel lighter by `height`, as far as it `shows` on a tone of 0..1.
fn raise(picture: &mut Rgb, i: usize, height: f32, shows: impl Fn(f32) -> f32) {
    for plane in picture.iter_mut() {
        let v = &mut plane.values[i];
        *v += height * shows(v.clamp(0.0, 1.0));
    }
}

/// Ink (0..1) of a pixel with spot function `at` where dots cover the share `covered`.
fn dot(at: f32, covered: f32) -> f32 {
    let threshold = (1.0 - 2.0 * covered) * (1.0 + DOT_BORDER);
    smoothstep(threshold - DOT_BORDER, threshold + DOT_BORDER, at)
}

/// One cell of a pattern, by row and column, -1..1.
fn cell(kind: PatternKind) -> [[f32; PERIOD as usize]; PERIOD as usize] {
    let wave = |i: usize| (TAU * (i as f32 + 0.5) / PERIOD as f32).cos();
    let mirrored = |i: usize| i.min(PERIOD as usize - 1 - i);
    std::array::from_fn(|y| {
        std::array::from_fn(|x| match kind {
            // A spot function with two dots in a cell, one at its corners and one in its middle: rows at 45 degrees.
            PatternKind::Dots => wave(x) * wave(y),
            PatternKind::Paper => GRAIN[mirrored(y)][mirrored(x)],
            PatternKind::Canvas => WEAVE[mirrored(y)][mirrored(x)],
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [PatternKind; 3] = [PatternKind::Dots, PatternKind::Paper, PatternKind::Canvas];

    /// A grey picture with a pattern of full strength on it.
    fn laid(kind: PatternKind, grey: f32) -> Plane {
        let dots = kind == PatternKind::Dots;
        let plane = Plane::filled(32, 24, if dots { 1.0 } else { grey });
        let tone = dots.then(|| Plane::filled(32, 24, grey));
        let mut picture = [plane.clone(), plane.clone(), plane];
        lay(&mut picture, tone.as_ref(), &Pattern { kind, amount: 1.0 });
        let [plane, ..] = picture;
        plane
    }

    fn mean(plane: &Plane) -> f32 {
        plane.values.iter().sum::<f32>() / plane.values.len() as f32
    }

    #[test]
    fn a_pattern_repeats_with_its_period_and_is_its_own_mirror_image() {
        for kind in KINDS {
            let plane = laid(kind, 0.6);
            let (period, at) = (PERIOD as usize, |x: usize, y: usize| plane.row(y)[x]);
            for (x, y) in (0..16).flat_map(|y| (0..16).map(move |x| (x, y))) {
                assert_eq!(at(x, y), at(x + period, y), "{kind:?}");
                assert_eq!(at(x, y), at(x, y + period), "{kind:?}");
                assert!((at(x, y) - at(31 - x, y)).abs() < 1e-5, "{kind:?} at {x},{y}");
                assert!((at(x, y) - at(x, 23 - y)).abs() < 1e-5, "{kind:?} at {x},{y}");
            }
            assert!(plane.values.iter().any(|v| (v - plane.values[0]).abs() > 0.1), "{kind:?} shows nothing");
        }
    }

    #[test]
    fn black_white_and_the_mean_are_kept() {
        for kind in KINDS {
            for grey in [0.0, 1.0] {
                assert!(laid(kind, grey).values.iter().all(|v| (v - grey).abs() < 1e-4), "{kind:?} on {grey}");
            }
            let mean = mean(&laid(kind, 0.5));
            assert!((mean - 0.5).abs() < 0.03, "{kind:?}: {mean}");
        }
    }

    #[test]
    fn dots_cover_more_where_it_is_darker_and_grow_smoothly() {
        let printed: Vec<f32> = (0..=100).map(|i| mean(&laid(PatternKind::Dots, i as f32 / 100.0))).collect();
        assert!(printed.windows(2).all(|w| w[1] >= w[0] && w[1] - w[0] < 0.05), "{printed:?}");
    }

    #[test]
    fn without_tones_there_are_no_dots() {
        let mut picture: Rgb = std::array::from_fn(|_| Plane::filled(8, 8, 0.5));
        lay(&mut picture, None, &Pattern { kind: PatternKind::Dots, amount: 1.0 });
        assert!(picture[0].values.iter().all(|&v| v == 0.5));
    }
}
