"""From images to a model's tensors and back, as `[model]` of the manifest says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evaluator.images import Pixels
from evaluator.ingest.manifest import Model
from evaluator.runners.models.problem import ModelProblem, one_line
from evaluator.runners.models.tiles import pad_to, restore_tiled, starts

AXES = {"NHWC": (1, 2, 3), "NCHW": (2, 3, 1)}
"""Of height, width and channels, by layout."""
CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Tensor:
    """One input as the file describes it; None where the file leaves it open."""

    shape: tuple[int | None, ...] | None
    dtype: str | None


class Loaded(Protocol):
    """A loaded model file: tensors in, one tensor out."""

    inputs: tuple[Tensor, ...]
    """In the order in which `run` takes them."""

    def run(self, tensors: list[NDArray[Any]]) -> NDArray[Any]:
        """Run the model on one batch of one image."""
        ...


@dataclass(frozen=True)
class Restored:
    """What a model made of one case."""

    output: NDArray[Any]
    """`(H, W, C)` float32 in units where white is 1, not clipped; of Python code, the array as it was returned."""
    seams: float | None = None
    """Where tiles were joined: how far two of them differ at most on the pixels beside their cut; white is 1."""


class Restorer(Protocol):
    """A model that takes images and gives one."""

    def restore(self, inputs: Sequence[Pixels]) -> Restored:
        """Restore one case from its inputs, in the order of the manifest.

        Raises:
            ModelProblem: the model does not fit the case, fails, or gives no usable output.
        """
        ...


class ModelRestorer:
    """A model file under its contract. See `Restorer`."""

    def __init__(self, model: Model, loaded: Loaded) -> None:
        """Check the file's own description of its inputs against the contract.

        Raises:
            ModelProblem: they contradict each other.
        """
        self._model = model
        self._loaded = loaded
        if len(loaded.inputs) != len(model.inputs):
            raise _mismatch(
                f"{len(model.inputs)} inputs ({', '.join(model.inputs)}), as [model] says", f"{len(loaded.inputs)}"
            )
        for tensor in loaded.inputs:
            self._check(tensor)

    @property
    def device_seconds(self) -> float | None:
        """What the last run took on a device of its own; None of the processor."""
        found: float | None = getattr(self._loaded, "device_seconds", None)
        return found

    def restore(self, inputs: Sequence[Pixels]) -> Restored:
        """See `Restorer`."""
        arrays = [image.array for image in inputs]
        if len(arrays) != len(self._model.inputs):
            raise _mismatch(
                f"a task with {len(self._model.inputs)} input images a case", f"one that gives {len(arrays)}"
            )
        height, width = arrays[0].shape[:2]
        if any(array.shape[:2] != (height, width) for array in arrays):
            raise _mismatch("input images of one size", ", ".join(str(a.shape[:2]) for a in arrays))
        scaled = [self._scaled(image) for image in inputs]
        if self._model.layout == "flat":
            self._check_flat(arrays)
        plan = plan_passes(self._model, self._loaded.inputs, height, width)
        if plan.count == 1:
            output = self._run([pad_to(array, *plan.size) for array in scaled])
            return Restored(np.ascontiguousarray(output[:height, :width]))
        assert self._model.tile_overlap is not None  # noqa: S101 - without it there is one pass
        # An axis that is open takes the whole padded image, so that only the other one is cut.
        padded = [pad_to(array, max(height, plan.size[0]), max(width, plan.size[1])) for array in scaled]
        whole, seams = restore_tiled(self._run, padded, plan.size, self._model.tile_overlap)
        return Restored(np.ascontiguousarray(whole[:height, :width]), seams)

    def _check(self, tensor: Tensor) -> None:
        model = self._model
        if tensor.dtype is not None and tensor.dtype != model.dtype:
            raise _mismatch(f'dtype = "{model.dtype}", as [model] says', f"a file that takes {tensor.dtype}")
        if tensor.shape is None:
            return
        rank = 2 if model.layout == "flat" else 4
        shown = " × ".join("?" if d is None else str(d) for d in tensor.shape)
        if len(tensor.shape) != rank or tensor.shape[0] not in (None, 1):
            raise _mismatch(
                f"an input of {rank} axes for one image at a time (layout {model.layout})", f"{shown} in the file"
            )
        if rank == 2:
            return
        other = "NCHW" if model.layout == "NHWC" else "NHWC"
        here, there = (tensor.shape[AXES[layout][2]] for layout in (model.layout, other))
        if here not in (None, *CHANNELS) or (here is None and there in CHANNELS):
            raise _mismatch(f"1, 3 or 4 channels where layout {model.layout} has them", f"{shown} in the file")

    def _check_flat(self, arrays: Sequence[NDArray[Any]]) -> None:
        for array, tensor in zip(arrays, self._loaded.inputs, strict=True):
            size = tensor.shape[1] if tensor.shape is not None else None
            if size is not None and size != array.size:
                height, width, channels = array.shape
                raise _mismatch(
                    f"{size} values, the size that the file is fixed to",
                    f"{array.size} ({width}×{height}, {channels} channels)",
                    "Export with an open size (the file does not say its height and width, so tiles cannot be cut).",
                )

    def _scaled(self, image: Pixels) -> NDArray[Any]:
        """Return an image in the model's range, colour order and type, as `(H, W, C)`."""
        black, white = self._model.range
        values = np.divide(image.array, image.peak, dtype=np.float64)
        if (black, white) != (0, 1):
            values = values * (white - black) + black
        if self._model.colour == "BGR":
            values = values[:, :, ::-1]
        if self._model.dtype == "uint8":
            values = np.clip(np.rint(values), 0, 255)
        return np.asarray(values, self._model.dtype)

    def _run(self, arrays: list[NDArray[Any]]) -> NDArray[np.float32]:
        """Run the model on `(H, W, C)` arrays in its own range; return `(H, W, C)` in units where white is 1."""
        height, width = arrays[0].shape[:2]
        for array, tensor in zip(arrays, self._loaded.inputs, strict=True):
            self._check_channels(array.shape[2], tensor)
        try:
            output = self._loaded.run([self._laid_out(array) for array in arrays])
        except ModelProblem:
            raise
        except Exception as error:  # a model may fail in any way; the case is then `failed`
            raise ModelProblem(
                "run-failed",
                expected=f"an output for an input of {width}×{height} pixels",
                got=one_line(error),
                fix="Run the file yourself on an image of that size; see layout, dtype and size_multiple in [model].",
            ) from error
        image = self._image(np.asarray(output), height, width)
        black, white = self._model.given
        # (y - 0) / 1 is exact, so that a model in [0, 1] gives what it gave.
        unit = ((image.astype(np.float64) - black) / (white - black)).astype(np.float32)
        if not np.isfinite(unit).all():
            where = np.argwhere(~np.isfinite(unit))[0]
            raise _unusable("finite values", f"NaN or infinity, first at row {where[0]}, column {where[1]}")
        return unit[:, :, ::-1] if self._model.colour == "BGR" else unit

    def _check_channels(self, channels: int, tensor: Tensor) -> None:
        if tensor.shape is None or self._model.layout == "flat":
            return
        wanted = tensor.shape[AXES[self._model.layout][2]]
        if wanted not in (None, channels):
            raise _mismatch(f"a model for {channels} channels, as the input has", f"a file that takes {wanted}")

    def _laid_out(self, array: NDArray[Any]) -> NDArray[Any]:
        if self._model.layout == "flat":
            return np.ascontiguousarray(array).reshape(1, -1)
        axes = array if self._model.layout == "NHWC" else array.transpose(2, 0, 1)
        return np.ascontiguousarray(axes)[np.newaxis]

    def _image(self, output: NDArray[Any], height: int, width: int) -> NDArray[Any]:
        """Return a model's output as `(H, W, C)`, or say why it is none."""
        layout = self._model.layout
        shown = "×".join(str(d) for d in output.shape) or "a single value"
        expected = {
            "NHWC": f"1×{height}×{width}×C",
            "NCHW": f"1×C×{height}×{width}",
            "flat": f"1×(C·{height * width})",
        }[layout]
        if output.dtype.kind not in "fiu":
            raise _unusable("numbers", f"{output.dtype.name} values")
        channels = output.size // max(height * width, 1)
        shape = {"NHWC": (1, height, width, channels), "NCHW": (1, channels, height, width), "flat": (1, output.size)}
        if output.shape != shape[layout] or channels not in CHANNELS or output.size % (height * width):
            raise _unusable(f"an output of the input's size, {expected}", shown)
        if layout == "NCHW":
            return np.moveaxis(output[0], 0, 2)
        return output.reshape(height, width, channels)


