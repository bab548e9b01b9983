"""A step of the trainer in PyTorch: what train/src/distill/run.rs and train/src/teacher/step.rs do from a batch to the
averaged weights, with the losses and the optimizer of a configuration. Each gives the figures that the journal has.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from networks import Generator, PatchDiscriminator, Student, Vgg
from torch import Tensor, nn

GREY = 0.299, 0.587, 0.114


@dataclass
class Batch:
    """Pictures `[b, c, h, w]`; photos of the student are numbers to 255, all else is in 0..1."""

    photos: Tensor
    targets: Tensor
    weights: Tensor
    masks: Tensor
    standing: Tensor
    shift: tuple[int, int]
    real: Tensor
    smoothed: Tensor
    grey: tuple[float, float, float]

    def copied(self) -> "Batch":
        """Fresh tensors, as the trainer has for each step."""
        fields = {name: value.clone() if isinstance(value, Tensor) else value for name, value in vars(self).items()}
        return Batch(**fields)


class Trained:
    """A network with its optimizer and, if it is kept, its average."""

    def __init__(self, network: nn.Module, momentum: float, clip: float) -> None:
        self.network = network
        self.parameters = list(network.parameters())
        # One kernel for all parameters: the fastest that PyTorch has on a CPU.
        self.optimizer = torch.optim.Adam(self.parameters, betas=(momentum, 0.999), eps=1e-8, fused=True)
        self.clip = clip
        self.average = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def gradient_norm(self) -> Tensor:
        return torch.linalg.vector_norm(torch.stack(torch._foreach_norm([p.grad for p in self.parameters])))

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Each parameter's gradient is clipped on its own, as Burn does."""
        gradients = [p.grad for p in self.parameters]
        norms = torch.stack(torch._foreach_norm(gradients))
        factors = (self.clip / (norms + torch.finfo(torch.float32).tiny)).clamp(max=1.0)
        torch._foreach_mul_(gradients, list(factors.unbind()))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()

    @torch.no_grad()
    def follow(self, most: float, step: int) -> None:
        decay = min(most, (1.0 + step) / (10.0 + step))
        torch._foreach_lerp_(self.average, self.parameters, 1.0 - decay)


