//! Quantization while training: rounding with a straight-through estimator, and the ranges of the activations. Where it
//! happens is in [`crate::net::quantized`].

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// `value` as it comes out, the gradient as if it were `x` (straight-through estimator, Bengio et al. 2013).
pub fn straight_through<B: Backend, const D: usize>(x: Tensor<B, D>, value: Tensor<B, D>) -> Tensor<B, D> {
    // In this order the sum is exactly `value`; `x + (value − x)` is off by a rounding.
    value.detach() + (x.clone() - x.detach())
}

/// A stored activation, in steps, ≥ 0 (after its ReLU), on its grid 0 ..= `limit`; no gradient where it saturates.
pub fn round_activation<B: Backend, const D: usize>(x: Tensor<B, D>, limit: i32) -> Tensor<B, D> {
    let x = x.clamp_max(limit as f32);
    straight_through(x.clone(), x.detach().round())
}

/// The output picture, in steps of 1/255, on the grid of bytes; the gradient passes where it saturates, so that it can
/// come back.
pub fn round_picture<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    straight_through(x.clone(), x.detach().clamp(0.0, 255.0).round())
}

/// The step at which `values` (≥ 0) lose least to quantization, to 0 ..= `limit` steps, in the mean square: candidates from
/// the largest value down to a fifth of it are tried on a histogram.
pub fn best_activation_scale(values: &[f32], limit: i32) -> f32 {
    const BINS: usize = 2048;
    const CANDIDATES: usize = 40;
    let limit = limit as f32;
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
    fn activations_round_to_even_saturate_at_127_steps_and_stop_the_gradient_there() {
        let device = Default::default();
        let x = Tensor::<B, 1>::from_data([0.0, 2.6, 2.5, 120.0, 500.0], &device).require_grad();
        let rounded = round_activation(x.clone(), 127);
        assert_eq!(rounded.to_data().iter::<f32>().collect::<Vec<_>>(), [0.0, 3.0, 2.0, 120.0, 127.0]);
        let gradients = rounded.sum().backward();
        let gradient: Vec<f32> = x.grad(&gradients).map(|g| g.to_data().iter().collect()).unwrap_or_default();
        assert_eq!(gradient[1..], [1.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn a_picture_saturates_at_bytes_and_keeps_its_gradient() {
        let device = Default::default();
        let x = Tensor::<B, 1>::from_data([-8.0, 100.2, 300.0], &device).require_grad();
        let rounded = round_picture(x.clone());
        assert_eq!(rounded.to_data().iter::<f32>().collect::<Vec<_>>(), [0.0, 100.0, 255.0]);
        let gradients = rounded.sum().backward();
        let gradient: Vec<f32> = x.grad(&gradients).map(|g| g.to_data().iter().collect()).unwrap_or_default();
        assert_eq!(gradient, [1.0; 3]);
    }

    #[test]
    fn a_lone_outlier_does_not_spend_the_range() {
        let mut values: Vec<f32> = (0..1_000_000).map(|i| (i % 1000) as f32 / 1000.0).collect();
        let even = best_activation_scale(&values, 127);
        assert!((even * 127.0 - 1.0).abs() < 0.02, "{even}");
        values.push(4.0);
        assert!(best_activation_scale(&values, 127) * 127.0 < 2.0);
    }
}
