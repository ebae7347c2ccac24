"""Export one small network with torch: `python make_torch.py WEIGHTS.npz FOLDER`. Run in a process of its own."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import torch

torch.manual_seed(0)
weights = np.load(sys.argv[1])
folder = Path(sys.argv[2])
OPEN = {2: torch.export.Dim("h", min=8, max=4096), 3: torch.export.Dim("w", min=8, max=4096)}


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.second = torch.nn.Conv2d(8, 3, 3, padding=1)
        with torch.no_grad():
            for conv, name in ((self.first, "1"), (self.second, "2")):
                conv.weight.copy_(torch.from_numpy(weights[f"w{name}"].transpose(3, 2, 0, 1)))
                conv.bias.copy_(torch.from_numpy(weights[f"b{name}"]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(torch.relu(self.first(x)))


class Other(torch.nn.Module):
    """The same network for NHWC, BGR, inputs in [-1, 1] and outputs in [0, 255]."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        unit = (x.permute(0, 3, 1, 2).flip(1) + 1) / 2
        return self.net(unit).flip(1).permute(0, 2, 3, 1) * 255


class Half(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.dtype == torch.float16
        return self.net(x.float()).half()


class Pair(torch.nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return left * 0.25 + right * 0.75, left


class Blocks(torch.nn.Module):
    """Takes sizes that are multiples of 4 only; every output value is the mean of its 4×4 block."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        blocks = torch.nn.functional.pixel_unshuffle(x, 4)
        means = blocks.reshape(x.shape[0], 3, 16, x.shape[2] // 4, x.shape[3] // 4).mean(2, keepdim=True)
        return torch.nn.functional.pixel_shuffle(means.expand(-1, -1, 16, -1, -1).flatten(1, 2), 4)


def export(module: torch.nn.Module, arguments: tuple[torch.Tensor, ...], *, fixed: bool = False):  # noqa: ANN201
    shapes = None if fixed else tuple(OPEN for _ in arguments)
    return torch.export.export(module.eval(), arguments, dynamic_shapes=shapes)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    example = torch.rand(1, 3, 16, 24)
    small = torch.rand(1, 3, 16, 20)
    torch.jit.trace(Net().eval(), example).save(folder / "net.pt")
    torch.jit.trace(Other().eval(), example.permute(0, 2, 3, 1)).save(folder / "other.pt")
    torch.jit.trace(Half().eval(), example.half()).save(folder / "half.pt")
    torch.jit.script(Pair()).save(folder / "pair.pt")
    torch.jit.script(Blocks()).save(folder / "blocks.pt")
    torch.export.save(export(Net(), (example,)), folder / "net.pt2")
    torch.export.save(export(Net(), (small,), fixed=True), folder / "fixed.pt2")
    torch.export.save(export(Pair(), (example, torch.rand(1, 3, 16, 24))), folder / "pair.pt2")
    torch.save(Net().state_dict(), folder / "weights.pt")

    @torch.jit.script
    def peeping(x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file("secret.txt", size=1, dtype=torch.uint8)

    class Peeping(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return peeping(x)

    torch.jit.script(Peeping()).save(folder / "peeping.pt")
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        sys.exit()
    for module, name, argument, fixed in (
        (Net(), "net.onnx", example, False),
        (Net(), "fixed.onnx", small, True),
        (Net(), "embedded.onnx", example, False),
    ):
        torch.onnx.export(
            module.eval(),
            (argument,),
            str(folder / name),
            dynamic_shapes=None if fixed else (OPEN,),
            dynamo=True,
            external_data=name != "embedded.onnx",
        )
