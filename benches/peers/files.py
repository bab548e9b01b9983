"""The files that peers run, made once and kept in the cache as long as nothing they depend on changes."""

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import make_bytes
import make_ncnn
import make_onnxruntime
import make_openvino
import photos

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
STYLE = REPOSITORY / "models/anime.onnx"


@dataclass
class Files:
    """One network in every form."""

    float32: Path
    own: Path
    """The style itself: QDQ, quantized while it was trained."""
    bytes: Path
    """The same from u8 to u8, in the order of operators that other runtimes recognise."""
    onnxruntime: dict[str, Path]
    openvino: Path
    ncnn: Path


def fingerprint(float32: Path, pictures: list[Path]) -> str:
    """Changes with whatever the made files depend on."""
    digest = hashlib.sha256()
    makers = [HERE / "requirements.txt", HERE / "photos.py", *sorted(HERE.glob("make_*.py"))]
    for path in [float32, STYLE, *pictures, *makers]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def export(trainer: Path, folder: Path) -> Path:
    """The float network, by the project's exporter, from the weights that the style was made of."""
    weights, card = STYLE.with_suffix(".safetensors"), REPOSITORY / "train/cards/anime.toml"
    photo = REPOSITORY / "examples/woman-street.jpg"
    command = [trainer, "export", "--quiet", "--float", "--name", "anime", "--weights", weights, "--card", card]
    subprocess.run([*command, "--photo", photo, "--out", folder], check=True, stdout=subprocess.DEVNULL)
    if (folder / "anime.onnx").read_bytes() != STYLE.read_bytes():
        raise SystemExit(f"{weights} is not what {STYLE} was made of: the comparison would be of two networks")
    return folder / "anime.float.onnx"


def make(cache: Path, trainer: Path, pictures: list[Path]) -> Files:
    """All files, from the cache where they are there."""
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        exported = export(trainer, Path(scratch))
        folder = cache / f"models-{fingerprint(exported, pictures)}"
        ready = Path(scratch) / "ready"
        if not folder.exists():
            ready.mkdir()
            shutil.move(exported, ready / "float.onnx")
            calibration = photos.calibration(pictures)
            make_onnxruntime.quantize(ready / "float.onnx", ready, calibration)
            make_openvino.quantize(ready / "float.onnx", ready, calibration)
            make_ncnn.convert(ready / "float.onnx", ready)
            make_bytes.rewrite(STYLE, ready)
            ready.rename(folder)
    return Files(
        float32=folder / "float.onnx",
        own=STYLE,
        bytes=folder / make_bytes.NAME,
        onnxruntime=make_onnxruntime.paths(folder),
        openvino=folder / make_openvino.NAME,
        ncnn=folder / make_ncnn.NAME,
    )
