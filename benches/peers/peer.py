"""A peer's process, seen from the one that measures."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Candidate:
    """One way to run the network on a peer."""

    runtime: str
    name: str
    """What sets it apart from the other candidates for the same row of a table."""
    file: Path
    options: dict = field(default_factory=dict, hash=False)
    environment: dict[str, str] = field(default_factory=dict, hash=False)
    u8: bool = False
    """Whether the file's input and output are bytes instead of float32."""


class Peer:
    """A running worker with the network loaded; end it with `with`."""

    def __init__(self, candidate: Candidate, size: tuple[int, int], threads: int, log: Path | None = None):
        """What the libraries print goes into `log`, without one it is kept for the case that they fail."""
        self.candidate = candidate
        self.log = open(log, "w+") if log else tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=os.environ | candidate.environment,
        )
        try:
            self.ask(
                "load",
                runtime=candidate.runtime,
                file=str(candidate.file),
                size=size,
                threads=threads,
                options=candidate.options,
            )
        except BaseException:
            self.close()
            raise

    def ask(self, do: str, **arguments) -> dict:
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.log.seek(0)
            said = self.log.read()[-2000:]
            raise SystemExit(f"{self.candidate.runtime} ({self.candidate.name}) failed at '{do}':\n{said}")
        return json.loads(answer)

    def frame(self, file: Path) -> None:
        self.ask("frame", file=str(file))

    def measure(self, seconds: float) -> list[float]:
        return self.ask("measure", seconds=seconds)["ms"]

    def stylize(self, file: Path) -> np.ndarray:
        """The picture of the frame, by way of `file`."""
        self.ask("stylize", file=str(file))
        return np.load(file)

    def kernels(self) -> dict[str, float]:
        return self.ask("kernels")["ms"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()
        self.log.close()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_) -> None:
        self.close()
