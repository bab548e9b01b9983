//! Recognising a quantized generator in an ONNX graph.
//!
//! What is recognised is what the [contract](crate::engine::contract) describes, in any order, number and width of
//! layers: 3×3 convolutions of stride 1 and 2 on integers, with space-to-depth in front and depth-to-space, an addition
//! and a ReLU behind. It is read from the file's own graph: once tract has typed it, the integers have become floats.

mod stored;

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{NodeProto, tensor_proto::DataType};

use self::stored::{Quantization, Stored, integers, per_channel, refuse_attributes};
use super::contract::{IMAGE_SCALE, QuantizedLayer, QuantizedNetwork};
use super::graph::{Graph, attribute, called, int_attribute, ints_attribute, text_attribute};
use super::topology::{LayerShape, Topology};

/// A bias counts in steps of input scale × weight scale, which exporters multiply in their own ways.
const BIAS_SCALE_TOLERANCE: f32 = 1e-6;
/// Layers, one behind the other, after which a graph is no generator.
const MAX_DEPTH: usize = 256;

/// A generator found in a graph.
#[derive(Debug)]
pub(super) struct Lowered {
    pub(super) network: QuantizedNetwork,
    /// The tensor that holds the image, in floats of 0 to 1.
    pub(super) input: String,
    /// The tensor that holds the picture, likewise.
    pub(super) output: String,
    /// What computes the tensors between the two.
    pub(super) nodes: HashSet<String>,
}

/// The generator that the graph is, or that stands within it.
///
/// # Errors
/// Which operator stands in the way, and why.
pub(super) fn lower(graph: &Graph<'_>) -> Result<Lowered, String> {
    let output = graph.proto.output.first().ok_or("it has no output")?.name.clone();
    // Within a larger graph the picture is what is stored in bytes last.
    let candidates = std::iter::once(output.as_str()).chain(
        graph.proto.node.iter().rev().filter(|node| node.op_type == "DequantizeLinear").filter_map(|node| {
            let stored = Quantization::of(graph, node).ok()?;
            (stored.kind == DataType::Uint8).then_some(node.output.first()?.as_str())
        }),
    );
    let mut first = None;
    for picture in candidates {
        match Lowering::new(graph).run(picture) {
            Ok(lowered) => return Ok(lowered),
            Err(why) => first = first.or(Some(why)),
        }
    }
    Err(first.unwrap_or_default())
}

/// A convolution and what stands around it, as found going back from its ReLU.
struct Found<'a> {
    conv: &'a NodeProto,
    input: &'a str,
    space_to_depth: i64,
    depth_to_space: i64,
    add: Option<&'a str>,
}

struct Lowering<'g, 'a> {
    graph: &'g Graph<'a>,
    /// Tensors known so far, by the name of their integers: some exporters read them back as floats for each reader.
    known: HashMap<&'a str, usize>,
    shapes: Vec<LayerShape>,
    layers: Vec<QuantizedLayer>,
    /// Of the image, then of each layer.
    scales: Vec<f32>,
    image: Option<&'a str>,
    /// Each layer's convolution.
    convolutions: Vec<&'a NodeProto>,
    nodes: HashSet<String>,
    depth: usize,
}

impl<'g, 'a> Lowering<'g, 'a> {
    fn new(graph: &'g Graph<'a>) -> Self {
        Self {
            graph,
            known: HashMap::new(),
            shapes: Vec::new(),
            layers: Vec::new(),
            scales: vec![IMAGE_SCALE],
            image: None,
            convolutions: Vec::new(),
            nodes: HashSet::new(),
            depth: 0,
        }
    }

    fn run(mut self, picture: &'g str) -> Result<Lowered, String> {
        let node = self.graph.producer(picture).ok_or("nothing computes its output")?;
        let output = node.output.first().ok_or("nothing computes its output")?;
        let last = self.stored(output, true)?;
        if self.scales[last] != IMAGE_SCALE {
            return Err(format!("{} has the scale {}; a picture's is 1/255", called(node), self.scales[last]));
        }
        let topology = Topology { layers: self.shapes };
        let network = QuantizedNetwork { topology, layers: self.layers, scales: self.scales };
        network.check().map_err(|fault| match fault.layer.and_then(|i| self.convolutions.get(i)) {
            Some(conv) => format!("{} {}", called(conv), fault.what),
            None => fault.what,
        })?;
        let input = self.image.ok_or("it does not read an image stored in bytes")?.to_owned();
        Ok(Lowered { network, input, output: output.clone(), nodes: self.nodes })
    }

