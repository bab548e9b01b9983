//! How large what is computed from constants alone becomes. tract computes it while it loads a file, before sizes can
//! be checked any other way, so that a small file could ask for any amount of memory.

use std::collections::HashMap;

use tract_onnx::pb::NodeProto;

use super::graph::{Graph, attribute, ints_attribute};

/// The most elements that all of it may have together: 256 MiB of floats.
const MAX_ELEMENTS: i64 = 1 << 26;

/// What is known of a constant's size.
#[derive(Debug, Clone, PartialEq)]
enum Extent {
    Shape(Vec<i64>),
    /// At most so many elements, in whatever shape.
    Elements(i64),
}

impl Extent {
    fn elements(&self) -> i64 {
        match self {
            Self::Shape(shape) => shape.iter().fold(1, |product: i64, side| product.saturating_mul(*side)),
            Self::Elements(elements) => *elements,
        }
    }
}

/// Refuses a network whose constants would grow beyond bounds. Its nodes must stand in the order of their computation,
/// which ONNX demands.
///
/// # Errors
/// A clause that goes on from "the style …".
pub(super) fn check(graph: &Graph) -> Result<(), String> {
    let stored = graph.proto.initializer.iter();
    let mut constants: HashMap<&str, Extent> =
        stored.map(|tensor| (tensor.name.as_str(), Extent::Shape(tensor.dims.clone()))).collect();
    let mut total = 0_i64;
    for node in &graph.proto.node {
        let extent = if node.op_type == "Constant" {
            let tensor = attribute(node, "value").and_then(|value| value.t.as_ref());
            // Its other forms hold a number or a list, written out in the file.
            tensor.map_or(Extent::Elements(1), |tensor| Extent::Shape(tensor.dims.clone()))
        } else {
            let inputs = node.input.iter().filter(|name| !name.is_empty());
            let inputs: Option<Vec<&Extent>> = inputs.map(|name| constants.get(name.as_str())).collect();
            let Some(inputs) = inputs.filter(|inputs| !inputs.is_empty()) else { continue };
            folded(graph, node, &inputs)
        };
        total = total.saturating_add(extent.elements());
        if total > MAX_ELEMENTS {
            return Err(format!("computes more than {MAX_ELEMENTS} numbers from constants alone, which is too much"));
        }
        constants.extend(node.output.iter().map(|name| (name.as_str(), extent.clone())));
    }
    Ok(())
}

/// What `node` makes of constants.
fn folded(graph: &Graph, node: &NodeProto, inputs: &[&Extent]) -> Extent {
    let product = || inputs.iter().fold(1_i64, |product, input| product.saturating_mul(input.elements()));
    match (node.op_type.as_str(), inputs) {
        ("Transpose", [Extent::Shape(shape)]) => {
            let order = ints_attribute(node, "perm");
            let side = |axis: &i64| usize::try_from(*axis).ok().and_then(|axis| shape.get(axis)).copied();
            match order.iter().map(side).collect::<Option<Vec<_>>>() {
                Some(turned) if turned.len() == shape.len() => Extent::Shape(turned),
                _ => Extent::Shape(shape.iter().rev().copied().collect()),
            }
        }
        ("Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Slice" | "Split" | "Transpose" | "Shape", _) => {
            Extent::Elements(inputs[0].elements())
        }
        ("Concat", _) => {
            Extent::Elements(inputs.iter().fold(0, |sum: i64, input| sum.saturating_add(input.elements())))
        }
        // Their sizes stand in the file, where `checks` has looked at them.
        ("ConstantOfShape" | "Expand", _) => {
            let sizes = graph.ints(node, node.input.len() - 1).unwrap_or_default();
            Extent::Elements(sizes.iter().fold(inputs[0].elements(), |product, size| product.saturating_mul(*size)))
        }
        ("Cast" | "DequantizeLinear" | "QuantizeLinear", _) => inputs[0].clone(),
        ("MatMul" | "Gemm" | "Gather" | "Conv" | "ConvTranspose" | "Pad" | "Resize" | "Upsample", _) => {
            Extent::Elements(product())
        }
        _ => broadcast(inputs).map_or_else(|| Extent::Elements(product()), Extent::Shape),
    }
}

/// The shape of an operator by element: sides of 1 stretch to the others'. `None` where it cannot be told.
fn broadcast(inputs: &[&Extent]) -> Option<Vec<i64>> {
    let mut result: Vec<i64> = Vec::new();
    for input in inputs {
        let shape = match input {
            Extent::Shape(shape) => shape.as_slice(),
            Extent::Elements(1) => &[],
            Extent::Elements(_) => return None,
        };
        // Shapes are aligned at their last sides.
        let missing = shape.len().saturating_sub(result.len());
        result.splice(..0, std::iter::repeat_n(1, missing));
        for (side, other) in result.iter_mut().rev().zip(shape.iter().rev()) {
            match (*side, *other) {
                (_, 1) => {}
                (1, other) => *side = other,
                (a, b) if a == b => {}
                _ => return None,
            }
        }
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(sides: &[i64]) -> Extent {
        Extent::Shape(sides.into())
    }

    #[test]
    fn sides_of_one_stretch() {
        let column = shape(&[60_000, 1]);
        assert_eq!(broadcast(&[&column, &shape(&[1, 60_000])]), Some(vec![60_000, 60_000]));
        assert_eq!(broadcast(&[&shape(&[3]), &column, &Extent::Elements(1)]), Some(vec![60_000, 3]));
        assert_eq!(broadcast(&[&shape(&[4]), &shape(&[3])]), None);
        assert_eq!(broadcast(&[&column, &Extent::Elements(9)]), None);
    }
}
