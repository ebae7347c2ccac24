"""In-focus masks: pairs with known disparity made from photographs, depth, and the dual-pixel simulator's sample."""

from __future__ import annotations

import math
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import skimage.data
from numpy.typing import NDArray

from evaluator.images import decode, encode_png, pixels_digest, read_image
from evaluator.metrics import focus_mask as fm
from evaluator.metrics.sharp_region import combined_view, score

RADIUS = fm.Options().radius
SIDE = 256
INSIDE = (slice(64, 192), slice(56, 200))


def view(photograph: NDArray[np.uint8], shift: int) -> NDArray[np.float64]:
    """Half the photograph's size, moved right by `shift` / 2 px: half pixels come without any interpolation."""
    moved = np.roll(photograph, shift, axis=1).astype(np.float64)
    return moved.reshape(SIDE, 2, SIDE, 2, -1).mean(axis=(1, 3))


def pair(
    photograph: NDArray[np.uint8], background: int, offset: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left and right; inside a rectangle their disparity is `offset` / 2 px, around it `background` / 2 px more."""
    right = view(photograph, background + offset)
    right[INSIDE] = view(photograph, offset)[INSIDE]
    return view(photograph, 0), right


def truth() -> NDArray[np.bool_]:
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[INSIDE] = True
    return mask


def core() -> NDArray[np.bool_]:
    """Where a window is wholly inside the rectangle, and so are those of all pixels the erosion asks."""
    return cv2.erode(truth().astype(np.uint8), np.ones((4 * RADIUS + 1,) * 2)) > 0


def precision(mask: NDArray[np.bool_], focused: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(mask & focused) / np.count_nonzero(mask))


def recall(mask: NDArray[np.bool_], focused: NDArray[np.bool_]) -> float:
    return float(np.count_nonzero(mask & focused) / np.count_nonzero(focused))


@pytest.mark.parametrize("shift", [-7, -4, -3, -1, 0, 1, 2, 5, 16])
def test_disparities_of_whole_and_half_pixels_are_found(shift: int) -> None:
    found = fm.match(view(skimage.data.gravel(), 0), view(skimage.data.gravel(), shift), 255)
    assert found.usable.mean() > 0.85
    assert np.median(found.disparity[found.usable]) == pytest.approx(shift / 2, abs=0.05)
    # Parabolas lean to whole pixels: 0.25 px is half of what the mask's threshold leaves.
    assert np.quantile(np.abs(found.disparity[found.usable] - shift / 2), 0.95) < 0.25


@pytest.mark.parametrize("background", [-6, -3, 2, 3, 4, 11])
@pytest.mark.parametrize("name", ["gravel", "astronaut"])
def test_the_mask_keeps_to_the_region_in_focus(name: str, background: int) -> None:
    left, right = pair(getattr(skimage.data, name)(), background)
    mask = fm.focus_mask(left, right, 255, zero=0)
    # Eroded by the window's radius, no pixel is left whose own window reaches over the edge: nothing should be wrong.
    assert precision(mask, truth()) > 0.99
    if name == "gravel":  # textured everywhere, so where windows are wholly in focus, it has no reason to abstain
        assert recall(mask, core()) > 0.98
    else:  # flat parts, and a window's radius around them, are given up
        assert recall(mask, core()) > 0.5


def test_flat_areas_and_horizontal_lines_abstain() -> None:
    left = view(skimage.data.gravel(), 0)
    left[40:100, 40:120] = 128
    left[140:200, 40:120] = (np.arange(60) % 7 * 30)[:, None, None]  # it looks the same at every disparity
    noise = np.random.default_rng(5).normal(0, 0.2, (2, *left.shape))
    for dirt in (0, 1):
        found = fm.match(left + dirt * noise[0], left + dirt * noise[1], 255)
        assert not found.usable[48:92, 48:112].any()  # windows wholly inside
        assert not found.usable[148:192, 48:112].any()
        mask = fm.mask_from_match(found, 0)
        assert not mask[40:100, 40:120].any()
        assert not mask[140:200, 40:120].any()
        assert mask[20:230, 150:230].all()


def test_what_only_one_view_shows_abstains() -> None:
    left = view(skimage.data.gravel(), 0)
    right = left.copy()
    right[60:120, 60:120] = view(skimage.data.grass(), 0)[60:120, 60:120]
    assert not fm.focus_mask(left, right, 255, zero=0)[60:120, 60:120].any()


def test_a_gain_between_the_views_does_not_matter() -> None:
    left, right = pair(skimage.data.gravel(), 4)
    plain, vignetted = (fm.focus_mask(left, view, 255, zero=0) for view in (right, right * 0.7 + 5))
    # Correlation does not see gain and offset; only texture, near its threshold, does.
    assert np.mean(plain != vignetted) < 0.002


@pytest.mark.parametrize("offset", [-2, -1, 0, 1, 2])
def test_a_constant_offset_is_removed(offset: int) -> None:
    left, right = pair(skimage.data.gravel(), 8, offset)
    found = fm.match(left, right, 255)
    # 28 % of the image is in focus; its surroundings are 4 px off.
    zero = fm.constant_zero([found], limit=1.5)
    assert zero == pytest.approx(offset / 2, abs=0.05)
    mask = fm.mask_from_match(found, zero)
    assert precision(mask, truth()) > 0.99
    assert recall(mask, core()) > (0.98 if offset % 2 == 0 else 0.9)  # the finest grain differs half a pixel on
    if abs(offset) < 2:
        np.testing.assert_array_equal(fm.focus_mask(left, right, 255), mask)


def test_the_zero_of_a_camera_is_told_by_pictures_that_tell_it() -> None:
    mostly, hardly = (fm.match(*pair(skimage.data.gravel(), *shifts), 255) for shifts in ((12, 1), (3, 1)))
    # 72 % of the second picture is at 2 px, its in-focus part at 0.5 px: alone, it does not say which is the zero.
    with pytest.raises(ValueError, match="measure the camera's zero"):
        fm.constant_zero([hardly])
    assert fm.constant_zero([mostly, mostly, mostly, hardly]) == pytest.approx(0.5, abs=0.05)


def test_where_nothing_is_near_focus_no_zero_is_made_up() -> None:
    left, right = pair(skimage.data.gravel(), 5, 6)
    with pytest.raises(ValueError, match="measure the camera's zero"):
        fm.focus_mask(left, right, 255)
    assert not fm.focus_mask(left, right, 255, zero=0).any()
    assert recall(fm.focus_mask(left, right, 255, zero=3.0), core()) > 0.98
    with pytest.raises(ValueError, match="0 usable pixels"):
        fm.constant_zero([])


def test_a_zero_that_changes_over_the_field_is_removed() -> None:
    y, x = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE), indexing="ij")
    zero = 1.2 * x * x - 0.4 + 0.2 * y
    columns = np.arange(SIDE)[None] - zero  # right(x + zero) = left(x), to first order in the slope of 0.02
    rows = np.repeat(np.arange(SIDE)[:, None], SIDE, axis=1)
    pairs = []
    for name in ("gravel", "brick", "grass"):
        left = view(getattr(skimage.data, name)(), 0)
        right = cv2.remap(left, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LANCZOS4)
        pairs.append((left, right[:, :, None]))
    found = [fm.match(*views, 255) for views in pairs]
    smooth = fm.smooth_zero(found)
    assert np.abs(smooth - zero).max() < 0.15
    # All is in focus; at the left and right border, what the other view does not show is given up.
    assert recall(fm.mask_from_match(found[0], smooth), np.ones_like(truth())) > 0.9
    assert (
        recall(fm.mask_from_match(found[0], fm.constant_zero(found)), np.ones_like(truth())) < 0.8
    )  # the sides are lost
    with pytest.raises(ValueError, match="one size"):
        fm.smooth_zero([found[0], fm.match(*(v[:128] for v in pairs[0]), 255)])


def test_8_bit_16_bit_and_float_give_one_mask() -> None:
    left, right = (np.rint(v).astype(np.uint8) for v in pair(skimage.data.astronaut(), 4))
    narrow = fm.focus_mask(left, right, 255, zero=0)
    wide = fm.focus_mask(left.astype(np.uint16) * 257, right.astype(np.uint16) * 257, 65535, zero=0)
    np.testing.assert_array_equal(narrow, wide)
    np.testing.assert_array_equal(narrow, fm.focus_mask(left / 255, right / 255, 1.0, zero=0))


def test_views_that_do_not_fit_are_refused() -> None:
    left, right = pair(skimage.data.gravel(), 4)
    with pytest.raises(ValueError, match="one shape"):
        fm.match(left, right[1:], 255)
    with pytest.raises(ValueError, match="12 px wide"):
        fm.match(left[:, :12], right[:, :12], 255)


def test_masks_from_depth_and_circle_of_confusion() -> None:
    depth = np.array([[1.0, 2.0, 4.0, 0.0], [math.nan, math.inf, -1.0, 3.0]])
    np.testing.assert_array_equal(fm.mask_from_depth(depth, near=2), [[0, 1, 1, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(fm.mask_from_depth(depth, 1, 2), [[1, 1, 0, 0], [0, 0, 0, 0]])
    # Focused at 2, of scale 8: |8/1 − 4| = 4, 0, |2 − 4| = 2, hole; hole, hole, hole, |8/3 − 4| = 4/3.
    coc = fm.coc_from_depth(depth, focus=2, scale=8)
    np.testing.assert_allclose(coc, [[4, 0, 2, math.inf], [math.inf, math.inf, math.inf, 4 / 3]])
    np.testing.assert_array_equal(fm.mask_from_coc(coc, 2), [[0, 1, 1, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(fm.mask_from_coc(np.array([[-3.0, -1.0, math.nan, 1.0]]), 1), [[0, 1, 0, 1]])
    far = np.ones((9, 9))
    far[4, 4] = 0.1
    assert fm.mask_from_depth(far, near=1, margin=2).sum() == 81 - 25


def test_a_frozen_mask_comes_back_and_only_that_mask() -> None:
    mask = truth()
    png, sha256 = fm.freeze(mask)
    back = fm.thaw(png, sha256)
    assert back.dtype == np.bool_
    np.testing.assert_array_equal(back, mask)
    assert pixels_digest(decode(png).array) == sha256  # whoever reads the PNG can check it
    other, other_sha256 = fm.freeze(~mask)
    assert other_sha256 != sha256
    with pytest.raises(ValueError, match=f"expected pixels of sha256 {sha256}, got {other_sha256}"):
        fm.thaw(other, sha256)
    with pytest.raises(ValueError, match="cannot be read"):
        fm.thaw(png[:60], sha256)
    gray = np.full((4, 4, 1), 128, np.uint8)
    with pytest.raises(ValueError, match="0 and 255"):
        fm.thaw(encode_png(gray), pixels_digest(gray))


@pytest.fixture(scope="module")
def sample(data_root: Path) -> dict[str, NDArray[np.generic]]:
    """The simulator's views and ground truth, and 1/Z: depth over 0.2, cropped and resized as the simulator does."""
    folder = data_root / "dualpixel" / "ddd_syn_sample"
    images = {name: read_image(folder / f"oult_{name}.png").array for name in ("l", "r", "gt")}
    depth = scipy.io.loadmat(folder / "depths.mat")["depths"].astype(np.float64) / 0.2
    return images | {"inverse": 1 / cv2.resize(depth[19:460, 19:620], (640, 480), interpolation=cv2.INTER_LINEAR)}


# Figures of the specification's own matcher: precision 0.98–0.995, recall 0.95–0.985 of usable pixels, 0.89–0.92 of
# all, before erosion. Matchers differ: 0.02 is allowed.
@pytest.mark.parametrize(
    ("cut", "share", "figures"), [(0.075, 0.621, (0.981, 0.985, 0.923)), (0.080, 0.656, (0.995, 0.950, 0.886))]
)
def test_on_the_simulators_sample_it_is_as_good_as_specified(
    sample: dict[str, NDArray[np.generic]], cut: float, share: float, figures: tuple[float, float, float]
) -> None:
    precise, of_usable, of_all = figures
    inverse = np.asarray(sample["inverse"], np.float64)
    focused = fm.mask_from_depth(1 / inverse, near=1 / cut)
    assert focused.mean() == pytest.approx(share, abs=0.0005)
    began = time.perf_counter()
    found = fm.match(sample["l"], sample["r"], 255)
    assert time.perf_counter() - began < 2
    zero = fm.constant_zero([found])
    assert zero == pytest.approx(0, abs=0.02)  # the simulator has none
    mask = fm.mask_from_match(found, zero, fm.Options(erosion=0))
    assert precision(mask, focused) > precise - 0.02
    assert recall(mask, focused & found.usable) > of_usable - 0.02
    assert recall(mask, focused) > of_all - 0.02
    eroded = fm.focus_mask(sample["l"], sample["r"], 255)
    assert precision(eroded, focused) > 0.99  # erosion only takes the pixels at the edges, where the errors are
    assert 0.02 < eroded.mean() < mask.mean()


def test_in_focus_means_that_the_simulator_left_the_pixels_alone(sample: dict[str, NDArray[np.generic]]) -> None:
    mask = fm.focus_mask(sample["l"], sample["r"], 255)
    combined = combined_view(sample["l"], sample["r"])
    # The ground truth keeps what is in focus and changes the rest.
    assert score(sample["gt"], combined, mask, 255).value > 99
    assert score(sample["gt"], combined, ~mask, 255).value < score(sample["gt"], combined, mask, 255).value


def test_in_a_real_scene_without_sharp_pixels_almost_nothing_is_in_focus(data_root: Path) -> None:
    folder = data_root / "dualpixel" / "pixel4"
    left, right = (read_image(folder / f"004_{side}.png").array.astype(np.float64) - 1024 for side in ("left", "right"))
    found = fm.match(left, right, 16383 - 1024)
    # Under 1 % of such a scene is sharp; the median disparity, 5.5 px, must not be taken for the zero.
    assert fm.mask_from_match(found, 0).mean() < 0.01
    with pytest.raises(ValueError, match="measure the camera's zero"):
        fm.constant_zero([found])
