"""Photos as the tensors that peers take: float32, NCHW, RGB in 0..1."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

CALIBRATION_SIDE = 320
"""Side in pixels of a calibration picture; a multiple of 8, as the networks want."""

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def find(folders: list[Path]) -> list[Path]:
    """The photos that lie in the folders, in the order of their names."""
    found = [
        path for folder in folders for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES
    ]
    if not found:
        raise SystemExit(f"no photos in {', '.join(map(str, folders))}")
    return found


def tensor(picture: Image.Image) -> np.ndarray:
    """A picture as 1×3×H×W."""
    return np.ascontiguousarray(np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 255)


def frame(path: Path, size: tuple[int, int]) -> np.ndarray:
    """A photo scaled and cut to width × height."""
    with Image.open(path) as photo:
        return tensor(ImageOps.fit(photo.convert("RGB"), size))


def calibration(paths: list[Path]) -> list[np.ndarray]:
    """What every quantizer is calibrated on: each photo as a whole, its four corners and its middle."""
    side = CALIBRATION_SIDE
    pictures = []
    for path in paths:
        with Image.open(path) as opened:
            photo = opened.convert("RGB")
        pictures.append(tensor(ImageOps.fit(photo, (side, side))))
        right, bottom = photo.width - side, photo.height - side
        if right >= 0 and bottom >= 0:
            for x, y in [(0, 0), (right, 0), (0, bottom), (right, bottom), (right // 2, bottom // 2)]:
                pictures.append(tensor(photo.crop((x, y, x + side, y + side))))
    return pictures


def psnr(pictures: list[np.ndarray], references: list[np.ndarray]) -> float:
    """Peak signal-to-noise ratio in dB over all pictures together, as the bytes that would be shown."""

    def shown(picture: np.ndarray) -> np.ndarray:
        return np.rint(np.clip(picture, 0, 1) * 255)

    squared = [np.mean((shown(a) - shown(b)) ** 2) for a, b in zip(pictures, references, strict=True)]
    return float(10 * np.log10(255**2 / max(np.mean(squared), 1e-10)))