    /// The tensor that `name` reads back as floats.
    fn stored(&mut self, name: &'a str, is_picture: bool) -> Result<usize, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} layers stand one behind the other"));
        }
        let dequantize = self.node(name, &["DequantizeLinear"])?;
        let integers = first_input(dequantize)?;
        let quantize = self.node(integers, &["QuantizeLinear"])?;
        let stored = Quantization::of(self.graph, dequantize)?;
        if Quantization::of(self.graph, quantize)? != stored {
            return Err(format!("{} reads otherwise than {} stores", called(dequantize), called(quantize)));
        }
        self.take(dequantize);
        if let Some(known) = self.known.get(integers) {
            self.depth -= 1;
            return Ok(*known);
        }
        let value = first_input(quantize)?;
        let computed = self.graph.producer(value);
        let is_layer = computed.is_some_and(|node| {
            matches!(node.op_type.as_str(), "Relu" | "Add" | "Conv" | "DepthToSpace" | "SpaceToDepth")
        });
        let index = if stored.kind == DataType::Uint8 && !is_layer && !is_picture {
            self.take_image(value, quantize, stored)?
        } else {
            let expected: &[DataType] =
                if is_picture { &[DataType::Uint8] } else { &[DataType::Int8, DataType::Uint8] };
            if !expected.contains(&stored.kind) {
                let expected: Vec<_> = expected.iter().map(DataType::as_str_name).collect();
                let (kind, expected) = (stored.kind.as_str_name(), expected.join(" or "));
                return Err(format!("{} stores {kind}; {expected} is what is fused there", called(quantize)));
            }
            self.layer(value, stored, is_picture)?
        };
        self.depth -= 1;
        self.take(quantize);
        self.known.insert(integers, index);
        Ok(index)
    }

    fn take_image(&mut self, value: &'a str, quantize: &NodeProto, stored: Quantization) -> Result<usize, String> {
        if stored != (Quantization { scale: IMAGE_SCALE, kind: DataType::Uint8 }) {
            return Err(format!("{} does not store an image: that is UINT8 with the scale 1/255", called(quantize)));
        }
        if self.image.is_some_and(|image| image != value) {
            return Err(format!("{} stores a second image", called(quantize)));
        }
        self.image = Some(value);
        Ok(0)
    }

    /// A layer and all that it reads; returns its tensor.
    fn layer(&mut self, value: &'a str, stored: Quantization, is_last: bool) -> Result<usize, String> {
        let found = self.find(value, is_last)?;
        let input = self.stored(found.input, false)?;
        let add = found.add.map(|name| self.stored(name, false)).transpose()?;
        let conv = found.conv;
        let stride = self.convolution(conv)?;
        let weight = self.constants(conv, 1)?;
        let [out_channels, in_channels, 3, 3] = weight.dims[..] else {
            return Err(format!(
                "{} has a kernel of {:?}; [out, in, 3, 3] is what is fused",
                called(conv),
                weight.dims
            ));
        };
        let out = usize::try_from(out_channels).unwrap_or(0);
        if weight.kind != DataType::Int8 {
            return Err(format!("{} has weights of {}, not INT8", called(conv), weight.kind.as_str_name()));
        }
        let weight_scale = per_channel(&weight, out).ok_or_else(|| misfit(conv, "weights"))?;
        let bias = self.bias(conv, out, self.scales[input], &weight_scale)?;
        self.shapes.push(LayerShape {
            input,
            space_to_depth: usize::try_from(found.space_to_depth).unwrap_or(0),
            in_channels: usize::try_from(in_channels).unwrap_or(0),
            out_channels: out,
            stride,
            depth_to_space: usize::try_from(found.depth_to_space).unwrap_or(0),
            add,
            eight_bits: stored.kind == DataType::Uint8 && !is_last,
        });
        let weight = weight.values.iter().filter_map(|w| i8::try_from(*w).ok()).collect();
        self.layers.push(QuantizedLayer { weight, bias, weight_scale });
        self.convolutions.push(conv);
        self.scales.push(stored.scale);
        Ok(self.layers.len())
    }

    /// Goes back from what is stored to the convolution and its input.
    fn find(&mut self, value: &'a str, is_last: bool) -> Result<Found<'a>, String> {
        let mut node = self.node(value, &["Relu", "Add", "DepthToSpace", "Conv"])?;
        if node.op_type == "Relu" {
            self.take(node);
            node = self.node(first_input(node)?, &["Add", "DepthToSpace", "Conv"])?;
        } else if !is_last {
            return Err(format!("no Relu stands behind {}", called(node)));
        }
        let mut add = None;
        if node.op_type == "Add" {
            self.take(node);
            let [a, b] = &node.input[..] else { return Err(format!("{} has not two inputs", called(node))) };
            let computed = |name: &str| {
                self.graph.producer(name).is_some_and(|node| matches!(node.op_type.as_str(), "Conv" | "DepthToSpace"))
            };
            let (sum, other) = match (computed(a), computed(b)) {
                (true, false) => (a, b),
                (false, true) => (b, a),
                _ => return Err(format!("{} does not add a stored tensor to a convolution", called(node))),
            };
            add = Some(other.as_str());
            node = self.node(sum, &["DepthToSpace", "Conv"])?;
        }
        let mut depth_to_space = 1;
        if node.op_type == "DepthToSpace" {
            self.take(node);
            if !matches!(text_attribute(node, "mode"), "" | "DCR") {
                return Err(format!("{} is not in DCR order", called(node)));
            }
            depth_to_space = int_attribute(node, "blocksize").unwrap_or(0);
            node = self.node(first_input(node)?, &["Conv"])?;
        }
        self.take(node);
        let (conv, mut input) = (node, first_input(node)?);
        let mut space_to_depth = 1;
        if let Some(node) = self.graph.producer(input).filter(|node| node.op_type == "SpaceToDepth") {
            self.take(node);
            space_to_depth = int_attribute(node, "blocksize").unwrap_or(0);
            input = first_input(node)?;
        }
        Ok(Found { conv, input, space_to_depth, depth_to_space, add })
    }

    /// Checks a convolution's attributes; returns its stride.
    fn convolution(&self, conv: &NodeProto) -> Result<usize, String> {
        let is = |name: &str, expected: &[i64]| {
            let values = ints_attribute(conv, name);
            values.is_empty() || values == expected
        };
        if !is("kernel_shape", &[3, 3]) {
            return Err(format!("{} has a kernel that is not 3x3", called(conv)));
        }
        if !is("dilations", &[1, 1]) || int_attribute(conv, "group").unwrap_or(1) != 1 {
            return Err(format!("{} is grouped or dilated", called(conv)));
        }
        let automatic = text_attribute(conv, "auto_pad");
        if ints_attribute(conv, "pads") != [1, 1, 1, 1] || !matches!(automatic, "" | "NOTSET") {
            return Err(format!("{} does not pad by 1 on every side", called(conv)));
        }
        match ints_attribute(conv, "strides") {
            [] | [1, 1] => Ok(1),
            [2, 2] => Ok(2),
            other => Err(format!("{} has the strides {other:?}; 1 and 2 are fused", called(conv))),
        }
    }

    fn bias(&mut self, conv: &NodeProto, out: usize, input: f32, weight: &[f32]) -> Result<Vec<i32>, String> {
        if conv.input.get(2).is_none_or(String::is_empty) {
            return Ok(vec![0; out]);
        }
        let bias = self.constants(conv, 2)?;
        let scales = per_channel(&bias, out).ok_or_else(|| misfit(conv, "biases"))?;
        let same = scales.iter().zip(weight).all(|(scale, weight)| {
            let expected = input * weight;
            (scale - expected).abs() <= BIAS_SCALE_TOLERANCE * expected
        });
        if bias.kind != DataType::Int32 || bias.values.len() != out || !same {
            return Err(format!("{} has biases that are not INT32 at input scale x weight scale", called(conv)));
        }
        Ok(bias.values)
    }

    /// The constants that a convolution's input reads through a `DequantizeLinear`.
    fn constants(&mut self, conv: &'_ NodeProto, input: usize) -> Result<Stored, String> {
        let name = conv.input.get(input).ok_or_else(|| misfit(conv, "inputs"))?;
        let node = self
            .graph
            .producer(name)
            .filter(|node| node.op_type == "DequantizeLinear")
            .ok_or_else(|| format!("{} has floats where integers are fused", called(conv)))?;
        let tensor = self.graph.constant(first_input(node)?);
        let (kind, values) =
            tensor.and_then(integers).ok_or_else(|| format!("{} reads no integers of the file", called(node)))?;
        let zeros = match node.input.get(2).filter(|name| !name.is_empty()) {
            Some(name) => self.graph.constant(name).and_then(integers).map(|(_, zeros)| zeros),
            None => Some(Vec::new()),
        };
        if zeros.is_none_or(|zeros| zeros.iter().any(|zero| *zero != 0)) {
            return Err(format!("{} has a zero point other than 0", called(node)));
        }
        let scales = self.graph.floats(node, 1).unwrap_or_default();
        if scales.is_empty() || scales.iter().any(|scale| !scale.is_normal() || *scale < 0.0) {
            return Err(format!("{} has a scale that is not above 0", called(node)));
        }
        let axis = attribute(node, "axis").map_or(1, |axis| axis.i);
        let dims = tensor.map(|tensor| tensor.dims.clone()).unwrap_or_default();
        if scales.len() > 1 && axis != 0 && axis != -i64::try_from(dims.len()).unwrap_or(0) {
            return Err(format!("{} has its scales along axis {axis}; 0 is fused", called(node)));
        }
        refuse_attributes(node)?;
        self.take(node);
        Ok(Stored { kind, dims, values, scales })
    }

    /// What computes `name`, where it is one of `operators`.
    fn node(&self, name: &str, operators: &[&str]) -> Result<&'a NodeProto, String> {
        match self.graph.producer(name) {
            Some(node) if operators.contains(&node.op_type.as_str()) => Ok(node),
            Some(node) => Err(format!("{} stands where {} is fused", called(node), operators.join(" or "))),
            None => Err(format!("'{name}' stands where {} is fused", operators.join(" or "))),
        }
    }

    fn take(&mut self, node: &NodeProto) {
        self.nodes.extend(node.output.first().cloned());
    }
}

fn first_input(node: &NodeProto) -> Result<&str, String> {
    node.input.first().map(String::as_str).ok_or_else(|| format!("{} has no input", called(node)))
}

fn misfit(conv: &NodeProto, what: &str) -> String {
    format!("{} has {what} that do not fit its shape", called(conv))
}

#[cfg(test)]
mod tests;
