//! Where a person is in a picture: labels for the student's own mask, and heads where no list names the faces.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use fast_image_resize::FilterType;
use image::{GrayImage, RgbImage};
use tract_onnx::prelude::*;

use super::read_file;
use crate::painter::{FaceBox, resized};

/// Side of the model's input and output.
const SIDE: usize = 256;

/// A model from a picture (NHWC, 1×256×256×3, 0..1) to the probability of a person (1×256×256×1).
pub struct PersonMask(Arc<TypedRunnableModel>);

impl PersonMask {
    /// Loads the model.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let bytes = read_file(path)?;
        let load = || -> TractResult<_> {
            onnx()
                .model_for_read(&mut bytes.as_slice())?
                .with_input_fact(0, f32::fact([1, SIDE, SIDE, 3]).into())?
                .into_optimized()?
                .into_runnable()
        };
        load().map(Self).map_err(|error| {
            log::debug!("{}: {error:#}", path.display());
            anyhow::anyhow!(
                "{} is not the person segmentation model that --person-mask wants: one from a picture \
                 ({SIDE}×{SIDE}, 0..1) to how certainly each pixel is of a person",
                path.display()
            )
        })
    }

    /// How certainly each pixel is of a person: 255 certainly.
    ///
    /// # Errors
    /// When the model fails.
    pub fn mask(&self, picture: &RgbImage) -> anyhow::Result<GrayImage> {
        let values = self.probabilities(picture)?;
        let bytes = values.iter().map(|p| (p.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
        let small = GrayImage::from_raw(SIDE as u32, SIDE as u32, bytes).context("a mask of another size")?;
        let (width, height) = picture.dimensions();
        Ok(image::imageops::resize(&small, width, height, image::imageops::FilterType::Triangle))
    }

    /// The probability of a person, `SIDE`×`SIDE`.
    fn probabilities(&self, picture: &RgbImage) -> anyhow::Result<Vec<f32>> {
        let small = resized(picture, (SIDE as u32, SIDE as u32), FilterType::Bilinear);
        let input: Vec<f32> = small.as_raw().iter().map(|&v| f32::from(v) / 255.0).collect();
        let run = || -> TractResult<Vec<f32>> {
            let input = Tensor::from_shape(&[1, SIDE, SIDE, 3], &input)?;
            let output = self.0.run(tvec!(input.into()))?;
            let mask = output[0].to_plain_array_view::<f32>()?;
            Ok(mask.iter().copied().collect())
        };
        let values = run().context("the person mask cannot be computed")?;
        anyhow::ensure!(values.len() == SIDE * SIDE, "the person mask is of another size than {SIDE}×{SIDE}");
        Ok(values)
    }

    /// The face of the person in a picture, in its pixels; `None` where no head stands out.
    ///
    /// # Errors
    /// When the model fails.
    pub fn face(&self, picture: &RgbImage) -> anyhow::Result<Option<FaceBox>> {
        let mask: Vec<bool> = self.probabilities(picture)?.iter().map(|&p| p > 0.5).collect();
        let (sx, sy) = (picture.width() as f32 / SIDE as f32, picture.height() as f32 / SIDE as f32);
        Ok(face_in_mask(&mask, SIDE).map(|f| FaceBox {
            x: f.x * sx,
            y: f.y * sy,
            width: f.width * sx,
            height: f.height * sy,
        }))
    }
}

/// Estimates the face from a person's outline: a head is about 1.3 times as high as wide, so from the top of the
/// largest component down, it is the first piece that is 1.3 times as high as its rows are wide.
fn face_in_mask(mask: &[bool], side: usize) -> Option<FaceBox> {
    let person = largest_component(mask, side);
    let rows: Vec<Option<(f32, f32)>> = person.chunks_exact(side).map(span).collect();
    let top = rows.iter().position(Option::is_some)?;
    for height in 4..side - top {
        let mut head: Vec<(f32, f32)> =
            rows[top + height / 4..top + height * 3 / 4 + 1].iter().copied().flatten().collect();
        head.sort_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
        let (left, right) = *head.get(head.len() / 2)?;
        let width = right - left;
        if height as f32 >= 1.3 * width {
            let height = height as f32;
            return (width >= 4.0).then_some(FaceBox {
                x: left + 0.1 * width,
                y: top as f32 + 0.25 * height,
                width: 0.8 * width,
                height: 0.75 * height,
            });
        }
    }
    None
}

/// First and one past the last set pixel of a row.
fn span(row: &[bool]) -> Option<(f32, f32)> {
    let first = row.iter().position(|&p| p)?;
    let last = row.iter().rposition(|&p| p)?;
    Some((first as f32, last as f32 + 1.0))
}

/// The largest 4-connected component.
fn largest_component(mask: &[bool], side: usize) -> Vec<bool> {
    let mut seen = vec![false; mask.len()];
    let mut largest = Vec::new();
    for start in 0..mask.len() {
        if !mask[start] || seen[start] {
            continue;
        }
        seen[start] = true;
        let mut component = vec![start];
        let mut next = 0;
        while let Some(&i) = component.get(next) {
            next += 1;
            let (x, y) = (i % side, i / side);
            let neighbours =
                [(x > 0).then(|| i - 1), (x + 1 < side).then(|| i + 1), (y > 0).then(|| i - side), Some(i + side)];
            for j in neighbours.into_iter().flatten() {
                if mask.get(j) == Some(&true) && !seen[j] {
                    seen[j] = true;
                    component.push(j);
                }
            }
        }
        if component.len() > largest.len() {
            largest = component;
        }
    }
    let mut out = vec![false; mask.len()];
    largest.into_iter().for_each(|i| out[i] = true);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_face_is_found_on_a_head_with_shoulders() {
        let side = 64;
        let mask: Vec<bool> = (0..side * side)
            .map(|i| {
                let (x, y) = ((i % side) as f32 - 32.0, (i / side) as f32);
                let head = (x / 8.0).powi(2) + ((y - 20.0) / 10.5).powi(2) < 1.0;
                let neck = x.abs() < 5.0 && (28.0..34.0).contains(&y);
                let shoulders = y >= 34.0 && x.abs() < 22.0;
                let speck = x < -28.0 && y < 4.0;
                head || neck || shoulders || speck
            })
            .collect();
        let face = face_in_mask(&mask, side).unwrap();
        assert!((face.x + face.width / 2.0 - 32.0).abs() < 1.5, "{face:?}");
        assert!((10.0..16.0).contains(&face.width), "{face:?}");
        assert!((11.0..17.0).contains(&face.y) && (28.0..34.0).contains(&(face.y + face.height)), "{face:?}");
    }

    #[test]
    fn an_empty_mask_has_no_face() {
        assert_eq!(face_in_mask(&vec![false; 64 * 64], 64), None);
    }
}
