//! Flatten: texture goes, edges stay.
//!
//! Rolling guidance (Zhang et al. 2014, "Rolling Guidance Filter"): the picture is blurred until its texture is gone,
//! then joint bilateral passes bring the edges of large shapes back, the result of each guiding the next. Passes of
//! a bilateral filter on the result itself (Winnemöller et al. 2006) then flatten what is left. All weights are smooth
//! and no pass chooses between candidates, so sensor noise moves the result less than it moves the photo.

use image::RgbImage;

use super::plane::{Lab, Plane, srgb};
use super::recipe::Flatten;

/// Flattens a picture. `detail` (0..1 per pixel) is how much of the small shapes is to be kept: 1 in faces.
pub fn flatten(photo: &Lab, detail: &Plane, recipe: &Flatten) -> Lab {
    let soft = photo.blurred(recipe.detail_sigma);
    let blurred = photo.blurred(recipe.texture_sigma);
    let mut picture = mix(&blurred, &soft, detail);
    let range = detail.map(|d| recipe.range + d * (recipe.detail_range - recipe.range));
    for _ in 0..recipe.restore_passes {
        picture = joint_bilateral(photo, &picture, &range, recipe.radius, recipe.chroma_weight);
    }
    for _ in 0..recipe.flatten_passes {
        picture = joint_bilateral(&picture, &picture, &range, recipe.radius, recipe.chroma_weight);
    }
    picture
}

/// Radius of the window, and range, at which a picture is cleaned: finer than anything that is drawn.
const CLEAN_RADIUS: usize = 3;
const CLEAN_RANGE: f32 = 0.05;

/// A picture without the faint speckle and hatching that a network leaves on surfaces; its lines stay.
pub fn cleaned(picture: &RgbImage) -> RgbImage {
    let lab = Lab::from_rgb(picture);
    let range = Plane::filled(lab.l.width, lab.l.height, CLEAN_RANGE);
    let clean = joint_bilateral(&lab, &lab, &range, CLEAN_RADIUS, 1.0);
    let mut out = picture.clone();
    for (i, pixel) in out.pixels_mut().enumerate() {
        let rgb = srgb(clean.l.values[i], clean.a.values[i], clean.b.values[i]);
        pixel.0 = rgb.map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8);
    }
    out
}

/// `from` where `amount` is 0, `to` where it is 1.
fn mix(from: &Lab, to: &Lab, amount: &Plane) -> Lab {
    let plane = |f: &Plane, t: &Plane| Plane {
        values: f.values.iter().zip(&t.values).zip(&amount.values).map(|((f, t), m)| f + m * (t - f)).collect(),
        ..*f
    };
    Lab { l: plane(&from.l, &to.l), a: plane(&from.a, &to.a), b: plane(&from.b, &to.b) }
}

