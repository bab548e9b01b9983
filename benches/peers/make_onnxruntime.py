"""Files from onnxruntime's own quantizer."""

from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Pictures(CalibrationDataReader):
    def __init__(self, name: str, pictures: list[np.ndarray]):
        self.left = iter([{name: picture} for picture in pictures])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.left, None)


FORMS = {
    "QDQ, per channel": (QuantFormat.QDQ, True),
    "QDQ, per tensor": (QuantFormat.QDQ, False),
    "QOperator, per channel": (QuantFormat.QOperator, True),
}
"""What is tried: its documentation prefers QDQ, and weights per tensor for speed."""


def paths(folder: Path) -> dict[str, Path]:
    """Where the file of each form lies."""
    return {form: folder / f"onnxruntime-{form.lower().replace(',', '').replace(' ', '-')}.onnx" for form in FORMS}


def quantize(source: Path, folder: Path, pictures: list[np.ndarray]) -> None:
    """u8 activations and s8 weights, which its documentation names for x86 with VNNI, in each form."""
    prepared = folder / "onnxruntime-prepared.onnx"
    # Symbolic shape inference is for transformers, and needs a package more.
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    name = onnx.load(prepared).graph.input[0].name
    for form, target in paths(folder).items():
        quant_format, per_channel = FORMS[form]
        quantize_static(
            prepared,
            target,
            Pictures(name, pictures),
            quant_format=quant_format,
            per_channel=per_channel,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
