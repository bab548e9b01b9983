//! Quantization while training: fake-quant at exactly the points of the export contract, with a straight-through
//! estimator, and the ranges of the activations.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use nijigen::engine::contract::{ACTIVATION_LIMIT, IMAGE_SCALE};

/// `value` as it comes out, the gradient as if it were `x` (straight-through estimator, Bengio et al. 2013).
fn straight_through<B: Backend, const D: usize>(x: Tensor<B, D>, value: Tensor<B, D>) -> Tensor<B, D> {
    x.clone() + (value - x).detach()
}

/// Weights `[oc, ic, 3, 3]` on their grid: symmetric, per output channel, ±`limit` steps.
pub fn fake_quantize_weight<B: Backend>(weight: Tensor<B, 4>, limit: i32) -> Tensor<B, 4> {
    let oc = weight.dims()[0];
    let fixed = weight.clone().detach();
    let largest = fixed.clone().abs().reshape([oc as i32, -1]).max_dim(1).reshape([oc, 1, 1, 1]);
    let scale = largest.div_scalar(limit).clamp_min(1e-12);
    let value = (fixed / scale.clone()).round() * scale;
    straight_through(weight, value)
}

/// A stored activation (after its ReLU) on its grid of 0 ..= 127 steps of `scale`; no gradient where it saturates.
pub fn fake_quantize_activation<B: Backend, const D: usize>(x: Tensor<B, D>, scale: f32) -> Tensor<B, D> {
    let x = x.clamp_max(scale * ACTIVATION_LIMIT as f32);
    let value = x.clone().detach().div_scalar(scale).round().mul_scalar(scale);
    straight_through(x, value)
}

/// The output picture in 0..1 on the grid of bytes; the gradient passes where it saturates, so that it can come back.
pub fn fake_quantize_output<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    let value = x.clone().detach().clamp(0.0, 1.0).div_scalar(IMAGE_SCALE).round().mul_scalar(IMAGE_SCALE);
    straight_through(x, value)
}

/// The step at which `values` (≥ 0) lose least to quantization in the mean square: candidates from the largest value
/// down to a fifth of it are tried on a histogram.
pub fn best_activation_scale(values: &[f32]) -> f32 {
    const BINS: usize = 2048;
    const CANDIDATES: usize = 40;
    let limit = ACTIVATION_LIMIT as f32;
    let largest = values.iter().fold(0.0_f32, |m, &v| m.max(v));
    if largest <= 0.0 {
        return 1.0 / limit;
    }
    let mut histogram = vec![0_u32; BINS];
    for &value in values {
        let bin = (value.max(0.0) / largest * BINS as f32) as usize;
        histogram[bin.min(BINS - 1)] += 1;
    }
    let loss = |scale: f32| -> f64 {
        histogram
            .iter()
            .enumerate()
            .map(|(bin, &count)| {
                let value = (bin as f32 + 0.5) / BINS as f32 * largest;
                // Within the range the error is uniform over a step; a bin is narrower than a step only sometimes,
                // so the expected error is used rather than that of the bin's centre.
                let error = (value - scale * limit).max(0.0);
                f64::from(count) * (f64::from(error).powi(2) + f64::from(scale).powi(2) / 12.0)
            })
            .sum()
    };
    (0..CANDIDATES)
        .map(|i| largest / limit * (1.0 - 0.8 * i as f32 / CANDIDATES as f32))
        .min_by(|a, b| loss(*a).total_cmp(&loss(*b)))
        .unwrap_or(largest / limit)
}

#[cfg(test)]
mod tests {
    use burn::backend::{Autodiff, NdArray};

    use super::*;

    type B = Autodiff<NdArray>;

    #[test]
    fn weights_land_on_their_grid_and_gradients_pass() {
        let device = Default::default();
        let weight = Tensor::<B, 4>::from_data([[[[0.5, -1.27, 0.004]]], [[[2.0, 0.1, -0.3]]]], &device).require_grad();
        let quantized = fake_quantize_weight(weight.clone(), 127);
        let values: Vec<f32> = quantized.to_data().iter().collect();
        for (value, expected) in values.iter().zip([0.5, -1.27, 0.0, 2.0, 6.0 * 2.0 / 127.0, -19.0 * 2.0 / 127.0]) {
            assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
        }
        let gradients = quantized.sum().backward();
        let gradient: Vec<f32> = weight.grad(&gradients).map(|g| g.to_data().iter().collect()).unwrap_or_default();
        assert_eq!(gradient, [1.0; 6]);
    }

    #[test]
    fn activations_saturate_at_127_steps_and_stop_the_gradient_there() {
        let device = Default::default();
        let x = Tensor::<B, 1>::from_data([0.0, 0.26, 12.0, 50.0], &device).require_grad();
        let quantized = fake_quantize_activation(x.clone(), 0.1);
        let values: Vec<f32> = quantized.to_data().iter().collect();
        for (value, expected) in values.iter().zip([0.0, 0.3, 12.0, 12.7]) {
            assert!((value - expected).abs() < 1e-5, "{value} is not {expected}");
        }
        let gradients = quantized.sum().backward();
        let gradient: Vec<f32> = x.grad(&gradients).map(|g| g.to_data().iter().collect()).unwrap_or_default();
        assert_eq!(gradient[1..], [1.0, 1.0, 0.0]);
    }

    #[test]
    fn a_lone_outlier_does_not_spend_the_range() {
        let mut values: Vec<f32> = (0..100_000).map(|i| (i % 1000) as f32 / 1000.0).collect();
        let even = best_activation_scale(&values);
        assert!((even * 127.0 - 1.0).abs() < 0.02, "{even}");
        values.push(4.0);
        assert!(best_activation_scale(&values) * 127.0 < 2.0);
    }
}
