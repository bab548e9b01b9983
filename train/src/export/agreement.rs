//! The same network on the same photo by several runtimes, and how far they agree.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use image::RgbImage;
use nijigen::engine::contract::{FloatNetwork, QuantizedNetwork};
use nijigen::engine::reference::Reference;
use nijigen::engine::{Options, Stated, Which, load};
use nijigen::frame::Size;

use crate::device::{Task, TrainBackend};
use crate::distill::evaluate::stylize;
use crate::net::student::{Activations, Arithmetic, Student};

const SCRIPT: &str = include_str!("onnxruntime.py");

/// How far two pictures are apart, byte by byte.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Bytes compared.
    pub bytes: u64,
    /// Bytes that differ by more than one.
    pub beyond_one: u64,
    /// The largest difference.
    pub largest: u8,
}

/// How far a runtime may be from the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// Share of the bytes that must lie within ±1.
    within_one: f64,
    /// How far apart any may lie.
    largest: u8,
}

/// For what computes in integers, or in floats that are exact for them: Burn's fake-quant.
pub const EXACT: Bound = Bound { within_one: 0.999, largest: 4 };
/// For tract and onnxruntime, whose sums of scaled floats round in their own order. A few activations of a photo lie so near
/// the middle between two steps that they fall to the other side, and each moves what lies within its reach, some 110
/// pixels: by up to 6 in `anime` (three to eight of them in photos of 256 to 640 pixels), by up to 10 in `ink`, which makes
/// black or white of what lies between. A network that is wired otherwise is off by more, nearly everywhere.
pub const ROUNDED: Bound = Bound { within_one: 0.98, largest: 16 };

impl Agreement {
    /// Compares two pictures of the same size.
    pub fn between(a: &RgbImage, b: &RgbImage) -> Self {
        let differences = || a.iter().zip(b.iter()).map(|(&a, &b)| a.abs_diff(b));
        Self {
            bytes: a.len() as u64,
            beyond_one: differences().filter(|&d| d > 1).count() as u64,
            largest: differences().max().unwrap_or(0),
        }
    }

    /// Takes in another picture's.
    pub fn join(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.beyond_one += other.beyond_one;
        self.largest = self.largest.max(other.largest);
    }

    /// The share of bytes within ±1.
    pub fn within_one(&self) -> f64 {
        1.0 - self.beyond_one as f64 / self.bytes.max(1) as f64
    }

    /// Whether `bound` holds.
    pub fn holds(&self, bound: Bound) -> bool {
        self.within_one() >= bound.within_one && self.largest <= bound.largest
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4} % of bytes within ±1, none beyond ±{}", 100.0 * self.within_one(), self.largest)
    }
}

fn size_of(photo: &RgbImage) -> Size {
    Size::new(photo.width(), photo.height())
}

fn picture(photo: &RgbImage, pixels: Vec<u8>) -> Result<RgbImage> {
    RgbImage::from_raw(photo.width(), photo.height(), pixels).context("a runtime gave a picture of another size")
}

/// The exact integers.
pub fn by_reference(network: &QuantizedNetwork, photo: &RgbImage) -> RgbImage {
    let mut pixels = Reference::new(network).run(photo.as_raw(), size_of(photo));
    if network.topology.has_person_mask() {
        pixels = pixels.chunks_exact(4).flat_map(|pixel| pixel[..3].to_vec()).collect();
    }
    RgbImage::from_raw(photo.width(), photo.height(), pixels).unwrap_or_default()
}

/// Fake-quant in Burn, as in training.
#[derive(Debug)]
pub struct ByBurn<'a> {
    /// The network.
    pub network: &'a FloatNetwork,
    /// The photo.
    pub photo: &'a RgbImage,
}

impl Task for ByBurn<'_> {
    type Output = RgbImage;

    fn run<B: TrainBackend>(self, device: B::Device) -> Result<RgbImage> {
        let network = self.network;
        let scales = network.activation_scales();
        let student = Student::<B::InnerBackend>::from_network(network, &device);
        let arithmetic = Arithmetic { half: false, activations: Activations::Quantized(&scales) };
        stylize(&student, &network.topology, self.photo, arithmetic, &device)
    }
}

