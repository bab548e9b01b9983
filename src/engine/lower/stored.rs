//! How tensors and constants are stored as integers.

use tract_onnx::pb::{NodeProto, TensorProto, tensor_proto::DataType};

use crate::engine::graph::{Graph, called};

/// How a tensor is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quantization {
    pub(super) scale: f32,
    pub(super) kind: DataType,
}

impl Quantization {
    /// Of a `QuantizeLinear` or `DequantizeLinear` with one scale.
    pub(super) fn of(graph: &Graph<'_>, node: &NodeProto) -> Result<Self, String> {
        let fault = |what: &str| Err(format!("{} {what}", called(node)));
        refuse_attributes(node)?;
        let scale = graph.floats(node, 1).unwrap_or_default();
        let [scale] = scale[..] else { return fault("has not one scale that stands in the file") };
        if !scale.is_normal() || scale < 0.0 {
            return fault(&format!("has the scale {scale}, which is not above 0"));
        }
        // Without a zero point it is stored in u8.
        let Some(name) = node.input.get(2).filter(|name| !name.is_empty()) else {
            return Ok(Self { scale, kind: DataType::Uint8 });
        };
        let Some((kind, zeros)) = graph.constant(name).and_then(integers) else {
            return fault("has a zero point that does not stand in the file");
        };
        match zeros.iter().find(|zero| **zero != 0) {
            Some(zero) => fault(&format!("has the zero point {zero}; 0 is what is fused")),
            None => Ok(Self { scale, kind }),
        }
    }
}

/// A `QuantizeLinear` or `DequantizeLinear` means what is computed here if it has no attribute but its axis.
pub(super) fn refuse_attributes(node: &NodeProto) -> Result<(), String> {
    match node.attribute.iter().find(|attribute| attribute.name != "axis") {
        Some(other) => Err(format!("{} has the attribute {}, which is not fused", called(node), other.name)),
        None => Ok(()),
    }
}

/// The integers of a tensor of u8, i8 or i32.
pub(super) fn integers(tensor: &TensorProto) -> Option<(DataType, Vec<i32>)> {
    let kind = DataType::try_from(tensor.data_type).ok()?;
    let raw = &tensor.raw_data;
    let values: Vec<i32> = match kind {
        _ if raw.is_empty() => tensor.int32_data.clone(),
        DataType::Uint8 => raw.iter().map(|v| i32::from(*v)).collect(),
        DataType::Int8 => raw.iter().map(|v| i32::from(v.cast_signed())).collect(),
        DataType::Int32 => raw.as_chunks().0.iter().map(|v| i32::from_le_bytes(*v)).collect(),
        _ => return None,
    };
    // A file may list numbers that its type does not hold.
    let range = match kind {
        DataType::Uint8 => 0..=i32::from(u8::MAX),
        DataType::Int8 => i32::from(i8::MIN)..=i32::from(i8::MAX),
        DataType::Int32 => i32::MIN..=i32::MAX,
        _ => return None,
    };
    values.iter().all(|value| range.contains(value)).then_some((kind, values))
}

/// Constants brought back to floats by a `DequantizeLinear`.
pub(super) struct Stored {
    pub(super) kind: DataType,
    pub(super) dims: Vec<i64>,
    pub(super) values: Vec<i32>,
    pub(super) scales: Vec<f32>,
}

/// One scale for each channel; the numbers must fill them.
pub(super) fn per_channel(stored: &Stored, channels: usize) -> Option<Vec<f32>> {
    let elements: i64 = stored.dims.iter().product();
    if elements != stored.values.len() as i64 || stored.dims.first().copied() != i64::try_from(channels).ok() {
        return None;
    }
    match stored.scales[..] {
        [scale] => Some(vec![scale; channels]),
        _ => Some(stored.scales.clone()).filter(|scales| scales.len() == channels),
    }
}
