"""Measures a training step of nijigen-train against the same step in PyTorch; see `run` beside this file."""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import material
import report
import same
import trainer

BEFORE = 1
"""Evaluations whose steps do not count: memory is fetched then, and oneDNN's kernels are made."""


@dataclass
class Kind:
    """A step of one configuration. `period` is after how many of them they are alike again."""

    name: str
    config: str
    period: int
    changes: dict[str, object] = field(default_factory=dict)


# Of eight distillation steps one compares features, of the teacher's every one, so that all are alike. A teacher that is as
# random as this one would be taken for a collapsed one.
TEACHER = {"evaluate_pictures": 2, "collapse.diversity": 0.0, "features_every": 1}
KINDS = [
    Kind("distillation", "base.toml", 8),
    Kind("warm", "teacher.toml", 4, TEACHER),
    Kind("adversarial", "teacher.toml", 4, TEACHER | {"warm.steps": 0}),
]


class Turn:
    """So many steps of a kind: first those that do not count, then `steps`."""

    def __init__(self, kind: Kind, half: bool, steps: int, is_slow: bool) -> None:
        self.kind, self.half = kind, half
        # Where a step takes seconds, a few tell as much, but for those that come in periods.
        self.period, self.steps = (2, 2) if is_slow and kind.period < 8 else (kind.period, steps)

    @property
    def before(self) -> int:
        return self.period * BEFORE

    def configuration(self, folder: Path) -> Path:
        """Written to a file of the folder."""
        counts = {"steps": self.before + self.steps, "evaluate_every": self.period, "half": self.half}
        path = folder / "config.toml"
        path.write_text(material.altered(self.kind.config, self.kind.changes | counts))
        return path


PEERS = {report.EAGER: "contiguous", report.CHANNELS_LAST: "channels-last"}
DEVICES = {report.TCH: "tch", report.FLEX: "flex"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benches/train-speed/run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns that everyone gets [default: %(default)s]")
    parser.add_argument(
        "--steps", type=int, default=8, help="steps of a turn that count, a multiple of 8 [default: %(default)s]"
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], metavar="N")
    parser.add_argument("--kinds", nargs="+", choices=[kind.name for kind in KINDS], default=[k.name for k in KINDS])
    parser.add_argument("--write", action="store_true", help="put the section into benches/RESULTS.md")
    parser.add_argument("--trainer", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--convolution", type=Path, required=True, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.steps % 8 or given.steps < 8:
        parser.error("--steps must be a multiple of 8")
    return given


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def peer(folder: Path, turn: Turn, layout: str, threads: int) -> float:
    words = [sys.executable, Path(__file__).with_name("peer.py"), "--step", turn.kind.name]
    words += ["--config", turn.configuration(folder), "--vgg", folder / "vgg.npz"]
    words += ["--layout", layout, "--threads", threads, "--steps", turn.before + turn.steps]
    done = subprocess.run(
        [str(word) for word in words], env=trainer.environment(threads), capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"PyTorch failed:\n{done.stderr[-2000:]}")
    return fmean(json.loads(done.stdout)[turn.before :])


def convolutions(program: Path, device: str, threads: int) -> str:
    done = subprocess.run(
        [program, "--bench"],
        env=trainer.environment(threads) | {"NIJIGEN_DEVICE": device},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def main() -> None:
    given = arguments()
    kinds = [kind for kind in KINDS if kind.name in given.kinds]
    times: report.Times = defaultdict(list)
    waiting: report.Times = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="train-speed-") as name:
        folder = Path(name)
        material.make_vgg(folder / "vgg.npz")
        material.make_pairs(folder / "pairs")
        proofs = same.check(given.trainer, folder, "tch")
        for proof in proofs:
            say(proof)
        for number in range(given.rounds):
            for kind in kinds:
                for half in (False, True):
                    # Back ends without a 16-bit format would do the same again.
                    names = [name for name in (*PEERS, *DEVICES) if not (half and name == report.FLEX)]
                    # Whoever goes first in one round does not in the next.
                    turned = names[number % len(names) :] + names[: number % len(names)]
                    for threads in given.threads:
                        case = report.Case(kind.name, half, threads)
                        for name in turned:
                            turn = Turn(kind, half, given.steps, is_slow=name == report.FLEX)
                            if name in PEERS:
                                times[case, name].append(peer(folder, turn, PEERS[name], threads))
                                continue
                            config = turn.configuration(folder)
                            run = trainer.run(given.trainer, folder, config, folder / "pairs", DEVICES[name], threads)
                            batch = material.parsed(config.read_text())["batch"]
                            times[case, name].append(fmean(run.milliseconds(batch)[BEFORE:]))
                            waiting[case, name].append(fmean(run.waiting()[BEFORE:]))
                        took = ", ".join(f"{name} {times[case, name][-1]:.1f}" for name in names)
                        say(f"round {number + 1}, {case}: {took} ms")
        alone = report.Case("distillation", False, given.threads[0])
        slower_first = report.FLEX, report.TCH
        tables = {name: convolutions(given.convolution, DEVICES[name], alone.threads) for name in slower_first}
    command = shlex.join(["benches/train-speed/run", *sys.argv[1 + 4 :]])
    section = report.section(command, given.rounds, proofs, times, waiting, tables, alone)
    print(section)
    if given.write:
        report.write(section, material.REPOSITORY / "benches/RESULTS.md")


if __name__ == "__main__":
    main()
