//! Networks mixed by interpolating their weights (Wang et al. 2019, "Deep Network Interpolation for Continuous Imagery
//! Effect Transition"): what comes of it lies between them, and costs what one of them does. They must have grown from the
//! same weights: of others the same place does another work, and a mean of both does none.

use super::contract::{FloatNetwork, QuantizedNetwork, stored_limit};

/// The mean of `parts`, each with its share (above 0; they are brought to a sum of 1): weights are dequantized, averaged
/// and quantized anew per channel; an activation gets the largest of the parts' ranges, and eight bits where one of them has
/// it in so many.
///
/// # Errors
/// A clause that goes on from "these styles cannot be mixed: ".
pub(super) fn mix(parts: &[(&QuantizedNetwork, f32)]) -> Result<QuantizedNetwork, String> {
    let [(first, _), rest @ ..] = parts else { return Err("there are none".into()) };
    let mut topology = first.topology.clone();
    for (network, _) in rest {
        if network.topology.clone().with_seven_bits() != first.topology.clone().with_seven_bits() {
            return Err("their networks are of different sizes or shapes".into());
        }
        for (layer, other) in topology.layers.iter_mut().zip(&network.topology.layers) {
            layer.eight_bits |= other.eight_bits;
        }
    }
    let total: f32 = parts.iter().map(|(_, share)| share).sum();
    // Of what a layer stores, in the mixed network's steps.
    let own_scale = |network: &QuantizedNetwork, layer: usize| {
        let steps = |topology| stored_limit(topology, layer) as f32;
        network.scales[layer + 1] * (steps(&network.topology) / steps(&topology))
    };
    let scale = |layer: usize| parts.iter().map(|(network, _)| own_scale(network, layer)).fold(0.0, f32::max);
    let layers = topology.layers.iter().enumerate().map(|(i, shape)| {
        let per_channel = shape.in_channels * 9;
        let (mut weight, mut bias) = (vec![0.0; shape.weights()], vec![0.0; shape.out_channels]);
        for (network, share) in parts {
            let layer = &network.layers[i];
            for (channel, step) in layer.weight_scale.iter().enumerate() {
                let share = share / total;
                let weights = channel * per_channel..(channel + 1) * per_channel;
                for (sum, quantized) in weight[weights.clone()].iter_mut().zip(&layer.weight[weights]) {
                    *sum += share * step * f32::from(*quantized);
                }
                bias[channel] += share * layer.bias[channel] as f32 * (network.scales[shape.input] * step);
            }
        }
        (weight, bias)
    });
    let layers = layers.collect();
    let scales: Vec<f32> = (0..topology.layers.len()).map(scale).collect();
    FloatNetwork::in_full_range(topology, layers, &scales).quantize().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::engine::reference::Reference;
    use crate::engine::topology::{StudentSize, Topology};
    use crate::frame::Size;

    const SIZE: Size = Size::new(48, 32);

    /// A network, and one that has grown from it.
    fn kin() -> (FloatNetwork, FloatNetwork) {
        let base = FloatNetwork::random(Topology::two_scale(StudentSize::S), 5);
        let values = base.layers.iter().map(|layer| {
            let weights = layer.weight.iter().enumerate();
            let weights = weights.map(|(i, weight)| weight * (1.0 + 0.2 * ((i * 7 % 13) as f32 / 6.0 - 1.0)));
            (weights.collect(), layer.bias.iter().map(|bias| bias + 0.02).collect())
        });
        let scales: Vec<f32> = base.activation_scales().iter().map(|scale| scale * 1.1).collect();
        let other = FloatNetwork::in_full_range(base.topology.clone(), values.collect(), &scales);
        (base, other)
    }

    fn drawn(network: &QuantizedNetwork) -> Vec<u8> {
        let photo: Vec<u8> = (0..SIZE.rgb_len()).map(|i| (i * 31 % 233) as u8).collect();
        Reference::new(network).run(&photo, SIZE)
    }

    fn apart(a: &[u8], b: &[u8]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
    }

    #[test]
    fn a_mixture_lies_between_its_parts() {
        let (a, b) = kin();
        let (a, b) = (a.quantize().unwrap(), b.quantize().unwrap());
        let (of_a, of_b) = (drawn(&a), drawn(&b));
        let whole = apart(&of_a, &of_b);
        assert!(whole > 4.0, "the two draw nearly the same: {whole}");
        let mut last = 0.0;
        for share in [0.2, 0.4, 0.6, 0.8_f32] {
            let mixed = drawn(&mix(&[(&a, 1.0 - share), (&b, share)]).unwrap());
            let (from_a, from_b) = (apart(&mixed, &of_a), apart(&mixed, &of_b));
            assert!(from_a > last && from_a < whole && from_b < whole, "at {share}: {from_a} and {from_b} of {whole}");
            last = from_a;
        }
    }

    #[test]
    fn a_mixture_costs_what_one_does_and_has_the_larger_of_the_ranges() {
        let (a, b) = kin();
        let (a, b) = (a.quantize().unwrap(), b.quantize().unwrap());
        let mixed = mix(&[(&a, 0.8), (&b, 0.2)]).unwrap();
        assert_eq!((&mixed.topology, mixed.scales[0]), (&a.topology, a.scales[0]));
        // The second one's ranges are a tenth larger, however small its share; those of the photo and of the picture are fixed.
        let last = a.scales.len() - 1;
        for ((mixed, a), b) in mixed.scales.iter().zip(&a.scales).zip(&b.scales).take(last).skip(1) {
            assert!(b > a && mixed == b, "{mixed} of {a} and {b}");
        }
        assert_eq!(mixed.scales[last], a.scales[last]);
    }

    #[test]
    fn of_one_style_alone_or_twice_comes_that_style() {
        let (a, _) = kin();
        let a = a.quantize().unwrap();
        assert_eq!(drawn(&mix(&[(&a, 0.3)]).unwrap()), drawn(&a));
        let twice = mix(&[(&a, 0.3), (&a, 0.7)]).unwrap();
        assert!(apart(&drawn(&twice), &drawn(&a)) < 0.5);
    }

    #[test]
    fn seven_bits_mix_with_eight() {
        let (a, b) = kin();
        let seven = [&a, &b].map(|part| part.quantize().unwrap());
        let of_seven = mix(&[(&seven[0], 0.6), (&seven[1], 0.4)]).unwrap();
        let whole = apart(&drawn(&seven[0]), &drawn(&seven[1]));
        let topology = a.topology.clone().with_eight_bits_at_half();
        let scales = a.activation_scales().into_iter().enumerate();
        let scales = scales.map(|(i, scale)| scale * 127.0 / stored_limit(&topology, i) as f32);
        let scales: Vec<f32> = scales.collect();
        let values = a.layers.into_iter().map(|layer| (layer.weight, layer.bias));
        let finer = FloatNetwork::in_full_range(topology, values.collect(), &scales);
        let (finer, b) = (finer.quantize().unwrap(), b.quantize().unwrap());
        for parts in [[(&finer, 0.6), (&b, 0.4)], [(&b, 0.4), (&finer, 0.6)]] {
            let mixed = mix(&parts).unwrap();
            assert_eq!(mixed.topology, finer.topology);
            let apart = apart(&drawn(&mixed), &drawn(&of_seven));
            // Other steps round otherwise.
            assert!(apart < whole / 3.0, "{apart} of {whole}");
        }
    }

    #[test]
    fn sizes_do_not_mix() {
        let small = FloatNetwork::random(Topology::two_scale(StudentSize::S), 5).quantize().unwrap();
        let medium = FloatNetwork::random(Topology::two_scale(StudentSize::M), 5).quantize().unwrap();
        assert!(mix(&[(&small, 0.5), (&medium, 0.5)]).unwrap_err().contains("different sizes"));
    }
}
