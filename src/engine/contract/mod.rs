//! The export contract between trainer and engine: how a trained network becomes integers, and the ONNX file that
//! carries them.
//!
//! - The image enters as **u8**, scale 1/255, zero point 0. Weights lie within ±127, symmetric, one scale per output
//!   channel; where eight bits are read, as those of the image, two that are multiplied side by side keep within
//!   [further limits](WeightLimits), so that the sum of both products fits 16 bits.
//! - A stored activation is quantized only after its ReLU, to **int8** with zero point 0: it saturates at 127. Where a
//!   layer takes [eight bits][`LayerShape::eight_bits`] it is **u8** and saturates at 255. Nothing is quantized between a
//!   convolution, the depth-to-space behind it, the addition and the ReLU.
//! - Biases are i32 at input scale × weight scale.
//! - The output is **u8**, scale 1/255.
//! - Weights: q = round half to even(w / scale), clamped.
//! - A layer's epilogue, in f32 without fused multiply-add and in units of the stored tensor's step:
//!   `acc·m[oc]`, `+ b[oc]`, `+ shortcut·r`, `max 0`, round half to even, `min 127` (255 in eight bits), where
//!   `m = s_in·s_w/s_out`, `b = bias·m` (the i32 bias as f32, multiplied once at load) and `r = s_shortcut/s_out`;
//!   `m` and `r` are computed in f64 from the f32 scales and rounded once.
//! - Space-to-depth and depth-to-space are in DCR order: channel = (dy·2 + dx)·C + c.
//! - A frame whose sides are not multiples of [`Topology::multiple`] is padded by its edge pixels (right and bottom)
//!   and cropped after; the convolutions' zero padding is at the padded frame's border.
//!
//! [`reference`](super::reference) is this text as code.
//!
//! [`LayerShape::eight_bits`]: crate::engine::topology::LayerShape::eight_bits

mod limits;
mod onnx;
mod random;

use std::fmt;

use crate::engine::topology::Topology;
use crate::error::{Error, Result};

pub use limits::{PAIR_LIMIT, WEIGHT_LIMIT, WeightLimits, quantize_weight};

/// The scale of the image, in and out.
pub const IMAGE_SCALE: f32 = 1.0 / 255.0;
/// A quantized bias lies within ± this, which leaves the accumulator room for the products.
pub const BIAS_LIMIT: i32 = 1 << 30;

/// One trained layer.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatLayer {
    /// `[out][in][3][3]`, row-major.
    pub weight: Vec<f32>,
    /// One per output channel.
    pub bias: Vec<f32>,
    /// The step of the quantized weights, one per output channel, > 0; see [`WeightLimits::scale`].
    pub weight_scale: Vec<f32>,
    /// The step of what the layer stores (its largest value / [`stored_limit`]), > 0. The last layer's is not read: it is 1/255.
    pub activation_scale: f32,
}

/// A trained network with the scales at which it is to be quantized.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatNetwork {
    /// Which layers, in which order.
    pub topology: Topology,
    /// One per layer of the topology.
    pub layers: Vec<FloatLayer>,
}

/// One layer in integers.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedLayer {
    /// `[out][in][3][3]`, within [`WeightLimits`].
    pub weight: Vec<i8>,
    /// One per output channel, in steps of input scale × weight scale.
    pub bias: Vec<i32>,
    /// One per output channel.
    pub weight_scale: Vec<f32>,
}

/// A network in integers, ready to be written or run.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedNetwork {
    /// Which layers, in which order.
    pub topology: Topology,
    /// One per layer of the topology.
    pub layers: Vec<QuantizedLayer>,
    /// The scale of every tensor: the image's first, then each layer's output; the last is the output image's.
    pub scales: Vec<f32>,
}

/// What a layer's epilogue multiplies by and adds, in units of the stored tensor's step.
#[derive(Debug, Clone, PartialEq)]
pub struct Epilogue {
    /// s_in·s_w/s_out, one per output channel.
    pub multiplier: Vec<f32>,
    /// bias·multiplier, one per output channel.
    pub bias: Vec<f32>,
    /// s_shortcut/s_out; 0 where nothing is added.
    pub shortcut: f32,
    /// 127, or 255 in eight bits and at the output.
    pub highest: f32,
}

/// The largest value, in steps, that layer `layer` stores; its least is 0. 255 for the picture.
pub fn stored_limit(topology: &Topology, layer: usize) -> i32 {
    if layer + 1 == topology.layers.len() || topology.layers[layer].eight_bits { 255 } else { 127 }
}

