//! How far a change of the image can be seen in what a foreign network draws, from its graph.

use std::collections::HashMap;

use tract_onnx::pb::NodeProto;

use super::graph::{Graph, attribute, int_attribute, ints_attribute, text_attribute};
use super::reach::Reach;

/// The reach of the output `output`, when the image enters as `input`.
///
/// `heights` gives the rows of the tensors that are laid out `[1, channels, height, width]`, for one size of the picture.
/// `None` where an operator looks at the whole picture, or is not known well enough to say.
pub(super) fn reach(graph: &Graph, input: &str, output: &str, heights: &HashMap<String, i64>) -> Option<Field> {
    let mut fields: HashMap<&str, Reach> = HashMap::from([(input, Reach::IMAGE)]);
    let mut coarsest = 1;
    for node in &graph.proto.node {
        let image_inputs: Vec<Reach> =
            node.input.iter().filter_map(|name| fields.get(name.as_str()).copied()).collect();
        let Some((first, rest)) = image_inputs.split_first() else { continue };
        // What only tells a size (Shape) is no picture any more; what follows from it alone is not followed either.
        if node.op_type == "Shape" {
            continue;
        }
        let reach =
            rest.iter().try_fold(*first, |all, next| all.join(*next)).and_then(|x| through(graph, node, x, heights));
        let Some(reach) = reach else {
            // Only fatal where the output depends on it; a later node that reads it finds no field for it, so mark it.
            if leads_to(graph, node, output) {
                return None;
            }
            continue;
        };
        coarsest = coarsest.max(reach.scale);
        for name in &node.output {
            fields.insert(name, reach);
        }
    }
    let halo = fields.get(output)?.halo()?;
    Some(Field { halo, coarsest: u32::try_from(coarsest).ok()? })
}

/// What is known of a network whose output depends on a neighbourhood only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// The radius in pixels.
    pub(super) halo: u32,
    /// Image pixels per position at the coarsest scale.
    pub(super) coarsest: u32,
}

/// Whether the output is computed from what `node` gives.
fn leads_to(graph: &Graph, node: &NodeProto, output: &str) -> bool {
    let mut reached: Vec<&str> = node.output.iter().map(String::as_str).collect();
    for later in &graph.proto.node {
        if later.input.iter().any(|name| reached.contains(&name.as_str())) {
            reached.extend(later.output.iter().map(String::as_str));
        }
    }
    reached.contains(&output)
}

/// One operator, whose image inputs together have the reach `x`.
fn through(graph: &Graph, node: &NodeProto, x: Reach, heights: &HashMap<String, i64>) -> Option<Reach> {
    match node.op_type.as_str() {
        "Abs" | "Add" | "And" | "BatchNormalization" | "Cast" | "Ceil" | "Clip" | "DequantizeLinear" | "Div"
        | "Dropout" | "Elu" | "Equal" | "Erf" | "Exp" | "Floor" | "Gelu" | "Greater" | "GreaterOrEqual"
        | "HardSigmoid" | "HardSwish" | "Identity" | "LeakyRelu" | "Less" | "LessOrEqual" | "Log" | "Max" | "Mean"
        | "Min" | "Mish" | "Mul" | "Neg" | "Not" | "Or" | "PRelu" | "Pow" | "QuantizeLinear" | "Reciprocal"
        | "Relu" | "Round" | "Selu" | "Sigmoid" | "Sign" | "Softplus" | "Softsign" | "Sqrt" | "Sub" | "Sum"
        | "Tanh" | "ThresholdedRelu" | "Where" => Some(x),
        "Concat" | "Split" => (int_attribute(node, "axis").unwrap_or(0) == 1).then_some(x),
        "Conv" | "QLinearConv" => {
            let w = Window::of(graph, node)?;
            Some(x.window(w.kernel, w.stride, w.dilation, w.pad))
        }
        "MaxPool" | "AveragePool" if int_attribute(node, "ceil_mode").unwrap_or(0) == 0 => {
            let w = Window::of(graph, node)?;
            Some(x.window(w.kernel, w.stride, w.dilation, w.pad))
        }
        "ConvTranspose" => {
            let w = Window::of(graph, node)?;
            x.transposed(w.kernel, w.stride, w.dilation, w.pad)
        }
        "Pad" => {
            let pads = attribute(node, "pads").map(|a| a.ints.clone()).or_else(|| graph.ints(node, 1))?;
            match pads[..] {
                [0, 0, top, left, 0, 0, _, _] if top == left => Some(x.padded(top)),
                _ => None,
            }
        }
        "SpaceToDepth" => Some(x.space_to_depth(int_attribute(node, "blocksize")?)),
        "DepthToSpace" => x.depth_to_space(int_attribute(node, "blocksize")?),
        "Resize" | "Upsample" => resized(node, x, heights),
        "Transpose" => matches!(ints_attribute(node, "perm"), [0, 3, 1, 2] | [0, 2, 3, 1]).then_some(x),
        "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceSum" | "ReduceL2" | "ReduceSumSquare" => {
            let axes = attribute(node, "axes").map(|a| a.ints.clone()).or_else(|| graph.ints(node, 1))?;
            (axes == [1]).then_some(x)
        }
        "Softmax" => (int_attribute(node, "axis") == Some(1)).then_some(x),
        _ => None,
    }
}

fn resized(node: &NodeProto, x: Reach, heights: &HashMap<String, i64>) -> Option<Reach> {
    // With its corners aligned the place of a pixel depends on the whole width.
    if matches!(text_attribute(node, "coordinate_transformation_mode"), "align_corners" | "tf_crop_and_resize")
        || int_attribute(node, "antialias").unwrap_or(0) != 0
    {
        return None;
    }
    let taps = match text_attribute(node, "mode") {
        "cubic" => 2,
        _ => 1,
    };
    let before = *heights.get(node.input.first()?)?;
    let after = *heights.get(node.output.first()?)?;
    if after >= before {
        (after % before == 0).then(|| x.enlarged(after / before, taps)).flatten()
    } else {
        (before % after == 0).then(|| x.reduced(before / after, taps))
    }
}

/// A square window, alike in both directions.
struct Window {
    kernel: i64,
    stride: i64,
    dilation: i64,
    pad: i64,
}

impl Window {
    fn of(graph: &Graph, node: &NodeProto) -> Option<Self> {
        // Where the two axes differ the larger reach would do, but no generator does that.
        let alike = |name: &str, default: i64| match *ints_attribute(node, name) {
            [] => Some(default),
            [a, b] if a == b => Some(a),
            _ => None,
        };
        let kernel = match ints_attribute(node, "kernel_shape") {
            [] => {
                let weights = graph.constant(node.input.get(if node.op_type == "QLinearConv" { 3 } else { 1 })?)?;
                match weights.dims[..] {
                    [_, _, a, b] if a == b => a,
                    _ => return None,
                }
            }
            _ => alike("kernel_shape", 1)?,
        };
        let stride = alike("strides", 1)?;
        let dilation = alike("dilations", 1)?;
        let pad = match text_attribute(node, "auto_pad") {
            "" | "NOTSET" => match *ints_attribute(node, "pads") {
                [] => 0,
                [top, left, _, _] if top == left => top,
                _ => return None,
            },
            "VALID" => 0,
            // At stride 1 as many on both sides; at others it depends on the size.
            "SAME_UPPER" | "SAME_LOWER" if stride == 1 && kernel % 2 == 1 => (kernel - 1) * dilation / 2,
            _ => return None,
        };
        Some(Self { kernel, stride, dilation, pad })
    }
}
