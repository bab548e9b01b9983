//! Networks with made-up weights, for tests and for measuring speed.

use super::{FloatLayer, FloatNetwork, IMAGE_SCALE, stored_limit, weight_limit, weight_scale};
use crate::engine::topology::Topology;

impl FloatNetwork {
    /// A network of seeded random weights, the same on every machine. What it draws is no picture, but every layer
    /// works: activations use their range without blowing up.
    pub fn random(topology: Topology, seed: u64) -> Self {
        let mut random = SplitMix(seed);
        let activation_scale = 1.5 / 127.0;
        let layers = topology.layers.iter().enumerate().map(|(i, shape)| {
            let stored_scale = |layer: usize| activation_scale * 127.0 / stored_limit(&topology, layer) as f32;
            let input_scale = if shape.input == 0 { IMAGE_SCALE } else { stored_scale(shape.input - 1) };
            // Shortcuts bring their own range, and much on top of it would run away layer by layer.
            let gain = if shape.add.is_some() { 0.3 } else { 1.0 };
            let spread = gain * (1.0 / (shape.in_channels as f32 * 9.0)).sqrt();
            let weight: Vec<f32> = (0..shape.weights()).map(|_| random.uniform() * spread * 1.7).collect();
            let bias: Vec<f32> = (0..shape.out_channels).map(|_| random.uniform() * 0.2 + 0.1).collect();
            let limit = weight_limit(&topology, i);
            let weight_scale = weight
                .chunks_exact(shape.in_channels * 9)
                .zip(&bias)
                .map(|(channel, bias)| weight_scale(channel, limit, *bias, input_scale))
                .collect();
            FloatLayer { weight, bias, weight_scale, activation_scale: stored_scale(i) }
        });
        let layers = layers.collect();
        Self { topology, layers }
    }
}

/// Steele et al. 2014, "Fast splittable pseudorandom number generators".
struct SplitMix(u64);

impl SplitMix {
    /// Uniform in [-1, 1).
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}
