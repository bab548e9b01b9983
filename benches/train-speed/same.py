"""That PyTorch's networks and losses are the trainer's: both take the same first steps, and their figures are compared.

Nothing is left to chance then: one pair as large as a crop, and no augmentation. A line of the journal for each step has
its losses; from the second on they also tell that gradients, clipping and Adam are the same. Of a teacher, whose first
weights are random, the second step is compared, with the norms of its gradients.
"""

from pathlib import Path

import material
import numpy as np
import torch
import trainer
from networks import Vgg, parameters
from steps import GREY, Batch, Distillation, Teacher

STEPS = 3
TOLERANCE = 2e-4
"""Of each figure: the journal's last decimals, and what sums in another order differ by."""
PLAIN = {f"augment.{name}": 0.0 for name in ("flip", "tint", "dark", "jpeg", "blur", "noise")}
PLAIN |= {"half": False, "evaluate_every": 1}


def soft(side: int) -> np.ndarray:
    """A picture without edges, the same from the right: however it is cut and smoothed, it stays what it is."""
    y, x = np.mgrid[:side, :side] / (side - 1)
    waves = [np.sin(np.pi * x), np.cos(2 * np.pi * y) * np.sin(np.pi * x), y]
    return np.rint(np.clip(128 + 60 * np.stack(waves, 2), 0, 255)).astype(np.uint8)


