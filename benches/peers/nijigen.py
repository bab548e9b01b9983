"""The project's own program, measured by its own `bench`: a process for each measurement."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from files import STYLE

LEAST = 5
"""Frames in a measurement, however long they take."""


@dataclass
class Nijigen:
    """One engine of it at one size, with so many threads."""

    program: Path
    engine: str
    isa: str | None
    """The instruction set to be held to; without one the program chooses."""
    size: tuple[int, int]
    threads: int
    frames: int = LEAST

    def measure(self, seconds: float) -> tuple[float, float]:
        """Median and 95th percentile in milliseconds of the stage `stylize`, whose input and output are u8 pixels."""
        width, height = self.size
        command = [self.program, "bench", "--json", "--style", STYLE, "--engine", self.engine]
        command += ["--size", f"{width}x{height}", "--threads", str(self.threads), "--frames", str(self.frames)]
        command += ["--isa", self.isa] if self.isa else []
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode:
            raise SystemExit(f"{' '.join(map(str, command))}:\n{answer.stderr}")
        told = json.loads(answer.stdout)
        if told["engine"] != self.engine or self.isa not in (None, told["isa"]):
            raise SystemExit(f"asked for {self.engine} on {self.isa}, got {told['engine']} on {told['isa']}")
        self.used_isa = told["isa"]
        median = told["stages_ms"]["stylize"]["p50"]
        self.frames = max(LEAST, min(1000, round(seconds * 1e3 / median)))
        return median, told["stages_ms"]["stylize"]["p95"]
