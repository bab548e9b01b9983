"""The section of benches/RESULTS.md between the markers, in Markdown."""

import datetime
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path

from contenders import Row, machine_has
from criteria import OURS, OURS_AVX2, OURS_NO_AMX, Verdict
from measure import TOLERANCE, Result
from peer import Candidate

BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"
METHOD = Path(__file__).with_name("method.md")
"""How it was measured, the same for each run."""
PACKAGES = ["onnxruntime", "openvino", "nncf", "ncnn", "pnnx", "onnx", "numpy"]


def machine() -> str:
    about = Path("/proc/cpuinfo").read_text()
    model = next(line.split(":", 1)[1].strip() for line in about.splitlines() if line.startswith("model name"))
    sets = ["avx2", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"]
    has = ", ".join(flag for flag in sets if machine_has(flag))
    return f"{model}, {os.cpu_count()} cores ({has}), Linux {platform.release()}"


def table(heads: list[str], lines: list[list[str]]) -> str:
    """A Markdown table whose first column is text and whose others are figures."""
    ruler = "|---" + "|---:" * (len(heads) - 1) + "|"
    return "\n".join(["| " + " | ".join(heads) + " |", ruler, *("| " + " | ".join(line) + " |" for line in lines)])


def figures(results: dict[str, Result], isas: dict[str, str]) -> str:
    lines = []
    for name, result in results.items():
        held = {"AVX2": OURS_AVX2, "no AMX": OURS_NO_AMX}
        base = results[next((ours for end, ours in held.items() if name.endswith(end)), OURS)]
        lines.append(
            [
                name,
                result.candidate.name if result.candidate else isas.get(name, ""),
                f"{result.median:.2f}",
                f"{result.p95:.2f}",
                f"{result.over(base):.2f}",
                " ".join(f"{time:.2f}" for time in sorted(result.tool)) or "–",
                "yes" if result.counts else "**no**",
            ]
        )
    return table(["", "as", "median, ms", "p95, ms", "× nijigen", "its own tool, ms", "counts"], lines)


def qualities(rows: list[Row], decibels: dict[Candidate, float]) -> str:
    lines = [
        [row.name, candidate.name, f"{decibels[candidate]:.1f}"] for row in rows for candidate in row.candidates
    ]
    return table(["", "as", "PSNR, dB"], lines)


def verdicts(judged: list[Verdict]) -> str:
    lines = [
        [
            one.what,
            one.where,
            f"{one.least:.1f}",
            "–" if one.reached is None else f"{one.reached:.2f}",
            one.word,
            one.note,
        ]
        for one in judged
    ]
    return table(["", "where", "at least", "reached", "", "by"], lines)


def section(
    command: str,
    conditions: str,
    rows: list[Row],
    decibels: dict[Candidate, float],
    measured: dict[tuple[tuple[int, int], int], dict[str, Result]],
    isas: dict[str, str],
    judged: list[Verdict],
) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    parts = [
        "## Against other runtimes",
        f"{datetime.date.today()}, `{command}`: {conditions}. {machine()}. {versions}.",
        METHOD.read_text().strip().replace("TOLERANCE", f"{TOLERANCE - 1:.0%}"),
    ]
    if judged:
        parts += ["### What is to be reached", verdicts(judged)]
    for ((width, height), threads), results in measured.items():
        plural = "" if threads == 1 else "s"
        parts += [f"### {width}×{height}, {threads} thread{plural}", figures(results, isas)]
    parts += [
        "### How right they are",
        "Against the float network in onnxruntime, on the photos of `examples/`.",
        qualities(rows, decibels),
    ]
    return "\n\n".join(parts)


def write(file: Path, text: str) -> None:
    """Puts the section between its markers; what else the file says stays."""
    whole = file.read_text() if file.exists() else "# Benchmarks\n"
    marked = f"{BEGIN}\n{text}\n{END}"
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and not end:
        raise SystemExit(f"{file}: {BEGIN} without {END}")
    whole = before + marked + after if begin else f"{whole.rstrip()}\n\n{marked}\n"
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as fresh:
        fresh.write(whole)
    os.chmod(fresh.name, 0o644)
    os.replace(fresh.name, file)
