//! Self-attention over a feature map (Zhang et al. 2019, "SAGAN").

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Tensor, TensorData, activation};
use rand_chacha::ChaCha8Rng;

use super::student::normal;

/// What is looked at is averaged to this many places a side at most: cost and memory grow with the picture, not with its
/// square.
const PLACES: usize = 16;
/// Channels of queries and keys are those of the features over this.
const NARROWING: usize = 8;

/// Queries, keys and values as 1×1 convolutions; the result is added with a weight that begins at nought.
#[derive(Module, Debug)]
pub struct SelfAttention<B: Backend> {
    /// `[c, c/8]`.
    query: Param<Tensor<B, 2>>,
    /// `[c, c/8]`.
    key: Param<Tensor<B, 2>>,
    /// `[c, c]`.
    value: Param<Tensor<B, 2>>,
    /// `[1]`.
    gain: Param<Tensor<B, 1>>,
}

impl<B: Backend> SelfAttention<B> {
    /// Random weights for features of so many channels.
    pub fn new(channels: usize, rng: &mut ChaCha8Rng, device: &B::Device) -> Self {
        let mut random = |out: usize| random_matrix((channels, out), (1.0 / channels as f32).sqrt(), rng, device);
        let narrow = (channels / NARROWING).max(1);
        Self {
            query: random(narrow),
            key: random(narrow),
            value: random(channels),
            gain: Param::from_tensor(Tensor::zeros([1], device)),
        }
    }

    /// Features `[b, c, h, w]` with what each place sees in all others added.
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [b, c, h, w] = x.dims();
        let seen =
            if h.max(w) > PLACES { adaptive_avg_pool2d(x.clone(), [h.min(PLACES), w.min(PLACES)]) } else { x.clone() };
        let [_, _, seen_h, seen_w] = seen.dims();
        let tokens = |x: Tensor<B, 4>, places| x.permute([0, 2, 3, 1]).reshape([b, places, c]);
        let (from, to) = (tokens(x.clone(), h * w), tokens(seen, seen_h * seen_w));
        let through =
            |tokens: &Tensor<B, 3>, weight: &Param<Tensor<B, 2>>| tokens.clone().matmul(weight.val().unsqueeze());
        let (query, key, value) = (through(&from, &self.query), through(&to, &self.key), through(&to, &self.value));
        let scale = (query.dims()[2] as f32).sqrt();
        let weights = activation::softmax(query.matmul(key.swap_dims(1, 2)).div_scalar(scale), 2);
        let result = weights.matmul(value).reshape([b, h, w, c]).permute([0, 3, 1, 2]);
        x + result * self.gain.val().reshape([1, 1, 1, 1])
    }
}

/// A matrix `[in, out]` of normal numbers of that deviation.
pub(super) fn random_matrix<B: Backend>(
    sides: (usize, usize),
    deviation: f32,
    rng: &mut ChaCha8Rng,
    device: &B::Device,
) -> Param<Tensor<B, 2>> {
    let values: Vec<f32> = (0..sides.0 * sides.1).map(|_| deviation * normal(rng)).collect();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, [sides.0, sides.1]), device))
}
