"""PyTorch's turn, in a process of its own: takes steps and prints the milliseconds of each, as JSON."""

import argparse
import json
import time
from pathlib import Path

import material
import numpy as np
import torch
from networks import Vgg
from steps import Distillation, Teacher

LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", choices=["distillation", "warm", "adversarial"], required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--vgg", type=Path, required=True)
    parser.add_argument("--layout", choices=LAYOUTS, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(1)
    layout = LAYOUTS[given.layout]
    config = material.parsed(given.config.read_text())
    vgg = Vgg(dict(np.load(given.vgg)), config["half"], layout)
    if given.step == "distillation":
        taken = Distillation(config, vgg)
        taken.student.network.take(material.safetensors(material.BASE))
        networks = [taken.student]
    else:
        taken = Teacher(config, vgg)
        networks = [taken.generator, taken.adversaries]
    for trained in networks:
        trained.network.to(memory_format=layout)
        # The average begins as the network, in its layout.
        trained.average = [p.detach().clone() for p in trained.parameters]
    batches = [material.batch(config["batch"], config.get("twins", 0), config["crop"], layout, i) for i in range(3)]
    times = []
    for step in range(given.steps):
        started = time.perf_counter()
        taken.take(step, batches[step % len(batches)].copied())
        times.append((time.perf_counter() - started) * 1e3)
    print(json.dumps(times))


if __name__ == "__main__":
    main()
