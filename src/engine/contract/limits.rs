//! How large quantized weights may be.
//!
//! AVX2 has no instruction that multiplies bytes and sums in 32 bits: `vpmaddubsw` sums two products in 16 bits, and what
//! does not fit is cut off. Seven bits times a weight of ±127 always fit twice. Of eight bits, 255·(v + w) must: a bound on
//! what two weights of one sign sum to, not on each of them. Trained weights seldom have two large ones of one sign side by
//! side, so their step is 4 to 6 dB finer than within ±63, which would bound each.

use crate::engine::topology::Topology;

/// Weights lie within ± this.
pub const WEIGHT_LIMIT: i32 = 127;
/// Two weights of one sign that multiply neighbouring bytes of eight bits sum to at most this: 255·128 fits 16 bits.
pub const PAIR_LIMIT: i32 = 128;

/// How large the weights of one output channel of a layer may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightLimits {
    /// Whether eight bits are read.
    eight_bits: bool,
    /// Which weights of `[in][3][3]` multiply neighbouring bytes, where these have eight bits.
    pairs: Vec<[usize; 2]>,
}

impl WeightLimits {
    /// Those of layer `layer`.
    ///
    /// The bytes of a window's row lie position by position, channels innermost; they are multiplied two and two. A pixel
    /// of the image takes three bytes; the channels of other tensors are padded to an even number.
    pub fn of(topology: &Topology, layer: usize) -> Self {
        let shape = &topology.layers[layer];
        let eight_bits = topology.reads_eight_bits(layer);
        let block = shape.space_to_depth;
        let channels = shape.in_channels / (block * block);
        let bytes = if shape.input == 0 { channels } else { channels.next_multiple_of(2) };
        let weight = |row: usize, byte: usize| {
            let (column, c) = (byte / bytes, byte % bytes);
            (column < 3 * block && c < channels).then(|| shape.weight_at(row, column, c))
        };
        let rows = if eight_bits { 3 * block } else { 0 };
        let pairs = (0..rows).flat_map(|row| {
            let firsts = (0..3 * block * bytes).step_by(2);
            firsts.filter_map(move |byte| Some([weight(row, byte)?, weight(row, byte + 1)?]))
        });
        Self { eight_bits, pairs: pairs.collect() }
    }

    /// The step at which `weights`, `[in][3][3]`, use the whole range.
    ///
    /// Never so small that `bias` would not fit its integer at `input_scale`, which happens where a channel has died.
    pub fn scale(&self, weights: &[f32], bias: f32, input_scale: f32) -> f32 {
        let largest = weights.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
        let sums = self.pairs.iter().map(|pair| pair.map(|i| weights[i])).filter(|[v, w]| v * w > 0.0);
        // Rounding adds half a step to each of two, which is the one that the limit of two has over that of one.
        let largest = sums.fold(largest, |m, [v, w]| m.max((v + w).abs()));
        let for_bias = bias.abs() / (input_scale * (super::BIAS_LIMIT / 2) as f32);
        (largest / WEIGHT_LIMIT as f32).max(for_bias).max(1e-12)
    }

    /// Whether `weights`, `[in][3][3]`, keep to the limits.
    ///
    /// # Errors
    /// What is wrong, going on from the layer's name.
    pub(super) fn check(&self, weights: &[i8]) -> Result<(), String> {
        if !self.eight_bits {
            return Ok(());
        }
        if weights.contains(&i8::MIN) {
            return Err(format!(
                "has a weight of {}; where eight bits are read, as those of the image, -{WEIGHT_LIMIT} is the least",
                i8::MIN
            ));
        }
        let pairs = self.pairs.iter().map(|pair| pair.map(|i| i32::from(weights[i])));
        match pairs.filter(|[v, w]| v * w > 0).find(|[v, w]| (v + w).abs() > PAIR_LIMIT) {
            Some([v, w]) => Err(format!(
                "has weights of {v} and {w} side by side; where eight bits are read, as those of the image, two of one sign \
                 sum to {PAIR_LIMIT} at most"
            )),
            None => Ok(()),
        }
    }
}

