"""Losses of the torch baselines: by hand, and in short trainings that must lower them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluator.ingest import baselines_folder
from evaluator.runners.models.python import import_entry
from evaluator.training import baseline_recipe

torch = pytest.importorskip("torch", reason="torch is an optional dependency")

Array = NDArray[np.float64]


def of(folder: str, entry: str) -> Any:
    return import_entry(baselines_folder() / folder, entry, "[network]")


def loss(folder: str, name: str) -> Any:
    return of(folder, f"losses:{name}")


def images(*shape: int, seed: int = 3) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32))


def scene(batch: int, size: int) -> tuple[Any, Any]:
    """Return noisy and smooth images, `(N, 3, H, W)` in [0, 1]."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    clean = torch.stack([0.2 + 0.6 * rows, 0.5 + 0.3 * torch.sin(6 * columns), 0.8 - 0.5 * rows * columns])
    clean = torch.stack([clean.roll(number, -1) for number in range(batch)])
    return (clean + 0.1 * (images(*clean.shape) * 2 - 1)).clamp(0, 1), clean


def trained(parameters: Iterable[Any], rate: float, step: Callable[[], Any], steps: int = 20) -> list[float]:
    """Return the loss before each step, and after the last."""
    optimiser = torch.optim.Adam(parameters, rate)
    curve = []
    for _ in range(steps):
        optimiser.zero_grad()
        value = step()
        value.backward()
        optimiser.step()
        curve.append(float(value.detach()))
    curve.append(float(step().detach()))
    assert np.isfinite(curve).all(), curve
    return curve


def weighted(folder: str, terms: dict[str, Any]) -> Any:
    weights = baseline_recipe(folder).weights()
    assert terms.keys() == weights.keys()
    return sum(weight * terms[name] for name, weight in weights.items())


# --- By hand --------------------------------------------------------------------------------------------------------


def test_plain_losses() -> None:
    output, target = torch.tensor([[[[0.5, 0.0]]]]), torch.tensor([[[[0.1, 0.2]]]])
    assert float(loss("unet", "absolute")(output, target)) == pytest.approx((0.4 + 0.2) / 2)
    assert float(loss("dncnn", "residual")(output, target)) == pytest.approx((0.16 + 0.04) / 2 / 2)


def test_k3dns_distances() -> None:
    zero, three, one = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 3.0), torch.full((1, 3, 2, 2), 1.0)
    deblurring, reblurring = loss("k3dn", "deblurring"), loss("k3dn", "reblurring")
    assert float(deblurring(zero, zero)) == pytest.approx(1e-3)
    assert float(deblurring(zero, three, epsilon=4.0)) == pytest.approx(5)
    assert float(reblurring(zero, three, one, epsilon=1.5)) == pytest.approx(2.5)  # the views' mean is 2


def test_least_squares() -> None:
    said = [torch.full((2, 1, 3, 3), 0.25), torch.full((2, 1, 1, 1), -0.5)]
    real = [torch.full((2, 1, 3, 3), 0.75), torch.full((2, 1, 1, 1), 1.5)]
    assert float(loss("msfg-lle", "adversarial")(said)) == pytest.approx(0.75**2 + 1.5**2)
    wanted = 0.25**2 + 0.5**2 + 0.25**2 + 0.5**2
    assert float(loss("msfg-lle", "discrimination")(said, real)) == pytest.approx(wanted)
    sure = [torch.zeros(1, 1, 2, 2)] * 2, [torch.ones(1, 1, 2, 2)] * 2
    assert float(loss("msfg-lle", "discrimination")(*sure)) == 0


def test_perceptual() -> None:
    output, image = images(2, 3, 4, 4), images(2, 3, 4, 4, seed=4)
    found = loss("msfg-lle", "perceptual")(output, image, lambda x: x[:, :2] * 3)
    assert float(found) == pytest.approx(9 * float(((output - image)[:, :2].numpy() ** 2).mean()), rel=1e-5)


def test_the_low_light_colour_is_a_direction() -> None:
    image = torch.full((1, 3, 32, 32), -0.8)
    colour = loss("msfg-lle", "colour")
    assert float(colour(image * -1, image)) == pytest.approx(0, abs=1e-6)  # gray, and lighter
    yellow = torch.ones_like(image)
    yellow[:, 2] = -1
    yellow[..., 16:] = 0.5
    assert float(colour(yellow, image)) == pytest.approx((1 - (2 / 3) ** 0.5) / 2, rel=1e-5)


