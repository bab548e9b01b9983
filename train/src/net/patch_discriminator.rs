//! A discriminator that judges patches (Isola et al. 2017) at two scales (Wang et al. 2018), with spectral norm.

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::module::avg_pool2d;
use burn::tensor::{FloatDType, Tensor, TensorData, activation};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::conv::{BlockShape, ConvBackend, block};
use super::spectral_norm::SpectralConv;
use super::student::lowered;

/// Slope below nought of the leaky ReLU.
const LEAK: f64 = 0.2;

/// The form of each network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscriminatorShape {
    /// Channels of the layers; all but the last halve the sides.
    pub channels: Vec<usize>,
    /// Share of channels that each layer forgets while training.
    pub dropout: f32,
}

impl DiscriminatorShape {
    /// Parameters of both scales for pictures of so many channels, the directions of the spectral norm counted in.
    pub fn parameters(&self, input: usize) -> usize {
        let mut total = 0;
        let mut ic = input;
        for &oc in self.channels.iter().chain([&1]) {
            total += oc * (ic * 9 + 2);
            ic = oc;
        }
        2 * total
    }

    /// Sides of a picture below which nothing is left to judge at the coarser scale.
    pub fn least_side(&self) -> usize {
        2 << self.channels.len().saturating_sub(1)
    }
}

/// Two networks of the same form, on the picture and on its half.
#[derive(Module, Debug)]
pub struct PatchDiscriminator<B: Backend> {
    fine: Vec<SpectralConv<B>>,
    coarse: Vec<SpectralConv<B>>,
}

/// The normalised weights of one training step, in the order of the layers.
#[derive(Debug, Clone)]
pub struct Normalised<B: Backend> {
    scales: [Vec<(Tensor<B, 4>, Tensor<B, 1>)>; 2],
}

impl<B: ConvBackend> PatchDiscriminator<B> {
    /// Random weights for pictures of `input` channels; scores begin about `start`.
    pub fn new(shape: &DiscriminatorShape, input: usize, start: f32, rng: &mut ChaCha8Rng, device: &B::Device) -> Self {
        let mut network = || {
            let mut ic = input;
            let mut layers: Vec<SpectralConv<B>> = shape
                .channels
                .iter()
                .map(|&oc| SpectralConv::new((std::mem::replace(&mut ic, oc), oc), rng, device))
                .collect();
            layers.push(SpectralConv::new((ic, 1), rng, device).with_bias(start));
            layers
        };
        Self { fine: network(), coarse: network() }
    }

    /// One step of power iteration in every layer.
    pub fn advance(self) -> Self {
        let advance = |layers: Vec<SpectralConv<B>>| layers.into_iter().map(SpectralConv::advance).collect();
        Self { fine: advance(self.fine), coarse: advance(self.coarse) }
    }

    /// The weights to judge with.
    pub fn normalised(&self) -> Normalised<B> {
        let of = |layers: &[SpectralConv<B>]| layers.iter().map(SpectralConv::normalised).collect();
        Normalised { scales: [of(&self.fine), of(&self.coarse)] }
    }
}

impl<B: ConvBackend> Normalised<B> {
    /// Scores of the patches of `picture` at both scales, `[b, 1, h', w']` each. `dropout` draws what is forgotten. With
    /// `half` it convolves in the back end's 16-bit format, where it has one.
    pub fn judge(&self, picture: Tensor<B, 4>, mut dropout: Option<Dropout<'_>>, half: bool) -> [Tensor<B, 4>; 2] {
        let format = B::half_precision().filter(|_| half);
        let reduced = avg_pool2d(picture.clone(), [2, 2], [2, 2], [0, 0], true, false);
        let [fine, coarse] = &self.scales;
        [(fine, picture), (coarse, reduced)].map(|(layers, mut x)| {
            let last = layers.len() - 1;
            for (i, (weight, bias)) in layers.iter().enumerate() {
                let stride = if i + 1 < last { 2 } else { 1 };
                let (weight, bias) = (lowered(weight.clone(), format), lowered(bias.clone(), format));
                x = block(lowered(x, format), weight, bias, None, BlockShape { stride, relu: false });
                if i < last {
                    x = activation::leaky_relu(x, LEAK);
                    if let Some(dropout) = &mut dropout {
                        x = dropout.apply(x);
                    }
                }
            }
            x.cast(FloatDType::F32)
        })
    }
}

/// Whole channels are forgotten (Tompson et al. 2015), drawn from a generator of numbers of the step's own, so that a
/// resumed run forgets the same.
#[derive(Debug)]
pub struct Dropout<'r> {
    /// Share of channels.
    pub share: f32,
    /// Where chance comes from.
    pub rng: &'r mut ChaCha8Rng,
}

impl Dropout<'_> {
    fn apply<B: Backend>(&mut self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [b, c, _, _] = x.dims();
        let kept = 1.0 / (1.0 - self.share);
        let mask: Vec<f32> =
            (0..b * c).map(|_| if self.rng.random::<f32>() < self.share { 0.0 } else { kept }).collect();
        let mask = Tensor::from_data(TensorData::new(mask, [b, c, 1, 1]), &x.device());
        x * mask
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::NdArray;
    use burn::tensor::Distribution;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    type B = NdArray;

    fn shape() -> DiscriminatorShape {
        DiscriminatorShape { channels: vec![4, 6, 8], dropout: 0.0 }
    }

    #[test]
    fn patches_are_judged_at_two_scales() {
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let network = PatchDiscriminator::<B>::new(&shape(), 3, 0.5, rng, &Default::default());
        assert_eq!(network.num_params(), shape().parameters(3));
        let picture = Tensor::random([2, 3, 32, 24], Distribution::Uniform(0.0, 1.0), &Default::default());
        let scores = network.normalised().judge(picture, None, false).map(|s| s.dims());
        assert_eq!(scores, [[2, 1, 8, 6], [2, 1, 4, 3]]);
        assert_eq!(shape().least_side(), 8);
    }

    #[test]
    fn with_spectral_norm_no_score_runs_away() {
        let rng = &mut ChaCha8Rng::seed_from_u64(2);
        let mut network = PatchDiscriminator::<B>::new(&shape(), 1, 0.5, rng, &Default::default());
        for _ in 0..50 {
            network = network.advance();
        }
        let picture = |value: f32| Tensor::<B, 4>::full([1, 1, 32, 32], value, &Default::default());
        let weights = network.normalised();
        let [a, b] = [0.0, 1.0].map(|value| weights.judge(picture(value), None, false)[0].clone());
        // A step of one in the picture moves no score by more than the norm of what each 3×3 convolution reads.
        let moved = (a - b).abs().max().into_scalar();
        assert!(moved > 0.0 && moved < 3.0_f32.powi(4), "{moved}");
    }

    #[test]
    fn what_is_forgotten_depends_on_chance_alone() {
        let network =
            PatchDiscriminator::<B>::new(&shape(), 3, 0.5, &mut ChaCha8Rng::seed_from_u64(3), &Default::default());
        let picture: Tensor<B, 4> =
            Tensor::random([1, 3, 16, 16], Distribution::Uniform(0.0, 1.0), &Default::default());
        let scores = |seed: u64| {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            network.normalised().judge(picture.clone(), Some(Dropout { share: 0.5, rng }), false)[0].to_data()
        };
        assert_eq!(scores(1), scores(1));
        assert_ne!(scores(1), scores(2));
    }
}
