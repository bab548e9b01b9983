//! Faces: where they are, and how small ones are painted enlarged.

use serde::{Deserialize, Serialize};

use super::plane::{Lab, Plane, smoothstep};
use super::recipe::Faces;

/// A face, from the forehead to the chin and from ear to ear, in pixels of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FaceBox {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl FaceBox {
    /// The box after the picture is cropped at (`left`, `top`) and scaled by `by`.
    pub fn moved(&self, left: f32, top: f32, by: f32) -> Self {
        Self { x: (self.x - left) * by, y: (self.y - top) * by, width: self.width * by, height: self.height * by }
    }
}

/// Where the features of faces are: 1 in the middle of each face, 0 outside, smooth between.
pub fn features(width: usize, height: usize, faces: &[FaceBox]) -> Plane {
    ellipses(width, height, faces, |_| 0.05, 0.85, 1.15)
}

/// Deepens what is darker than its surroundings where `detail` (0..1) says so: eyes, brows, mouths and nostrils, which
/// a webcam shows with little contrast. Fainter darkness (wrinkles, pores) stays as it is, and contrast that is strong
/// already gains little.
pub fn bring_out(lab: &mut Lab, detail: &Plane, recipe: &Faces) {
    if detail.values.iter().all(|&d| d == 0.0) {
        return;
    }
    let surroundings = lab.l.blurred(recipe.feature_sigma);
    for ((l, around), detail) in lab.l.values.iter_mut().zip(&surroundings.values).zip(&detail.values) {
        let darker = (around - *l).max(0.0);
        let feature = smoothstep(recipe.feature_from, recipe.feature_to, darker);
        let deeper = recipe.feature_gain * darker / (1.0 + darker / recipe.feature_limit);
        *l = (*l - detail * feature * deeper).max(0.0);
    }
}

/// Where the heads are (face, hair, chin): 1 inside, 0 outside, smooth between.
pub fn heads(width: usize, height: usize, faces: &[FaceBox], recipe: &Faces) -> Plane {
    ellipses(width, height, faces, |f| recipe.head_margin * f.height, 0.75, 1.0)
}

/// The union of ellipses around the boxes grown by a margin: 1 within `inner` of the radius, 0 beyond `outer`.
fn ellipses(
    width: usize,
    height: usize,
    faces: &[FaceBox],
    margin: impl Fn(&FaceBox) -> f32,
    inner: f32,
    outer: f32,
) -> Plane {
    let mut out = Plane::filled(width, height, 0.0);
    for face in faces {
        let margin = margin(face);
        let (rx, ry) = (face.width / 2.0 + margin, face.height / 2.0 + margin);
        let (cx, cy) = (face.x + face.width / 2.0, face.y + face.height / 2.0);
        for y in 0..height {
            let dy = (y as f32 + 0.5 - cy) / ry;
            for x in 0..width {
                let dx = (x as f32 + 0.5 - cx) / rx;
                let inside = 1.0 - smoothstep(inner, outer, (dx * dx + dy * dy).sqrt());
                let value = &mut out.values[y * width + x];
                *value = value.max(inside);
            }
        }
    }
    out
}

/// A part of a picture that is painted enlarged: left, top, width, height in pixels, and by how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patch {
    /// Left edge.
    pub left: u32,
    /// Upper edge.
    pub top: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// Size when painted.
    pub painted: (u32, u32),
}

impl Patch {
    /// The surroundings of a face that wants to be enlarged; `None` for a face that is large enough or not in view.
    pub fn around(face: &FaceBox, width: u32, height: u32, recipe: &Faces) -> Option<Self> {
        // Written so that a box with NaN in it is none.
        if !(face.height >= 1.0 && face.width >= 1.0 && face.height < recipe.enlarge_below) {
            return None;
        }
        let by = (recipe.ideal_height / face.height).clamp(1.0, recipe.max_enlarge);
        let margin = (recipe.head_margin + recipe.context) * face.height;
        let span = |from: f32, length: f32, limit: u32| {
            let start = (from - margin).floor().clamp(0.0, limit as f32) as u32;
            let end = (from + length + margin).ceil().clamp(0.0, limit as f32) as u32;
            (start, end.saturating_sub(start))
        };
        let (left, w) = span(face.x, face.width, width);
        let (top, h) = span(face.y, face.height, height);
        let painted = ((w as f32 * by).round() as u32, (h as f32 * by).round() as u32);
        (w > 0 && h > 0).then_some(Self { left, top, width: w, height: h, painted })
    }
}