def one_pair(folder: Path, side: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    photo = material.shaken(rng, soft(side), 25)
    pictures = {
        "photo": photo,
        "target": soft(side),
        "mask": soft(side)[..., 2],
        # A step more or less where the scene stands.
        "next": np.clip(photo.astype(int) + rng.integers(-1, 2, photo.shape), 0, 255).astype(np.uint8),
    }
    material.write_pair(folder, 0, "train", pictures)
    for number in (1, 2):
        material.write_pair(folder, number, "held-out", pictures)
    return pictures


def batch_of(pictures: dict[str, np.ndarray], count: int, twins: int) -> Batch:
    def repeated(picture: np.ndarray, times: int, by: float = 1.0) -> torch.Tensor:
        return torch.from_numpy(material.planes(picture))[None].repeat(times, 1, 1, 1) / by

    elders = repeated(pictures["photo"], count - twins)
    targets = repeated(pictures["target"], count, 255.0)
    ones = np.ones(pictures["mask"].shape)
    return Batch(
        photos=torch.cat([elders, repeated(pictures["next"], twins)]),
        targets=targets,
        weights=repeated(ones, count),
        masks=repeated(pictures["mask"], count, 255.0),
        standing=repeated(ones, max(twins, 1)),
        shift=(0, 0),
        real=targets.clone(),
        smoothed=targets.clone(),
        grey=GREY,
    )


def compared(what: str, ours: list[dict[str, str]], theirs: list[dict[str, float]]) -> str:
    """What was compared, in words; ends the program where a figure differs."""
    worst, figures = 0.0, set()
    for step, (line, expected) in enumerate(zip(ours, theirs, strict=True)):
        for name, value in expected.items():
            if not line.get(name):
                raise SystemExit(f"{what}, step {step}: the journal has no '{name}'")
            away = abs(float(line[name]) - value) / max(abs(value), 0.05)
            if away > TOLERANCE:
                raise SystemExit(f"{what}, step {step}: '{name}' is {line[name]}, PyTorch has {value:.6f}")
            worst, figures = max(worst, away), figures | {name}
    return f"{what}: {len(figures)} figures ({', '.join(sorted(figures))}) of {len(ours)} steps within {worst:.1e}"


def distillation(program: Path, folder: Path, device: str) -> str:
    config = folder / "same-distillation.toml"
    # Twins of a picture whose crops begin at such multiples are not shifted.
    changes = {"steps": STEPS, "loss.features_every": 1, "align": 8}
    config.write_text(material.altered("base.toml", PLAIN | changes))
    values = material.parsed(config.read_text())
    pairs = folder / "same-distillation"
    pictures = one_pair(pairs, values["crop"])
    run = trainer.run(program, folder, config, pairs, device, 1)
    taken = Distillation(values, Vgg(dict(np.load(folder / "vgg.npz")), False, torch.contiguous_format))
    student = taken.student.network
    student.take(material.safetensors(material.BASE))
    batch = batch_of(pictures, values["batch"], values["twins"])
    told = compared("distillation", run.lines, [taken.take(step, batch.copied()) for step in range(STEPS)])
    count = sum(array.size for name, array in run.weights.items() if name.startswith("layer"))
    if count != parameters(student):
        raise SystemExit(f"the student has {count} parameters, PyTorch's has {parameters(student)}")
    return f"{told}; {count} parameters"


def teacher(what: str, program: Path, folder: Path, device: str, changes: dict[str, object]) -> str:
    """PyTorch goes on from the trainer's weights after its first step."""
    config, pairs = folder / f"same-{what}.toml", folder / f"same-{what}"
    # Without averaging the teacher that is written is the one that is trained. Nothing is learned here: outputs may be as
    # alike as they are.
    changes = PLAIN | {"average": 0.0, "evaluate_pictures": 2, "collapse.diversity": 0.0, "features_every": 1} | changes

    def written(steps: int) -> dict:
        config.write_text(material.altered("teacher.toml", changes | {"steps": steps}))
        return material.parsed(config.read_text())

    pictures = one_pair(pairs, written(1)["crop"])
    first = trainer.run(program, folder, config, pairs, device, 1)
    values = written(2)
    second = trainer.run(program, folder, config, pairs, device, 1)
    taken = Teacher(values, Vgg(dict(np.load(folder / "vgg.npz")), False, torch.contiguous_format))
    own = dict(taken.generator.network.named_parameters())
    if own.keys() != first.weights.keys():
        raise SystemExit(f"the generator's arrays differ: {own.keys() ^ first.weights.keys()}")
    with torch.no_grad():
        for name, array in first.weights.items():
            own[name].copy_(torch.from_numpy(array))
        adversarial = values["warm"]["steps"] == 0
        if adversarial:
            put_in(first.adversaries, taken.adversaries.network)
    figures = taken.take(1, batch_of(pictures, values["batch"], 0))
    told = compared(f"{what} teacher", second.lines[1:], [figures])
    count = parameters(taken.generator.network) + (parameters(taken.adversaries.network) if adversarial else 0)
    return f"{told}; {count} parameters"


def varint(value: int) -> bytes:
    """A whole number as bincode writes it."""
    if value < 251:
        return bytes([value])
    return b"\xfb" + value.to_bytes(2, "little") if value < 1 << 16 else b"\xfc" + value.to_bytes(4, "little")


def put_in(record: bytes, network: torch.nn.Module) -> None:
    """Burn's record holds each array as its length in bytes, its values, and its shape, in the network's order."""
    at = 0
    for discriminator in network.values():
        for layer in [*discriminator.fine, *discriminator.coarse]:
            for array in (layer.weight, layer.bias, layer.direction):
                length = 4 * array.numel()
                shape = varint(array.dim()) + b"".join(map(varint, array.shape))
                while True:
                    at = record.find(varint(length), at)
                    if at < 0:
                        raise SystemExit(f"the checkpoint has no array of the shape {tuple(array.shape)} left")
                    begin = at + len(varint(length))
                    if record[begin + length :].startswith(shape):
                        break
                    at += 1
                values = np.frombuffer(record[begin : begin + length], "<f4").reshape(array.shape).copy()
                array.copy_(torch.from_numpy(values))
                at = begin + length


def check(program: Path, folder: Path, device: str) -> list[str]:
    # The grey of the adversary that sees texture is drawn at random: it is left out. The others are judged by after a
    # step of theirs with moments that PyTorch has not seen: it is made too small to be felt.
    adversarial = {"warm.steps": 0, "loss.texture": 0.0, "adversary.discriminator_rate": 1e-9}
    return [
        distillation(program, folder, device),
        teacher("warm", program, folder, device, {}),
        teacher("adversarial", program, folder, device, adversarial),
    ]
