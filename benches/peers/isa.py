"""Whether a peer held to an instruction set is held."""

import dataclasses
import re
import tempfile
from pathlib import Path

from peer import Candidate, Peer

BEYOND_AVX2 = re.compile("avx512|amx|vnni", re.IGNORECASE)


def check_avx2(candidate: Candidate, size: tuple[int, int], frame: Path) -> None:
    """Ends the program unless oneDNN says that it runs on AVX2 and every kernel of OpenVINO's is one of AVX2."""
    watched = dataclasses.replace(
        candidate,
        options=candidate.options | {"PERF_COUNT": True},
        # At level 1 the oneDNN of OpenVINO 2026.4 fails to execute (openvino#37754). What it creates, it executes.
        environment=candidate.environment | {"ONEDNN_VERBOSE": "profile_create"},
    )
    with tempfile.NamedTemporaryFile("r") as log:
        with Peer(watched, size, 1, log=Path(log.name)) as peer:
            peer.frame(frame)
            kernels = peer.kernels()
        said = log.read()
    isa = re.search(r"onednn_verbose,v1,info,cpu,isa:(.*)", said)
    if not isa or isa[1].strip() != "Intel AVX2":
        raise SystemExit(f"oneDNN was to be held to AVX2 and reports {isa[1] if isa else 'nothing'}")
    created = re.findall(r"onednn_verbose,v1,primitive,create:[^,]*,cpu,(\w+),([^,]+),", said)
    if not any(kind == "convolution" for kind, _ in created):
        raise SystemExit("oneDNN, held to AVX2, reports no convolution")
    beyond = {name for name in [*kernels, *(name for _, name in created)] if BEYOND_AVX2.search(name)}
    if beyond:
        raise SystemExit(f"OpenVINO was to be held to AVX2 and uses {', '.join(sorted(beyond))}")