/// The mean of `input` over a disc of `radius` pixels, weighted by how alike the colours of `guide` are: Tukey's
/// biweight, which is 0 beyond `range` (in units of Oklab lightness; chroma differences count `chroma_weight`-fold).
fn joint_bilateral(input: &Lab, guide: &Lab, range: &Plane, radius: usize, chroma_weight: f32) -> Lab {
    let (width, height) = (input.l.width, input.l.height);
    let pad = |lab: &Lab| [lab.l.padded(radius), lab.a.padded(radius), lab.b.padded(radius)];
    let (input, guide) = (pad(input), pad(guide));
    let per_range: Vec<f32> = range.values.iter().map(|r| 1.0 / (r * r)).collect();
    let chroma = chroma_weight * chroma_weight;
    let reach = radius as isize;
    let sigma = (radius as f32 + 0.5) / 2.0;
    let taps: Vec<(usize, usize, f32)> = (-reach..=reach)
        .flat_map(|dy| (-reach..=reach).map(move |dx| (dy, dx)))
        .filter(|(dy, dx)| dy * dy + dx * dx <= reach * reach)
        .map(|(dy, dx)| {
            let near = (-((dy * dy + dx * dx) as f32) / (2.0 * sigma * sigma)).exp();
            ((dy + reach) as usize, (dx + reach) as usize, near)
        })
        .collect();

    let mut out: [Plane; 3] = std::array::from_fn(|_| Plane::filled(width, height, 0.0));
    let mut sums = [vec![0.0f32; width], vec![0.0f32; width], vec![0.0f32; width], vec![0.0f32; width]];
    for y in 0..height {
        sums.iter_mut().for_each(|s| s.fill(0.0));
        let [total, sl, sa, sb] = &mut sums;
        let centre = guide.each_ref().map(|p| &p.row(y + radius)[radius..][..width]);
        let per_range = &per_range[y * width..][..width];
        for &(dy, dx, near) in &taps {
            let g = guide.each_ref().map(|p| &p.row(y + dy)[dx..][..width]);
            let v = input.each_ref().map(|p| &p.row(y + dy)[dx..][..width]);
            for x in 0..width {
                let (dl, da, db) = (g[0][x] - centre[0][x], g[1][x] - centre[1][x], g[2][x] - centre[2][x]);
                let apart = (dl * dl + chroma * (da * da + db * db)) * per_range[x];
                let alike = (1.0 - apart).max(0.0);
                let weight = near * alike * alike;
                total[x] += weight;
                sl[x] += weight * v[0][x];
                sa[x] += weight * v[1][x];
                sb[x] += weight * v[2][x];
            }
        }
        for (plane, sum) in out.iter_mut().zip([sl, sa, sb]) {
            let row = &mut plane.values[y * width..][..width];
            for x in 0..width {
                row[x] = sum[x] / total[x];
            }
        }
    }
    let [l, a, b] = out;
    Lab { l, a, b }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::painter::Recipe;

    const SIDE: usize = 48;

    /// Lightness by position, without colour.
    fn picture(l: impl Fn(usize, usize) -> f32) -> Lab {
        let values = (0..SIDE * SIDE).map(|i| l(i % SIDE, i / SIDE)).collect();
        let neutral = Plane::filled(SIDE, SIDE, 0.0);
        Lab { l: Plane { width: SIDE, height: SIDE, values }, a: neutral.clone(), b: neutral }
    }

    fn flattened(photo: &Lab, detail: f32) -> Plane {
        let recipe = Recipe::parse(Recipe::builtin("anime").unwrap()).unwrap().flatten;
        flatten(photo, &Plane::filled(SIDE, SIDE, detail), &recipe).l
    }

    /// The difference between the largest and the smallest value in columns `x` of the middle rows.
    fn spread(plane: &Plane, x: std::ops::Range<usize>) -> f32 {
        let values = (12..36).flat_map(|y| plane.row(y)[x.clone()].iter().copied());
        let (low, high) = values.fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(v), h.max(v)));
        high - low
    }

    #[test]
    fn texture_goes_and_the_edge_beside_it_stays() {
        let texture = |x: usize, y: usize| if (x + y).is_multiple_of(2) { 0.03 } else { -0.03 };
        let photo = picture(|x, y| if x < 24 { 0.3 } else { 0.7 } + texture(x, y));
        let flat = flattened(&photo, 0.0);
        for side in [6..20, 28..42] {
            let left = spread(&flat, side);
            assert!(left < 0.01, "texture of {left} is left");
        }
        let edge = flat.row(24)[26] - flat.row(24)[21];
        assert!(edge > 0.9 * 0.4, "of an edge of 0.4 within five pixels {edge} is left");
    }

    #[test]
    fn speckle_is_cleaned_away_and_lines_are_not() {
        let picture = RgbImage::from_fn(48, 48, |x, y| {
            let line = (22..24).contains(&x);
            image::Rgb(if line { [40, 20, 50] } else { [180 + 4 * ((x + y) % 2) as u8, 150, 140] })
        });
        let clean = cleaned(&picture);
        let reds = |x: std::ops::Range<u32>| (12..36).flat_map(move |y| x.clone().map(move |x| (x, y)));
        let values: Vec<u8> = reds(4..16).map(|(x, y)| clean.get_pixel(x, y).0[0]).collect();
        assert!(values.iter().max().unwrap() - values.iter().min().unwrap() <= 1, "{values:?}");
        assert!(reds(22..24).all(|(x, y)| clean.get_pixel(x, y).0[0] < 48));
    }

    #[test]
    fn small_shapes_stay_where_detail_is_wanted() {
        let brow = |x: usize, y: usize| (14..34).contains(&x) && (23..25).contains(&y);
        let photo = picture(|x, y| if brow(x, y) { 0.47 } else { 0.6 });
        let left = |detail| 0.6 - flattened(&photo, detail).row(24)[24];
        assert!(left(1.0) > left(0.0) + 0.03, "{} in a face, {} elsewhere", left(1.0), left(0.0));
    }
}
