//! The teacher's generator: a U-Net of 3×3 convolutions over four scales.
//!
//! No norm over the whole picture stands in it: that would make a colour depend on what else is in view. The exception is
//! style by reference, which is such a norm by its nature ([`super::adain`]), at the coarsest scale alone; at the finer ones the style scales and
//! shifts without a norm, since colours come to them past the coarsest.

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{FloatDType, Tensor, activation};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use super::adain::{self, AdaIn};
use super::attention::SelfAttention;
use super::conv::{BlockShape, ConvBackend, block};
use super::student::{ConvLayer, lowered};

/// Sides of a picture are multiples of this.
pub const MULTIPLE: u32 = 8;
/// The most parameters: a checkpoint with two moments and the average then stays in pieces below 16 MiB.
pub const MOST_PARAMETERS: usize = 1_500_000;
/// Residual blocks at each finer scale on the way back.
const DECODER_BLOCKS: usize = 2;
/// Residual blocks start near the identity, as the student's do.
const SHORTCUT_GAIN: f32 = 0.3;

/// The generator's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorShape {
    /// Channels at 1, 1/2, 1/4 and 1/8.
    pub channels: [usize; 4],
    /// Residual blocks at 1/8.
    pub blocks: usize,
    /// Whether the output is added to the photo.
    pub residual: bool,
    /// Whether places at 1/8 attend to one another.
    pub attention: bool,
    /// Whether a style picture sets the statistics at 1/8.
    pub reference: bool,
}

impl GeneratorShape {
    /// Refuses what cannot be built.
    ///
    /// # Errors
    /// When a number makes no sense, or the network would be too large.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.channels.iter().all(|c| (1..=1024).contains(c)),
            "the generator's 'channels' are 1 to 1024 at each scale"
        );
        ensure!((1..=64).contains(&self.blocks), "the generator's 'blocks' are 1 to 64");
        let parameters = self.parameters();
        ensure!(
            parameters <= MOST_PARAMETERS,
            "the generator has {parameters} parameters, at most {MOST_PARAMETERS} are wanted: lower 'channels' or 'blocks'"
        );
        Ok(())
    }

    /// Parameters, without those that read a style picture.
    pub fn parameters(&self) -> usize {
        let conv = |ic: usize, oc: usize| oc * (ic * 9 + 1);
        let [a, b, c, d] = self.channels;
        let encoder = conv(3, a) + conv(a, b) + conv(b, b) + conv(b, c) + conv(c, c) + conv(c, d);
        let decoder = conv(d, c) + conv(c, b) + conv(b, a) + DECODER_BLOCKS * (conv(c, c) + conv(b, b) + conv(a, a));
        let attention = if self.attention { d * d + 2 * d * (d / 8).max(1) + 1 } else { 0 };
        encoder + self.blocks * conv(d, d) + attention + decoder + conv(a, 3)
    }
}

/// The generator's parameters.
#[derive(Module, Debug)]
pub struct UNet<B: Backend> {
    stem: ConvLayer<B>,
    /// To 1/2, 1/4 and 1/8.
    down: Vec<ConvLayer<B>>,
    /// Residual, at 1/2 and 1/4.
    encoder: Vec<ConvLayer<B>>,
    /// Residual, at 1/8.
    middle: Vec<ConvLayer<B>>,
    attention: Option<SelfAttention<B>>,
    style: Option<AdaIn<B>>,
    /// To 1/4, 1/2 and 1.
    up: Vec<ConvLayer<B>>,
    /// Residual, so many at each of those.
    decoder: Vec<ConvLayer<B>>,
    out: ConvLayer<B>,
    residual: bool,
}

const PLAIN: BlockShape = BlockShape { stride: 1, relu: false };
const ACTIVE: BlockShape = BlockShape { stride: 1, relu: true };
const HALVING: BlockShape = BlockShape { stride: 2, relu: true };

