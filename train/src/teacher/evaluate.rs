//! The averaged generator on whole pictures of the validation split.

use std::collections::BTreeMap;

use burn::tensor::{ElementConversion, Tensor};
use image::RgbImage;

use super::config::Config;
use super::diversity::diversity;
use super::losses::{self, Compared};
use super::model::style_of;
use crate::data::training_set::LoadedPair;
use crate::distill::evaluate::{bytes_tensor, picture_of};
use crate::metrics;
use crate::net::conv::ConvBackend;
use crate::net::unet::{MULTIPLE, UNet};
use crate::net::vgg::Vgg;

/// What was measured; means over the pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Squared difference to the target, of 255².
    pub mse: f64,
    /// In dB.
    pub psnr: f64,
    /// Of luma.
    pub ssim: f64,
    /// Distance to the target in VGG features.
    pub vgg: Option<f64>,
    /// Of the outputs.
    pub diversity: f64,
    /// Of the photos.
    pub diversity_photos: f64,
    /// The configured losses but the adversaries'.
    pub validation: f64,
    /// What was made of each photo.
    pub outputs: Vec<RgbImage>,
}

/// The pictures that a run is measured on.
pub struct Examples<'a, B: ConvBackend> {
    /// Photos and targets.
    pub pairs: Vec<&'a LoadedPair>,
    /// Whether the targets are painted.
    pub painted: bool,
    /// Style pictures, taken in turn.
    pub references: Vec<&'a RgbImage>,
    /// Features in 32 bits.
    pub vgg: Option<&'a Vgg<B>>,
}

impl<B: ConvBackend> Examples<'_, B> {
    /// The style picture of the example of that number.
    pub fn reference(&self, number: usize) -> Option<&RgbImage> {
        self.references.get(number % self.references.len().max(1)).copied()
    }

    /// Measures `network`.
    pub fn measure(&self, config: &Config, network: &UNet<B>, device: &B::Device) -> Measured {
        let mut measured = Measured {
            mse: 0.0,
            psnr: 0.0,
            ssim: 0.0,
            vgg: self.vgg.map(|_| 0.0),
            diversity: 0.0,
            diversity_photos: diversity(&self.pairs.iter().map(|pair| &pair.photo).collect::<Vec<_>>()),
            validation: 0.0,
            outputs: Vec::new(),
        };
        for (number, pair) in self.pairs.iter().enumerate() {
            let tensor = |picture| bytes_tensor::<B>(picture, MULTIPLE, device).div_scalar(255.0);
            let (photo, target) = (tensor(&pair.photo), tensor(&pair.target));
            let reference = self.reference(number);
            let style = self.vgg.zip(reference).map(|(vgg, picture)| style_of(vgg, picture, device));
            let output = network.forward(photo.clone(), style, false);
            if let (Some(sum), Some(vgg)) = (&mut measured.vgg, self.vgg) {
                *sum += vgg.distance(output.clone(), target.clone()).into_scalar().elem::<f64>();
            }
            let [_, _, h, w] = photo.dims();
            let style = reference.map(tensor);
            let compared = Compared {
                photo: &photo,
                painted: self.painted.then_some(&target),
                weight: &Tensor::ones([1, 1, h, w], device),
                style: style.as_ref(),
                by_reference: config.generator.reference,
            };
            let terms = losses::terms(&config.loss, self.vgg.map(|vgg| (vgg, 1.0)), &compared, &output);
            measured.validation += match losses::sum(&terms) {
                Some(sum) => sum.into_scalar().elem::<f64>(),
                None => (output.clone() - target).abs().mean().into_scalar().elem::<f64>(),
            };
            let output = picture_of(output, pair.photo.width(), pair.photo.height());
            measured.mse += metrics::mse(&output, &pair.target);
            measured.psnr += metrics::psnr(&output, &pair.target);
            measured.ssim += metrics::ssim(&output, &pair.target);
            measured.outputs.push(output);
        }
        measured.diversity = diversity(&measured.outputs.iter().collect::<Vec<_>>());
        let count = self.pairs.len().max(1) as f64;
        let Measured { mse, psnr, ssim, vgg, validation, .. } = &mut measured;
        [mse, psnr, ssim, validation].into_iter().chain(vgg).for_each(|sum| *sum /= count);
        measured
    }

    /// Photo, target (where painted), style picture (where there is one) and output side by side.
    pub fn rows(&self, measured: &Measured) -> Vec<Vec<RgbImage>> {
        let row = |(number, (pair, output)): (usize, (&&LoadedPair, &RgbImage))| {
            let mut row = vec![pair.photo.clone()];
            row.extend(self.painted.then(|| pair.target.clone()));
            row.extend(self.reference(number).cloned());
            row.push(output.clone());
            row
        };
        self.pairs.iter().zip(&measured.outputs).enumerate().map(row).collect()
    }
}

/// Up to `count` of `pairs`, spread over them: the largest of each source, and only where sources are too few others of
/// them, since two scales of one photo tell little of diversity.
pub fn spread(pairs: &[LoadedPair], count: usize) -> Vec<&LoadedPair> {
    let mut by_source: BTreeMap<&str, Vec<&LoadedPair>> = BTreeMap::new();
    for pair in pairs {
        by_source.entry(&pair.entry.source).or_default().push(pair);
    }
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for mut of_source in by_source.into_values() {
        of_source.sort_by_key(|pair| std::cmp::Reverse(pair.photo.width() * pair.photo.height()));
        first.push(of_source[0]);
        rest.extend_from_slice(&of_source[1..]);
    }
    if first.len() >= count {
        return (0..count).map(|i| first[i * first.len() / count]).collect();
    }
    let missing = count - first.len();
    first.extend(rest.into_iter().take(missing));
    first
}
