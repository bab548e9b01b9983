//! Reading an ONNX graph as it stands in the file, before tract.

use std::collections::HashMap;

use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto::DataType, tensor_shape_proto,
    type_proto,
};

/// An ONNX graph with its tensors indexed by name.
pub(super) struct Graph<'a> {
    pub(super) proto: &'a GraphProto,
    constants: HashMap<&'a str, &'a TensorProto>,
    producers: HashMap<&'a str, &'a NodeProto>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(proto: &'a GraphProto) -> Self {
        let stored = proto.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor));
        let written = proto
            .node
            .iter()
            .filter(|node| node.op_type == "Constant")
            .filter_map(|node| Some((node.output.first()?.as_str(), attribute(node, "value")?.t.as_ref()?)));
        let producers = proto.node.iter().flat_map(|node| node.output.iter().map(move |name| (name.as_str(), node)));
        Self { proto, constants: stored.chain(written).collect(), producers: producers.collect() }
    }

    /// The graph's inputs that are no stored weights (old files list those as inputs too).
    pub(super) fn inputs(&self) -> impl Iterator<Item = &'a ValueInfoProto> {
        self.proto.input.iter().filter(|input| !self.constants.contains_key(input.name.as_str()))
    }

    pub(super) fn constant(&self, name: &str) -> Option<&'a TensorProto> {
        self.constants.get(name).copied()
    }

    pub(super) fn producer(&self, name: &str) -> Option<&'a NodeProto> {
        self.producers.get(name).copied()
    }

    pub(super) fn consumers(&self, name: &str) -> impl Iterator<Item = &'a NodeProto> {
        self.proto.node.iter().filter(move |node| node.input.iter().any(|input| input == name))
    }

    /// The values of a node's input where they stand in the file, as floats.
    pub(super) fn floats(&self, node: &NodeProto, input: usize) -> Option<Vec<f32>> {
        let tensor = self.constant(node.input.get(input)?)?;
        (tensor.data_type == DataType::Float as i32).then(|| floats(tensor))
    }

    /// Likewise as integers.
    pub(super) fn ints(&self, node: &NodeProto, input: usize) -> Option<Vec<i64>> {
        ints(self.constant(node.input.get(input)?)?)
    }
}

/// How an operator is called in a message.
pub(super) fn called(node: &NodeProto) -> String {
    let name = [&node.name].into_iter().chain(&node.output).find(|name| !name.is_empty());
    format!("{} '{}'", node.op_type, name.map_or("", String::as_str))
}

pub(super) fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

pub(super) fn int_attribute(node: &NodeProto, name: &str) -> Option<i64> {
    attribute(node, name).map(|a| a.i)
}

pub(super) fn ints_attribute<'a>(node: &'a NodeProto, name: &str) -> &'a [i64] {
    attribute(node, name).map_or(&[], |a| &a.ints)
}

pub(super) fn text_attribute<'a>(node: &'a NodeProto, name: &str) -> &'a str {
    attribute(node, name).and_then(|a| std::str::from_utf8(&a.s).ok()).unwrap_or("")
}

/// A float tensor's values.
pub(super) fn floats(tensor: &TensorProto) -> Vec<f32> {
    if tensor.raw_data.is_empty() {
        tensor.float_data.clone()
    } else {
        tensor.raw_data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }
}

/// A tensor of 32 or 64 bit integers.
fn ints(tensor: &TensorProto) -> Option<Vec<i64>> {
    let raw = &tensor.raw_data;
    if tensor.data_type == DataType::Int64 as i32 {
        Some(match raw.is_empty() {
            true => tensor.int64_data.clone(),
            false => raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
        })
    } else if tensor.data_type == DataType::Int32 as i32 {
        Some(match raw.is_empty() {
            true => tensor.int32_data.iter().map(|v| i64::from(*v)).collect(),
            false => raw.as_chunks().0.iter().map(|bytes| i64::from(i32::from_le_bytes(*bytes))).collect(),
        })
    } else {
        None
    }
}

/// An input's or output's declared shape, where it has one; a dimension that is free is `None`.
pub(super) fn declared_shape(value: &ValueInfoProto) -> Option<Vec<Option<i64>>> {
    let dims = &tensor_type(value)?.shape.as_ref()?.dim;
    let known = |dim: &tensor_shape_proto::Dimension| match dim.value {
        Some(tensor_shape_proto::dimension::Value::DimValue(value)) if value > 0 => Some(value),
        _ => None,
    };
    Some(dims.iter().map(known).collect())
}

/// An input's or output's declared element type.
pub(super) fn declared_type(value: &ValueInfoProto) -> Option<i32> {
    tensor_type(value).map(|tensor| tensor.elem_type)
}

fn tensor_type(value: &ValueInfoProto) -> Option<&type_proto::Tensor> {
    match value.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => Some(tensor),
    }
}
