"""The trainer's networks in PyTorch: the student, the teacher's generator and discriminators, VGG's features.

Each says what train/src/net says, in PyTorch's own operations and with its autograd. `half` computes convolutions in
bfloat16 exactly where the trainer does: weights are kept and stepped in 32 bits and lowered at each use.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

HALF = torch.bfloat16


def lowered(x: Tensor, half: bool) -> Tensor:
    return x.to(HALF) if half else x


class Conv(nn.Module):
    """A 3×3 convolution with zero padding 1."""

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0) -> None:
        super().__init__()
        deviation = gain * (1.0 / (3 * inputs * 9)) ** 0.5
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) * deviation)
        self.bias = nn.Parameter(torch.zeros(outputs))


def block(x: Tensor, weight: Tensor, bias: Tensor, shortcut: Tensor | None, stride: int, relu: bool) -> Tensor:
    y = F.conv2d(x, weight, bias, stride, 1)
    if shortcut is not None:
        y = y.add_(shortcut)
    return y.relu_() if relu else y


def is_pixelwise(x: Tensor) -> bool:
    return not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


def space_to_depth(x: Tensor, side: int) -> Tensor:
    """In DCR order, as ONNX has it; PyTorch's `pixel_unshuffle` has another."""
    if side == 1:
        return x
    b, c, h, w = x.shape
    if is_pixelwise(x):
        x = x.permute(0, 2, 3, 1).reshape(b, h // side, side, w // side, side, c).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(b, h // side, w // side, side * side * c).permute(0, 3, 1, 2)
    x = x.reshape(b, c, h // side, side, w // side, side).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(b, side * side * c, h // side, w // side)


def depth_to_space(x: Tensor, side: int) -> Tensor:
    if side == 1:
        return x
    b, c, h, w = x.shape
    c //= side * side
    if is_pixelwise(x):
        x = x.permute(0, 2, 3, 1).reshape(b, h, w, side, side, c).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(b, side * h, side * w, c).permute(0, 3, 1, 2)
    x = x.reshape(b, side, side, c, h, w).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(b, c, side * h, side * w)


class Student(nn.Module):
    """Size `m` with the person mask: src/engine/topology.rs, `two_scale`."""

    CHANNELS = 16, 48, 64

    def __init__(self) -> None:
        super().__init__()
        half, quarter, coarse = self.CHANNELS
        # Input tensor, its channels, the layer's; then space-to-depth, stride, depth-to-space, what is added.
        self.shapes: list[tuple[int, int, int, int, int, int, int | None]] = []

        def push(at: int, inputs: int, outputs: int, s2d: int = 1, stride: int = 1, d2s: int = 1, add: int | None = None):
            self.shapes.append((at, inputs, outputs, s2d, stride, d2s, add))
            return len(self.shapes)

        def residuals(x: int, channels: int, count: int) -> int:
            for _ in range(count):
                x = push(x, channels, channels, add=x)
            return x

        e = push(0, 12, half, s2d=2)
        y = residuals(push(e, 4 * half, quarter, s2d=2), quarter, 2)
        c = residuals(push(y, quarter, coarse, stride=2), coarse, 4)
        y = residuals(push(c, coarse, 4 * quarter, d2s=2, add=y), quarter, 2)
        e = residuals(push(y, quarter, 4 * half, d2s=2, add=e), half, 1)
        push(e, half, 16, d2s=2)
        self.layers = nn.ModuleList(Conv(inputs, outputs) for _, inputs, outputs, *_ in self.shapes)

    def forward(self, pixels: Tensor, half: bool) -> Tensor:
        tensors = [lowered(pixels, half)]
        last = len(self.shapes) - 1
        for i, ((at, _, _, s2d, stride, d2s, add), layer) in enumerate(zip(self.shapes, self.layers, strict=True)):
            weight, bias = layer.weight, layer.bias
            if at == 0:
                weight = weight / 255.0
            shortcut = None if add is None else tensors[add]
            plain = i < last and d2s == 1
            x = space_to_depth(tensors[at], s2d)
            if i == last:
                y = F.conv2d(x, lowered(weight, half), None, stride, 1).float() + bias.reshape(1, -1, 1, 1)
                tensors.append(depth_to_space(y, d2s))
                continue
            inner = shortcut if plain else None
            y = block(x, lowered(weight, half), lowered(bias, half), inner, stride, plain)
            if not plain:
                y = F.relu(depth_to_space(y, d2s) + shortcut)
            tensors.append(y)
        return tensors[-1]

    def take(self, arrays: dict[str, np.ndarray]) -> None:
        """Puts in the weights of a style. One without a person mask gets it, undecided, as `distill --base` does."""
        with torch.no_grad():
            for i, layer in enumerate(self.layers):
                weight, bias = (arrays[f"layer{i:02}.{name}"] for name in ("weight", "bias"))
                if len(bias) == len(layer.bias) // 4 * 3:
                    pixels = weight.reshape(4, 3, *weight.shape[1:])
                    weight = np.concatenate([pixels, np.zeros_like(pixels[:, :1])], 1).reshape(16, *weight.shape[1:])
                    bias = np.concatenate([bias.reshape(4, 3), np.full((4, 1), 0.5, np.float32)], 1).reshape(16)
                layer.weight.copy_(torch.from_numpy(weight))
                layer.bias.copy_(torch.from_numpy(bias))


class Generator(nn.Module):
    """The teacher's U-Net (train/src/net/unet.rs), without attention, reference and residual output."""

    DECODER_BLOCKS = 2
    SHORTCUT_GAIN = 0.3

    def __init__(self, channels: list[int], blocks: int) -> None:
        super().__init__()
        a, b, c, d = channels

        def residual(*widths: int) -> nn.ModuleList:
            return nn.ModuleList(Conv(width, width, self.SHORTCUT_GAIN) for width in widths)

        self.stem = Conv(3, a)
        self.down = nn.ModuleList([Conv(a, b), Conv(b, c), Conv(c, d)])
        self.encoder = residual(b, c)
        self.middle = residual(*[d] * blocks)
        self.up = nn.ModuleList([Conv(d, c), Conv(c, b), Conv(b, a)])
        self.decoder = residual(c, c, b, b, a, a)
        self.out = Conv(a, 3)

    def forward(self, photo: Tensor, half: bool) -> Tensor:
        def run(layer: Conv, x: Tensor, stride: int = 1, relu: bool = True) -> Tensor:
            return block(lowered(x, half), lowered(layer.weight, half), lowered(layer.bias, half), None, stride, relu)

        def residual(layer: Conv, x: Tensor) -> Tensor:
            return block(x, lowered(layer.weight, half), lowered(layer.bias, half), x, 1, True)

        x = run(self.stem, photo - 0.5)
        skips = [x]
        for down, layer in zip(self.down, self.encoder):
            x = residual(layer, run(down, x, 2))
            skips.append(x)
        x = run(self.down[-1], x, 2)
        for layer in self.middle:
            x = residual(layer, x)
        for i, up in enumerate(self.up):
            x = F.interpolate(run(up, x, relu=False), scale_factor=2, mode="nearest") + skips.pop()
            x = F.relu(x)
            for layer in self.decoder[self.DECODER_BLOCKS * i : self.DECODER_BLOCKS * (i + 1)]:
                x = residual(layer, x)
        return run(self.out, x, relu=False).float() + 0.5


class SpectralConv(nn.Module):
    """A convolution divided by its largest singular value (train/src/net/spectral_norm.rs)."""

    EPSILON = 1e-12

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) * (1.0 / (inputs * 9)) ** 0.5)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.register_buffer("direction", self.unit(torch.randn(outputs)))

    @classmethod
    def unit(cls, vector: Tensor) -> Tensor:
        return vector / ((vector * vector).sum() + cls.EPSILON).sqrt()

    @torch.no_grad()
    def advance(self) -> None:
        matrix = self.weight.flatten(1)
        self.direction.copy_(self.unit(matrix @ self.unit(self.direction @ matrix)))

    def normalised(self) -> tuple[Tensor, Tensor]:
        along = self.direction @ self.weight.flatten(1)
        return self.weight / ((along * along).sum() + self.EPSILON).sqrt(), self.bias


