//! Wash: transparent watercolour. Colours run into each other across weak edges, pigment gathers along the borders of
//! a wash, and the paper stays white in the lights.
//!
//! The darkened borders are those of Bousseau et al. 2006 ("Interactive Watercolor Rendering with Temporal Coherence
//! and Abstraction"); instead of their turbulence, which is random, the pigment's density follows the photo.

use super::plane::{Lab, Plane, smoothstep};
use super::stages::Wash;

/// Turns colours and lightness of a picture into washes.
pub fn wash(flat: &mut Lab, light: &mut Plane, recipe: &Wash) {
    bleed(flat, recipe);
    let around = light.blurred(recipe.rim_sigma);
    for i in 0..light.values.len() {
        let l = light.values[i];
        // Positive on the dark side of a border, where the pigment gathers; negative on the light side.
        let rim = around.values[i] - l;
        let gathered = (rim - recipe.rim_from).max(0.0) - (-rim - recipe.rim_from).max(0.0) * recipe.rim_gap;
        let limited = recipe.rim_limit * (recipe.rim_amount * gathered / recipe.rim_limit).tanh();
        let pigment = (l - limited).clamp(0.0, 1.0);
        let paper = smoothstep(recipe.paper_from, recipe.paper_to, pigment);
        light.values[i] = pigment + paper * (1.0 - pigment);
        let chroma = (1.0 - paper) * (1.0 + recipe.rim_chroma * limited.max(0.0));
        flat.a.values[i] *= chroma;
        flat.b.values[i] *= chroma;
    }
}

/// Lets colours run, except across strong edges.
fn bleed(flat: &mut Lab, recipe: &Wash) {
    // Normalized convolution: what lies on an edge neither runs nor is run into.
    let edge = {
        let soft = flat.blurred(1.0);
        let wide = flat.blurred(recipe.bleed_sigma);
        let mut edge = soft.l.clone();
        for i in 0..edge.values.len() {
            let apart = |a: &Plane, b: &Plane| (a.values[i] - b.values[i]).powi(2);
            let colour = 4.0 * (apart(&soft.a, &wide.a) + apart(&soft.b, &wide.b));
            edge.values[i] = smoothstep(recipe.edge_from, recipe.edge_to, (apart(&soft.l, &wide.l) + colour).sqrt());
        }
        edge
    };
    let open = edge.map(|e| 1.0 - 0.98 * e);
    let weight = open.blurred(recipe.bleed_sigma);
    for plane in [&mut flat.a, &mut flat.b] {
        let product = plane.values.iter().zip(&open.values).map(|(v, w)| v * w).collect();
        let run = Plane { values: product, ..*plane }.blurred(recipe.bleed_sigma);
        for (i, value) in plane.values.iter_mut().enumerate() {
            *value += open.values[i] * (run.values[i] / weight.values[i].max(1e-3) - *value);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::painter::Recipe;

    const SIDE: usize = 64;

    fn recipe() -> Wash {
        Recipe::parse(Recipe::builtin("watercolour").unwrap()).unwrap().wash.unwrap()
    }

    /// Two areas side by side; lightness and `a` of each.
    fn two(left: (f32, f32), right: (f32, f32)) -> Lab {
        let plane = |l: f32, r: f32| {
            let values = (0..SIDE * SIDE).map(|i| if i % SIDE < 32 { l } else { r }).collect();
            Plane { width: SIDE, height: SIDE, values }
        };
        Lab { l: plane(left.0, right.0), a: plane(left.1, right.1), b: plane(0.0, 0.0) }
    }

    fn washed(mut lab: Lab) -> Lab {
        let mut light = lab.l.clone();
        wash(&mut lab, &mut light, &recipe());
        Lab { l: light, ..lab }
    }

    #[test]
    fn pigment_gathers_along_the_border_of_a_wash() {
        let out = washed(two((0.7, 0.05), (0.5, 0.05)));
        let row = out.l.row(32);
        assert!(row[33] < 0.5 - 0.03, "the rim: {row:?}");
        assert!(row[30] > 0.7, "the gap beside it: {row:?}");
        assert!((row[8] - 0.7).abs() < 0.01 && (row[56] - 0.5).abs() < 0.01, "the washes: {row:?}");
        assert!(out.a.row(32)[33] > out.a.row(32)[56], "a rim has more pigment");
    }

    #[test]
    fn colours_run_across_a_weak_edge_only() {
        let width = |lab: Lab| {
            let out = washed(lab);
            let row = out.a.row(32);
            (0..SIDE).filter(|&x| row[x] > 0.01 && row[x] < 0.04).count()
        };
        let (weak, strong) = (width(two((0.6, 0.0), (0.6, 0.05))), width(two((0.3, 0.0), (0.7, 0.05))));
        assert!(weak > 5 && strong < 3, "{weak} and {strong} pixels of transition");
    }

    #[test]
    fn lights_are_bare_paper() {
        let out = washed(two((0.97, 0.02), (0.97, 0.02)));
        assert!(out.l.values.iter().all(|&l| l > 0.999) && out.a.values.iter().all(|a| a.abs() < 1e-5));
    }

    #[test]
    fn an_even_wash_stays_even() {
        let out = washed(two((0.5, 0.03), (0.5, 0.03)));
        assert!(out.l.values.iter().all(|l| (l - 0.5).abs() < 1e-4));
        assert!(out.a.values.iter().all(|a| (a - 0.03).abs() < 1e-4));
    }
}
