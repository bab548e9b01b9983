"""Whether a peer held to an instruction set is held."""

import re
import tempfile
from pathlib import Path

from peer import Candidate, Peer


def held_to_avx2(candidate: Candidate, size: tuple[int, int], frame: Path) -> float:
    """Ends the program unless oneDNN says it runs on AVX2; gives the share of the time in AVX-512 kernels.

    Those are OpenVINO's own for moving data, which its releases do not let anyone hold back.
    """
    environment = candidate.environment | {"ONEDNN_VERBOSE": "1"}
    verbose = Candidate(candidate.runtime, candidate.name, candidate.file, {"PERF_COUNT": True}, environment)
    verbose = verbose.with_options(**candidate.options)
    with tempfile.NamedTemporaryFile("r") as log:
        with Peer(verbose, size, 1, log=Path(log.name)) as peer:
            peer.frame(frame)
            kernels = peer.kernels()
        said = log.read()
    isa = re.search(r"onednn_verbose,v1,info,cpu,isa:(.*)", said)
    if not isa or isa[1].strip() != "Intel AVX2":
        raise SystemExit(f"oneDNN was to be held to AVX2 and reports {isa[1] if isa else 'nothing'}")
    executed = re.findall(r"onednn_verbose,v1,primitive,exec,cpu,(\w+),([^,]+),", said)
    if not any(kind == "convolution" for kind, _ in executed):
        raise SystemExit("oneDNN, held to AVX2, reports no convolution")
    beyond = {name for _, name in executed if re.search("avx512|amx|vnni", name)}
    if beyond:
        raise SystemExit(f"oneDNN was to be held to AVX2 and ran {', '.join(sorted(beyond))}")
    return sum(time for kind, time in kernels.items() if "avx512" in kind) / sum(kernels.values())