@dataclass(frozen=True)
class Passes:
    """How a model gets through an image: whole and padded, or tile by tile."""

    size: tuple[int, int]
    """Height and width of what one pass is given."""
    count: int


def plan_passes(model: Model, inputs: Sequence[Tensor], height: int, width: int) -> Passes:
    """Return how a model gets through an image of a size.

    Args:
        model: the contract.
        inputs: the model's inputs as the file describes them.
        height: of the image.
        width: of the image.

    Raises:
        ModelProblem: it is fixed to a smaller size, and the contract allows no tiles.
    """
    rows, columns = fixed_size(model, inputs)
    multiple = model.size_multiple
    wanted = (rows or -(-height // multiple) * multiple, columns or -(-width // multiple) * multiple)
    if wanted[0] >= height and wanted[1] >= width:
        return Passes(wanted, 1)
    if model.tile_overlap is None:
        raise _mismatch(
            f"images of at most {wanted[1]}×{wanted[0]} pixels, the size that the file is fixed to",
            f"{width}×{height}",
            "Set tile_overlap in [model] to have larger images cut into tiles, or export with open sizes.",
        )
    cut = [tile for tile, whole in zip(wanted, (height, width), strict=True) if tile < whole]
    if model.tile_overlap >= min(cut):
        raise _mismatch(f"tiles larger than their overlap of {model.tile_overlap} pixels", f"{wanted[1]}×{wanted[0]}")
    along = [len(starts(max(n, t), t, model.tile_overlap)) for n, t in zip((height, width), wanted, strict=True)]
    return Passes(wanted, along[0] * along[1])


def fixed_size(model: Model, inputs: Sequence[Tensor]) -> tuple[int | None, int | None]:
    """Return the height and width that a file is fixed to; None where it leaves them open.

    Raises:
        ModelProblem: its inputs are fixed to different sizes.
    """
    if model.layout == "flat":
        return None, None
    row_axis, column_axis, _ = AXES[model.layout]
    shapes = [t.shape for t in inputs if t.shape is not None]
    rows = {s[row_axis] for s in shapes} - {None}
    columns = {s[column_axis] for s in shapes} - {None}
    if len(rows) > 1 or len(columns) > 1:
        raise _mismatch("inputs of one size", f"a file with inputs fixed to heights {rows} and widths {columns}")
    return next(iter(rows), None), next(iter(columns), None)


def _mismatch(
    expected: str, got: str, fix: str = "Correct [model] in submission.toml, or export again."
) -> ModelProblem:
    return ModelProblem("model-shape", expected=expected, got=got, fix=fix)


def _unusable(expected: str, got: str) -> ModelProblem:
    return ModelProblem(
        "model-output", expected=expected, got=got, fix="See layout and output_range in [model]; export again."
    )
