//! What a finished style is worth: held-out pairs, and clips in which the scene stands.

pub mod flicker;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::Tensor;
use image::RgbImage;
use nijigen::engine::Generator;
use nijigen::frame::Size;

use crate::data::clips::Frames;
use crate::data::training_set::LoadedPair;
use crate::device::{Task, TrainBackend};
use crate::distill::evaluate::{bytes_tensor, stylize};
use crate::metrics;
use crate::net::conv::ConvBackend;
use crate::net::student::{Arithmetic, Student};
use crate::net::vgg::Vgg;
use crate::weights::Weights;

/// An evaluation to run.
pub struct Evaluation<'a> {
    /// The style as its users run it.
    pub generator: &'a mut dyn Generator,
    /// The float student that it was made from.
    pub weights: Option<Weights>,
    /// Pairs never trained on.
    pub held_out: Vec<LoadedPair>,
    /// VGG weights, for the feature distance.
    pub vgg: Option<&'a Path>,
    /// Clips for the flicker.
    pub clips: &'a [std::path::PathBuf],
}

/// What was measured, by name, and pictures to look at.
#[derive(Debug)]
pub struct Report {
    /// Names are those on the card.
    pub metrics: BTreeMap<String, f64>,
    /// Rows of photo, target, output.
    pub rows: Vec<Vec<RgbImage>>,
}

/// Frames of each clip that are looked at.
const CLIP_FRAMES: usize = 48;
/// Rows of the sheet.
const ROWS: usize = 12;

/// Runs a generator on a picture.
///
/// # Errors
/// The generator's.
pub fn run_generator(generator: &mut dyn Generator, photo: &RgbImage) -> Result<RgbImage> {
    let mut pixels = vec![0; photo.len()];
    generator.run(photo.as_raw(), Size::new(photo.width(), photo.height()), &mut pixels)?;
    RgbImage::from_raw(photo.width(), photo.height(), pixels).context("a picture of another size")
}

impl Task for Evaluation<'_> {
    type Output = Report;

    fn run<B: TrainBackend>(self, device: B::Device) -> Result<Report> {
        let vgg = self.vgg.map(|path| Vgg::<B::InnerBackend>::load(path, &device)).transpose()?;
        let student = self.weights.as_ref().map(|w| Student::<B::InnerBackend>::from_network(&w.network, &device));
        let mut sums = Sums::default();
        let mut rows = Vec::new();
        let every = self.held_out.len().div_ceil(ROWS).max(1);
        for (i, pair) in self.held_out.iter().enumerate() {
            let output = run_generator(self.generator, &pair.photo)?;
            sums.add("held_out_l1", metrics::l1(&output, &pair.target));
            sums.add("held_out_mse", metrics::mse(&output, &pair.target));
            sums.add("held_out_psnr_db", metrics::psnr(&output, &pair.target));
            sums.add("held_out_ssim", metrics::ssim(&output, &pair.target));
            if let Some(vgg) = &vgg {
                let of_output = distance(vgg, &output, &pair.target, &device);
                let of_photo = distance(vgg, &pair.photo, &pair.target, &device);
                sums.add("vgg_student_to_target_over_photo_to_target", of_output / of_photo);
            }
            if let (Some(student), Some(weights)) = (&student, &self.weights) {
                let topology = &weights.network.topology;
                let float = stylize(student, topology, &pair.photo, Arithmetic::default(), &device);
                sums.add("held_out_l1_float", metrics::l1(&float, &pair.target));
                sums.add("quantized_to_float_psnr_db", metrics::psnr(&output, &float));
            }
            if i % every == 0 {
                rows.push(vec![pair.photo.clone(), pair.target.clone(), output]);
            }
        }
        for clip in self.clips {
            let mut frames = Frames::open(clip, 1)?;
            let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
            while let Some((_, frame)) = frames.next_frame()? {
                outputs.push(run_generator(self.generator, &frame)?);
                inputs.push(frame);
                if inputs.len() == CLIP_FRAMES {
                    break;
                }
            }
            let standing = flicker::standing(&inputs);
            if let (Some(input), Some(output)) =
                (flicker::flicker(&inputs, &standing), flicker::flicker(&outputs, &standing))
            {
                sums.add("flicker_input", input);
                sums.add("flicker_output", output);
            }
        }
        Ok(Report { metrics: sums.means(), rows })
    }
}

fn distance<B: ConvBackend>(vgg: &Vgg<B>, a: &RgbImage, b: &RgbImage, device: &B::Device) -> f64 {
    // Multiples of 4, for the two poolings.
    let tensor = |picture: &RgbImage| -> Tensor<B, 4> { bytes_tensor(picture, 4, device).div_scalar(255.0) };
    let values: Vec<f32> = vgg.distance(tensor(a), tensor(b)).into_data().iter().collect();
    f64::from(values[0])
}

#[derive(Default)]
struct Sums(BTreeMap<&'static str, (f64, u32)>);

impl Sums {
    fn add(&mut self, name: &'static str, value: f64) {
        let sum = self.0.entry(name).or_default();
        *sum = (sum.0 + value, sum.1 + 1);
    }

    fn means(self) -> BTreeMap<String, f64> {
        let rounded = |value: f64| (value * 1e4).round() / 1e4;
        self.0.into_iter().map(|(name, (sum, count))| (name.to_owned(), rounded(sum / f64::from(count)))).collect()
    }
}