impl FloatNetwork {
    /// The network of these weights and biases, a pair for each layer, whose weights use their whole range;
    /// `activation_scales` are the steps of what each layer stores.
    pub fn in_full_range(topology: Topology, values: Vec<(Vec<f32>, Vec<f32>)>, activation_scales: &[f32]) -> Self {
        let shapes = topology.layers.iter().zip(activation_scales);
        let layers = shapes.zip(values).enumerate().map(|(i, ((shape, &activation_scale), (weight, bias)))| {
            let limits = WeightLimits::of(&topology, i);
            let input_scale = if shape.input == 0 { IMAGE_SCALE } else { activation_scales[shape.input - 1] };
            let channels = weight.chunks_exact(shape.in_channels * 9).zip(&bias);
            let steps = channels.map(|(channel, bias)| limits.scale(channel, *bias, input_scale)).collect();
            FloatLayer { weight, bias, weight_scale: steps, activation_scale }
        });
        let layers = layers.collect();
        Self { topology, layers }
    }

    /// The scale of every tensor: the image's first, then each layer's output; the last is the output image's.
    pub fn scales(&self) -> Vec<f32> {
        let mut scales: Vec<f32> =
            std::iter::once(IMAGE_SCALE).chain(self.layers.iter().map(|l| l.activation_scale)).collect();
        if let Some(last) = scales.last_mut() {
            *last = IMAGE_SCALE;
        }
        scales
    }

    /// The step of what each layer stores.
    pub fn activation_scales(&self) -> Vec<f32> {
        self.layers.iter().map(|layer| layer.activation_scale).collect()
    }

    /// Turns the network into integers.
    ///
    /// # Errors
    /// [`Error::Style`] where the layers do not fit together, a number is not finite, a scale is not positive, a bias does
    /// not fit its integer, or a scale is so small that weights break their limits.
    pub fn quantize(&self) -> Result<QuantizedNetwork> {
        self.check().map_err(|why| Error::Style(format!("this network cannot be exported: {why}")))?;
        let scales = self.scales();
        let layers = self
            .layers
            .iter()
            .enumerate()
            .map(|(i, layer)| {
                let shape = &self.topology.layers[i];
                let per_channel = shape.in_channels * 9;
                let weight = layer
                    .weight
                    .chunks_exact(per_channel)
                    .zip(&layer.weight_scale)
                    .flat_map(|(channel, &scale)| channel.iter().map(move |&w| quantize_weight(w, scale)))
                    .collect();
                let bias = layer
                    .bias
                    .iter()
                    .zip(&layer.weight_scale)
                    .enumerate()
                    .map(|(oc, (&bias, &scale))| quantize_bias(bias, scales[shape.input] * scale).ok_or((oc, bias)))
                    .collect::<std::result::Result<_, _>>()
                    .map_err(|(oc, bias)| {
                        Error::Style(format!(
                            "this network cannot be exported: layer {i}, channel {oc}: the bias {bias} does not fit its \
                             integer; take a larger weight scale for that channel"
                        ))
                    })?;
                Ok(QuantizedLayer { weight, bias, weight_scale: layer.weight_scale.clone() })
            })
            .collect::<Result<_>>()?;
        let network = QuantizedNetwork { topology: self.topology.clone(), layers, scales };
        network.check().map_err(|fault| Error::Style(format!("this network cannot be exported: {fault}")))?;
        Ok(network)
    }

    /// The network as QDQ ONNX: input `input`, f32 `[1, 3, height, width]`, RGB in [0,1]; output `output` likewise.
    ///
    /// # Errors
    /// As [`FloatNetwork::quantize`].
    pub fn to_qdq_onnx(&self) -> Result<Vec<u8>> {
        Ok(self.quantize()?.to_qdq_onnx())
    }

