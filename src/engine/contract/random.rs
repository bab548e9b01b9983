//! Networks with made-up weights, for tests and for measuring speed.

use super::{FloatNetwork, stored_limit};
use crate::engine::topology::Topology;

impl FloatNetwork {
    /// A network of seeded random weights, the same on every machine. What it draws is no picture, but every layer
    /// works: activations use their range without blowing up.
    pub fn random(topology: Topology, seed: u64) -> Self {
        let mut random = SplitMix(seed);
        let activation_scale = 1.5 / 127.0;
        let values = topology.layers.iter().map(|shape| {
            // Shortcuts bring their own range, and much on top of it would run away layer by layer.
            let gain = if shape.add.is_some() { 0.3 } else { 1.0 };
            let spread = gain * (1.0 / (shape.in_channels as f32 * 9.0)).sqrt();
            let weight: Vec<f32> = (0..shape.weights()).map(|_| random.uniform() * spread * 1.7).collect();
            let bias: Vec<f32> = (0..shape.out_channels).map(|_| random.uniform() * 0.2 + 0.1).collect();
            (weight, bias)
        });
        let values = values.collect();
        let scales: Vec<f32> = (0..topology.layers.len())
            .map(|layer| activation_scale * 127.0 / stored_limit(&topology, layer) as f32)
            .collect();
        Self::in_full_range(topology, values, &scales)
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
