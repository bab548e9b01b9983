//! What an ONNX file must be before tract is given it: small enough, of operators that draw pictures, with weights
//! that are numbers.
//!
//! A file may come from anywhere. tract turns many faults into errors and some into panics, which are caught; what
//! could not be caught, a demand for absurd amounts of memory, is refused here.

use prost::Message;
use tract_onnx::pb::{
    ModelProto, NodeProto, TensorProto,
    tensor_proto::{DataLocation, DataType},
};

use super::folding;
use super::graph::{Graph, attribute, called, declared_shape, declared_type};

/// The largest file, in bytes.
pub const MAX_FILE: u64 = 64 << 20;
/// The most nodes; the largest published generators have a few hundred.
const MAX_NODES: usize = 4096;
/// The largest kernel, stride, dilation or padding.
const MAX_WINDOW: i64 = 256;
/// The largest integer that gives a size to a tensor.
const MAX_DIMENSION: i64 = 1 << 16;
/// The most elements of a tensor whose size stands in the file.
const MAX_ELEMENTS: i64 = 1 << 26;

/// Operators that are taken. Control flow, random numbers, text, and what makes large tensors out of small ones are not
/// among them.
#[rustfmt::skip]
const OPERATORS: &[&str] = &[
    "Abs", "Add", "And", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant",
    "ConstantOfShape", "Conv", "ConvTranspose", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "Elu", "Equal",
    "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool",
    "Greater", "GreaterOrEqual", "GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization",
    "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LpNormalization", "MatMul", "Max", "MaxPool",
    "Mean", "MeanVarianceNormalization", "Min", "Mish", "Mul", "Neg", "Not", "Or", "PRelu", "Pad", "Pow",
    "QLinearConv", "QuantizeLinear", "Reciprocal", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum",
    "ReduceSumSquare", "Relu", "Reshape", "Resize", "Round", "Selu", "Shape", "Sigmoid", "Sign", "Slice", "Softmax",
    "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "ThresholdedRelu",
    "Transpose", "Unsqueeze", "Upsample", "Where",
];

/// Parses `bytes` and checks what can be checked without running anything.
///
/// # Errors
/// A clause that goes on from "the style …": what is wrong with the file.
pub(super) fn parse(bytes: &[u8]) -> Result<ModelProto, String> {
    if bytes.is_empty() {
        return Err("is empty".into());
    }
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("is larger than {} MiB", MAX_FILE >> 20));
    }
    let model = ModelProto::decode(bytes)
        .map_err(|_| "is not an ONNX file, or it is truncated; get it again from its source".to_owned())?;
    let Some(proto) = &model.graph else {
        return Err("is not an ONNX file, or it is truncated: it holds no network; get it again from its source".into());
    };
    if proto.node.is_empty() || proto.node.len() > MAX_NODES {
        return Err(format!("has {} operators; 1 to {MAX_NODES} are taken", proto.node.len()));
    }
    if !model.functions.is_empty() || !proto.sparse_initializer.is_empty() {
        return Err("uses functions or sparse weights, which are not taken".into());
    }
    for tensor in &proto.initializer {
        check_tensor(tensor)?;
    }
    let graph = Graph::new(proto);
    for node in &proto.node {
        check_node(&graph, node)?;
    }
    check_ends(&graph)?;
    folding::check(&graph)?;
    Ok(model)
}

