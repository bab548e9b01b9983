//! How a network takes and gives an image: the order of dimensions, and what black and white are to it.

use serde::{Deserialize, Serialize};
use tract_onnx::pb::{NodeProto, ValueInfoProto};

use super::graph::{Graph, attribute, declared_shape, ints_attribute};

/// The order of an image tensor's dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// `[1, 3, height, width]`
    #[serde(rename = "NCHW")]
    Nchw,
    /// `[1, height, width, 3]`
    #[serde(rename = "NHWC")]
    Nhwc,
}

impl Layout {
    /// The shape of an image of 3 channels.
    pub(super) fn shape(self, height: usize, width: usize) -> [usize; 4] {
        self.shape_of(3, height, width)
    }

    /// The shape of an image of so many channels.
    pub(super) fn shape_of(self, channels: usize, height: usize, width: usize) -> [usize; 4] {
        match self {
            Self::Nchw => [1, channels, height, width],
            Self::Nhwc => [1, height, width, channels],
        }
    }

    /// The layout as a card states it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nchw => "NCHW",
            Self::Nhwc => "NHWC",
        }
    }

    /// The places of height and width among the dimensions.
    pub(super) fn sides(self) -> [usize; 2] {
        match self {
            Self::Nchw => [2, 3],
            Self::Nhwc => [1, 2],
        }
    }
}

/// What black and white are to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Range {
    /// 0 to 1
    #[serde(rename = "[0,1]")]
    Unit,
    /// −1 to 1
    #[serde(rename = "[-1,1]")]
    Signed,
    /// 0 to 255
    #[serde(rename = "[0,255]")]
    Bytes,
}

impl Range {
    /// A byte as the network takes it.
    pub(super) fn float(self, byte: u8) -> f32 {
        match self {
            Self::Unit => f32::from(byte) / 255.0,
            Self::Signed => f32::from(byte) / 127.5 - 1.0,
            Self::Bytes => f32::from(byte),
        }
    }

    /// What the network gave as a byte, rounded and clamped.
    pub(super) fn byte(self, value: f32) -> u8 {
        let scaled = match self {
            Self::Unit => value * 255.0,
            Self::Signed => (value + 1.0) * 127.5,
            Self::Bytes => value,
        };
        // A cast from float to integer saturates.
        scaled.round_ties_even() as u8
    }

    /// The range as a card states it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unit => "[0,1]",
            Self::Signed => "[-1,1]",
            Self::Bytes => "[0,255]",
        }
    }

    /// The range that values from `lowest` to `highest` were drawn in.
    pub(super) fn of_values(lowest: f32, highest: f32) -> Self {
        if highest > 2.5 {
            Self::Bytes
        } else if lowest < -0.25 {
            Self::Signed
        } else {
            Self::Unit
        }
    }
}

/// The layout of an image end of the graph, from its declared shape.
pub(super) fn declared_layout(end: &ValueInfoProto) -> Option<Layout> {
    let shape = declared_shape(end)?;
    match shape[..] {
        [_, Some(3), _, Some(3)] => None,
        [_, Some(3), _, _] => Some(Layout::Nchw),
        [_, _, _, Some(3)] => Some(Layout::Nhwc),
        _ => None,
    }
}

/// The layout of the input where its shape does not tell: a convolution reads channels first, a transposition before it
/// tells the rest.
pub(super) fn layout_by_use(graph: &Graph, input: &str) -> Option<Layout> {
    let mut name = input.to_owned();
    for _ in 0..8 {
        let node = graph.consumers(&name).next()?;
        match node.op_type.as_str() {
            "Conv" | "QLinearConv" | "SpaceToDepth" => return Some(Layout::Nchw),
            "Transpose" if ints_attribute(node, "perm") == [0, 3, 1, 2] => return Some(Layout::Nhwc),
            "Transpose" => return None,
            _ => name = node.output.first()?.clone(),
        }
    }
    None
}

/// A range that a graph shows, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) range: Range,
    /// Whether it follows from arithmetic in the graph; otherwise it is only likely.
    pub(super) certain: bool,
    /// What shows it: "its last operator is Tanh".
    pub(super) by: &'static str,
}

/// The range that the first arithmetic behind the input shows.
pub(super) fn input_range(graph: &Graph, input: &str) -> Option<Shown> {
    let mut name = input.to_owned();
    for _ in 0..8 {
        let consumers: Vec<_> = graph.consumers(&name).collect();
        let [node] = consumers[..] else { return None };
        let other = node.input.iter().position(|input| *input != name);
        let number = || single(graph.floats(node, other?));
        let range = match node.op_type.as_str() {
            "Transpose" | "Identity" | "Cast" | "Pad" => {
                name = node.output.first()?.clone();
                continue;
            }
            "QuantizeLinear" if near(single(graph.floats(node, 1))?, 1.0 / 255.0) => Range::Unit,
            "Div" if near(number()?, 255.0) || near(number()?, 127.5) => Range::Bytes,
            "Mul" if near(number()?, 1.0 / 255.0) || near(number()?, 1.0 / 127.5) => Range::Bytes,
            "Sub" if near(number()?, 127.5) => Range::Bytes,
            "Mul" if near(number()?, 2.0) => Range::Unit,
            "Sub" if near(number()?, 0.5) => Range::Unit,
            _ => return None,
        };
        return Some(Shown { range, certain: true, by: "its first operator" });
    }
    None
}

/// The range that the last operators before the output show.
pub(super) fn output_range(graph: &Graph, output: &str) -> Option<Shown> {
    let mut name = output.to_owned();
    for _ in 0..8 {
        let node = graph.producer(&name)?;
        let likely = |range, by| Some(Shown { range, certain: false, by });
        match node.op_type.as_str() {
            "Transpose" | "Identity" | "Cast" | "Slice" | "Reshape" | "Squeeze" | "Unsqueeze" => {
                name = node.input.first()?.clone();
            }
            "DequantizeLinear" if near(single(graph.floats(node, 1))?, 1.0 / 255.0) => {
                return Some(Shown { range: Range::Unit, certain: true, by: "its last operator" });
            }
            "Tanh" => return likely(Range::Signed, "its last operator is Tanh"),
            "Sigmoid" | "HardSigmoid" => return likely(Range::Unit, "its last operator is Sigmoid"),
            "Clip" => {
                let (low, high) = clip_bounds(graph, node)?;
                let range = [Range::Unit, Range::Signed, Range::Bytes]
                    .into_iter()
                    .find(|range| near(low, range.float(0)) && near(high, range.float(255)))?;
                return Some(Shown { range, certain: true, by: "its last operator" });
            }
            _ => return None,
        }
    }
    None
}

fn clip_bounds(graph: &Graph, node: &NodeProto) -> Option<(f32, f32)> {
    let bound = |input, name| attribute(node, name).map(|a| a.f).or_else(|| single(graph.floats(node, input)));
    Some((bound(1, "min")?, bound(2, "max")?))
}

fn single(values: Option<Vec<f32>>) -> Option<f32> {
    values.filter(|v| v.len() == 1).map(|v| v[0])
}

fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-3 * b.abs().max(1e-3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_every_range() {
        for range in [Range::Unit, Range::Signed, Range::Bytes] {
            assert!((0..=255).all(|byte| range.byte(range.float(byte)) == byte));
            assert_eq!((range.byte(-9e9), range.byte(9e9), range.byte(f32::NAN)), (0, 255, 0));
        }
    }
}