class PatchDiscriminator(nn.Module):
    """Two scales of patches (train/src/net/patch_discriminator.rs), without dropout."""

    LEAK = 0.2

    def __init__(self, channels: list[int], inputs: int, start: float) -> None:
        super().__init__()

        def scale() -> nn.ModuleList:
            widths = [inputs, *channels]
            layers = [SpectralConv(a, b) for a, b in zip(widths, channels)]
            return nn.ModuleList([*layers, SpectralConv(channels[-1], 1, start)])

        self.fine, self.coarse = scale(), scale()

    def advance(self) -> None:
        for layer in [*self.fine, *self.coarse]:
            layer.advance()

    def normalised(self) -> list[list[tuple[Tensor, Tensor]]]:
        return [[layer.normalised() for layer in layers] for layers in (self.fine, self.coarse)]

    @classmethod
    def judge(cls, scales: list[list[tuple[Tensor, Tensor]]], picture: Tensor, half: bool) -> list[Tensor]:
        scores = []
        for layers, x in zip(scales, (picture, F.avg_pool2d(picture, 2)), strict=True):
            last = len(layers) - 1
            for i, (weight, bias) in enumerate(layers):
                stride = 2 if i + 1 < last else 1
                x = block(lowered(x, half), lowered(weight, half), lowered(bias, half), None, stride, False)
                if i < last:
                    x = F.leaky_relu(x, cls.LEAK)
            scores.append(x.float())
        return scores


class Vgg:
    """VGG-19's features at relu1_2, relu2_2 and relu3_1, fixed (train/src/net/vgg.rs)."""

    LAYERS = (2, False), (5, False), (9, True), (12, False), (16, True)

    def __init__(self, arrays: dict[str, np.ndarray], half: bool, layout: torch.memory_format) -> None:
        mix, offset = arrays["0.weight"].reshape(3, 3), arrays["0.bias"]
        self.half = half
        self.layers = []
        for number, pool in self.LAYERS:
            weight, bias = arrays[f"{number}.weight"], arrays[f"{number}.bias"]
            if number == 2:
                # The colour normalisation, a 1×1 convolution, goes into the first.
                bias = bias + np.einsum("omyx,m->o", weight, offset)
                weight = np.einsum("omyx,mi->oiyx", weight, mix)
            weight = torch.from_numpy(np.ascontiguousarray(weight, np.float32)).contiguous(memory_format=layout)
            bias = torch.from_numpy(bias.astype(np.float32))
            self.layers.append((lowered(weight, half), lowered(bias, half), pool))

    def features(self, picture: Tensor) -> list[Tensor]:
        x = lowered(picture, self.half)
        features = []
        for weight, bias, pool in self.layers:
            if pool:
                x = F.max_pool2d(x, 2)
            x = block(x, weight, bias, None, 1, True)
            features.append(x)
        return [features[i].float() for i in (1, 3, 4)]

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        pairs = zip(self.features(a), self.features(b), strict=True)
        return sum((a - b).abs().mean() for a, b in pairs) / 3.0


def parameters(network: nn.Module) -> int:
    """Counted as the trainer counts them: what is kept but not trained is one as well."""
    return sum(p.numel() for p in network.parameters()) + sum(b.numel() for b in network.buffers())
