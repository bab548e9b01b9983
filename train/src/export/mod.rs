//! From trained weights to a style: the quantized ONNX file, its card, and the checks that come before it is kept.

pub mod agreement;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use image::RgbImage;
use nijigen::frame::Size;
use nijigen::style::Card;

use self::agreement::{Agreement, ByBurn, EXACT, ROUNDED, by_onnxruntime, by_reference, by_tract};
use crate::data::{sha256, write_whole};
use crate::device::{Device, dispatch};
use crate::sheet::encode_jpeg;
use crate::weights::Weights;

/// What an export is told.
#[derive(Debug)]
pub struct Export<'a> {
    /// The network.
    pub weights: &'a Weights,
    /// Checksum of the weights' file.
    pub weights_sha256: String,
    /// The style's name: file names and card.
    pub name: &'a str,
    /// Where the style goes.
    pub folder: &'a Path,
    /// What the card says beyond what is known here: description, licence, data, device, minutes.
    pub card: Card,
    /// Photos on which all runtimes must agree; the first becomes the thumbnail.
    pub photos: &'a [(PathBuf, RgbImage)],
    /// Whether `NAME.float.onnx` is written as well.
    pub float: bool,
    /// A Python that has onnxruntime; without it that check is left out, which is said.
    pub python: Option<&'a Path>,
    /// What computes in Burn.
    pub device: Device,
}

/// Longer side of a thumbnail, pixels.
const THUMBNAIL_SIDE: u32 = 256;

/// Checks and writes the style. Returns what each runtime agreed to, by name.
///
/// # Errors
/// When the network cannot be quantized, a runtime disagrees (nothing is written then), or a file cannot be written.
pub fn export(job: &Export<'_>) -> Result<Vec<(String, Agreement)>> {
    // Before the work, which is in vain where nothing can be written.
    std::fs::create_dir_all(job.folder).with_context(|| format!("cannot create {}", job.folder.display()))?;
    // Finer steps than it may have been trained with cost nothing where it runs.
    let network = job.weights.clone().with_eight_bits().network;
    let quantized = network.quantize()?;
    let onnx = quantized.to_qdq_onnx();
    if job.photos.is_empty() {
        bail!("name at least one photo on which the runtimes are to agree");
    }
    let mut agreements: Vec<(String, Agreement)> = Vec::new();
    let mut thumbnail = None;
    for (path, photo) in job.photos {
        let exact = by_reference(&quantized, photo);
        let burn = dispatch(job.device, ByBurn { network: &network, photo })?;
        let mut runs = vec![("Burn", EXACT, burn), ("tract", ROUNDED, by_tract(&onnx, photo)?)];
        if let Some(python) = job.python {
            runs.push(("onnxruntime", ROUNDED, by_onnxruntime(python, &onnx, photo)?));
        }
        for (runtime, bound, output) in runs {
            let agreement = Agreement::between(&exact, &output);
            if !agreement.holds(bound) {
                bail!("{runtime} disagrees with the reference on {}: {agreement}; nothing was written", path.display());
            }
            match agreements.iter_mut().find(|(name, _)| name == runtime) {
                Some((_, all)) => all.join(&agreement),
                None => agreements.push((runtime.to_owned(), agreement)),
            }
        }
        thumbnail.get_or_insert(exact);
    }
    let topology = &network.topology;
    let mut card = job.card.clone();
    card.name = job.name.to_owned();
    card.architecture = Some(if topology.is_residual() { "two-scale residual" } else { "two-scale" }.into());
    // The first stored seven bits, the second eight at half the picture's size.
    card.architecture_version = Some(3);
    card.size = Some(job.weights.size.to_string());
    card.gmac_640x480 = Some((topology.macs(Size::new(640, 480)) as f64 / 1e7).round() / 100.0);
    card.weights_sha256 = Some(job.weights_sha256.clone());
    card.base_sha256 = job.weights.base.clone().or_else(|| Some(job.weights_sha256.clone()));
    // Of weights that were trained in several legs the card tells all steps, the file those of the last leg.
    card.steps = job.card.steps.or(Some(job.weights.step));
    card.sha256 = Some(sha256(&onnx));
    // All of it first: a style is never left half written because a part of it cannot be made.
    let mut files = vec![("onnx", onnx)];
    if job.float {
        let float = job.weights.network.to_float_onnx()?;
        let (path, photo) = &job.photos[0];
        by_tract(&float, photo).with_context(|| format!("the float network cannot be run on {}", path.display()))?;
        files.push(("float.onnx", float));
    }
    if let Some(picture) = thumbnail {
        files.push(("jpg", encoded_thumbnail(picture)?));
    }
    // The card comes last: whoever finds it finds what it tells of.
    files.push(("toml", card.to_toml()?.into_bytes()));
    for (extension, bytes) in files {
        write_whole(&job.folder.join(format!("{}.{extension}", job.name)), &bytes)?;
    }
    Ok(agreements)
}

fn encoded_thumbnail(picture: RgbImage) -> Result<Vec<u8>> {
    // `thumbnail` would enlarge a small picture.
    let side = THUMBNAIL_SIDE.min(picture.width().max(picture.height()));
    let picture = image::DynamicImage::ImageRgb8(picture).thumbnail(side, side);
    encode_jpeg(&picture.into_rgb8(), 88)
}
