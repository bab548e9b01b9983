//! A quantized network packed for a kernel.

use super::layout::padded_channels;
use super::pack::{PackedLayer, pack};
use crate::engine::contract::QuantizedNetwork;
use crate::engine::kernels::Isa;
use crate::engine::topology::{TensorShape, Topology};

/// What the layers may keep, in bytes per pixel of the image: the largest student keeps 87, and at this limit a picture
/// of 1920×1080 takes 2 GB.
const MAX_BYTES_PER_PIXEL: f64 = 1024.0;

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
        net.check().map_err(|fault| fault.to_string())?;
        let topology = net.topology.clone();
        let shapes = topology.tensors()?;
        let per_pixel: f64 =
            shapes.iter().map(|shape| padded_channels(shape.channels) as f64 / f64::from(shape.scale()).powi(2)).sum();
        if per_pixel > MAX_BYTES_PER_PIXEL {
            return Err(format!(
                "its layers keep {per_pixel:.0} bytes for each pixel; {MAX_BYTES_PER_PIXEL} is the most"
            ));
        }
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