impl<B: ConvBackend> UNet<B> {
    /// Random weights, the same on every back end for one `seed`; with `shape.reference` for styles of so many
    /// statistics.
    pub fn new(shape: &GeneratorShape, statistics: usize, seed: u64, device: &B::Device) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut conv = |ic: usize, oc: usize, gain: f32| {
            ConvLayer::random((ic, oc), gain * (1.0 / (3 * ic * 9) as f32).sqrt(), &mut rng, device)
        };
        let [a, b, c, d] = shape.channels;
        let mut network = Self {
            stem: conv(3, a, 1.0),
            down: vec![conv(a, b, 1.0), conv(b, c, 1.0), conv(c, d, 1.0)],
            encoder: [b, c].map(|at| conv(at, at, SHORTCUT_GAIN)).into(),
            middle: (0..shape.blocks).map(|_| conv(d, d, SHORTCUT_GAIN)).collect(),
            attention: None,
            style: None,
            up: vec![conv(d, c, 1.0), conv(c, b, 1.0), conv(b, a, 1.0)],
            decoder: [c, b, a]
                .iter()
                .flat_map(|&at| [at; DECODER_BLOCKS])
                .map(|at| conv(at, at, SHORTCUT_GAIN))
                .collect(),
            out: conv(a, 3, 1.0),
            residual: shape.residual,
        };
        if shape.attention {
            network.attention = Some(SelfAttention::new(d, &mut rng, device));
        }
        if shape.reference {
            let maps = [vec![d; shape.blocks], vec![c, b, a]].concat();
            network.style = Some(AdaIn::new(statistics, &maps, &mut rng, device));
        }
        network
    }

    /// The picture `[b, 3, h, w]` in 0..1 (not clamped) for `photo` of the same form, sides multiples of [`MULTIPLE`];
    /// `style` holds the statistics `[b, n]` of style pictures, where the network takes them. With `half` it convolves in
    /// the back end's 16-bit format, where it has one.
    pub fn forward(&self, photo: Tensor<B, 4>, style: Option<Tensor<B, 2>>, half: bool) -> Tensor<B, 4> {
        let half = B::half_precision().filter(|_| half);
        let parameters = |layer: &ConvLayer<B>| (lowered(layer.weight.val(), half), lowered(layer.bias.val(), half));
        let run = |layer: &ConvLayer<B>, x: Tensor<B, 4>, shape| {
            let (weight, bias) = parameters(layer);
            block(lowered(x, half), weight, bias, None, shape)
        };
        let residual = |layer: &ConvLayer<B>, x: Tensor<B, 4>| {
            let (weight, bias) = parameters(layer);
            let x = lowered(x, half);
            block(x.clone(), weight, bias, Some(x), ACTIVE)
        };
        let mut x = run(&self.stem, photo.clone().sub_scalar(0.5), ACTIVE);
        let mut skips = vec![x.clone()];
        for (down, layer) in self.down.iter().zip(&self.encoder) {
            x = residual(layer, run(down, x, HALVING));
            skips.push(x.clone());
        }
        x = run(&self.down[self.down.len() - 1], x, HALVING);
        let styles = match (&self.style, style) {
            (Some(adain), Some(style)) => adain.styles(style),
            _ => Vec::new(),
        };
        let mut styles = styles.into_iter();
        for layer in &self.middle {
            if let Some(style) = styles.next() {
                x = adain::apply(x.cast(FloatDType::F32), style);
            }
            x = residual(layer, x);
        }
        if let Some(attention) = &self.attention {
            x = attention.forward(x.cast(FloatDType::F32));
        }
        let mut decoder = self.decoder.iter();
        for (up, skip) in self.up.iter().zip(skips.into_iter().rev()) {
            x = doubled(run(up, x, PLAIN)) + skip;
            if let Some(style) = styles.next() {
                x = adain::modulate(x.cast(FloatDType::F32), style);
            }
            x = activation::relu(x);
            for layer in decoder.by_ref().take(DECODER_BLOCKS) {
                x = residual(layer, x);
            }
        }
        let picture = run(&self.out, x, PLAIN).cast(FloatDType::F32);
        if self.residual { photo + picture } else { picture.add_scalar(0.5) }
    }

    /// Whether it wants a style picture.
    pub fn takes_reference(&self) -> bool {
        self.style.is_some()
    }
}

