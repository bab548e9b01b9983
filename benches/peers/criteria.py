"""What the engine is to reach against the peers, judged on one run."""

from dataclasses import dataclass

from contenders import Row
from measure import Result

OURS, OURS_NO_AMX, OURS_AVX2, TRACT = "nijigen", "nijigen, no AMX", "nijigen, AVX2", "tract alone"
NO_AMX = "OpenVINO int8, no AMX"
JUDGED_SIZES = [(640, 480), (1280, 720)]


@dataclass(frozen=True)
class Verdict:
    what: str
    where: str
    least: float
    reached: float | None
    """None where a result it depends on does not count."""
    note: str
    """Whom it was reached against."""

    @property
    def word(self) -> str:
        if self.reached is None:
            return "undecided"
        return "pass" if self.reached >= self.least else "FAIL"


def verdict(what: str, where: str, least: float, rivals: list[Result], ours: Result) -> Verdict:
    """Against the fastest of the rivals, one whose time does not count taken as fast as its own tool has it."""

    def at_best(rival: Result) -> float:
        ratio = rival.over(ours)
        return ratio if rival.counts else ratio * min(rival.tool) / min(rival.medians)

    rival = min(rivals, key=at_best)
    if not rival.counts:
        return Verdict(what, where, least, None, f"{rival.name}, slower here than by its own tool")
    note = f"{rival.name}, {rival.median:.2f} against {ours.median:.2f} ms"
    return Verdict(what, where, least, rival.over(ours), note)


def judge(rows: list[Row], size: tuple[int, int], threads: int, results: dict[str, Result]) -> list[Verdict]:
    if size not in JUDGED_SIZES:
        return []
    where = f"{size[0]}×{size[1]}, {threads} {'thread' if threads == 1 else 'threads'}"
    int8 = [results[row.name] for row in rows if row.int8 and row.all_instructions]
    judged = [
        verdict("faster than the fastest other int8 runtime", where, 1.5, int8, results[OURS]),
        verdict("AVX2 only, against OpenVINO", where, 1.0, [results["OpenVINO int8, AVX2"]], results[OURS_AVX2]),
        verdict("faster than tract alone", where, 15.0, [results[TRACT]], results[OURS]),
    ]
    if NO_AMX in results:
        no_amx = [results["onnxruntime int8"], results[NO_AMX]]
        judged.append(verdict("for information: the first, all without AMX", where, 1.5, no_amx, results[OURS_NO_AMX]))
    return judged
