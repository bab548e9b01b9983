//! Writing a network as ONNX with standard operators only: `SpaceToDepth`, `Conv`, `DepthToSpace`, `Add`, `Relu`,
//! `QuantizeLinear`, `DequantizeLinear` (and `Clip` in the float file). ONNX's `SpaceToDepth` and the `DCR` mode of
//! `DepthToSpace` have the contract's channel order.

use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};

use super::{FloatNetwork, QuantizedNetwork};
use crate::engine::topology::{LayerShape, Topology};

/// Operator set 13 brought quantization per axis; every runtime of today reads it.
const OPSET: i64 = 13;
/// The file format that goes with it.
const IR_VERSION: i64 = 7;

pub(super) fn qdq(net: &QuantizedNetwork) -> Vec<u8> {
    let mut graph = Graph::default();
    let input = graph.quantize("image", "input".into(), net.scales[0], Stored::EightBits);
    let last = net.layers.len() - 1;
    let end = graph.layers(
        &net.topology,
        input,
        |graph, i, x| {
            let layer = &net.layers[i];
            let name = layer_name(i);
            let shape = &net.topology.layers[i];
            let weight = graph.per_channel(
                &format!("{name}.weight"),
                weight_tensor(shape, DataType::Int8, layer.weight.iter().map(|w| *w as u8).collect()),
                &layer.weight_scale,
                zeros(DataType::Int8, layer.weight_scale.len()),
            );
            // The product is the one by which the bias was quantized.
            let scale: Vec<f32> = layer.weight_scale.iter().map(|s| net.scales[shape.input] * s).collect();
            let bias = graph.per_channel(
                &format!("{name}.bias"),
                tensor(DataType::Int32, &[layer.bias.len()], layer.bias.iter().flat_map(|b| b.to_le_bytes()).collect()),
                &scale,
                zeros(DataType::Int32, scale.len()),
            );
            graph.conv(&name, shape, x, weight, bias)
        },
        |graph, i, x| {
            let eight_bits = i == last || net.topology.layers[i].eight_bits;
            let stored = if eight_bits { Stored::EightBits } else { Stored::SevenBits };
            graph.quantize(&layer_name(i), x, net.scales[i + 1], stored)
        },
    );
    graph.finish(end, net.topology.layers[last].stored_channels())
}

pub(super) fn float(net: &FloatNetwork) -> Vec<u8> {
    let mut graph = Graph::default();
    let end = graph.layers(
        &net.topology,
        "input".into(),
        |graph, i, x| {
            let (shape, layer) = (&net.topology.layers[i], &net.layers[i]);
            let name = layer_name(i);
            let weight = weight_tensor(shape, DataType::Float, float_bytes(&layer.weight));
            let weight = graph.constant(format!("{name}.weight"), weight);
            let bias = tensor(DataType::Float, &[layer.bias.len()], float_bytes(&layer.bias));
            let bias = graph.constant(format!("{name}.bias"), bias);
            graph.conv(&name, shape, x, weight, bias)
        },
        |_, _, x| x,
    );
    let lowest = graph.constant("black".into(), tensor(DataType::Float, &[], float_bytes(&[0.0])));
    let highest = graph.constant("white".into(), tensor(DataType::Float, &[], float_bytes(&[1.0])));
    let end = graph.node("Clip", "clip".into(), vec![end, lowest, highest], vec![]);
    graph.finish(end, net.topology.layers.last().map_or(3, LayerShape::stored_channels))
}

fn layer_name(i: usize) -> String {
    format!("layer{i:02}")
}

/// Which integers a tensor is stored in.
enum Stored {
    /// u8
    EightBits,
    /// i8, of which ReLU leaves 0..=127
    SevenBits,
}

/// A graph being written; tensors are named after the node that makes them.
#[derive(Default)]
struct Graph {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

impl Graph {
    /// Wires all layers from the tensor `input`: `conv` makes a layer's convolution, `store` what stands behind its
    /// ReLU. Returns the last tensor.
    fn layers(
        &mut self,
        topology: &Topology,
        input: String,
        conv: impl Fn(&mut Self, usize, String) -> String,
        store: impl Fn(&mut Self, usize, String) -> String,
    ) -> String {
        let mut tensors = vec![input];
        for (i, layer) in topology.layers.iter().enumerate() {
            let name = layer_name(i);
            let mut x = tensors[layer.input].clone();
            if layer.space_to_depth > 1 {
                let block = int("blocksize", layer.space_to_depth as i64);
                x = self.node("SpaceToDepth", format!("{name}.s2d"), vec![x], vec![block]);
            }
            x = conv(self, i, x);
            if layer.depth_to_space > 1 {
                let attributes = vec![int("blocksize", layer.depth_to_space as i64), text("mode", "DCR")];
                x = self.node("DepthToSpace", format!("{name}.d2s"), vec![x], attributes);
            }
            if let Some(other) = layer.add {
                x = self.node("Add", format!("{name}.add"), vec![x, tensors[other].clone()], vec![]);
            }
            if i + 1 < topology.layers.len() {
                x = self.node("Relu", format!("{name}.relu"), vec![x], vec![]);
            }
            tensors.push(store(self, i, x));
        }
        tensors.swap_remove(topology.layers.len())
    }

