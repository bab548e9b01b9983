"""How far each candidate's pictures are from the float network's: nobody is fast by being wrong."""

import tempfile
from pathlib import Path

import numpy as np
import photos
from peer import Candidate, Peer

SIZE = (640, 480)
LEAST_DB = 30.0
"""A candidate below this is left out."""


def pictures(candidate: Candidate, frames: list[Path], scratch: Path) -> list[np.ndarray]:
    made = []
    with Peer(candidate, SIZE, 1) as peer:
        for frame in frames:
            peer.frame(frame)
            made.append(peer.stylize(scratch / "picture.npy"))
    return made


def of(candidates: list[Candidate], reference: Candidate, examples: list[Path]) -> dict[Candidate, float]:
    """PSNR in dB of each candidate against the reference, over the photos."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        frames = [scratch / f"{number}.npy" for number in range(len(examples))]
        for example, frame in zip(examples, frames, strict=True):
            np.save(frame, photos.frame(example, SIZE))
        wanted = pictures(reference, frames, scratch)
        return {candidate: photos.psnr(pictures(candidate, frames, scratch), wanted) for candidate in candidates}
