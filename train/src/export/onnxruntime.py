"""Runs a style once through onnxruntime: MODEL INPUT WIDTH HEIGHT OUTPUT, raw RGB bytes in and out.

A fourth channel (the person mask) is left out."""
import sys

import numpy as np
import onnxruntime

model, source, width, height, target = sys.argv[1:]
pixels = np.fromfile(source, np.uint8).reshape(int(height), int(width), 3)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
image = pixels.transpose(2, 0, 1)[None].astype(np.float32) / 255
(result,) = session.run(None, {session.get_inputs()[0].name: image})
np.rint(result[0][:3].transpose(1, 2, 0) * 255).clip(0, 255).astype(np.uint8).tofile(target)
