//! Adaptive instance normalization (Huang and Belongie 2017): features take on the statistics of a style picture.

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, activation};
use rand_chacha::ChaCha8Rng;

use super::attention::random_matrix;

/// Values between a style's statistics and the scales and shifts made of them.
const HIDDEN: usize = 64;
/// Keeps a flat feature map's deviation above nought.
const EPSILON: f32 = 1e-5;

/// Turns a style's statistics into scales and shifts of several feature maps: the features that the statistics are of
/// (VGG's) are others than those that take them on, so a small network learns which belong together.
#[derive(Module, Debug)]
pub struct AdaIn<B: Backend> {
    /// `[statistics, hidden]`.
    hidden: Param<Tensor<B, 2>>,
    /// `[hidden]`.
    hidden_bias: Param<Tensor<B, 1>>,
    /// `[hidden, 2 · channels]` of each map.
    out: Vec<Param<Tensor<B, 2>>>,
}

impl<B: Backend> AdaIn<B> {
    /// Random weights for styles of so many statistics and feature maps of so many channels each.
    pub fn new(statistics: usize, maps: &[usize], rng: &mut ChaCha8Rng, device: &B::Device) -> Self {
        let deviation = (1.0 / statistics as f32).sqrt();
        let out_deviation = 0.5 * (1.0 / HIDDEN as f32).sqrt();
        Self {
            hidden: random_matrix((statistics, HIDDEN), deviation, rng, device),
            hidden_bias: Param::from_tensor(Tensor::zeros([HIDDEN], device)),
            out: maps.iter().map(|&map| random_matrix((HIDDEN, 2 * map), out_deviation, rng, device)).collect(),
        }
    }

    /// Scales (less one) and shifts `[b, 2 · channels, 1, 1]` of each map for statistics `[b, n]`.
    pub fn styles(&self, statistics: Tensor<B, 2>) -> Vec<Tensor<B, 4>> {
        let hidden = statistics.matmul(self.hidden.val()) + self.hidden_bias.val().unsqueeze();
        let hidden = activation::leaky_relu(hidden, 0.2);
        let of_map = |out: &Param<Tensor<B, 2>>| {
            let values = hidden.clone().matmul(out.val());
            let [b, n] = values.dims();
            values.reshape([b, n, 1, 1])
        };
        self.out.iter().map(of_map).collect()
    }
}

/// `x` with each channel scaled and shifted, its own statistics kept: for the finer scales, where a norm over the picture
/// would undo what the photo says.
pub fn modulate<B: Backend>(x: Tensor<B, 4>, style: Tensor<B, 4>) -> Tensor<B, 4> {
    let channels = x.dims()[1];
    let scale = style.clone().narrow(1, 0, channels).add_scalar(1.0);
    x * scale + style.narrow(1, channels, channels)
}

/// `x` with each channel's mean and deviation over the picture replaced by those of `style`.
pub fn apply<B: Backend>(x: Tensor<B, 4>, style: Tensor<B, 4>) -> Tensor<B, 4> {
    let (mean, deviation) = moments(x.clone());
    modulate((x - mean) / deviation, style)
}

/// Mean and deviation of each channel `[b, c, 1, 1]` over the picture.
pub fn moments<B: Backend>(x: Tensor<B, 4>) -> (Tensor<B, 4>, Tensor<B, 4>) {
    let mean = x.clone().mean_dim(3).mean_dim(2);
    let off = x - mean.clone();
    let variance = (off.clone() * off).mean_dim(3).mean_dim(2);
    (mean, variance.add_scalar(EPSILON).sqrt())
}

/// Means and deviations of features in one row per picture, `[b, 2 · c]`: what a style is known by.
pub fn statistics<B: Backend>(features: Tensor<B, 4>) -> Tensor<B, 2> {
    let (mean, deviation) = moments(features);
    let [b, c, _, _] = mean.dims();
    Tensor::cat(vec![mean.reshape([b, c]), deviation.reshape([b, c])], 1)
}

#[cfg(test)]
mod tests {
    use burn::backend::NdArray;
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn features_take_on_the_statistics_that_are_asked_for() {
        let device = Default::default();
        let x = Tensor::<NdArray, 4>::random([2, 3, 9, 7], Distribution::Normal(4.0, 3.0), &device);
        // Scales above one by 0.5, 1 and 2; shifts of 7, 8 and 9.
        let style = Tensor::<NdArray, 1>::from_floats([0.5, 1.0, 2.0, 7.0, 8.0, 9.0], &device);
        let styled = apply(x, style.reshape([1, 6, 1, 1]).repeat_dim(0, 2));
        let rows: Vec<f32> = statistics(styled).into_data().iter().collect();
        let expected = [7.0, 8.0, 9.0, 1.5, 2.0, 3.0];
        for (value, expected) in rows.iter().zip(expected.iter().cycle()) {
            assert!((value - expected).abs() < 1e-3, "{rows:?}");
        }
    }
}
