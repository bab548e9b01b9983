"""The measurement of one size with one number of threads: candidates first, then rounds in which all take turns."""

import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tools
from contenders import Row
from nijigen import Nijigen
from peer import Candidate, Peer

REST = 0.05
"""Seconds between two measurements, in which the last one's spinning threads go to sleep."""
TOOL_ROUNDS = 3
"""Rounds at the beginning in which the peers' own tools are run too."""
TOLERANCE = 1.05
"""How much longer than its own tool a peer may take here: two medians of the same thing differ by as much."""


@dataclass
class Result:
    """What one contender took: one entry a round."""

    name: str
    candidate: Candidate | None
    medians: list[float] = field(default_factory=list)
    p95s: list[float] = field(default_factory=list)
    tool: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.medians)

    @property
    def p95(self) -> float:
        return statistics.median(self.p95s)

    @property
    def counts(self) -> bool:
        """Whether it is not slower here than by its own tool, each in its best of the rounds that both were run in."""
        return not self.tool or min(self.medians[: len(self.tool)]) <= TOLERANCE * min(self.tool)

    def over(self, other: "Result") -> float:
        """How many times as long as the other it took: the median of the rounds' ratios, which no drift touches."""
        return statistics.median(a / b for a, b in zip(self.medians, other.medians, strict=True))


def percentiles(times: list[float]) -> tuple[float, float]:
    return statistics.median(times), float(np.percentile(times, 95))


def fastest(
    row: Row, allowed: set[Candidate], size: tuple[int, int], threads: int, frame: Path, seconds: float
) -> Candidate:
    """The candidate of a row that is fastest here, of those whose pictures are right."""
    candidates = [candidate for candidate in row.candidates if candidate in allowed]
    if not candidates:
        raise SystemExit(f"{row.name}: no file gives the right picture")
    if len(candidates) == 1:
        return candidates[0]
    best = {}
    with ExitStack() as stack:
        peers = [stack.enter_context(Peer(candidate, size, threads)) for candidate in candidates]
        for peer in peers:
            peer.frame(frame)
        for _ in range(2):
            for peer in peers:
                time.sleep(REST)
                took = percentiles(peer.measure(seconds / 4))[0]
                best[peer.candidate] = min(took, best.get(peer.candidate, took))
    return min(best, key=best.get)


def rounds(
    ours: dict[str, Nijigen],
    peers: dict[str, Candidate],
    size: tuple[int, int],
    threads: int,
    frame: Path,
    count: int,
    seconds: float,
) -> dict[str, Result]:
    """Each contender once a round for about so many seconds, each round beginning with another one."""
    results = {name: Result(name, peers.get(name)) for name in [*ours, *peers]}
    with ExitStack() as stack:
        running = {name: stack.enter_context(Peer(candidate, size, threads)) for name, candidate in peers.items()}
        for peer in running.values():
            peer.frame(frame)
        for engine in ours.values():
            # Tells how many frames fill the time.
            engine.measure(seconds)
        for number in range(count):
            order = list(results)
            order = order[number % len(order) :] + order[: number % len(order)]
            for name in order:
                time.sleep(REST)
                result = results[name]
                if name in ours:
                    median, p95 = ours[name].measure(seconds)
                else:
                    median, p95 = percentiles(running[name].measure(seconds))
                result.medians.append(median)
                result.p95s.append(p95)
                if name in peers and number < TOOL_ROUNDS:
                    told = tools.time(peers[name], size, threads, seconds, median)
                    result.tool += [told] if told else []
    return results
