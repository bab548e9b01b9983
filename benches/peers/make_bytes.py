"""The style's own file as other runtimes do it fastest: bytes in, bytes out, and int8 all the way.

Value for value the same network. The QuantizeLinear at its input and the DequantizeLinear at its output are left
off, so that its input and output are u8 of 0..255, and each SpaceToDepth stands before the DequantizeLinear that
was in front of it, so that runtimes see that the convolution behind may stay in int8.
"""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

NAME = "own-bytes.onnx"


def rewrite(source: Path, folder: Path) -> None:
    model = onnx.load(source)
    first, last = model.graph.node[0], model.graph.node[-1]
    if first.op_type != "QuantizeLinear" or last.op_type != "DequantizeLinear":
        raise SystemExit(f"{source} does not begin with QuantizeLinear and end with DequantizeLinear")
    # The quantized values take the names that the float ones had.
    renamed = {first.output[0]: first.input[0], last.input[0]: last.output[0]}
    nodes = [before_dequantization(node, model.graph) for node in list(model.graph.node)[1:-1]]
    nodes = [node for pair in nodes for node in pair]
    for node in nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    used = {name for node in nodes for name in node.input} | {model.graph.output[0].name}
    del model.graph.node[:]
    model.graph.node.extend(node for node in nodes if used.intersection(node.output))
    for value in [model.graph.input[0], model.graph.output[0]]:
        value.type.tensor_type.elem_type = TensorProto.UINT8
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / NAME)


def before_dequantization(node: onnx.NodeProto, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """A SpaceToDepth behind a DequantizeLinear as a SpaceToDepth and a DequantizeLinear; any other node as it is."""
    source = next((other for other in graph.node if node.input[0] in other.output), None)
    if node.op_type != "SpaceToDepth" or source is None or source.op_type != "DequantizeLinear":
        return [node]
    quantized, *parameters = source.input
    moved = onnx.NodeProto()
    moved.CopyFrom(node)
    moved.input[0], moved.output[0] = quantized, f"{node.output[0]}.q"
    return [moved, helper.make_node("DequantizeLinear", [moved.output[0], *parameters], node.output)]
