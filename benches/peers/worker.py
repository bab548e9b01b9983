"""One peer in a process of its own: commands as lines of JSON on stdin, an answer to each on stdout.

Being a process, a peer has its own environment, its own threads, and sleeps while others are measured.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import runtimes

WARM_UP = 3
"""Runs before each measurement: the others have had the caches since the last one."""
LEAST = 5
"""Runs in a measurement, however long they take."""


class Worker:
    def load(self, runtime: str, file: str, size: tuple[int, int], threads: int, options: dict) -> dict:
        self.peer = runtimes.BY_NAME[runtime](Path(file), tuple(size), threads, options)
        return {}

    def frame(self, file: str) -> dict:
        self.peer.prepare(np.load(file))
        return {}

    def measure(self, seconds: float) -> dict:
        for _ in range(WARM_UP):
            self.peer.run()
        times = []
        end = time.perf_counter() + seconds
        while len(times) < LEAST or time.perf_counter() < end:
            begin = time.perf_counter()
            self.peer.run()
            times.append((time.perf_counter() - begin) * 1e3)
        return {"ms": times}

    def stylize(self, file: str) -> dict:
        """Writes the picture of the frame."""
        self.peer.run()
        np.save(file, self.peer.output())
        return {}

    def kernels(self) -> dict:
        self.peer.run()
        return {"ms": self.peer.kernels()}


def main() -> None:
    # What the libraries print goes to stderr: stdout is for answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    worker = Worker()
    for line in sys.stdin:
        command = json.loads(line)
        answers.write(json.dumps(getattr(worker, command.pop("do"))(**command)) + "\n")


if __name__ == "__main__":
    main()