    /// The same network with float weights and no quantization, its output clipped to [0,1]: for other runtimes'
    /// own quantizers.
    ///
    /// # Errors
    /// As [`FloatNetwork::quantize`], biases excepted.
    pub fn to_float_onnx(&self) -> Result<Vec<u8>> {
        self.check().map_err(|why| Error::Style(format!("this network cannot be exported: {why}")))?;
        Ok(onnx::float(self))
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.topology.tensors()?;
        let (shapes, layers) = (&self.topology.layers, &self.layers);
        if shapes.len() != layers.len() {
            return Err(format!("{} layers were trained, the topology has {}", layers.len(), shapes.len()));
        }
        for (i, (shape, layer)) in shapes.iter().zip(layers).enumerate() {
            if layer.weight.len() != shape.weights()
                || layer.bias.len() != shape.out_channels
                || layer.weight_scale.len() != shape.out_channels
            {
                return Err(format!("layer {i}: the number of weights, biases or scales is not that of its shape"));
            }
            if layer.weight.iter().chain(&layer.bias).any(|v| !v.is_finite()) {
                return Err(format!("layer {i} has a weight or bias that is not finite"));
            }
        }
        let scales = self.scales();
        if scales.iter().chain(layers.iter().flat_map(|l| &l.weight_scale)).any(|s| !s.is_normal() || *s < 0.0) {
            return Err("a scale is not a positive number".into());
        }
        Ok(())
    }
}

/// What is wrong with a [`QuantizedNetwork`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The layer at fault, where it is one.
    pub layer: Option<usize>,
    /// Goes on from the layer's name.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(layer) = self.layer {
            write!(f, "layer {layer} ")?;
        }
        f.write_str(&self.what)
    }
}

impl QuantizedNetwork {
    /// Checks that all parts fit together and every number is one that every engine computes alike.
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&self) -> std::result::Result<(), Fault> {
        self.topology.tensors().map_err(|what| Fault { layer: None, what })?;
        let count = self.topology.layers.len();
        if self.layers.len() != count || self.scales.len() != count + 1 {
            let what =
                format!("{} layers and {} scales for a topology of {count}", self.layers.len(), self.scales.len());
            return Err(Fault { layer: None, what });
        }
        if let Some(scale) = self.scales.iter().find(|scale| !scale.is_normal() || **scale < 0.0) {
            return Err(Fault { layer: None, what: format!("a tensor has the scale {scale}, which is not above 0") });
        }
        (0..count).try_for_each(|i| self.check_layer(i).map_err(|what| Fault { layer: Some(i), what }))
    }

    fn check_layer(&self, i: usize) -> std::result::Result<(), String> {
        let (shape, layer) = (&self.topology.layers[i], &self.layers[i]);
        let channels = shape.out_channels;
        if layer.weight.len() != shape.weights() || layer.bias.len() != channels || layer.weight_scale.len() != channels
        {
            return Err("has more or fewer weights, biases or scales than its shape".into());
        }
        let limits = WeightLimits::of(&self.topology, i);
        layer.weight.chunks_exact(shape.in_channels * 9).try_for_each(|weights| limits.check(weights))?;
        if let Some(bias) = layer.bias.iter().find(|bias| bias.unsigned_abs() > BIAS_LIMIT.unsigned_abs()) {
            return Err(format!("has a bias of {bias}, beyond {BIAS_LIMIT}"));
        }
        let epilogue = self.epilogue(i);
        if !epilogue.multiplier.iter().chain(&epilogue.bias).chain([&epilogue.shortcut]).all(|value| value.is_finite())
        {
            return Err("has scales that are too far apart".into());
        }
        Ok(())
    }

    /// The numbers of layer `layer`'s epilogue.
    pub fn epilogue(&self, layer: usize) -> Epilogue {
        let (shape, quantized) = (&self.topology.layers[layer], &self.layers[layer]);
        let output_scale = f64::from(self.scales[layer + 1]);
        let input_scale = f64::from(self.scales[shape.input]);
        let multiplier: Vec<f32> =
            quantized.weight_scale.iter().map(|s| (input_scale * f64::from(*s) / output_scale) as f32).collect();
        Epilogue {
            bias: quantized.bias.iter().zip(&multiplier).map(|(b, m)| *b as f32 * m).collect(),
            multiplier,
            shortcut: shape.add.map_or(0.0, |a| (f64::from(self.scales[a]) / output_scale) as f32),
            highest: stored_limit(&self.topology, layer) as f32,
        }
    }

    /// The network as QDQ ONNX; see [`FloatNetwork::to_qdq_onnx`].
    pub fn to_qdq_onnx(&self) -> Vec<u8> {
        onnx::qdq(self)
    }
}

fn quantize_bias(bias: f32, scale: f32) -> Option<i32> {
    let steps = (f64::from(bias) / f64::from(scale)).round_ties_even();
    (steps.abs() <= f64::from(BIAS_LIMIT)).then_some(steps as i32)
}

#[cfg(test)]
mod tests;
