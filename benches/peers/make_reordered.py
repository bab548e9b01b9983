"""The style's own file with each SpaceToDepth before the DequantizeLinear instead of behind it.

Both mean the same, value for value; written this way round, other runtimes see that the convolution behind may stay
in int8.
"""

from pathlib import Path

import onnx
from onnx import helper

NAME = "own-reordered.onnx"


def reorder(source: Path, folder: Path) -> None:
    model = onnx.load(source)
    producers = {output: node for node in model.graph.node for output in node.output}
    nodes = []
    for node in model.graph.node:
        before = producers.get(node.input[0])
        if node.op_type == "SpaceToDepth" and before is not None and before.op_type == "DequantizeLinear":
            quantized, *parameters = before.input
            moved = onnx.NodeProto()
            moved.CopyFrom(node)
            moved.input[0], moved.output[0] = quantized, f"{node.output[0]}.q"
            nodes += [moved, helper.make_node("DequantizeLinear", [moved.output[0], *parameters], node.output)]
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input} | {output.name for output in model.graph.output}
    del model.graph.node[:]
    model.graph.node.extend(node for node in nodes if used.intersection(node.output))
    onnx.checker.check_model(model)
    onnx.save(model, folder / NAME)
