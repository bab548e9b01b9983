//! A wider student that draws what a narrower one draws, so that it need not begin anew.
//!
//! The narrower one's channels keep their weights and read nothing of the new channels; these begin with random weights,
//! are read by each other, and soon by the old ones (in the manner of Chen et al. 2016, "Net2Net", section 2.3; that
//! splits channels, whose copies must then grow apart).

use nijigen::engine::contract::FloatNetwork;
use nijigen::engine::topology::{LayerShape, Topology};

use super::student::random;

/// `narrow` in `topology`, with the same activation ranges; new weights are drawn with `seed`.
///
/// # Errors
/// A sentence, where `topology` does not have the same layers with as many channels or more.
pub fn widen(narrow: &FloatNetwork, topology: &Topology, seed: u64) -> Result<FloatNetwork, String> {
    let shapes = || narrow.topology.layers.iter().zip(&topology.layers);
    let alike = |(from, to): (&LayerShape, &LayerShape)| {
        let channels = LayerShape { in_channels: from.in_channels, out_channels: from.out_channels, ..*to };
        channels == *from && from.in_channels <= to.in_channels && from.out_channels <= to.out_channels
    };
    if narrow.topology.layers.len() != topology.layers.len() || !shapes().all(alike) {
        return Err("the student does not have the same layers with as many channels or more".into());
    }
    let mut values = random(topology, seed);
    for (((from, to), layer), (weight, bias)) in shapes().zip(&narrow.layers).zip(&mut values) {
        let input = |ic| place(ic, from.in_channels, to.in_channels, to.space_to_depth);
        for oc in 0..from.out_channels {
            let at = place(oc, from.out_channels, to.out_channels, to.depth_to_space);
            bias[at] = layer.bias[oc];
            let row = &mut weight[at * to.in_channels * 9..(at + 1) * to.in_channels * 9];
            row.fill(0.0);
            for ic in 0..from.in_channels {
                let taps = (oc * from.in_channels + ic) * 9;
                row[input(ic) * 9..input(ic) * 9 + 9].copy_from_slice(&layer.weight[taps..taps + 9]);
            }
        }
    }
    Ok(FloatNetwork::in_full_range(topology.clone(), values, &narrow.activation_scales()))
}

/// Where channel `channel` of `narrow` lies among `wide` ones, if both are the channels of a block's pixels: pixel by
/// pixel, each with all of its channels.
fn place(channel: usize, narrow: usize, wide: usize, block: usize) -> usize {
    let (narrow, wide) = (narrow / (block * block), wide / (block * block));
    channel / narrow * wide + channel % narrow
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use nijigen::engine::reference::Reference;
    use nijigen::frame::Size;

    use super::*;

    /// Narrow, wide, wide with fewer channels at a quarter than the narrow one.
    fn topologies() -> [Topology; 3] {
        let of = |half, quarter, coarse| Topology::two_scale_with(half, quarter, coarse).with_person_mask();
        [of(4, 6, 8), of(6, 8, 12), of(6, 5, 12)]
    }

    #[test]
    fn a_wider_student_draws_the_same_picture() {
        let [narrow, wide, _] = topologies();
        let narrow = FloatNetwork::random(narrow, 3);
        let photo: Vec<u8> = (0..32 * 24 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let draw = |net: &FloatNetwork| Reference::new(&net.quantize().unwrap()).run(&photo, Size::new(32, 24));
        let widened = widen(&narrow, &wide, 1).unwrap();
        assert_eq!(widened.topology, wide);
        assert_eq!(draw(&narrow), draw(&widened));
        assert!(draw(&narrow).iter().any(|&v| v != draw(&narrow)[0]), "a picture of many values");
    }

    #[test]
    fn its_new_channels_are_alive_and_differ_by_seed() {
        let [narrow, wide, _] = topologies();
        let narrow = FloatNetwork::random(narrow, 3);
        let of = |seed| widen(&narrow, &wide, seed).unwrap().layers[2].weight.clone();
        assert_ne!(of(1), of(2));
        assert_eq!(of(1), of(1));
        assert!(of(1)[6 * 8 * 9..].iter().all(|w| *w != 0.0), "rows of new channels");
    }

    #[test]
    fn fewer_channels_are_refused() {
        let [narrow, wide, other] = topologies();
        let narrow = FloatNetwork::random(narrow, 3);
        for unfit in [other, wide.clone().with_eight_bits_at_half(), Topology { layers: wide.layers[..9].to_vec() }] {
            assert!(widen(&narrow, &unfit, 1).is_err());
        }
    }
}