def pixel(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    return ((output - target).abs() * weight).mean()


def gradient(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    d = output - target
    along_x = ((d[..., 1:] - d[..., :-1]).abs() * weight[..., 1:]).mean()
    return along_x + ((d[..., 1:, :] - d[..., :-1, :]).abs() * weight[..., 1:, :]).mean()


def change(elders: Tensor, twins: Tensor, standing: Tensor, shift: tuple[int, int]) -> Tensor:
    def common(x: Tensor, dx: int, dy: int) -> Tensor:
        h, w = x.shape[2:]
        return x.narrow(2, max(dy, 0), h - abs(dy)).narrow(3, max(dx, 0), w - abs(dx))

    dx, dy = shift
    difference = common(elders, dx, dy) - common(twins, -dx, -dy)
    return (difference.abs() * common(standing, dx, dy)).mean((1, 2, 3))


class Distillation:
    def __init__(self, config: dict, vgg: Vgg) -> None:
        self.config, self.vgg = config, vgg
        self.student = Trained(Student(), 0.9, config["clip"])

    def rate(self, step: int) -> float:
        warm = min((step + 1) / max(self.config["warmup"], 1), 1.0)
        return self.config["rate"] * warm * 0.5 * (1.0 + math.cos(math.pi * step / self.config["steps"]))

    def take(self, step: int, batch: Batch) -> dict[str, float]:
        config, loss = self.config, self.config["loss"]
        output = self.student.network(batch.photos, config["half"])
        of_mask = (output[:, 3:] - batch.masks).abs().mean()
        output = output[:, :3]
        count, first = config["twins"], config["batch"] - config["twins"]
        pictures = change(output[:count], output[first:], batch.standing, batch.shift)
        photos = change(batch.photos[:count], batch.photos[first:], batch.standing, batch.shift)
        flicker = (pictures * 255.0 / (photos + 0.1)).mean()
        of_pixels = pixel(output, batch.targets, batch.weights)
        of_gradient = gradient(output, batch.targets, batch.weights)
        ramp = min(step / max(config["warmup"], 1), 1.0)
        total = of_pixels + of_gradient * (loss["gradient"] * ramp) + of_mask * loss["person_mask"]
        total = total + flicker * (loss["flicker"] * ramp)
        figures = {}
        if step % loss["features_every"] == 0:
            at = loss["features_crop"]
            room = config["crop"] - at + 1
            y, x = step * 8 % room, step * 24 % room
            part = slice(None), slice(None), slice(y, y + at), slice(x, x + at)
            distance = self.vgg.distance(output[part], batch.targets[part])
            total = total + distance * (loss["features"] * loss["features_every"])
            figures["features"] = distance.item()
        figures |= {
            "weighted_l1": of_pixels.item() * 255.0,
            "weighted_gradient": of_gradient.item() * 255.0,
            "person_mask": of_mask.item(),
            "flicker": flicker.item(),
        }
        total.backward()
        self.student.step(self.rate(step))
        self.student.follow(config["average"], step)
        return figures


def boxed(x: Tensor) -> Tensor:
    x = F.avg_pool2d(x, (1, 11), 1, (0, 5), count_include_pad=False)
    return F.avg_pool2d(x, (11, 1), 1, (5, 0), count_include_pad=False)


def guided(picture: Tensor) -> Tensor:
    mean = boxed(picture)
    variance = boxed(picture * picture) - mean * mean
    a = variance / (variance + 0.05)
    return boxed(a) * picture + boxed(mean - a * mean)


def grey(picture: Tensor, weights: tuple[float, float, float]) -> Tensor:
    return sum(picture[:, i : i + 1] * weight for i, weight in enumerate(weights))


class Teacher:
    """Warm steps, and from `warm.steps` on adversarial ones (least squares)."""

    VIEWS = "adversarial", "texture", "surface"

    def __init__(self, config: dict, vgg: Vgg) -> None:
        self.config, self.vgg = config, vgg
        shape, game = config["generator"], config["discriminator"]
        momentum = 0.9 if config["warm"]["steps"] > 0 else 0.5
        self.generator = Trained(Generator(shape["channels"], shape["blocks"]), momentum, config["clip"])
        inputs = {"adversarial": 3, "texture": 1, "surface": 3}
        networks = nn.ModuleDict(
            {
                view: PatchDiscriminator(game["channels"], inputs[view], 0.5)
                for view in self.VIEWS
                if config["loss"][view] > 0.0
            }
        )
        self.adversaries = Trained(networks, 0.5, config["clip"])

    def rate(self, step: int) -> float:
        warm = self.config["warm"]
        if step >= warm["steps"]:
            return self.config["adversary"]["generator_rate"]
        risen = min((step + 1) / max(warm["rise"], 1), 1.0)
        return warm["rate"] * risen * (0.1 + 0.45 * (1.0 + math.cos(math.pi * step / warm["steps"])))

    def take(self, step: int, batch: Batch) -> dict[str, float]:
        config = self.config
        photo = batch.photos / 255.0
        output = self.generator.network(photo, config["half"])
        scalars: dict[str, Tensor] = {}
        if step < config["warm"]["steps"]:
            of_pixels = pixel(output, batch.targets, batch.weights)
            features = self.vgg.distance(output, batch.targets)
            scalars |= {"warm_l1": of_pixels, "warm_features": features}
            total = of_pixels + features * config["warm"]["features"]
        else:
            self.teach_adversaries(batch, output.detach(), scalars)
            terms = self.terms(photo, batch, output)
            terms |= self.deceive(step, batch, output)
            scalars |= {name: value for name, (_, value) in terms.items()}
            total = sum(weight * value for weight, value in terms.values())
        scalars["generator"] = total
        total.backward()
        scalars["generator_gradient"] = self.generator.gradient_norm()
        self.generator.step(self.rate(step))
        self.generator.follow(config["average"], step)
        values = torch.stack([value.detach() for value in scalars.values()]).tolist()
        return dict(zip(scalars, values, strict=True))

    def view(self, name: str, picture: Tensor, weights: tuple[float, float, float]) -> Tensor:
        match name:
            case "texture":
                return grey(picture, weights)
            case "surface":
                return guided(picture)
            case _:
                return picture

    def teach_adversaries(self, batch: Batch, fake: Tensor, scalars: dict[str, Tensor]) -> None:
        game, half = self.config["adversary"], self.config["half"]
        smoothing, n = game["label_smoothing"], len(batch.real)
        has_smoothed = game["smoothed"] > 0.0
        seen = torch.cat([batch.real, fake, *([batch.smoothed] if has_smoothed else [])])
        losses, taken, refused = [], [], []
        for name, network in self.adversaries.network.items():
            network.advance()
            for scores in network.judge(network.normalised(), self.view(name, seen, batch.grey), half):
                of_real, of_fake, of_smoothed = scores[:n], scores[n : 2 * n], scores[2 * n :]
                loss = (of_real - (1.0 - smoothing)).square().mean() + (of_fake - smoothing).square().mean()
                if has_smoothed:
                    loss = loss + (of_smoothed - smoothing).square().mean() * game["smoothed"]
                losses.append(loss)
                taken.append((of_real > 0.5).float().mean())
                refused.append((of_fake <= 0.5).float().mean())
        loss = torch.stack(losses).mean()
        loss.backward()
        scalars |= {
            "discriminator": loss,
            "accuracy_real": torch.stack(taken).mean(),
            "accuracy_fake": torch.stack(refused).mean(),
            "discriminator_gradient": self.adversaries.gradient_norm(),
        }
        self.adversaries.step(game["discriminator_rate"])

    def terms(self, photo: Tensor, batch: Batch, output: Tensor) -> dict[str, tuple[float, Tensor]]:
        loss = self.config["loss"]
        features = self.vgg.features(output)[2]
        return {
            "painted": (loss["painted"], pixel(output, batch.targets, batch.weights)),
            "content": (loss["content"], (features - self.vgg.features(photo)[2]).abs().mean()),
            "structure": (loss["structure"], (features - self.vgg.features(batch.targets)[2]).abs().mean()),
        }

    def deceive(self, step: int, batch: Batch, output: Tensor) -> dict[str, tuple[float, Tensor]]:
        """The adversaries take no gradient here."""
        game = self.config["adversary"]
        risen = min((step - self.config["warm"]["steps"] + 1) / max(game["rise"], 1), 1.0)
        terms = {}
        for name, network in self.adversaries.network.items():
            with torch.no_grad():
                frozen = network.normalised()
            scores = network.judge(frozen, self.view(name, output, batch.grey), self.config["half"])
            value = torch.stack([(score - 1.0).square().mean() for score in scores]).mean()
            terms[name] = (self.config["loss"][name] * risen, value)
        return terms
