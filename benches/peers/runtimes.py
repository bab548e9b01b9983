"""The peers, each behind the same words: load, prepare the input, run, the output.

Whatever can be done before a frame is done before: fixed shapes, the input as the tensor that the file wants, the
output's memory. Nothing is pinned to cores. Frames and outputs are float32 of 0..1, whatever the file takes and gives.
"""

from collections import Counter
from pathlib import Path

import numpy as np


def as_wanted(frame: np.ndarray, u8: bool) -> np.ndarray:
    return np.rint(frame * 255).astype(np.uint8) if u8 else frame


def as_float(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / 255 if picture.dtype == np.uint8 else picture


class OnnxRuntime:
    def __init__(self, file: Path, size: tuple[int, int], threads: int, options: dict):
        import onnxruntime

        session_options = onnxruntime.SessionOptions()
        session_options.intra_op_num_threads = threads
        session_options.inter_op_num_threads = 1
        for name, side in zip(("width", "height"), size, strict=True):
            session_options.add_free_dimension_override_by_name(name, side)
        self.session = onnxruntime.InferenceSession(file, session_options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        self.value = onnxruntime.OrtValue.ortvalue_from_numpy

    def prepare(self, frame: np.ndarray) -> None:
        frame = as_wanted(frame, self.session.get_inputs()[0].type == "tensor(uint8)")
        self.input, self.result = self.value(frame), self.value(np.empty_like(frame))
        self.binding.bind_ortvalue_input(self.session.get_inputs()[0].name, self.input)
        self.binding.bind_ortvalue_output(self.session.get_outputs()[0].name, self.result)

    def run(self) -> None:
        self.session.run_with_iobinding(self.binding)

    def output(self) -> np.ndarray:
        return as_float(self.result.numpy())


class OpenVino:
    def __init__(self, file: Path, size: tuple[int, int], threads: int, options: dict):
        """`options` are properties of its CPU plugin."""
        import openvino

        core = openvino.Core()
        model = core.read_model(file)
        width, height = size
        model.reshape([1, 3, height, width])
        properties = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,
        }
        self.u8 = model.input().element_type == openvino.Type.u8
        self.request = core.compile_model(model, "CPU", properties | options).create_infer_request()
        self.tensor = openvino.Tensor

    def prepare(self, frame: np.ndarray) -> None:
        # The request keeps neither array alive.
        self.input = as_wanted(frame, self.u8)
        self.result = np.empty_like(self.input)
        self.request.set_input_tensor(self.tensor(self.input, shared_memory=True))
        self.request.set_output_tensor(self.tensor(self.result, shared_memory=True))

    def run(self) -> None:
        self.request.infer(share_outputs=True)

    def output(self) -> np.ndarray:
        return as_float(self.result)

    def kernels(self) -> dict[str, float]:
        """Milliseconds by kind of kernel in the last run; wants the option PERF_COUNT."""
        spent = Counter()
        for node in self.request.get_profiling_info():
            spent[node.exec_type] += node.real_time.total_seconds() * 1e3
        return {kind: time for kind, time in spent.most_common() if time > 0}


class Ncnn:
    def __init__(self, file: Path, size: tuple[int, int], threads: int, options: dict):
        """`options` are fields of ncnn.Option."""
        import ncnn

        self.net = ncnn.Net()
        self.net.opt.num_threads = threads
        for name, value in options.items():
            setattr(self.net.opt, name, value)
        if self.net.load_param(str(file)) or self.net.load_model(str(file.with_suffix(".bin"))):
            raise SystemExit(f"ncnn cannot load {file}")
        self.mat = ncnn.Mat

    def prepare(self, frame: np.ndarray) -> None:
        # The Mat does not keep the array alive.
        self.frame = frame
        self.input = self.mat(frame[0])

    def run(self) -> None:
        extractor = self.net.create_extractor()
        extractor.input("in0", self.input)
        code, self.result = extractor.extract("out0")
        if code:
            raise SystemExit(f"ncnn failed with {code}")

    def output(self) -> np.ndarray:
        return np.array(self.result)[None]


BY_NAME = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "ncnn": Ncnn}
