"""Measures nijigen against other runtimes; see README.md."""

import argparse
import shlex
import sys
import tempfile
from pathlib import Path

import contenders
import criteria
import files
import isa
import measure
import numpy as np
import photos
import quality
import report
from nijigen import Nijigen


def size(text: str) -> tuple[int, int]:
    width, height = map(int, text.split("x"))
    if width % 8 or height % 8:
        raise argparse.ArgumentTypeError("both sides must be multiples of 8")
    return width, height


def arguments() -> argparse.Namespace:
    release = files.REPOSITORY / "target/release"
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="turns that everyone gets [default: %(default)s]")
    parser.add_argument("--seconds", type=float, default=1, help="length of a turn [default: %(default)s]")
    parser.add_argument("--sizes", type=size, nargs="+", default=[(320, 240), (640, 480), (1280, 720)], metavar="WxH")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], metavar="N")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="more photos to calibrate on than examples/")
    parser.add_argument("--prepare", action="store_true", help="make the peers' files and stop")
    parser.add_argument("--nijigen", type=Path, default=release / "nijigen", metavar="FILE")
    parser.add_argument("--trainer", type=Path, default=release / "nijigen-train", metavar="FILE")
    parser.add_argument("--results", type=Path, default=files.REPOSITORY / "benches/RESULTS.md", metavar="FILE")
    parser.add_argument("--cache", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def command() -> str:
    """What was typed, without what `run` adds."""
    return shlex.join(["benches/peers/run", *sys.argv[3:]])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    given = arguments()
    examples = photos.find([files.REPOSITORY / "examples"])
    made = files.make(given.cache, given.trainer, examples + (photos.find([given.photos]) if given.photos else []))
    rows = contenders.rows(made)
    candidates = [candidate for row in rows for candidate in row.candidates]
    decibels = quality.of(candidates, rows[0].candidates[0], examples)
    if given.prepare:
        print(report.qualities(rows, decibels))
        return
    allowed = {candidate for candidate in candidates if decibels[candidate] >= quality.LEAST_DB}

    measured, isas, judged = {}, {}, []
    with tempfile.TemporaryDirectory() as scratch:
        frame = Path(scratch) / "frame.npy"
        for shape in given.sizes:
            np.save(frame, photos.frame(examples[0], shape))
            for threads in given.threads:
                say(f"{shape[0]}x{shape[1]}, --threads {threads}: choosing the fastest files")
                peers = {
                    row.name: measure.fastest(row, allowed, shape, threads, frame, given.seconds) for row in rows
                }
                isa.check_avx2(peers["OpenVINO int8, AVX2"], shape, frame)
                ours = {
                    criteria.OURS: Nijigen(given.nijigen, "fused", None, shape, threads),
                    criteria.OURS_AVX2: Nijigen(given.nijigen, "fused", "avx2", shape, threads),
                    criteria.TRACT: Nijigen(given.nijigen, "tract", None, shape, threads),
                }
                if criteria.NO_AMX in peers:
                    ours[criteria.OURS_NO_AMX] = Nijigen(given.nijigen, "fused", "avx512vnni", shape, threads)
                say(f"{shape[0]}x{shape[1]}, --threads {threads}: rounds")
                results = measure.rounds(ours, peers, shape, threads, frame, given.rounds, given.seconds)
                isas |= {name: one.used_isa for name, one in ours.items() if name != criteria.TRACT}
                measured[shape, threads] = results
                judged += criteria.judge(rows, shape, threads, results)
                print(report.figures(results, isas), flush=True)
    conditions = f"{given.rounds} rounds, turns of {given.seconds:g} s"
    text = report.section(command(), conditions, rows, decibels, measured, isas, judged)
    report.write(given.results, text)
    for one in judged:
        reached = "–" if one.reached is None else f"{one.reached:.2f}"
        print(f"{one.word:9} {one.what}, {one.where}: {reached} of at least {one.least} ({one.note})")


if __name__ == "__main__":
    main()