fn check_node(graph: &Graph, node: &NodeProto) -> Result<(), String> {
    let op = node.op_type.as_str();
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return Err(format!("uses the operator {op} of {}, which only that runtime has", node.domain));
    }
    if OPERATORS.binary_search(&op).is_err() {
        return Err(format!("uses the operator {op}, which is not taken"));
    }
    for attribute in &node.attribute {
        if attribute.g.is_some() || !attribute.graphs.is_empty() {
            return Err(format!("has a network inside its operator {op}, which is not taken"));
        }
        attribute.t.iter().chain(&attribute.tensors).try_for_each(check_tensor)?;
    }
    for name in ["kernel_shape", "strides", "dilations", "pads", "output_padding"] {
        let values = attribute(node, name).map_or(&[][..], |a| &a.ints);
        let least = if matches!(name, "pads" | "output_padding") { 0 } else { 1 };
        if values.iter().any(|v| !(least..=MAX_WINDOW).contains(v)) {
            return Err(format!("has an operator {op} with {name} {values:?}, beyond {least} to {MAX_WINDOW}"));
        }
    }
    if matches!(op, "DepthToSpace" | "SpaceToDepth") {
        let block = attribute(node, "blocksize").map_or(0, |a| a.i);
        if !(1..=32).contains(&block) {
            return Err(format!("has an operator {op} with blocks of {block}, beyond 1 to 32"));
        }
    }
    if matches!(op, "QuantizeLinear" | "DequantizeLinear") {
        let scales = graph.floats(node, 1).unwrap_or_default();
        if let Some(scale) = scales.iter().find(|scale| !scale.is_normal() || **scale < 0.0) {
            return Err(format!("has an operator {} with the scale {scale}, which is not above 0", called(node)));
        }
    }
    check_growth(graph, node)
}

/// Operators whose output is as large as a number in the file says.
fn check_growth(graph: &Graph, node: &NodeProto) -> Result<(), String> {
    let op = node.op_type.as_str();
    let sizes = match op {
        "ConstantOfShape" => graph.ints(node, 0),
        "Expand" | "Reshape" => graph.ints(node, 1),
        "Pad" => {
            let pads = attribute(node, "pads").map(|a| a.ints.clone()).or_else(|| graph.ints(node, 1));
            if pads.iter().flatten().any(|p| !(-MAX_WINDOW..=MAX_WINDOW).contains(p)) {
                return Err(format!("pads by more than {MAX_WINDOW}"));
            }
            None
        }
        "Resize" | "Upsample" => {
            let scales = attribute(node, "scales").map(|a| a.floats.clone());
            let scales = scales.or_else(|| graph.floats(node, if node.input.len() > 2 { 2 } else { 1 }));
            if scales.iter().flatten().any(|s| !(*s > 0.0 && *s <= 32.0)) {
                return Err(format!("has an operator {op} that enlarges more than 32 times"));
            }
            graph.ints(node, 3)
        }
        _ => None,
    };
    let Some(sizes) = sizes else { return Ok(()) };
    let elements = sizes.iter().try_fold(1_i64, |product, size| product.checked_mul((*size).max(1)));
    if sizes.iter().any(|size| *size > MAX_DIMENSION) || elements.is_none_or(|e| e > MAX_ELEMENTS) {
        return Err(format!("has an operator {op} that makes a tensor of {sizes:?}, which is too large"));
    }
    Ok(())
}

/// One image in, one image out.
fn check_ends(graph: &Graph) -> Result<(), String> {
    let inputs: Vec<_> = graph.inputs().collect();
    let [input] = inputs[..] else {
        return Err(format!("has {} inputs; a style takes one image", inputs.len()));
    };
    let [output] = &graph.proto.output[..] else {
        return Err(format!("has {} outputs; a style gives one image", graph.proto.output.len()));
    };
    for (end, verb) in [(input, "takes"), (output, "gives")] {
        if declared_type(end).is_some_and(|t| t != DataType::Float as i32) {
            return Err(format!("{verb} something other than 32-bit floats"));
        }
        if let Some(shape) = declared_shape(end)
            && !shape.is_empty()
            && shape.len() != 4
        {
            return Err(format!("{verb} a tensor of {} dimensions; an image has 4", shape.len()));
        }
    }
    let shape = declared_shape(input).unwrap_or_default();
    if shape.iter().flatten().any(|d| *d > i64::from(crate::frame::MAX_SIDE)) {
        return Err(format!("takes a picture of {shape:?}, which is too large"));
    }
    if shape.first().copied().flatten().is_some_and(|batch| batch != 1) {
        return Err("takes several pictures at once; a style takes one".into());
    }
    Ok(())
}

