//! The sample sheet of a run: what the student makes of the photos for validation.

use std::path::Path;

use anyhow::Result;
use nijigen::engine::topology::Topology;

use super::evaluate::stylize;
use crate::data::training_set::LoadedPair;
use crate::net::conv::ConvBackend;
use crate::net::student::{Arithmetic, Student};
use crate::sheet;

/// Pictures on the sheet.
const ROWS: usize = 8;

/// Photo, target and output side by side; for those with a face, its surroundings enlarged as well.
///
/// # Errors
/// As [`Student::forward`], or when the file cannot be written.
pub fn write<B: ConvBackend>(
    student: &Student<B>,
    topology: &Topology,
    pairs: &[LoadedPair],
    arithmetic: Arithmetic<'_>,
    device: &B::Device,
    path: &Path,
) -> Result<()> {
    let every = pairs.len().div_ceil(ROWS).max(1);
    let rows: Vec<Vec<_>> = pairs
        .iter()
        .step_by(every)
        .map(|pair| -> Result<_> {
            let output = stylize(student, topology, &pair.photo, arithmetic, device)?;
            let mut row = vec![pair.photo.clone(), pair.target.clone(), output.clone()];
            if let Some(face) = pair.entry.faces.first() {
                let part = |picture: &image::RgbImage| {
                    let (x, y) = ((face.x - 0.3 * face.width).max(0.0), (face.y - 0.3 * face.height).max(0.0));
                    let (w, h) = (1.6 * face.width, 1.6 * face.height);
                    image::imageops::crop_imm(picture, x as u32, y as u32, (w as u32).max(1), (h as u32).max(1))
                        .to_image()
                };
                row.extend([part(&pair.photo), part(&pair.target), part(&output)]);
            }
            Ok(row)
        })
        .collect::<Result<_>>()?;
    sheet::save_png(&sheet::compose(&rows, 256), path)
}