def test_structure_is_the_same_in_the_dark() -> None:
    structure = loss("msfg-lle", "structure")
    image = images(1, 3, 8, 8).repeat_interleave(8, 2).repeat_interleave(8, 3) * 0.5 + 0.25
    found = structure(image * 2 - 1)
    assert found.shape == (1, 9, 32, 32)
    dark, other = structure(image * 0.3 * 2 - 1), structure(image.flip(1) * 2 - 1)
    assert float((found - dark).abs().mean()) < 0.05
    assert float((found - other).abs().mean()) > 0.5
    # By hand, in the middle: contrast of one mean of 4×4 to the 7×7 around it.
    small = image[0, 1].numpy().astype(float).reshape(16, 4, 16, 4).mean((1, 3))
    around = small[5:12, 4:11]
    wanted = (small[8, 7] - around.mean()) / np.hypot(around.std(), 0.01)
    assert float(found[0, 3 + 1, 16, 14]) == pytest.approx(wanted, rel=1e-3)
    flat = structure(torch.zeros(1, 3, 64, 64))
    assert float(flat.abs().max()) < 1e-3


def test_the_low_light_discriminators() -> None:
    both = loss("msfg-lle", "discriminator")()
    # Counted on pix2pix's code (CycleGAN's discriminator): biases everywhere, a norm without parameters.
    assert [sum(p.numel() for p in one.parameters()) for one in both.scales] == [2_764_737] * 2
    small = loss("msfg-lle", "discriminator")(4)
    image = torch.zeros(1, 3, 256, 256, requires_grad=True)
    said = small(image)
    assert [answer.shape for answer in said] == [(1, 1, 30, 30), (1, 1, 14, 14)]
    assert [sum(p.numel() for p in one.parameters()) for one in loss("msfg-lle", "small_discriminator")().scales] == [
        3 * 512 + 32 + 32 * 1024 + 64 + 64 * 2048 + 128 + 128 * 16 + 1
    ] * 2
    # Without norms, which look at the whole image, an answer hangs on 70×70 px, or 34×34 of the small one.
    for built, side in ((small, 70), (loss("msfg-lle", "small_discriminator")(4), 34)):
        plain = torch.nn.Sequential(*(p for p in built.scales[0] if not isinstance(p, torch.nn.InstanceNorm2d)))
        image.grad = None
        plain(image)[0, 0, 15, 15].backward()
        assert image.grad is not None
        seen = image.grad[0].abs().sum(0).nonzero()
        assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [side, side]


def test_zero_dces_smoothness() -> None:
    maps = images(2, 6, 5, 7).numpy().astype(float)
    down, across = 0.0, 0.0
    for n, c, y, x in np.ndindex(maps.shape):
        down += (maps[n, c, y + 1, x] - maps[n, c, y, x]) ** 2 if y < 4 else 0
        across += (maps[n, c, y, x + 1] - maps[n, c, y, x]) ** 2 if x < 6 else 0
    wanted = 2 * (down / (4 * 7) + across / (5 * 6)) / 2
    assert float(loss("zero-dce", "smoothness")(images(2, 6, 5, 7))) == pytest.approx(wanted, rel=1e-5)


