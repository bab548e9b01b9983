"""The section of benches/RESULTS.md between the markers, in Markdown."""

import datetime
import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

BEGIN, END = "<!-- train-speed:begin -->", "<!-- train-speed:end -->"
EAGER, CHANNELS_LAST, TCH, FLEX = "PyTorch", "PyTorch, channels last", "tch", "flex"
GOAL = 1.3
"""The most that a step with `tch` may take beside PyTorch's."""


def threads(count: int) -> str:
    return f"{count} thread" + "s" * (count != 1)


@dataclass(frozen=True)
class Case:
    kind: str
    half: bool
    threads: int

    @property
    def convolutions(self) -> str:
        return "bfloat16" if self.half else "32 bits"

    def __str__(self) -> str:
        return f"{self.kind}, {self.convolutions}, {threads(self.threads)}"


Times = dict[tuple[Case, str], list[float]]
"""A figure for each round."""


def machine() -> str:
    about = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.split(":", 1)[1].strip() for line in about if line.startswith("model name"))
    flags = next(line.split(":", 1)[1].split() for line in about if line.startswith("flags"))
    has = ", ".join(flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags)
    return f"{model}, {os.cpu_count()} cores ({has}), Linux {platform.release()}"


def table(heads: list[str], lines: list[list[str]], texts: int) -> str:
    """Columns of text first, then figures."""
    ruler = "|---" * texts + "|--:" * (len(heads) - texts) + "|"
    return "\n".join(["| " + " | ".join(heads) + " |", ruler, *("| " + " | ".join(line) + " |" for line in lines)])


def cases(times: Times) -> list[Case]:
    return list(dict.fromkeys(case for case, _ in times))


def ratio(times: Times, case: Case, ours: str, theirs: list[str]) -> float:
    """To the faster of `theirs` in the same round; the median of the rounds."""
    rounds = zip(times[case, ours], zip(*(times[case, name] for name in theirs)))
    return median(own / min(others) for own, others in rounds)


def figures(times: Times, waiting: Times) -> str:
    lines = []
    for case in cases(times):
        line = [case.kind, case.convolutions, str(case.threads)]
        line += [f"{median(times[case, name]):.1f}" for name in (EAGER, CHANNELS_LAST, TCH)]
        line += [f"{ratio(times, case, TCH, [EAGER]):.2f}", f"{ratio(times, case, TCH, [EAGER, CHANNELS_LAST]):.2f}"]
        line += [f"{median(waiting[case, TCH]) * 100:.2f} %"]
        if (case, FLEX) in times:
            line += [f"{median(times[case, FLEX]):.0f}", f"{ratio(times, case, FLEX, [EAGER]):.1f}"]
            line += [f"{median(waiting[case, FLEX]) * 100:.2f} %"]
        else:
            line += ["–"] * 3
        lines.append(line)
    heads = ["step", "convolutions", "threads", "PyTorch, ms", "channels last, ms", "`tch`, ms"]
    heads += ["× PyTorch", "× the faster", "waits", "`flex`, ms", "× PyTorch", "waits"]
    return table(heads, lines, 2)


def verdict(times: Times) -> str:
    ratios = {case: ratio(times, case, TCH, [EAGER]) for case in cases(times)}
    missed = [f"{case} ({value:.2f})" for case, value in ratios.items() if value > GOAL]
    if missed:
        return f"The goal for `tch`, at most {GOAL} times PyTorch, is not reached by: {'; '.join(missed)}."
    faster = max(ratio(times, case, TCH, [EAGER, CHANNELS_LAST]) for case in cases(times))
    return (
        f"The goal for `tch`, at most {GOAL} times PyTorch as it comes, is reached by all (at most"
        f" {max(ratios.values()):.2f}; of the faster of both layouts it takes at most {faster:.2f} times the time)."
    )


def totals(convolutions: str) -> list[float]:
    """Forward, the input's gradient, the weights' gradient, milliseconds of a step."""
    return [float(cell) for cell in convolutions.splitlines()[-1].strip("| ").split("|")[-3:]]


def share(name: str, times: Times, convolutions: str, case: Case) -> str:
    """What of a step its convolutions are."""
    step = median(times[case, name])
    parts = [f"{part / step * 100:.0f} %" for part in totals(convolutions)]
    whole = sum(totals(convolutions)) / step * 100
    return (
        f"with `{name}` {whole:.0f} % of the step's {step:.0f} ms\n({parts[0]} forward, {parts[1]} for the gradients of "
        f"inputs, {parts[2]} for those of weights)"
    )


def section(
    command: str, rounds: int, proofs: list[str], times: Times, waiting: Times, tables: dict[str, str], case: Case
) -> str:
    """`tables` are of the convolutions alone, `case` the distillation steps that they are beside."""
    shares = [share(name, times, convolutions, case) for name, convolutions in tables.items() if (case, name) in times]
    alone = ""
    if shares:
        alone = f"""
Convolutions alone, in a loop (`cargo bench -p nijigen-train --bench convolution`), are, of a distillation step in 32 bits on
{threads(case.threads)}, {", and ".join(shares)}.
With `flex`, in milliseconds, and how often a step computes each:

{tables[FLEX].strip()}
"""
    proven = "\n".join(f"- {proof}" for proof in proofs)
    return f"""{BEGIN}
## Training, against PyTorch

{datetime.date.today()}, `{command}`: {rounds} rounds. {machine()}.
PyTorch {version("torch")}, which is also the LibTorch of `tch`; Burn 0.21.0.

A whole step from a batch to the averaged weights: forward, all losses of the shipped configuration, backward, clipping,
Adam, average. A distillation step is one of `train/configs/base.toml` (size `m`, 10 crops of 192×192; one step of eight
compares features), warm and adversarial ones are of `train/configs/teacher.toml` (4 crops of 128×128; every step compares
features). In each round everyone takes a turn in a process of its own; times are medians over the rounds of a turn's mean,
ratios are medians of the rounds' ratios: to PyTorch as it comes, and to the faster of that and PyTorch with its channels
last. The trainer's own journal tells its times (`photos_per_second` in `losses.csv` and `metrics.csv`), which count
everything but evaluations.
PyTorch, with its fused Adam, is given its batches ready-made, which is in its favour: the trainer draws them meanwhile on
a thread of its own. `waits` is the share of a step that is spent waiting for that thread (`waiting_share`). `flex` computes
in 32 bits alone, and a turn of it has but two teacher steps that count.

{figures(times, waiting)}

{verdict(times)}
{alone}
That both compute the same was seen first, in 32 bits and without augmentation:

{proven}
{END}"""


def write(text: str, path: Path) -> None:
    results = path.read_text()
    if BEGIN in results:
        before, rest = results.split(BEGIN, 1)
        results = before + text + rest.split(END, 1)[1]
    else:
        results = results.rstrip("\n") + "\n\n" + text + "\n"
    path.write_text(results)