/// Round half to even(value / scale), clamped to ± [`WEIGHT_LIMIT`].
pub fn quantize_weight(value: f32, scale: f32) -> i8 {
    let limit = WEIGHT_LIMIT as f32;
    (value / scale).round_ties_even().clamp(-limit, limit) as i8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::engine::contract::FloatNetwork;
    use crate::engine::topology::{LayerShape, StudentSize};

    #[test]
    fn neighbours_are_those_of_the_kernels_bytes() {
        let topology = Topology::two_scale_with(4, 4, 4).with_eight_bits_at_half();
        let paired = |topology: &Topology| -> Vec<usize> {
            (0..topology.layers.len()).filter(|i| !WeightLimits::of(topology, *i).pairs.is_empty()).collect()
        };
        // The image's reader, and those of what the first layer, the one before the last two and the next to last store.
        assert_eq!(paired(&topology), [0, 1, 13, 14]);
        assert_eq!(paired(&topology.clone().with_seven_bits()), [0]);
        let image = WeightLimits::of(&topology, 0);
        // Red and green of the window's first pixel; its blue and the next one's red, which is three channels on.
        assert_eq!(image.pairs[..3], [[0, 9], [18, 27], [36, 45]]);
        // The third pixel is of the next tap.
        assert_eq!(image.pairs[3], [1, 10]);
        assert_eq!(image.pairs.len(), 6 * 9);
        assert_eq!(WeightLimits::of(&topology, 1).pairs[..2], [[0, 9], [18, 27]]);
    }

    #[test]
    fn an_odd_channel_has_no_neighbour() {
        let mut layers = vec![LayerShape::convolution(0, 3, 5), LayerShape::convolution(1, 5, 3)];
        layers[0].eight_bits = true;
        let limits = WeightLimits::of(&Topology { layers }, 1);
        assert_eq!(limits.pairs[..3], [[0, 9], [18, 27], [1, 10]]);
    }

    #[test]
    fn large_weights_of_unlike_sign_go_side_by_side() {
        let topology = Topology::two_scale(StudentSize::S);
        let limits = WeightLimits::of(&topology, 0);
        let mut weights = vec![0.0; 12 * 9];
        (weights[0], weights[9]) = (1.0, -1.0);
        assert_eq!(limits.scale(&weights, 0.0, 1.0), 1.0 / 127.0);
        weights[9] = 0.5;
        assert_eq!(limits.scale(&weights, 0.0, 1.0), 1.5 / 127.0);
    }

    #[test]
    fn what_uses_the_whole_range_keeps_to_the_limits() {
        for seed in 0..50 {
            let net = FloatNetwork::random(Topology::two_scale_with(4, 4, 4).with_eight_bits_at_half(), seed);
            let net = net.quantize().unwrap();
            net.check().unwrap();
            let largest = |layer: usize| net.layers[layer].weight.iter().map(|w| i32::from(*w).abs()).max().unwrap();
            assert_eq!(largest(4), WEIGHT_LIMIT);
            assert!((PAIR_LIMIT / 2..=WEIGHT_LIMIT).contains(&largest(1)), "{}", largest(1));
        }
    }

    #[test]
    fn what_breaks_the_limits_is_named() {
        let topology = Topology::two_scale(StudentSize::S);
        let limits = WeightLimits::of(&topology, 0);
        let mut weights = vec![0; 12 * 9];
        (weights[0], weights[9]) = (127, 2);
        assert!(limits.check(&weights).unwrap_err().contains("127 and 2 side by side"));
        weights[9] = 1;
        limits.check(&weights).unwrap();
        (weights[0], weights[9]) = (-64, -65);
        assert!(limits.check(&weights).unwrap_err().contains("128 at most"));
        (weights[0], weights[9]) = (127, -127);
        limits.check(&weights).unwrap();
        weights[50] = -128;
        assert!(limits.check(&weights).unwrap_err().contains("-127 is the least"));
        WeightLimits::of(&topology, 4).check(&vec![-128; topology.layers[4].in_channels * 9]).unwrap();
    }

    #[test]
    fn rounding_is_half_to_even() {
        let steps: Vec<i8> = [0.5, 1.5, 2.5, -0.5, -1.5, 900.0].iter().map(|v| quantize_weight(*v, 1.0)).collect();
        assert_eq!(steps, [0, 2, 2, 0, -2, 127]);
    }
}
