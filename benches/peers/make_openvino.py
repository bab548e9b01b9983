"""A file from OpenVINO's own quantizer, NNCF."""

from pathlib import Path

import nncf
import numpy as np
import openvino

NAME = "openvino-nncf.xml"


def quantize(source: Path, folder: Path, pictures: list[np.ndarray]) -> None:
    """Post-training quantization with the preset that prefers speed (symmetric weights and activations)."""
    quantized = nncf.quantize(
        openvino.Core().read_model(source),
        nncf.Dataset(pictures),
        preset=nncf.QuantizationPreset.PERFORMANCE,
        target_device=nncf.TargetDevice.CPU,
        subset_size=len(pictures),
    )
    openvino.save_model(quantized, folder / NAME, compress_to_fp16=False)