    fn conv(&mut self, name: &str, shape: &LayerShape, x: String, weight: String, bias: String) -> String {
        let stride = shape.stride as i64;
        let attributes = vec![
            ints("dilations", &[1, 1]),
            int("group", 1),
            ints("kernel_shape", &[3, 3]),
            ints("pads", &[1, 1, 1, 1]),
            ints("strides", &[stride, stride]),
        ];
        self.node("Conv", format!("{name}.conv"), vec![x, weight, bias], attributes)
    }

    /// `QuantizeLinear` and `DequantizeLinear` with one scale and zero point 0; returns the tensor in floats again.
    fn quantize(&mut self, name: &str, x: String, scale: f32, stored: Stored) -> String {
        let kind = match stored {
            Stored::EightBits => DataType::Uint8,
            Stored::SevenBits => DataType::Int8,
        };
        let scale = self.constant(format!("{name}.scale"), tensor(DataType::Float, &[], float_bytes(&[scale])));
        let zero = self.constant(format!("{name}.zero_point"), tensor(kind, &[], vec![0]));
        let q = self.node("QuantizeLinear", format!("{name}.q"), vec![x, scale.clone(), zero.clone()], vec![]);
        self.node("DequantizeLinear", format!("{name}.dq"), vec![q, scale, zero], vec![])
    }

    /// Integers with a scale per output channel, brought back to floats by `DequantizeLinear` along axis 0.
    fn per_channel(&mut self, name: &str, values: TensorProto, scale: &[f32], zero: TensorProto) -> String {
        let values = self.constant(name.into(), values);
        let scale = tensor(DataType::Float, &[scale.len()], float_bytes(scale));
        let scale = self.constant(format!("{name}_scale"), scale);
        let zero = self.constant(format!("{name}_zero_point"), zero);
        self.node("DequantizeLinear", format!("{name}.dq"), vec![values, scale, zero], vec![int("axis", 0)])
    }

    fn constant(&mut self, name: String, tensor: TensorProto) -> String {
        self.initializers.push(TensorProto { name: name.clone(), ..tensor });
        name
    }

    /// Appends a node of one output, which is named like the node.
    fn node(&mut self, op: &str, name: String, input: Vec<String>, attribute: Vec<AttributeProto>) -> String {
        self.nodes.push(NodeProto {
            op_type: op.into(),
            name: name.clone(),
            input,
            output: vec![name.clone()],
            attribute,
            ..Default::default()
        });
        name
    }

    /// The file, with `end`, which has so many channels, renamed to `output`.
    fn finish(mut self, end: String, channels: usize) -> Vec<u8> {
        for node in &mut self.nodes {
            node.output.iter_mut().filter(|name| **name == end).for_each(|name| *name = "output".into());
        }
        let graph = GraphProto {
            name: "nijigen".into(),
            node: self.nodes,
            initializer: self.initializers,
            input: vec![image("input", 3)],
            output: vec![image("output", channels)],
            ..Default::default()
        };
        let model = ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            producer_name: "nijigen-train".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(graph),
            ..Default::default()
        };
        model.encode_to_vec()
    }
}

/// f32 `[1, channels, height, width]`.
fn image(name: &str, channels: usize) -> ValueInfoProto {
    let dim = |value| Dimension { denotation: String::new(), value: Some(value) };
    let dims = vec![
        dim(dimension::Value::DimValue(1)),
        dim(dimension::Value::DimValue(channels as i64)),
        dim(dimension::Value::DimParam("height".into())),
        dim(dimension::Value::DimParam("width".into())),
    ];
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(TensorShapeProto { dim: dims }) };
    let r#type = TypeProto { denotation: String::new(), value: Some(type_proto::Value::TensorType(tensor)) };
    ValueInfoProto { name: name.into(), r#type: Some(r#type), doc_string: String::new() }
}

fn tensor(kind: DataType, dims: &[usize], raw_data: Vec<u8>) -> TensorProto {
    let dims = dims.iter().map(|d| *d as i64).collect();
    TensorProto { dims, data_type: kind as i32, raw_data, ..Default::default() }
}

fn weight_tensor(shape: &LayerShape, kind: DataType, raw_data: Vec<u8>) -> TensorProto {
    tensor(kind, &[shape.out_channels, shape.in_channels, 3, 3], raw_data)
}

fn zeros(kind: DataType, len: usize) -> TensorProto {
    let width = if kind == DataType::Int8 { 1 } else { 4 };
    tensor(kind, &[len], vec![0; len * width])
}

fn float_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i: value, ..Default::default() }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Ints as i32, ints: values.into(), ..Default::default() }
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::String as i32, s: value.into(), ..Default::default() }
}