/// tract's own execution of the QDQ graph.
///
/// # Errors
/// When tract refuses the file.
pub fn by_tract(onnx: &[u8], photo: &RgbImage) -> Result<RgbImage> {
    // The independent check: tract alone, in floats.
    let options = Options { engine: Which::Tract, ..Options::threads(1) };
    let mut generator = load(onnx, Stated::default(), options)?.generator;
    let mut pixels = vec![0; photo.len()];
    generator.run(photo.as_raw(), size_of(photo), &mut pixels)?;
    picture(photo, pixels)
}

/// onnxruntime, through `python`. The photo's sides must be multiples of 8.
///
/// # Errors
/// When Python cannot be started or the script fails.
pub fn by_onnxruntime(python: &Path, onnx: &[u8], photo: &RgbImage) -> Result<RgbImage> {
    ensure!(
        photo.width().is_multiple_of(8) && photo.height().is_multiple_of(8),
        "onnxruntime needs photos whose sides are multiples of 8"
    );
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let at = |name: &str| folder.path().join(name);
    fs::write(at("style.onnx"), onnx)?;
    fs::write(at("in.rgb"), photo.as_raw())?;
    let output = Command::new(python)
        .arg("-c")
        .arg(SCRIPT)
        .arg(at("style.onnx"))
        .arg(at("in.rgb"))
        .args([photo.width().to_string(), photo.height().to_string()])
        .arg(at("out.rgb"))
        .output()
        .with_context(|| format!("cannot start {}", python.display()))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("onnxruntime failed: {}", error.lines().last().unwrap_or("it said nothing"));
    }
    picture(photo, fs::read(at("out.rgb"))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::backend::{Autodiff, NdArray};
    use image::Rgb;
    use nijigen::engine::topology::{StudentSize, Topology};

    use super::*;

    /// Smooth shades with an edge: what photos are made of.
    fn photo() -> RgbImage {
        RgbImage::from_fn(48, 40, |x, y| {
            let shade = (x * 4 + y) as u8;
            if x > 30 { Rgb([220, shade, 40]) } else { Rgb([shade, 90, 255 - shade]) }
        })
    }

    fn network(topology: Topology) -> FloatNetwork {
        let device = Default::default();
        let mut student = Student::<NdArray>::new(&topology, 5, &device);
        // A fresh student has no biases, a trained one has.
        for (i, layer) in student.layers.iter_mut().enumerate() {
            let values = (0..layer.bias.dims()[0]).map(|oc| 0.02 * ((oc * 7 + i * 3) % 11) as f32 - 0.09).collect();
            let bias = burn::tensor::TensorData::new::<f32, _>(values, layer.bias.dims());
            layer.bias = burn::module::Param::from_tensor(burn::tensor::Tensor::from_data(bias, &device));
        }
        let photos = crate::distill::evaluate::bytes_tensor(&photo(), topology.multiple(), &device);
        let scales = crate::distill::evaluate::calibrate(&student, &topology, photos).unwrap();
        student.to_network(&topology, &scales)
    }

    #[test]
    fn training_and_tract_compute_what_the_reference_does() {
        let plain = Topology::two_scale(StudentSize::S);
        for topology in [plain.clone().with_eight_bits().as_residual(), plain] {
            let (network, photo) = (network(topology), photo());
            let quantized = network.quantize().unwrap();
            let exact = by_reference(&quantized, &photo);
            let burn = ByBurn { network: &network, photo: &photo };
            let burn = burn.run::<Autodiff<NdArray>>(Default::default()).unwrap();
            let tract = by_tract(&quantized.to_qdq_onnx(), &photo).unwrap();
            assert!(burn == exact, "fake-quant is the engine's arithmetic");
            let agreement = Agreement::between(&exact, &tract);
            assert!(agreement.holds(EXACT), "tract: {agreement}");
            assert!(exact.iter().any(|&v| v != exact.as_raw()[0]), "the picture is not flat");
            assert!(exact != photo, "it does something to the photo");
        }
    }

    #[test]
    fn a_picture_that_differs_by_more_is_refused() {
        let a = RgbImage::from_pixel(40, 40, Rgb([100; 3]));
        let mut b = a.clone();
        b.put_pixel(3, 3, Rgb([105, 100, 100]));
        assert!(!Agreement::between(&a, &b).holds(EXACT));
        let c = RgbImage::from_pixel(40, 40, Rgb([101; 3]));
        assert!(Agreement::between(&a, &c).holds(EXACT));
    }
}