fn check_tensor(tensor: &TensorProto) -> Result<(), String> {
    let name = &tensor.name;
    if tensor.data_location == Some(DataLocation::External as i32) {
        return Err("keeps its weights in another file; save it as one file".into());
    }
    let elements = tensor.dims.iter().try_fold(1_usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?));
    let kind = DataType::try_from(tensor.data_type).unwrap_or(DataType::Undefined);
    let (width, listed) = match kind {
        DataType::Float => (4, tensor.float_data.len()),
        DataType::Double => (8, tensor.double_data.len()),
        DataType::Int64 => (8, tensor.int64_data.len()),
        DataType::Int32 => (4, tensor.int32_data.len()),
        DataType::Float16 => (2, tensor.int32_data.len()),
        DataType::Int8 | DataType::Uint8 | DataType::Bool => (1, tensor.int32_data.len()),
        other => return Err(format!("has a tensor '{name}' of type {}, which is not taken", other.as_str_name())),
    };
    let held = if tensor.raw_data.is_empty() { Some(listed) } else { exact_div(tensor.raw_data.len(), width) };
    if elements.is_none() || elements != held {
        return Err(format!("is damaged: its tensor '{name}' has more or fewer numbers than it declares"));
    }
    if !finite(tensor, kind) {
        return Err(format!("has weights that are not finite, in its tensor '{name}'"));
    }
    Ok(())
}

fn exact_div(len: usize, width: usize) -> Option<usize> {
    len.is_multiple_of(width).then_some(len / width)
}

fn finite(tensor: &TensorProto, kind: DataType) -> bool {
    let raw = &tensor.raw_data;
    match kind {
        DataType::Float => {
            tensor.float_data.iter().all(|v| v.is_finite())
                && raw.as_chunks().0.iter().all(|bytes| f32::from_le_bytes(*bytes).is_finite())
        }
        DataType::Double => {
            tensor.double_data.iter().all(|v| v.is_finite())
                && raw.as_chunks().0.iter().all(|bytes| f64::from_le_bytes(*bytes).is_finite())
        }
        // Infinities and NaN are those with all five bits of the exponent set.
        DataType::Float16 => {
            tensor.int32_data.iter().all(|v| v & 0x7C00 != 0x7C00)
                && raw.as_chunks().0.iter().all(|bytes| u16::from_le_bytes(*bytes) & 0x7C00 != 0x7C00)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::engine::contract::FloatNetwork;
    use crate::engine::topology::Topology;

    #[test]
    fn the_list_of_operators_is_sorted() {
        assert!(OPERATORS.is_sorted());
    }

    fn tiny() -> ModelProto {
        let onnx = FloatNetwork::random(Topology::two_scale_with(2, 2, 2), 1).to_qdq_onnx().unwrap();
        parse(&onnx).unwrap()
    }

    #[test]
    fn faults_are_named() {
        let refused = |change: fn(&mut tract_onnx::pb::GraphProto)| {
            let mut model = tiny();
            change(model.graph.as_mut().unwrap());
            parse(&model.encode_to_vec()).unwrap_err()
        };
        assert!(refused(|g| g.node[3].op_type = "Loop".into()).contains("Loop"));
        assert!(refused(|g| g.node[3].domain = "com.microsoft".into()).contains("com.microsoft"));
        assert!(refused(|g| g.input.clear()).contains("0 inputs"));
        assert!(refused(|g| g.output.push(g.output[0].clone())).contains("2 outputs"));
        assert!(refused(|g| g.initializer[3].dims[0] = i64::MAX).contains("damaged"));
        assert!(refused(|g| g.initializer[3].dims[0] = -1).contains("damaged"));
        assert!(refused(|g| g.initializer[0].raw_data = f32::NAN.to_le_bytes().to_vec()).contains("not finite"));
        assert!(refused(|g| g.initializer[0].data_location = Some(1)).contains("another file"));
        let huge = |g: &mut tract_onnx::pb::GraphProto| {
            let conv = g.node.iter_mut().find(|n| n.op_type == "Conv").unwrap();
            conv.attribute.iter_mut().find(|a| a.name == "pads").unwrap().ints[0] = 1 << 40;
        };
        assert!(refused(huge).contains("pads"));
    }

    #[test]
    fn bytes_that_are_no_network_are_refused() {
        let onnx = tiny().encode_to_vec();
        assert_eq!(parse(b"").unwrap_err(), "is empty");
        for bad in [&onnx[..onnx.len() / 2], b"\x89PNG\r\n\x1a\n0000", &[0; 64], b"hello"] {
            assert!(parse(bad).unwrap_err().contains("not an ONNX file"), "{:?}", parse(bad));
        }
    }
}
