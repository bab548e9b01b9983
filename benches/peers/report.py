"""The section of benches/RESULTS.md between the markers, in Markdown."""

import datetime
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path

from contenders import Row
from criteria import OURS, OURS_AVX2, Verdict
from measure import TOLERANCE, Result
from peer import Candidate

BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"
PACKAGES = ["onnxruntime", "openvino", "nncf", "ncnn", "pnnx", "onnx", "numpy"]


def machine() -> str:
    models = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    flags = Path("/proc/cpuinfo").read_text().split()
    sets = [flag for flag in ["avx2", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8"] if flag in flags]
    return f"{models[0]}, {os.cpu_count()} cores ({', '.join(sets)}), Linux {platform.release()}"


def table(heads: list[str], lines: list[list[str]]) -> str:
    """A Markdown table whose first column is text and whose others are figures."""
    ruler = "|---" + "|---:" * (len(heads) - 1) + "|"
    return "\n".join(["| " + " | ".join(heads) + " |", ruler, *("| " + " | ".join(line) + " |" for line in lines)])


def figures(results: dict[str, Result], isas: dict[str, str]) -> str:
    lines = []
    for name, result in results.items():
        base = results[OURS_AVX2 if name.endswith("AVX2") else OURS]
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
    avx512_share: float,
    measured: dict[tuple[tuple[int, int], int], dict[str, Result]],
    isas: dict[str, str],
    judged: list[Verdict],
) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    parts = [
        "## Against other runtimes",
        f"{datetime.date.today()}, `{command}`: {conditions}. {machine()}. {versions}.",
        f"""The style `anime` on every runtime, interleaved: in each round everyone takes a turn, each peer in a process of its
own, nothing pinned to cores. Times are medians over the rounds of each round's median and 95th percentile; ratios are medians
of the rounds' ratios, of rows held to AVX2 to nijigen held to AVX2. nijigen and tract are timed from u8 pixels to u8 pixels;
the peers are given float32 NCHW tensors made beforehand and are not charged for making them or for turning their output into
pixels, which is in their favour. Of the ways to run a peer (`as`) each table has the one that was fastest there: a file of
the peer's own quantizer, the style's file, or that with its operators in the order which the peers recognise; f32 or bf16 is
what the rest is computed in. A peer's time counts if it is not more than {TOLERANCE - 1:.0%} above what its own tool gives for the same file
in the same rounds: `benchmark_app -hint latency -api sync` for OpenVINO, the loop of `onnxruntime_test` for onnxruntime
(`onnxruntime_perf_test` is not in its package); the packages of ncnn and tract have none. ncnn is float, since its quantizer
(`ncnn2table`, `ncnn2int8`) is in no package.""",
    ]
    if judged:
        parts += ["### What is to be reached", verdicts(judged)]
    for ((width, height), threads), results in measured.items():
        parts += [f"### {width}×{height}, {threads} {'thread' if threads == 1 else 'threads'}", figures(results, isas)]
    parts += [
        "### How right they are",
        "Against the float network in onnxruntime, on the photos of `examples/`. "
        f"Held to AVX2, oneDNN reports AVX2 and no kernel beyond it; OpenVINO's own kernels for moving data, which cannot be "
        f"held back, still use AVX-512 for {avx512_share:.0%} of the time, in its favour.",
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