/// Each pixel four times.
fn doubled<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    let [_, _, h, w] = x.dims();
    interpolate(x, [2 * h, 2 * w], InterpolateOptions::new(InterpolateMode::Nearest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::backend::NdArray;
    use burn::tensor::Distribution;

    use super::*;
    use crate::net::parameters;

    type B = NdArray;

    fn shape() -> GeneratorShape {
        GeneratorShape { channels: [4, 6, 8, 8], blocks: 2, residual: false, attention: false, reference: false }
    }

    fn photo(h: usize, w: usize) -> Tensor<B, 4> {
        Tensor::random([1, 3, h, w], Distribution::Uniform(0.0, 1.0), &Default::default())
    }

    #[test]
    fn the_count_of_parameters_is_the_networks() {
        for (residual, attention) in [(false, false), (true, true)] {
            let shape = GeneratorShape { residual, attention, ..shape() };
            assert_eq!(UNet::<B>::new(&shape, 0, 1, &Default::default()).num_params(), shape.parameters());
        }
    }

    #[test]
    fn a_picture_keeps_its_size_and_is_near_grey_or_near_the_photo_at_first() {
        let photo = photo(24, 16);
        for residual in [false, true] {
            let shape = GeneratorShape { residual, ..shape() };
            let output = UNet::<B>::new(&shape, 0, 1, &Default::default()).forward(photo.clone(), None, false);
            assert_eq!(output.dims(), [1, 3, 24, 16]);
            let from = if residual { photo.clone() } else { photo.full_like(0.5) };
            assert!((output - from).abs().max().into_scalar() < 0.3);
        }
    }

    #[test]
    fn attention_reaches_over_the_whole_picture_and_takes_any_size() {
        let shape = GeneratorShape { attention: true, ..shape() };
        let network = UNet::<B>::new(&shape, 0, 1, &Default::default());
        let opened = parameters::named(&network)
            .into_iter()
            .map(|mut named| {
                if named.name == "attention.gain" {
                    named.values = vec![1.0];
                }
                named
            })
            .collect();
        let network = parameters::with_named(network, opened).unwrap();
        // More places than are looked at.
        let (mut a, b) = (photo(8, 264), photo(8, 264));
        let near = |x: Tensor<B, 4>| x.narrow(3, 0, 8);
        let before = near(network.forward(a.clone(), None, false));
        // The other end changes.
        a = Tensor::cat(vec![a.narrow(3, 0, 200), b.narrow(3, 200, 64)], 3);
        let after = near(network.forward(a, None, false));
        assert!((before - after).abs().max().into_scalar() > 0.0);
    }

    #[test]
    fn two_styles_give_two_pictures() {
        let shape = GeneratorShape { reference: true, ..shape() };
        let network = UNet::<B>::new(&shape, 4, 1, &Default::default());
        let photo = photo(16, 16);
        let with = |values: [f32; 4]| {
            let style = Tensor::<B, 1>::from_floats(values, &Default::default()).reshape([1, 4]);
            network.forward(photo.clone(), Some(style), false)
        };
        let difference = (with([1.0, -1.0, 0.5, 2.0]) - with([-2.0, 1.0, 1.5, 0.0])).abs().max().into_scalar();
        assert!(difference > 0.0 && network.takes_reference());
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let large = GeneratorShape { channels: [64, 128, 256, 512], ..shape() };
        assert!(large.check().unwrap_err().to_string().contains("parameters"));
        assert!(GeneratorShape { blocks: 0, ..shape() }.check().is_err());
        shape().check().unwrap();
    }
}
