//! Ink: lines where lightness changes, drawn along the shapes.
//!
//! Flow-based difference of Gaussians (Kang et al. 2007, "Coherent Line Drawing"; Kyprianidis & Kang 2011): across the
//! edge a difference of two Gaussians, along the edge a smoothing of it, the direction from a structure tensor.

use super::flow::Flow;
use super::plane::{Lab, Plane, smoothstep};
use super::recipe::{Ink, Pen};

/// How much ink lies on each pixel, 0 (paper) to 1. Contours come from the flattened picture, fine lines from the
/// photo, the latter by the recipe's `detail_everywhere` in general and fully where `detail` (0..1) is 1.
pub fn ink(photo: &Lab, flat: &Lab, detail: &Plane, recipe: &Ink) -> Plane {
    let mut out = lines(flat, &detail.map(|d| d * recipe.face_threshold), &recipe.contour, recipe);
    if let Some(pen) = &recipe.bold {
        let bold = lines(flat, &detail.map(|d| d * recipe.face_threshold), pen, recipe);
        out.values.iter_mut().zip(&bold.values).for_each(|(ink, bold)| *ink = ink.max(*bold));
    }
    thin_out(&mut out, detail, recipe);
    if recipe.detail_everywhere == 0.0 && detail.values.iter().all(|&d| d == 0.0) {
        return out;
    }
    let nothing = Plane::filled(detail.width, detail.height, 0.0);
    let fine = lines(&photo.blurred(recipe.detail_sigma), &nothing, &recipe.detail, recipe);
    for ((ink, fine), detail) in out.values.iter_mut().zip(&fine.values).zip(&detail.values) {
        let share = recipe.detail_everywhere + detail * (recipe.detail_in_faces - recipe.detail_everywhere);
        *ink = ink.max(share * fine);
    }
    out
}

/// Takes ink away where lines crowd: foliage, fur and prints are left to colour, as an illustrator leaves them, and
/// where such lines fall in a texture is chance, which no student can learn. Faces (`detail`) keep theirs.
fn thin_out(lines: &mut Plane, detail: &Plane, recipe: &Ink) {
    let crowd = lines.blurred(recipe.crowd_sigma);
    for ((line, crowd), detail) in lines.values.iter_mut().zip(&crowd.values).zip(&detail.values) {
        *line *= 1.0 - (1.0 - detail) * recipe.crowd_relief * smoothstep(recipe.crowd_from, recipe.crowd_to, *crowd);
    }
}

/// The lines of one pen; `reluctance` is added to its threshold.
fn lines(lab: &Lab, reluctance: &Plane, pen: &Pen, recipe: &Ink) -> Plane {
    let flow = Flow::of(lab, recipe.flow_sigma);
    let across = difference_of_gaussians(&lab.l, &flow, pen.sigma);
    let mut out = flow.smoothed(&across, pen.along);
    for ((value, &l), reluctance) in out.values.iter_mut().zip(&lab.l.values).zip(&reluctance.values) {
        let dark = recipe.dark_threshold * (1.0 - smoothstep(0.0, recipe.dark_below, l));
        *value = (pen.strength * (-*value - pen.threshold - dark - reluctance)).max(0.0).tanh();
    }
    out
}

/// Gaussian of `sigma` minus Gaussian of 1.6 `sigma`, both one-dimensional across the edge: negative on its dark side.
fn difference_of_gaussians(l: &Plane, flow: &Flow, sigma: f32) -> Plane {
    let wide = 1.6 * sigma;
    let reach = (2.5 * wide).ceil() as i32;
    let gauss = |s: f32| {
        let g: Vec<f32> = (-reach..=reach).map(|t| (-((t * t) as f32) / (2.0 * s * s)).exp()).collect();
        let sum: f32 = g.iter().sum();
        g.into_iter().map(move |v| v / sum)
    };
    let taps: Vec<(f32, f32)> =
        (-reach..=reach).zip(gauss(sigma).zip(gauss(wide))).map(|(t, (g, w))| (t as f32, g - w)).collect();
    let mut out = Plane::filled(l.width, l.height, 0.0);
    for y in 0..l.height {
        for x in 0..l.width {
            let i = y * l.width + x;
            let (gx, gy) = (flow.x.values[i], flow.y.values[i]);
            out.values[i] =
                taps.iter().map(|(t, weight)| weight * l.sample(x as f32 + t * gx, y as f32 + t * gy)).sum();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::painter::Recipe;

    const SIDE: usize = 64;

    fn recipe() -> Ink {
        let ink = Recipe::parse(Recipe::builtin("anime").unwrap()).unwrap().ink;
        Ink { contour: Pen { sigma: 1.0, along: 4.0, strength: 120.0, ..ink.contour }, ..ink }
    }

    fn plane(value: impl Fn(usize, usize) -> f32) -> Plane {
        Plane { width: SIDE, height: SIDE, values: (0..SIDE * SIDE).map(|i| value(i % SIDE, i / SIDE)).collect() }
    }

    #[test]
    fn a_line_is_drawn_on_the_dark_side_of_an_edge_and_nowhere_else() {
        let neutral = plane(|_, _| 0.0);
        let lab = Lab { l: plane(|x, _| if x < 32 { 0.8 } else { 0.5 }), a: neutral.clone(), b: neutral.clone() };
        let lines = ink(&lab, &lab, &neutral, &recipe());
        for y in 8..56 {
            let row = lines.row(y);
            let most = (0..SIDE).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
            assert!(row[most] > 0.8 && (32..35).contains(&most), "row {y}: {} at {most}", row[most]);
            assert!(row[..28].iter().chain(&row[38..]).all(|&v| v < 0.02), "row {y}: {row:?}");
        }
    }

    #[test]
    fn lines_that_crowd_are_thinned_out_but_in_faces() {
        let stripes = plane(|x, _| if x % 2 == 0 { 1.0 } else { 0.0 });
        let (outside, face) = (plane(|_, _| 0.0), plane(|_, _| 1.0));
        let thinned = |lines: &Plane, detail: &Plane| {
            let mut lines = lines.clone();
            thin_out(&mut lines, detail, &recipe());
            lines
        };
        let crowd = thinned(&stripes, &outside);
        assert!(crowd.row(32)[32] < 0.15, "{}", crowd.row(32)[32]);
        assert_eq!(thinned(&stripes, &face), stripes);
        let lone = plane(|x, _| if x == 32 { 1.0 } else { 0.0 });
        assert_eq!(thinned(&lone, &outside), lone);
    }

    #[test]
    fn fine_lines_are_drawn_in_faces_alone() {
        let neutral = plane(|_, _| 0.0);
        let lab = |l: Plane| Lab { l, a: neutral.clone(), b: neutral.clone() };
        // An eyelid: in the photo, flattened away.
        let photo = lab(plane(|x, y| if (30..32).contains(&y) && (20..44).contains(&x) { 0.35 } else { 0.75 }));
        let flat = lab(plane(|_, _| 0.75));
        let at_the_lid = |detail: f32| ink(&photo, &flat, &plane(|_, _| detail), &recipe()).row(30)[32];
        assert_eq!(at_the_lid(0.0), 0.0);
        assert!(at_the_lid(1.0) > 0.5, "{}", at_the_lid(1.0));
    }
}
