"""nijigen-train's turn: a whole run of it, whose journal tells the time of its steps."""

import csv
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import material
import numpy as np

JOURNALS = {"distill": "losses.csv", "teacher": "metrics.csv"}


@dataclass
class Run:
    """A line of the journal for each evaluation, and what the run left in its folder."""

    lines: list[dict[str, str]]
    weights: dict[str, np.ndarray]
    adversaries: bytes
    """The checkpoint's record of them, in Burn's binary form; empty where there are none."""

    def milliseconds(self, batch: int) -> list[float]:
        """Of a step, each the mean of those before an evaluation; evaluations are not counted."""
        return [batch / float(line["photos_per_second"]) * 1e3 for line in self.lines]

    def waiting(self) -> list[float]:
        """The share of a step that was waited for its batch."""
        return [float(line["waiting_share"]) for line in self.lines]


def environment(threads: int) -> dict[str, str]:
    """LibTorch's threads, and those of Burn's own back ends."""
    return os.environ | {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}


def run(program: Path, folder: Path, config: Path, pairs: Path, device: str, threads: int) -> Run:
    """`folder` holds the VGG weights."""
    command = "distill" if "size" in material.parsed(config.read_text()) else "teacher"
    with tempfile.TemporaryDirectory(dir=folder) as out:
        words = [program, command, "--pairs", pairs, "--config", config, "--vgg", folder / "vgg.npz"]
        words += ["--device", device, "-o", out]
        if command == "distill":
            words += ["--base", material.BASE]
        done = subprocess.run(
            [str(word) for word in words], env=environment(threads), capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{command} on {device} failed:\n{done.stderr[-2000:]}")
        with (Path(out) / JOURNALS[command]).open() as journal:
            lines = list(csv.DictReader(journal))
        if command == "distill":
            return Run(lines, material.safetensors(Path(out) / "weights.safetensors"), b"")
        checkpoint = Path(out) / "checkpoint"
        piece = json.loads((checkpoint / "latest.json").read_text().splitlines()[1])["pieces"][2]
        adversaries = material.safetensors(checkpoint / f"{piece[:16]}.safetensors")["adversaries"]
        return Run(lines, material.safetensors(Path(out) / "teacher.safetensors"), adversaries.tobytes())
