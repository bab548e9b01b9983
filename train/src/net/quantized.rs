//! The student's forward pass with fake-quant, in the steps of the export contract.
//!
//! Activations are carried as whole numbers of steps and weights are the integers of the exported file, so that in 32
//! bits every product and sum is exact (none reaches 2²⁴) and the result is the engine's, byte for byte. Real-valued
//! fake-quant is not: sums in another order round an activation the other way now and then, and each such step moves
//! the next layer's.

use anyhow::{Context, Result};
use burn::tensor::{Tensor, TensorData};
use nijigen::engine::contract::stored_limit;
use nijigen::engine::topology::Topology;

use super::conv::{BlockShape, ConvBackend, block, space_to_depth};
use super::student::{Student, finish_layer, lowered, run_layer};
use crate::quantize::{round_activation, round_picture, straight_through};

impl<B: ConvBackend> Student<B> {
    /// The picture `[b, 3, h, w]` in 0..1, on the grid of bytes, for `bytes` (as [`Self::forward`]); `scales` are the
    /// steps of the layers' stored activations.
    ///
    /// With `half`, in the back end's 16-bit format where it has one: whole steps are exact there too, but products
    /// of weights and epilogue are not. It is for training; the last word is had without it.
    ///
    /// # Errors
    /// When a weight or bias is not finite or does not fit the contract.
    pub(super) fn forward_quantized(
        &self,
        topology: &Topology,
        bytes: Tensor<B, 4>,
        scales: &[f32],
        half: bool,
    ) -> Result<Tensor<B, 4>> {
        let network = self.to_network(topology, scales).quantize().context("training has failed")?;
        let device = bytes.device();
        let half = B::half_precision().filter(|_| half);
        let last = topology.layers.len() - 1;
        let mut tensors = vec![lowered(bytes, half)];
        for (i, (shape, layer)) in topology.layers.iter().zip(&self.layers).enumerate() {
            let (quantized, epilogue) = (&network.layers[i], network.epilogue(i));
            let oc = shape.out_channels;
            let per_channel =
                |values: Vec<f32>| -> Tensor<B, 1> { Tensor::from_data(TensorData::new(values, [oc]), &device) };
            let dims = [oc, shape.in_channels, 3, 3];
            let integers: Vec<f32> = quantized.weight.iter().map(|&w| f32::from(w)).collect();
            let integers = Tensor::from_data(TensorData::new(integers, dims), &device);
            let weight_scale = per_channel(quantized.weight_scale.clone()).reshape([oc, 1, 1, 1]);
            let weight = straight_through(layer.weight.val() / weight_scale, integers);
            let bias = layer.bias.val().div_scalar(network.scales[i + 1]);
            let bias = straight_through(bias, per_channel(epilogue.bias));
            let multiplier = per_channel(epilogue.multiplier);

            let x = tensors[shape.input].clone();
            let shortcut = shape.add.map(|add| tensors[add].clone().mul_scalar(epilogue.shortcut));
            let y = if half.is_some() {
                let weight = weight * multiplier.reshape([oc, 1, 1, 1]);
                run_layer(shape, i == last, x, weight, bias, shortcut, half)
            } else {
                let x = space_to_depth(x, shape.space_to_depth);
                let sums = block(x, weight, bias.zeros_like(), None, BlockShape { stride: shape.stride, relu: false });
                let y = sums * multiplier.reshape([1, oc, 1, 1]) + bias.reshape([1, oc, 1, 1]);
                finish_layer(shape, i == last, y, shortcut)
            };
            tensors.push(if i < last { round_activation(y, stored_limit(topology, i)) } else { round_picture(y) });
        }
        Ok(tensors.swap_remove(last + 1).div_scalar(255.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::backend::{Autodiff, NdArray};
    use burn::tensor::Distribution;
    use burn::tensor::backend::Backend;
    use nijigen::engine::topology::StudentSize;

    use super::*;
    use crate::distill::evaluate::calibrate;
    use crate::net::student::{Activations, Arithmetic};

    type B = Autodiff<NdArray>;

    /// Gradients of a loss with respect to the weights of each layer.
    fn gradients(
        student: &Student<B>,
        topology: &Topology,
        bytes: &Tensor<B, 4>,
        scales: Option<&[f32]>,
    ) -> Vec<Vec<f32>> {
        let arithmetic = Arithmetic { half: false, activations: Activations::quantized_in(scales) };
        let output = student.forward(topology, bytes.clone(), arithmetic).unwrap();
        let target = bytes.clone().div_scalar(255.0).flip([3]);
        let gradients = (output - target).powi_scalar(2).mean().backward();
        let values = |layer: &crate::net::student::ConvLayer<B>| {
            let weight = layer.weight.val().grad(&gradients).unwrap().into_data();
            let bias = layer.bias.val().grad(&gradients).unwrap().into_data();
            weight.iter().chain(bias.iter()).collect()
        };
        student.layers.iter().map(values).collect()
    }

    #[test]
    fn gradients_point_where_those_without_fake_quant_do() {
        let device = Default::default();
        <B as Backend>::seed(&device, 3);
        let topology = Topology::two_scale(StudentSize::S);
        let student = Student::<B>::new(&topology, 5, &device);
        let bytes = Tensor::random([1, 3, 32, 32], Distribution::Uniform(0.0, 255.0), &device).round();
        let scales = calibrate(&student, &topology, bytes.clone()).unwrap();
        let float = gradients(&student, &topology, &bytes, None);
        let quantized = gradients(&student, &topology, &bytes, Some(&scales));
        for (i, (a, b)) in float.iter().zip(&quantized).enumerate() {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
            assert!(cosine > 0.9, "layer {i}: cosine {cosine}");
            let length = (dot(b, b) / dot(a, a)).sqrt();
            assert!((0.7..1.4).contains(&length), "layer {i}: length {length}");
        }
    }

    #[test]
    fn without_rounding_activations_saturate_where_the_engines_do() {
        let device = Default::default();
        <NdArray as Backend>::seed(&device, 6);
        let topology = Topology::two_scale(StudentSize::S);
        let student = Student::<NdArray>::new(&topology, 5, &device);
        let bytes = Tensor::<NdArray, 4>::random([1, 3, 16, 16], Distribution::Uniform(0.0, 255.0), &device).round();
        let scales = calibrate(&student, &topology, bytes.clone()).unwrap();
        let picture = |activations: Activations<'_>| {
            student.forward(&topology, bytes.clone(), Arithmetic { half: false, activations }).unwrap()
        };
        let apart = |a: &Tensor<NdArray, 4>, b: &Tensor<NdArray, 4>| (a.clone() - b.clone()).abs().mean().into_scalar();
        let [tight, wide] = [0.3, 100.0].map(|by| scales.iter().map(|scale| by * scale).collect::<Vec<f32>>());
        let float = picture(Activations::Float);
        assert_eq!(picture(Activations::Saturating(&wide)).into_data(), float.to_data());
        let (saturating, quantized) =
            (picture(Activations::Saturating(&tight)), picture(Activations::Quantized(&tight)));
        assert!(apart(&saturating, &float) > 2.0 * apart(&saturating, &quantized), "rounding alone sets them apart");
    }

    #[test]
    fn weights_that_are_not_finite_are_an_error() {
        let device = Default::default();
        let topology = Topology::two_scale(StudentSize::S);
        let mut student = Student::<NdArray>::new(&topology, 5, &device);
        let weight = student.layers[2].weight.val().mul_scalar(f32::NAN);
        student.layers[2].weight = burn::module::Param::from_tensor(weight);
        let scales = vec![0.01; topology.layers.len()];
        let bytes = Tensor::<NdArray, 4>::zeros([1, 3, 16, 16], &device);
        assert!(student.forward_quantized(&topology, bytes, &scales, false).is_err());
    }
}
