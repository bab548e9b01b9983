//! Spectral normalization (Miyato et al. 2018): a convolution whose weight is divided by its largest singular value, so
//! that the discriminator's slope stays bounded.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use rand_chacha::ChaCha8Rng;

use super::student::{ConvLayer, normal};

/// Keeps a norm of nought from being divided by, and its root from having an endless slope.
const EPSILON: f32 = 1e-12;

/// A 3×3 convolution's parameters with the direction in which its weight was last seen to be the largest.
#[derive(Module, Debug)]
pub struct SpectralConv<B: Backend> {
    /// Weight (not normalised) and bias.
    layer: ConvLayer<B>,
    /// The left singular vector `[oc]` as far as power iteration has come; not trained, but part of a checkpoint.
    direction: Param<Tensor<B, 1>>,
}

impl<B: Backend> SpectralConv<B> {
    /// Random weights and direction for `channels` (in, out), drawn from `rng`.
    pub fn new(channels: (usize, usize), rng: &mut ChaCha8Rng, device: &B::Device) -> Self {
        let direction: Vec<f32> = (0..channels.1).map(|_| normal(rng)).collect();
        // Their scale goes out by the norm; it only sets how fast Adam's equal steps turn them.
        let deviation = (1.0 / (channels.0 * 9) as f32).sqrt();
        let direction = Tensor::from_floats(direction.as_slice(), device);
        Self {
            layer: ConvLayer::random(channels, deviation, rng, device),
            direction: Param::from_tensor(unit(direction)).set_require_grad(false),
        }
    }

    /// The same with all biases at `value`.
    pub fn with_bias(mut self, value: f32) -> Self {
        self.layer.bias = self.layer.bias.map(|bias| bias.full_like(value).require_grad());
        self
    }

    /// One step of power iteration; for once per training step.
    pub fn advance(mut self) -> Self {
        let matrix = matrix(self.layer.weight.val().detach());
        self.direction = self.direction.map(|direction| {
            let [oc] = direction.dims();
            let right = unit(direction.detach().reshape([1, oc]).matmul(matrix.clone()).flatten(0, 1));
            let [taps] = right.dims();
            unit(matrix.matmul(right.reshape([taps, 1])).flatten(0, 1))
        });
        self
    }

    /// The weight over its largest singular value as far as it is known, and the bias.
    ///
    /// With the left direction u the value is |uᵀW|, whose gradient is that of uᵀWv for the right direction v held fixed.
    pub fn normalised(&self) -> (Tensor<B, 4>, Tensor<B, 1>) {
        let weight = self.layer.weight.val();
        let direction = self.direction.val();
        let [oc] = direction.dims();
        let along = direction.reshape([1, oc]).matmul(matrix(weight.clone()));
        let largest = (along.clone() * along).sum().add_scalar(EPSILON).sqrt();
        (weight / largest.reshape([1, 1, 1, 1]), self.layer.bias.val())
    }
}

/// A weight as a matrix of a row per output channel.
fn matrix<B: Backend>(weight: Tensor<B, 4>) -> Tensor<B, 2> {
    weight.flatten(1, 3)
}

fn unit<B: Backend>(vector: Tensor<B, 1>) -> Tensor<B, 1> {
    let length = (vector.clone() * vector.clone()).sum().add_scalar(EPSILON).sqrt();
    vector / length
}

#[cfg(test)]
mod tests {
    use burn::backend::{Autodiff, NdArray};
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    type B = Autodiff<NdArray>;

    fn conv() -> SpectralConv<B> {
        SpectralConv::new((4, 6), &mut ChaCha8Rng::seed_from_u64(3), &Default::default())
    }

    /// The largest singular value, by many rounds of power iteration on WᵀW in 64 bits.
    fn largest(weight: &Tensor<B, 4>) -> f64 {
        let w: Vec<f64> = weight.to_data().iter::<f64>().collect();
        let (rows, taps) = (6, w.len() / 6);
        let mut v = vec![1.0; taps];
        let mut norm = 0.0;
        for _ in 0..500 {
            let u: Vec<f64> = (0..rows).map(|r| (0..taps).map(|t| w[r * taps + t] * v[t]).sum()).collect();
            let next: Vec<f64> = (0..taps).map(|t| (0..rows).map(|r| w[r * taps + t] * u[r]).sum()).collect();
            norm = next.iter().map(|x| x * x).sum::<f64>().sqrt();
            v = next.iter().map(|x| x / norm).collect();
        }
        norm.sqrt()
    }

    #[test]
    fn power_iteration_brings_the_largest_singular_value_to_one() {
        let mut conv = conv();
        let before = largest(&conv.normalised().0);
        assert!(before > 1.02, "at a random direction it is underestimated: {before}");
        for _ in 0..100 {
            conv = conv.advance();
        }
        assert!((largest(&conv.normalised().0) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn the_gradient_takes_the_norm_into_account() {
        let conv = (0..100).fold(conv(), |conv, _| conv.advance());
        let (weight, _) = conv.normalised();
        let probe = Tensor::<B, 4>::ones(weight.dims(), &Default::default());
        let gradients = (weight * probe).sum().backward();
        let raw = conv.layer.weight.val();
        let gradient = raw.grad(&gradients).map(|g| g.into_data());
        // A larger weight gives the same normalised one: the gradient is orthogonal to the weight.
        let dot: f64 =
            gradient.iter().flat_map(|g| g.iter::<f64>()).zip(raw.to_data().iter::<f64>()).map(|(g, w)| g * w).sum();
        assert!(gradient.is_some() && dot.abs() < 1e-4, "{dot}");
        assert!(conv.direction.val().grad(&gradients).is_none());
    }
}
