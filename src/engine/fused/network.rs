//! A quantized network packed for a kernel.

use super::layout::padded_channels;
use super::pack::{PackedLayer, pack};
use crate::engine::contract::QuantizedNetwork;
use crate::engine::kernels::Isa;
use crate::engine::topology::{TensorShape, Topology};

/// What all plans of a generator share.
pub(super) struct Network {
    pub(super) topology: Topology,
    /// Every tensor's shape: the image first.
    pub(super) shapes: Vec<TensorShape>,
    pub(super) packed: Vec<PackedLayer>,
}

impl Network {
    /// # Errors
    /// A sentence that names the layer that cannot be fused.
    pub(super) fn new(net: &QuantizedNetwork, isa: Isa) -> Result<Self, String> {
        let topology = net.topology.clone();
        let shapes = topology.tensors()?;
        let last = topology.layers.len() - 1;
        for (i, layer) in topology.layers.iter().enumerate() {
            if layer.add == Some(0) && i != last {
                return Err(format!("layer {i} adds the image, which only the last one may"));
            }
        }
        let packed = (0..=last).map(|i| {
            let input = topology.layers[i].input;
            let channels = shapes[input].channels;
            // The image's pixels are not padded.
            let bytes = if input == 0 { channels } else { padded_channels(channels) };
            pack(net, i, channels, bytes, isa)
        });
        let packed = packed.collect();
        Ok(Self { topology, shapes, packed })
    }
}