def pooled(image: Array, region: int) -> Array:
    """Return the mean brightness of regions, one image `(3, H, W)`."""
    gray = image.mean(0)
    rows, columns = (side // region for side in gray.shape)
    cells = [[gray[r * region : (r + 1) * region, c * region : (c + 1) * region].mean() for c in range(columns)]
             for r in range(rows)]  # fmt: skip
    return np.array(cells)


def test_zero_dces_spatial_consistency() -> None:
    output, image = images(2, 3, 12, 17), images(2, 3, 12, 17, seed=4)
    total = []
    for one, other in zip(output.numpy().astype(float), image.numpy().astype(float), strict=True):
        enhanced, before = pooled(one, 4), pooled(other, 4)
        assert enhanced.shape == (3, 4)
        for row, column in np.ndindex(enhanced.shape):
            cell = 0.0
            for down, right in ((0, -1), (0, 1), (-1, 0), (1, 0)):
                y, x = row + down, column + right
                inside = 0 <= y < 3 and 0 <= x < 4  # the authors' convolutions see zero beyond
                there = (enhanced[y, x], before[y, x]) if inside else (0.0, 0.0)
                cell += ((enhanced[row, column] - there[0]) - (before[row, column] - there[1])) ** 2
            total.append(cell)
    assert float(loss("zero-dce", "spatial")(output, image)) == pytest.approx(np.mean(total), rel=1e-4)


def test_zero_dces_colour_and_exposure() -> None:
    output = images(2, 3, 32, 48)
    output[0, 0] *= 0.3
    wanted = []
    for image in output.numpy().astype(float):
        red, green, blue = image.mean((1, 2))
        wanted.append(((red - green) ** 4 + (red - blue) ** 4 + (green - blue) ** 4) ** 0.5)
    assert float(loss("zero-dce", "colour")(output)) == pytest.approx(np.mean(wanted), rel=1e-4)
    levels = [(pooled(image, 16) - 0.6) ** 2 for image in output.numpy().astype(float)]
    assert float(loss("zero-dce", "exposure")(output)) == pytest.approx(np.mean(levels), rel=1e-4)
    gray = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    loss("zero-dce", "colour")(gray).backward()
    assert gray.grad is not None
    assert gray.grad.isfinite().all()


# --- Short trainings ------------------------------------------------------------------------------------------------


def test_dncnn_learns() -> None:
    torch.manual_seed(1)
    noisy, clean = scene(4, 16)
    network, terms = of("dncnn", "dncnn:DnCNN")(3, 4), loss("dncnn", "terms")
    curve = trained(network.parameters(), 3e-3, lambda: weighted("dncnn", terms(network, [noisy], clean)))
    assert curve[-1] < 0.9 * curve[0], curve


def test_the_u_net_learns() -> None:
    torch.manual_seed(1)
    noisy, clean = scene(2, 24)
    network, terms = of("unet", "unet:build")(), loss("unet", "terms")
    curve = trained(network.parameters(), 1e-3, lambda: weighted("unet", terms(network, [noisy], clean)))
    assert curve[-1] < 0.7 * curve[0], curve


def test_zero_dce_learns() -> None:
    _, clean = scene(2, 32)
    network, terms = of("zero-dce", "zero_dce:build")(), loss("zero-dce", "terms")
    curve = trained(network.parameters(), 1e-3, lambda: weighted("zero-dce", terms(network, [clean * 0.2])), 30)
    assert curve[-1] < 0.8 * curve[0], curve
    with torch.inference_mode():
        assert float(network(clean * 0.2).mean()) > 1.2 * float((clean * 0.2).mean())  # lighter


def test_the_low_light_networks_learn() -> None:
    torch.manual_seed(1)
    _, clean = scene(2, 64)
    bright, dark = clean * 2 - 1, clean * 0.4 - 1
    generator, terms = of("msfg-lle", "msfg_lle:build_generator")(), loss("msfg-lle", "terms")
    judge = loss("msfg-lle", "discriminator")(8)
    features = torch.nn.Conv2d(3, 8, 3, 2).requires_grad_(requires_grad=False)
    attention = torch.full((2, 1, 64, 64), 0.7)

    def network(image: Any) -> Any:
        return generator(image, attention)

    def step() -> Any:
        return weighted("msfg-lle", terms(network, [dark], features=features, discriminator=judge))

    curve = trained(generator.parameters(), 1e-4, step, 10)
    assert curve[-1] < 0.9 * curve[0], curve
    with torch.inference_mode():
        enhanced = network(dark)
    discrimination = loss("msfg-lle", "discrimination")
    curve = trained(judge.parameters(), 1e-3, lambda: discrimination(judge(enhanced.clone()), judge(bright)), 15)
    assert curve[-1] < 0.7 * curve[0], curve


@pytest.mark.slow
def test_k3dn_learns_and_every_parameter_takes_part() -> None:
    left, sharp = scene(1, 60)
    right = sharp.roll(1, -1)
    left, right, sharp = left - 0.5, right - 0.5, sharp - 0.5
    network, terms = of("k3dn", "k3dn:build_training")(2, 1, 2, 1), loss("k3dn", "terms")
    network.disparity.eval()  # statistics of one image's only cell would be none

    def step() -> Any:
        return weighted("k3dn", terms(network, [left, right], sharp))

    curve = trained(network.parameters(), 3e-3, step, 4)
    assert curve[-1] < 0.9 * curve[0], curve
    without = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()}
    assert not without
