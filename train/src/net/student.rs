//! The student: a [`Topology`] as a trainable network.

use anyhow::Result;
use burn::module::{Module, Param, ParamId};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{FloatDType, Tensor, TensorData};
use nijigen::engine::contract::{FloatNetwork, stored_limit};
use nijigen::engine::topology::{LayerShape, Topology};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::conv::{BlockShape, ConvBackend, block, depth_to_space, space_to_depth};
use super::passing;

/// One convolution's parameters.
#[derive(Module, Debug)]
pub struct ConvLayer<B: Backend> {
    /// `[oc, ic, 3, 3]`.
    pub weight: Param<Tensor<B, 4>>,
    /// `[oc]`.
    pub bias: Param<Tensor<B, 1>>,
}

/// The parameters of every layer of a topology, in its order.
#[derive(Module, Debug)]
pub struct Student<B: Backend> {
    /// One per layer.
    pub layers: Vec<ConvLayer<B>>,
}

/// How a forward pass computes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Arithmetic<'a> {
    /// In the back end's 16-bit format, where it has one.
    pub half: bool,
    /// What becomes of the activations.
    pub activations: Activations<'a>,
}

/// What becomes of a layer's activation before it is stored. The steps are one per layer; the last is not read.
#[derive(Debug, Clone, Copy, Default)]
pub enum Activations<'a> {
    /// It stays as it is.
    #[default]
    Float,
    /// It saturates at 127 of these steps, as the engine's does, and is not rounded: what the engine's rounding is measured
    /// against.
    Saturating(&'a [f32]),
    /// Fake-quant in these steps; weights and biases are rounded too.
    Quantized(&'a [f32]),
}

impl<'a> Activations<'a> {
    /// Fake-quant in these steps, or none.
    pub fn quantized_in(steps: Option<&'a [f32]>) -> Self {
        steps.map_or(Self::Float, Self::Quantized)
    }
}

/// Shortcut convolutions start small, so that the residual blocks begin near the identity.
const SHORTCUT_GAIN: f32 = 0.3;

/// Weights and biases of each layer, random.
pub(super) fn random(topology: &Topology, seed: u64) -> Vec<(Vec<f32>, Vec<f32>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let last = topology.layers.len() - 1;
    let layers = topology.layers.iter().enumerate().map(|(i, shape)| {
        let gain = if shape.add == Some(shape.input) { SHORTCUT_GAIN } else { 1.0 };
        let deviation = gain * (1.0 / (3 * shape.in_channels * 9) as f32).sqrt();
        let weight = (0..shape.weights()).map(|_| deviation * normal(&mut rng)).collect();
        // The image is centred on mid-grey from the start, what is added to a photo on nothing.
        let bias = vec![if i == last && shape.add.is_none() { 0.5 } else { 0.0 }; shape.out_channels];
        (weight, bias)
    });
    layers.collect()
}

impl<B: ConvBackend> Student<B> {
    /// Random weights, the same on every back end for one `seed`: variance 1 / (3 · fan-in), shortcuts × 0.3. With the
    /// variance of He et al. (2015), six times that, the first steps flatten the picture and no neuron comes back.
    pub fn new(topology: &Topology, seed: u64, device: &B::Device) -> Self {
        Self::from_values(topology, random(topology, seed), device)
    }

    /// Such weights with those changed through which a photo [passes](passing::let_pass).
    pub fn passing(topology: &Topology, seed: u64, device: &B::Device) -> Self {
        let mut layers = random(topology, seed);
        passing::let_pass(topology, &mut layers);
        Self::from_values(topology, layers, device)
    }

    fn from_values(topology: &Topology, layers: Vec<(Vec<f32>, Vec<f32>)>, device: &B::Device) -> Self {
        let layers = topology.layers.iter().zip(layers);
        Self {
            layers: layers.map(|(shape, (weight, bias))| ConvLayer::from_values(shape, weight, bias, device)).collect(),
        }
    }

    /// The weights of a trained network.
    pub fn from_network(network: &FloatNetwork, device: &B::Device) -> Self {
        let layers = network
            .topology
            .layers
            .iter()
            .zip(&network.layers)
            .map(|(shape, layer)| ConvLayer::from_values(shape, layer.weight.clone(), layer.bias.clone(), device));
        Self { layers: layers.collect() }
    }

    /// The network as the export contract wants it, weights scaled to use their whole range.
    pub fn to_network(&self, topology: &Topology, activation_scales: &[f32]) -> FloatNetwork {
        let values = |tensor: TensorData| tensor.iter().collect();
        let layers = self.layers.iter();
        let layers = layers.map(|layer| (values(layer.weight.val().to_data()), values(layer.bias.val().to_data())));
        FloatNetwork::in_full_range(topology.clone(), layers.collect(), activation_scales)
    }

    /// The picture `[b, 3, h, w]` in 0..1 (not clamped) for `bytes`, pixels `[b, 3, h, w]` as numbers 0 ..= 255;
    /// sides are multiples of the topology's.
    ///
    /// # Errors
    /// With fake-quant, when a weight or bias is not finite or does not fit the export contract.
    pub fn forward(
        &self,
        topology: &Topology,
        bytes: Tensor<B, 4>,
        arithmetic: Arithmetic<'_>,
    ) -> Result<Tensor<B, 4>> {
        let half = arithmetic.half;
        Ok(match arithmetic.activations {
            Activations::Quantized(steps) => self.forward_quantized(topology, bytes, steps, half)?,
            Activations::Saturating(steps) => {
                let highest = |layer: usize| stored_limit(topology, layer) as f32 * steps[layer];
                self.forward_float(topology, bytes, half, |layer, y| y.clamp_max(highest(layer)))
            }
            Activations::Float => self.forward_float(topology, bytes, half, |_, y| y),
        })
    }

    /// As [`Self::forward`], without fake-quant; `store` gets the number of each layer but the last and what comes out of
    /// it, and gives what is stored.
    pub fn forward_float(
        &self,
        topology: &Topology,
        bytes: Tensor<B, 4>,
        half: bool,
        mut store: impl FnMut(usize, Tensor<B, 4>) -> Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        let half = B::half_precision().filter(|_| half);
        // Whole numbers up to 255 are exact in bfloat16, their 255ths are not: the scale goes into the weights.
        let mut tensors = vec![lowered(bytes, half)];
        let last = topology.layers.len() - 1;
        for (i, (shape, layer)) in topology.layers.iter().zip(&self.layers).enumerate() {
            let (mut weight, bias) = (layer.weight.val(), layer.bias.val());
            if shape.input == 0 {
                weight = weight.div_scalar(255.0);
            }
            let shortcut = shape.add.map(|add| match add {
                // The photo, in the picture's range.
                0 => tensors[0].clone().cast(FloatDType::F32).div_scalar(255.0),
                _ => tensors[add].clone(),
            });
            let y = run_layer(shape, i == last, tensors[shape.input].clone(), weight, bias, shortcut, half);
            tensors.push(if i < last { store(i, y) } else { y });
        }
        tensors.swap_remove(last + 1)
    }

    /// Moves every parameter toward `other`'s: `self·decay + other·(1 − decay)` (the exponential moving average).
    pub fn average(&mut self, other: &Self, decay: f32) {
        fn blend<B: Backend, const D: usize>(to: &mut Param<Tensor<B, D>>, from: &Param<Tensor<B, D>>, decay: f32) {
            let value = to.val().mul_scalar(decay) + from.val().mul_scalar(1.0 - decay);
            *to = Param::from_tensor(value).set_require_grad(false);
        }
        for (to, from) in self.layers.iter_mut().zip(&other.layers) {
            blend(&mut to.weight, &from.weight, decay);
            blend(&mut to.bias, &from.bias, decay);
        }
    }
}

impl<B: ConvBackend + AutodiffBackend> Student<B> {
    /// What lies between it and `other`, of which it has `share` (0..1): a gradient reaches this one's weights through it,
    /// not the other's.
    pub fn mixed_with(&self, other: &Student<B::InnerBackend>, share: f32) -> Self {
        fn blend<B: AutodiffBackend, const D: usize>(
            own: &Param<Tensor<B, D>>,
            other: &Param<Tensor<B::InnerBackend, D>>,
            share: f32,
        ) -> Param<Tensor<B, D>> {
            let mixed = own.val() * (1.0 - share) + Tensor::from_inner(other.val() * share);
            Param::initialized(ParamId::new(), mixed)
        }
        let layers = self.layers.iter().zip(&other.layers).map(|(own, other)| ConvLayer {
            weight: blend(&own.weight, &other.weight, share),
            bias: blend(&own.bias, &other.bias, share),
        });
        Self { layers: layers.collect() }
    }
}

/// `x` in the 16-bit format, where there is one.
pub(super) fn lowered<B: Backend, const D: usize>(x: Tensor<B, D>, half: Option<FloatDType>) -> Tensor<B, D> {
    match half {
        Some(half) => x.cast(half),
        None => x,
    }
}

/// One layer from its input to what it stores; the last one's picture is not clamped, and in 32 bits.
pub(super) fn run_layer<B: ConvBackend>(
    shape: &LayerShape,
    is_last: bool,
    mut x: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    bias: Tensor<B, 1>,
    shortcut: Option<Tensor<B, 4>>,
    half: Option<FloatDType>,
) -> Tensor<B, 4> {
    x = space_to_depth(x, shape.space_to_depth);
    let plain = !is_last && shape.depth_to_space == 1;
    let block_shape = BlockShape { stride: shape.stride, relu: plain };
    // The picture's bias is added in 32 bits: around zero the 16-bit formats are finest.
    let (inner, outer) = if is_last { (bias.zeros_like(), Some(bias)) } else { (bias, None) };
    let mut y = block(x, lowered(weight, half), lowered(inner, half), shortcut.clone().filter(|_| plain), block_shape);
    if let Some(bias) = outer {
        y = y.cast(FloatDType::F32) + bias.reshape([1, shape.out_channels, 1, 1]);
    }
    if plain { y } else { finish_layer(shape, is_last, y, shortcut) }
}

/// What stands behind a convolution and its bias: depth-to-space, the addition, and the ReLU of all layers but the last.
pub(super) fn finish_layer<B: Backend>(
    shape: &LayerShape,
    is_last: bool,
    mut y: Tensor<B, 4>,
    shortcut: Option<Tensor<B, 4>>,
) -> Tensor<B, 4> {
    y = depth_to_space(y, shape.depth_to_space);
    if let Some(shortcut) = shortcut {
        // The picture is in 32 bits, whatever is added to it.
        y = y + if is_last { shortcut.cast(FloatDType::F32) } else { shortcut };
    }
    if is_last { y } else { burn::tensor::activation::relu(y) }
}

impl<B: Backend> ConvLayer<B> {
    /// Normal weights of that deviation for `channels` (in, out), drawn from `rng`; biases of nought.
    pub(super) fn random(channels: (usize, usize), deviation: f32, rng: &mut ChaCha8Rng, device: &B::Device) -> Self {
        let (ic, oc) = channels;
        let weight = (0..oc * ic * 9).map(|_| deviation * normal(rng)).collect::<Vec<f32>>();
        Self {
            weight: Param::from_tensor(Tensor::from_data(TensorData::new(weight, [oc, ic, 3, 3]), device)),
            bias: Param::from_tensor(Tensor::zeros([oc], device)),
        }
    }

    fn from_values(shape: &LayerShape, weight: Vec<f32>, bias: Vec<f32>, device: &B::Device) -> Self {
        let weight = TensorData::new(weight, [shape.out_channels, shape.in_channels, 3, 3]);
        let bias = TensorData::new(bias, [shape.out_channels]);
        Self {
            weight: Param::from_tensor(Tensor::from_data(weight, device)),
            bias: Param::from_tensor(Tensor::from_data(bias, device)),
        }
    }
}

/// A standard normal number (Box and Muller 1958).
pub(super) fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let (a, b): (f32, f32) = (1.0 - rng.random::<f32>(), rng.random());
    (-2.0 * a.ln()).sqrt() * (std::f32::consts::TAU * b).cos()
}
