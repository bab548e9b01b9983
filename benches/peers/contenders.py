"""Who is measured, and in which ways each may be run."""

from dataclasses import dataclass
from pathlib import Path

from files import Files
from peer import Candidate

AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "OV_CPU_MAX_ISA": "AVX2"}
"""Holds oneDNN to AVX2 by the one name and OpenVINO's own kernels by the other."""
NO_AMX = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI", "OV_CPU_MAX_ISA": "AVX512_CORE_VNNI"}


@dataclass(frozen=True)
class Row:
    """A row of the tables: of its candidates, the fastest is measured."""

    name: str
    candidates: tuple[Candidate, ...]
    int8: bool
    all_instructions: bool = True
    """Whether it may use all that the processor can do: only such a row is a rival to the fused engine as it comes."""


def machine_has(flag: str) -> bool:
    """Whether Linux names this instruction set among those of the processor."""
    return flag in Path("/proc/cpuinfo").read_text().split()


def openvino_int8(files: Files, precisions: list[str], environment: dict[str, str]) -> tuple[Candidate, ...]:
    """Its own quantizer's file and ours, with each precision for what is not int8."""
    return tuple(
        Candidate("openvino", f"{name}, {precision}", file, {"INFERENCE_PRECISION_HINT": precision}, environment, u8)
        for name, file, u8 in [
            ("NNCF", files.openvino, False),
            ("style", files.own, False),
            ("style, u8 to u8", files.bytes, True),
        ]
        for precision in precisions
    )


def rows(files: Files) -> list[Row]:
    precisions = ["f32", "bf16"] if machine_has("avx512_bf16") or machine_has("amx_bf16") else ["f32"]
    onnxruntime_int8 = [
        Candidate("onnxruntime", "style", files.own),
        Candidate("onnxruntime", "style, u8 to u8", files.bytes, u8=True),
        *(Candidate("onnxruntime", name, file) for name, file in files.onnxruntime.items()),
    ]
    openvino_float = [
        Candidate("openvino", precision, files.float32, {"INFERENCE_PRECISION_HINT": precision})
        for precision in precisions
    ]
    ncnn = [
        Candidate("ncnn", precision, files.ncnn, {"use_bf16_storage": precision == "bf16"}) for precision in precisions
    ]
    found = [
        Row("onnxruntime float", (Candidate("onnxruntime", "f32", files.float32),), False),
        Row("onnxruntime int8", tuple(onnxruntime_int8), True),
        Row("OpenVINO float", tuple(openvino_float), False),
        Row("OpenVINO int8", openvino_int8(files, precisions, {}), True),
        Row("OpenVINO int8, AVX2", openvino_int8(files, ["f32"], AVX2), True, all_instructions=False),
        Row("ncnn float", tuple(ncnn), False),
    ]
    if machine_has("amx_int8"):
        held = openvino_int8(files, ["f32"], NO_AMX)
        found.insert(4, Row("OpenVINO int8, no AMX", held, True, all_instructions=False))
    return found
