"""What is trained on: painted pairs and VGG weights, made up, and configurations. How long a step takes depends on the
sizes of all this alone, so nothing has to be fetched or painted.
"""

import json
import struct
import tomllib
import zlib
from pathlib import Path

import numpy as np
import torch
from steps import GREY, Batch

REPOSITORY = Path(__file__).resolve().parents[2]
BASE = REPOSITORY / "models/anime.safetensors"
WIDTH, HEIGHT = 480, 360
PAIRS, HELD_OUT = 24, 3


def png(picture: np.ndarray) -> bytes:
    """Greyscale or RGB, 8 bits."""
    height, width = picture.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in picture)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    colour = 0 if picture.ndim == 2 else 2
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def scene(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Shades with things before them, in 0..255."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    slopes = rng.uniform(-90, 90, (2, 3))
    picture = 128 + x[..., None] * slopes[0] + y[..., None] * slopes[1]
    for _ in range(12):
        left, top = rng.integers(0, width), rng.integers(0, height)
        right, bottom = left + rng.integers(8, width // 3), top + rng.integers(8, height // 3)
        picture[top:bottom, left:right] = rng.uniform(0, 255, 3)
    return picture


def shaken(rng: np.random.Generator, picture: np.ndarray, deviation: float) -> np.ndarray:
    return np.clip(np.rint(picture + rng.normal(0, deviation, picture.shape)), 0, 255).astype(np.uint8)


def write_pair(folder: Path, number: int, split: str, pictures: dict[str, np.ndarray]) -> None:
    """A pair in the form of train/src/data/pairs.rs."""
    height, width = pictures["photo"].shape[:2]
    entry = {
        "source": f"{number}.png",
        "scale": 1.0,
        "width": width,
        "height": height,
        "faces": [],
        "licence": None,
        # By its checksum a pair may be set apart for the teacher to be measured on; none of these is.
        "source_sha256": "f" * 64,
        "recipe": "train-speed",
        "recipe_sha256": "",
        "split": split,
    }
    for name, picture in pictures.items():
        entry[name] = f"{name}/{number}.png"
        path = folder / entry[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(picture))
    with (folder / "index.jsonl").open("a") as index:
        index.write(json.dumps(entry) + "\n")


def make_pairs(folder: Path) -> None:
    """A third of them with a clip's next frame, the others single photos; small ones to measure on."""
    rng = np.random.default_rng(1)
    for number in range(PAIRS + HELD_OUT):
        train = number < PAIRS
        size = (WIDTH, HEIGHT) if train else (64, 64)
        painted = scene(rng, *size)
        mask = np.where(painted.mean(2) > 128, 255, 0).astype(np.uint8)
        pictures = {"photo": shaken(rng, painted, 6), "target": shaken(rng, painted, 0), "mask": mask}
        if number % 3 == 0:
            pictures["next"] = shaken(rng, painted, 6)
        write_pair(folder, number, "train" if train else "held-out", pictures)


def make_vgg(path: Path) -> None:
    """Weights of VGG's form at which its activations stay of one size."""
    rng = np.random.default_rng(2)
    arrays = {"0.weight": np.eye(3).reshape(3, 3, 1, 1), "0.bias": np.zeros(3)}
    for number, inputs, outputs in [(2, 3, 64), (5, 64, 64), (9, 64, 128), (12, 128, 128), (16, 128, 256)]:
        arrays[f"{number}.weight"] = rng.normal(0, (2 / (9 * inputs)) ** 0.5, (outputs, inputs, 3, 3))
        arrays[f"{number}.bias"] = np.zeros(outputs)
    np.savez(path, **{name: array.astype("<f4") for name, array in arrays.items()})


def altered(name: str, values: dict[str, object]) -> str:
    """The shipped configuration of that name with other values, given by their names with those of their tables."""
    text, table, left = [], "", dict(values)
    for line in (REPOSITORY / "train/configs" / name).read_text().splitlines():
        if line.startswith("["):
            table = line.strip("[]") + "."
        key = table + line.split(" = ")[0]
        if key in left:
            value = left.pop(key)
            line = f"{line.split(' = ')[0]} = {json.dumps(value)}"
        text.append(line)
    # What has a default stands before the first table.
    text[:0] = [f"{key} = {json.dumps(value)}" for key, value in left.items()]
    return "\n".join(text) + "\n"


def parsed(text: str) -> dict:
    return tomllib.loads(text)


def safetensors(path: Path) -> dict[str, np.ndarray]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    kinds = {"F32": np.dtype("<f4"), "U8": np.dtype("u1")}
    arrays = {}
    for name, about in json.loads(content[8 : 8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in about["data_offsets"])
            arrays[name] = np.frombuffer(content[begin:end], kinds[about["dtype"]]).reshape(about["shape"]).copy()
    return arrays


def planes(picture: np.ndarray) -> np.ndarray:
    """`[h, w]` or `[h, w, c]` as float32 `[c, h, w]`."""
    return np.atleast_3d(picture).transpose(2, 0, 1).astype(np.float32)


def batch(count: int, twins: int, crop: int, layout: torch.memory_format, seed: int) -> Batch:
    """Made-up crops as the trainer's batches are: the last ones show the scenes of the first ones a moment later."""
    rng = np.random.default_rng(seed)
    painted = [scene(rng, crop, crop) for _ in range(count - twins)]
    painted += painted[:twins]

    def stacked(pictures: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack([planes(p) for p in pictures])).contiguous(memory_format=layout)

    masks = [np.where(p.mean(2) > 128, 1.0, 0.0) for p in painted]
    return Batch(
        photos=stacked([shaken(rng, p, 6) for p in painted]),
        targets=stacked([shaken(rng, p, 0) for p in painted]) / 255.0,
        weights=stacked([np.ones((crop, crop))] * count),
        masks=stacked(masks),
        standing=stacked([np.ones((crop, crop))] * max(twins, 1)),
        shift=(int(rng.integers(-3, 4)), int(rng.integers(-3, 4))),
        real=stacked([shaken(rng, p, 0) for p in painted]) / 255.0,
        smoothed=stacked([shaken(rng, p, 2) for p in painted]) / 255.0,
        grey=GREY,
    )
