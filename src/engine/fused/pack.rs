//! A layer's numbers in the order in which the kernels read them.

use super::layout::{Reading, padded_channels};
use crate::engine::contract::QuantizedNetwork;
use crate::engine::kernels::{Group, Isa, LANES, MAX_VECTORS, WeightVector};

/// A layer ready to run, at any size.
pub(super) struct PackedLayer {
    /// Its output channels, [`MAX_VECTORS`] vectors at a time.
    pub(super) groups: Vec<PackedGroup>,
    /// The shortcut's factor; 0 where nothing is added.
    pub(super) shortcut: f32,
    /// The largest value that it stores.
    pub(super) highest: f32,
}

/// Neighbouring vectors of output channels.
pub(super) struct PackedGroup {
    /// The number of vectors before it.
    pub(super) first: usize,
    /// Its numbers.
    pub(super) group: Group,
}

/// Which of a convolution's output channels each lane computes; `None` pads.
fn lanes(out_channels: usize, block: usize, is_picture: bool) -> Vec<Option<usize>> {
    if is_picture {
        // A pixel's colours lie side by side, and so do the pixels of a block's row.
        return (0..padded_channels(out_channels)).map(|lane| Some(lane).filter(|lane| *lane < out_channels)).collect();
    }
    let stored = out_channels / (block * block);
    let padded = padded_channels(stored);
    (0..block * block).flat_map(|place| (0..padded).map(move |c| (c < stored).then_some(place * stored + c))).collect()
}

/// How many vectors each group has: as many as go together, and never one alone beside three.
fn group_sizes(vectors: usize) -> Vec<usize> {
    let mut sizes = vec![MAX_VECTORS; vectors / MAX_VECTORS];
    match vectors % MAX_VECTORS {
        0 => {}
        1 if vectors > 1 => {
            sizes.pop();
            sizes.extend([2, 2]);
        }
        rest => sizes.push(rest),
    }
    sizes
}

/// Packs layer `layer` of `net`, for a tensor in front of it whose positions are `input_bytes` long and hold
/// `input_channels` channels.
pub(super) fn pack(
    net: &QuantizedNetwork,
    layer: usize,
    input_channels: usize,
    input_bytes: usize,
    isa: Isa,
) -> PackedLayer {
    let (shape, quantized) = (&net.topology.layers[layer], &net.layers[layer]);
    let (reading, epilogue) = (Reading::of(shape), net.epilogue(layer));
    let quads = (reading.side * input_bytes).div_ceil(4);
    let weight = |oc: usize, row: usize, byte: usize| {
        let (column, c) = (byte / input_bytes, byte % input_bytes);
        if column >= reading.side || c >= input_channels {
            return 0;
        }
        quantized.weight[oc * shape.in_channels * 9 + shape.weight_at(row, column, c)]
    };
    let flip = if net.topology.reads_eight_bits(layer) { i32::from(isa.eight_bit_flip()) } else { 0 };
    let lanes = lanes(shape.out_channels, shape.depth_to_space, layer + 1 == net.layers.len());
    let vectors: Vec<&[Option<usize>]> = lanes.chunks_exact(LANES).collect();
    let mut first = 0;
    let groups = group_sizes(vectors.len()).into_iter().map(|size| {
        let own = &vectors[first..first + size];
        let mut weights = Vec::with_capacity(reading.side * quads * size);
        for row in 0..reading.side {
            for quad in 0..quads {
                weights.extend(own.iter().map(|lanes| {
                    let mut packed = [0; 4 * LANES];
                    for (to, lane) in packed.as_chunks_mut::<4>().0.iter_mut().zip(*lanes) {
                        if let Some(oc) = lane {
                            *to = std::array::from_fn(|byte| weight(*oc, row, quad * 4 + byte));
                        }
                    }
                    WeightVector(packed)
                }));
            }
        }
        let initial = |oc: usize| {
            let per_channel = shape.in_channels * 9;
            flip * quantized.weight[oc * per_channel..][..per_channel].iter().map(|w| i32::from(*w)).sum::<i32>()
        };
        let group = Group {
            weights,
            initial: own.iter().map(|lanes| per_lane(lanes, initial)).collect(),
            multiplier: own.iter().map(|lanes| per_lane(lanes, |oc| epilogue.multiplier[oc])).collect(),
            bias: own.iter().map(|lanes| per_lane(lanes, |oc| epilogue.bias[oc])).collect(),
        };
        let packed = PackedGroup { first, group };
        first += size;
        packed
    });
    PackedLayer { groups: groups.collect(), shortcut: epilogue.shortcut, highest: epilogue.highest }
}

fn per_lane<T: Default + Copy>(lanes: &[Option<usize>], value: impl Fn(usize) -> T) -> [T; LANES] {
    let mut values = [T::default(); LANES];
    for (to, lane) in values.iter_mut().zip(lanes) {
        if let Some(oc) = lane {
            *to = value(*oc);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_vector_is_left_alone() {
        assert_eq!(group_sizes(1), [1]);
        assert_eq!(group_sizes(2), [2]);
        assert_eq!(group_sizes(3), [3]);
        assert_eq!(group_sizes(4), [2, 2]);
        assert_eq!(group_sizes(5), [3, 2]);
        assert_eq!(group_sizes(7), [3, 2, 2]);
        assert_eq!(group_sizes(12), [3, 3, 3, 3]);
    }

    #[test]
    fn the_picture_is_not_padded_between_its_pixels() {
        assert_eq!(lanes(12, 2, true)[..13], [&(0..12).map(Some).collect::<Vec<_>>()[..], &[None]].concat());
        assert_eq!(lanes(8, 2, false).len(), 4 * LANES);
        assert_eq!(lanes(8, 2, false)[16..19], [Some(2), Some(3), None]);
    }
}
