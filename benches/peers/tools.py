"""The peers' own benchmark tools, on the same file with the same settings."""

import os
import re
import subprocess
import sys
from pathlib import Path

from peer import Candidate

ONNXRUNTIME = """
import sys, onnxruntime
from onnxruntime.tools import onnxruntime_test
file, runs, threads, width, height = sys.argv[1], *map(int, sys.argv[2:])
make = onnxruntime.InferenceSession
def limited(file, sess_options=None, **rest):
    sess_options = onnxruntime.SessionOptions()
    sess_options.intra_op_num_threads = threads
    return make(file, sess_options=sess_options, **rest)
onnxruntime.InferenceSession = limited
onnxruntime_test.run_model(file, runs, symbolic_dims={"width": width, "height": height}, override_initializers=False)
"""
"""`onnxruntime_test`, the tool that comes with the wheel, which has no flag for the threads.

`onnxruntime_perf_test` is not in the wheel.
"""


def time(candidate: Candidate, size: tuple[int, int], threads: int, seconds: float, about: float) -> float | None:
    """Milliseconds by the tool, None where the runtime's package has none; `about` is what a run takes."""
    width, height = size
    runs = max(10, round(seconds * 1e3 / about))
    if candidate.runtime == "onnxruntime":
        arguments = [candidate.file, runs, threads, width, height]
        command, found = [sys.executable, "-c", ONNXRUNTIME, *arguments], r"avg latency: ([\d.]+) ms"
    elif candidate.runtime == "openvino":
        command = [Path(sys.executable).with_name("benchmark_app"), "-m", candidate.file, "-d", "CPU"]
        # It refuses -nthreads together with -hint latency; one stream and one request at a time is what the hint sets.
        command += ["-hint", "none", "-nstreams", 1, "-nireq", 1, "-api", "sync"]
        command += ["-pin", "NO", "-nthreads", threads, "-niter", runs]
        # Left alone, it makes the input u8 without the division by 255.
        kind = "u8" if candidate.u8 else "f32"
        command += ["-shape", f"[1,3,{height},{width}]", "-ip", kind, "-op", kind]
        command += ["-infer_precision", candidate.options["INFERENCE_PRECISION_HINT"]]
        found = r"Median:\s+([\d.]+) ms"
    else:
        return None
    answer = subprocess.run(
        [str(word) for word in command], env=os.environ | candidate.environment, capture_output=True, text=True
    )
    told = re.search(found, answer.stdout)
    if answer.returncode or not told:
        raise SystemExit(f"{candidate.runtime}'s own tool failed:\n{answer.stdout[-1000:]}{answer.stderr[-1000:]}")
    return float(told[1])
