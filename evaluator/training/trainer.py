"""The training loop: one for torch modules and for Keras models on the torch backend; exact resume."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluator.extras import install
from evaluator.findings import EvaluatorError, Finding
from evaluator.ingest import Manifest, baseline_manifest, code_folder
from evaluator.runners.models.problem import Foreign, keras_on
from evaluator.runners.models.python import import_entry
from evaluator.tasks import Task
from evaluator.training.adversary import Adversary
from evaluator.training.degradations import degradation_of
from evaluator.training.leaving import WEIGHTS, leave_curve, leave_record, leave_submission
from evaluator.training.optimisers import optimiser_of, scheduler_of
from evaluator.training.recipe import FILE_NAME, Recipe, baseline_recipe, recipe_file
from evaluator.training.sampling import Batch, Photographs, Sampler

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHECKPOINT = "checkpoint.pt"
LOG = "log.csv"
_COLUMNS = ("step", "learning_rate", "loss", "held_out_loss")

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Settings:
    """What a training was asked for, beyond its recipe."""

    baseline: str
    task: Task
    photographs: Path
    out: Path
    """A folder: new, empty, or with `resume` that of the training that goes on."""
    steps: int | None = None
    """How many in all; as the recipe says if None."""
    batch: int | None = None
    """In place of the recipe's."""
    crop: int | None = None
    """In place of the recipe's, px."""
    seed: int = 0
    device: str = "cpu"
    """`cpu` or `cuda`."""
    threads: int | None = None
    """How many torch computes with; as torch says if None."""
    patience: int | None = None
    """Epochs without a better held-out loss before it ends; as the recipe says if None."""
    resume: bool = False

    @property
    def command(self) -> str:
        """The command that does it, with the photographs' folder by its name alone."""
        words = ["evaluate", "train", self.baseline, "--task", self.task.id]
        words += ["--photographs", self.photographs.resolve().name, "--out", self.out.resolve().name]
        for name in ("steps", "batch", "crop", "threads", "patience"):
            value = getattr(self, name)
            words += [f"--{name}", str(value)] if value is not None else []
        words += ["--seed", str(self.seed)] if self.seed else []
        words += ["--device", self.device] if self.device != "cpu" else []
        return shlex.join(words)


@dataclass(frozen=True)
class Trained:
    """How a training ended."""

    steps: int
    """How many were done: fewer than were asked for where patience was spent."""
    best: int
    """The step whose weights were written: where the held-out loss was lowest."""
    first: float
    """The held-out loss before the first step."""
    last: float
    """That of the weights that were written."""
    weights: Path
    sha256: str
    curve: bool
    """Whether it was drawn; matplotlib may not be installed."""


def train(settings: Settings, report: Report = lambda step, steps: None) -> Trained:
    """Train a baseline for a task; `settings.out` becomes a submission, with checkpoint, log, record and curve.

    The held-out loss is taken before the first step, after each epoch and at the end; an epoch is as many steps as the
    photographs that are trained on fill batches, unless the recipe says otherwise. The weights with the lowest are
    written; where there is patience, training ends when that many epochs brought no lower one. Batches hang on seed
    and step alone: a training that goes on from a checkpoint gives the same weights as one that was not interrupted,
    bit for bit on one thread of the same machine.

    Args:
        settings: what to do.
        report: is called with the number of steps done and that of all: before the first, and after each.

    Raises:
        EvaluatorError: the baseline cannot be trained for the task, photographs or folder cannot be used, or a
            checkpoint is of another training.
    """
    recipe, manifest = baseline_recipe(settings.baseline), baseline_manifest(settings.baseline)
    degradation = degradation_of(settings.task)
    _trainable(settings, recipe, manifest, degradation.inputs)
    batch, crop = settings.batch or recipe.data.batch.value, settings.crop or recipe.data.crop.value
    assert manifest.model is not None  # noqa: S101 - looked at before
    if crop % manifest.model.size_multiple:
        multiple = manifest.model.size_multiple
        raise EvaluatorError(
            f"{settings.baseline} takes sizes that are multiples of {multiple}; --crop {crop} is none."
        )
    _folder(settings)
    photographs = Photographs(settings.photographs, crop + 2 * degradation.margin)
    settings.out.mkdir(parents=True, exist_ok=True)
    sampler = Sampler(
        degradation,
        batch,
        crop,
        recipe.data.augmentations.value,
        settings.seed,
        unpaired=recipe.data.pairs.value == "unpaired",
    )
    run = _Run(settings, recipe, manifest, sampler, photographs)
    if settings.resume:
        run.load()
    first = run.begin()
    report(run.step, run.steps)
    while run.step < run.steps and not run.is_stuck:
        run.advance()
        report(run.step, run.steps)
    return run.finish(first)


def _trainable(settings: Settings, recipe: Recipe, manifest: Manifest, given: tuple[str, ...]) -> None:
    name = settings.baseline
    if recipe.features and recipe.stand_in is None:
        raise EvaluatorError(
            f"{name} cannot be trained by this command: its losses compare features of {recipe.features.value}, "
            "whose weights do not ship, and its recipe names no stand_in."
        )
    assert manifest.model is not None  # noqa: S101 - a baseline with a recipe is a network
    taken = manifest.model.inputs
    if taken != given:
        raise EvaluatorError(
            f"{name} cannot be trained for {settings.task.id}: it takes {', '.join(taken)}, "
            f"and the task's mini split gives {', '.join(given)}."
        )


def _folder(settings: Settings) -> None:
    out = settings.out
    if settings.resume:
        if not (out / CHECKPOINT).is_file():
            raise EvaluatorError(f"{out} holds no {CHECKPOINT} to go on from. Leave --resume out to begin.")
    elif out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise EvaluatorError(f"{out} exists already and is not an empty folder. Name another, or give --resume.")


class _Run:
    """A training under way."""

    def __init__(
        self, settings: Settings, recipe: Recipe, manifest: Manifest, sampler: Sampler, photographs: Photographs
    ) -> None:
        self._torch = _framework(settings.device)
        if settings.threads is not None:
            self._torch.set_num_threads(settings.threads)
        assert manifest.model is not None  # noqa: S101 - looked at before
        self._settings, self._model, self._sampler = settings, manifest.model, sampler
        self._training, self._held_out = photographs.training, sampler.fixed(photographs.held_out)
        self._weights = recipe.weights()
        self._bfloat16 = recipe.precision is not None and recipe.precision.value == "bfloat16"
        folder = code_folder(settings.baseline)
        self._network = _built(folder, recipe.entry, self._model.layout == "NHWC", settings).to(settings.device)
        self._channels_last = self._bfloat16 and self._model.layout == "NCHW"
        if self._channels_last:
            _lie_channels_last(self._torch, self._network)
        self._computed = _Autocast(self._torch, self._network, settings.device) if self._bfloat16 else self._network
        self._terms = import_entry(folder, f"losses:{recipe.terms}", FILE_NAME)
        self._aids: dict[str, Foreign] = {}
        if recipe.stand_in:
            self._aids["features"] = import_entry(folder, f"losses:{recipe.stand_in.value}", FILE_NAME)
        self._adversary: Adversary | None = None
        if recipe.adversary:
            says = recipe.adversary
            self._adversary = Adversary(self._torch, folder, says, seed=settings.seed, device=settings.device)
            self._aids["discriminator"] = self._adversary
        self._columns = (*_COLUMNS, *(["adversary_loss"] if self._adversary else []))
        self._by_error = recipe.held_out is not None and recipe.held_out.value == "absolute_error"
        self._optimiser = optimiser_of(self._torch, recipe.optimiser, self._parameters())
        self._clip = recipe.optimiser.clip.value if recipe.optimiser.clip else None
        epoch = recipe.data.epoch
        self._epoch = epoch.value if epoch else -(-len(self._training) // sampler.batch)
        epochs = recipe.length.epochs.value if recipe.length.epochs else 0
        iterations = recipe.length.iterations.value if recipe.length.iterations else epochs * self._epoch
        self.steps, self.step = settings.steps or iterations, 0
        patience = recipe.length.patience
        self._patience = settings.patience or (patience.value if patience else 0)
        self._best: dict[str, Foreign] = {}
        optimisers = [self._optimiser, *([self._adversary.optimiser] if self._adversary else [])]
        falls = -(-self.steps // self._epoch)
        self._schedules = [scheduler_of(self._torch, recipe.schedule, changed, falls) for changed in optimisers]
        self._rows: list[dict[str, float | int | str]] = []
        recorded = recipe_file(settings.baseline).read_bytes()
        self._same = {
            "baseline": settings.baseline,
            "task": settings.task.id,
            "seed": settings.seed,
            "batch": sampler.batch,
            "crop": sampler.crop,
            "recipe": hashlib.sha256(recorded).hexdigest(),
            "photographs": photographs.sha256,
        }
        if recipe.schedule.kind.value in ("linear", "cosine"):
            self._same["steps"] = self.steps  # the rate at a step hangs on where the fall ends

    @property
    def is_stuck(self) -> bool:
        """Whether the recipe's patience is spent: that many epochs brought no better held-out loss."""
        losses = [float(row["held_out_loss"]) for row in self._rows]
        return bool(self._patience) and len(losses) - 1 - _last_best(losses) >= self._patience

    def begin(self) -> float:
        """Take the held-out loss before the first step, unless the log has it; return it."""
        if not self._rows:
            self._note(self.held_out_loss())
            self._save()
        return float(self._rows[0]["held_out_loss"])

    def advance(self) -> None:
        """Do a step."""
        batch = self._sampler.draw(self._training, self.step)
        self._network.train()
        self._optimiser.zero_grad()
        loss = self._loss(batch)
        value = self._finite("loss", float(loss.detach()))
        loss.backward()
        if self._clip is not None:
            self._torch.nn.utils.clip_grad_norm_(self._parameters(), self._clip)
        self._optimiser.step()
        losses = [value, *([self._adversary.learn(self._tensor(batch.targets))] if self._adversary else [])]
        self.step += 1
        if self.step % self._epoch == 0:
            held_out = self.held_out_loss()
            self._note(held_out, losses)
            for schedule in self._schedules:
                # Of all schedules only this one looks at the loss.
                plateau = isinstance(schedule, self._torch.optim.lr_scheduler.ReduceLROnPlateau)
                schedule.step(*([held_out] if plateau else []))
            self._save()
        elif self.step == self.steps:
            self._note(self.held_out_loss(), losses)
            self._save()

    def held_out_loss(self) -> float:
        """Return the mean loss of the held-out photographs, or their mean error where the recipe says so.

        Raises:
            EvaluatorError: it is no number.
        """
        self._network.eval()
        measured = self._error if self._by_error else self._loss
        with self._torch.no_grad():
            losses = [float(measured(batch)) for batch in self._held_out]
        return self._finite("held-out loss", sum(losses) / len(losses))

    def _finite(self, name: str, loss: float) -> float:
        if not math.isfinite(loss):
            raise EvaluatorError(f"The {name} is {loss} at step {self.step}. The last checkpoint is kept.")
        return loss

    def finish(self, first: float) -> Trained:
        """Write the weights that were best on the held-out part, and what belongs to them."""
        from safetensors.numpy import save

        self._network.load_state_dict(self._best)
        if hasattr(self._network, "freeze"):  # what is only needed while it is trained does not ship
            self._network.freeze()
        # By the names that a submission's weights are read by.
        if self._model.layout == "NHWC":
            arrays = {weight.path: weight.numpy() for weight in self._network.weights}
        else:
            arrays = {name: value.cpu().numpy() for name, value in self._network.state_dict().items()}
        out = self._settings.out
        file = out / WEIGHTS
        file.write_bytes(save({name: array.copy(order="C") for name, array in arrays.items()}))  # for all to read
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        best = self._rows[_last_best([float(row["held_out_loss"]) for row in self._rows])]
        trained = {"steps": self.step, "best_step": best["step"]}
        losses = {"held_out_loss_before": first, "held_out_loss_after": best["held_out_loss"]}
        device = {"device": self._settings.device, "threads": self._torch.get_num_threads()}
        command = {"command": self._settings.command}
        leave_record(command | self._same | trained | losses | device | {"weights": sha256}, out)
        made = f"Weights of: {self._settings.command}"
        identifier = f"{self._settings.baseline}-{sha256[:8]}"
        recipe = recipe_file(self._settings.baseline)
        leave_submission(self._settings.baseline, recipe, out, identifier=identifier, made=made)
        curve = leave_curve(self._rows, f"{self._settings.baseline}, task {self._settings.task.id}", out)
        return Trained(self.step, int(best["step"]), first, float(best["held_out_loss"]), file, sha256, curve)

    def load(self) -> None:
        """Go on from the checkpoint."""
        file = self._settings.out / CHECKPOINT
        try:
            found = self._torch.load(file, map_location=self._settings.device, weights_only=True)
            same = json.loads(found["same"])
            schedules = found["schedules"]
        except Exception as error:  # torch raises whatever a damaged file leads it to
            raise EvaluatorError(f"{file} is no checkpoint: {type(error).__name__}. Begin again elsewhere.") from None
        findings = [
            Finding.error("checkpoint", CHECKPOINT, f"{key} {value}", str(same.get(key)), "Go on as it was begun.")
            for key, value in self._same.items()
            if same.get(key) != value
        ]
        if findings:
            raise EvaluatorError(f"{file} is of another training.", findings)
        self._network.load_state_dict(found["network"])
        self._optimiser.load_state_dict(found["optimiser"])
        for schedule, state in zip(self._schedules, schedules, strict=True):
            schedule.load_state_dict(state)
        if self._adversary:
            self._adversary.load(found["adversary"])
        self.step, self._rows, self._best = int(found["step"]), json.loads(found["rows"]), found["best"]

    def _save(self) -> None:
        out = self._settings.out
        state = {
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedules": [schedule.state_dict() for schedule in self._schedules],
            "adversary": self._adversary.state() if self._adversary else None,
            "step": self.step,
            "rows": json.dumps(self._rows),
            "same": json.dumps(self._same),
            "best": self._best,
        }
        partial = out / f"{CHECKPOINT}.part"
        self._torch.save(state, partial)
        partial.replace(out / CHECKPOINT)
        with (out / LOG).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self._columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self._rows)

    def _note(self, held_out: float, losses: Sequence[float] = ()) -> None:
        """Log the losses of the step that was done, if one was: the network's, and its adversary's."""
        rate = self._optimiser.param_groups[0]["lr"]
        if held_out <= min((float(row["held_out_loss"]) for row in self._rows), default=math.inf):
            self._best = {name: value.detach().clone() for name, value in self._network.state_dict().items()}
        loss, *others = losses or [math.nan] * (len(self._columns) - len(_COLUMNS) + 1)
        values = (self.step, rate, loss, held_out, *others)
        self._rows.append({n: "" if math.isnan(v) else v for n, v in zip(self._columns, values, strict=True)})

    def _loss(self, batch: Batch) -> Foreign:
        inputs, target = [self._tensor(array) for array in batch.inputs], self._tensor(batch.targets)
        with _on(self._settings.device):
            terms: Mapping[str, Foreign] = self._terms(self._computed, inputs, target, **self._aids)
        return sum(self._weights[name] * term for name, term in terms.items())

    def _error(self, batch: Batch) -> Foreign:
        """Return the mean absolute error of outputs, of 1."""
        black, white = self._model.range
        with _on(self._settings.device):
            output = self._computed(*map(self._tensor, batch.inputs)).clamp(black, white)
        return (output - self._tensor(batch.targets)).abs().mean() / (white - black)

    def _tensor(self, array: NDArray[np.float32]) -> Foreign:
        """Return images as the network takes them."""
        black, white = self._model.range
        tensor = self._torch.from_numpy(array).to(self._settings.device) * (white - black) + black
        if self._model.layout == "NHWC":
            return tensor
        tensor = tensor.permute(0, 3, 1, 2)  # channels last, as they come
        return tensor if self._channels_last else tensor.contiguous()

    def _parameters(self) -> list[Foreign]:
        return [parameter for parameter in self._network.parameters() if parameter.requires_grad]


class _Autocast:
    """Calls a network in bfloat16; what it gives is float32, so that losses are taken in that."""

    def __init__(self, torch: Foreign, network: Foreign, device: str) -> None:
        self._torch, self._network, self._device = torch, network, device
        if device == "cpu":
            for module in network.modules():
                if isinstance(module, torch.nn.Conv3d):
                    module.forward = self._in_float32(module.forward)

    def _in_float32(self, layer: Callable[[Foreign], Foreign]) -> Callable[[Foreign], Foreign]:
        """Keep a 3-D convolution in float32.

        In bfloat16 the gradient of its weights hangs on memory that nobody wrote (torch 2.13 on a processor without
        AMX): two runs differ, and some come to NaN.
        """

        def forward(volume: Foreign) -> Foreign:
            with self._torch.autocast(self._device, enabled=False):
                return layer(volume.float())

        return forward

    def __call__(self, *inputs: Foreign, **options: Foreign) -> Foreign:
        with self._torch.autocast(self._device, self._torch.bfloat16):
            output = self._network(*inputs, **options)
        return output.float()

    def __getattr__(self, name: str) -> Foreign:
        return getattr(self._network, name)


def _lie_channels_last(torch: Foreign, network: Foreign) -> None:
    """Lay the weights of convolutions as bfloat16's kernels take them, which else copy them at each step.

    The module's own `to` would do that to all parameters of four dimensions, whatever they are.
    """
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.weight.data = module.weight.data.to(memory_format=torch.channels_last)


def _last_best(losses: list[float]) -> int:
    """Return where the lowest of the losses is; of equal ones the last."""
    return len(losses) - 1 - losses[::-1].index(min(losses))


def _framework(device: str) -> Foreign:
    """Return torch."""
    try:
        import safetensors  # noqa: F401
        import torch
    except ImportError:
        raise EvaluatorError(f"Training needs torch: {install('torch')}.") from None
    if device == "cuda" and not torch.cuda.is_available():
        raise EvaluatorError("torch finds no CUDA device here. Leave --device out to train on the CPU.")
    return torch


def _built(folder: Path, entry: str, is_keras: bool, settings: Settings) -> Foreign:
    if is_keras:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        try:
            with keras_on("torch", always=True):
                import keras
        except ImportError:
            raise EvaluatorError(f"{settings.baseline} needs Keras: {install('tensorflow')}.") from None
        if keras.backend.backend() != "torch":
            raise EvaluatorError("Keras is loaded on another backend. Train in a process of its own.")
        keras.utils.set_random_seed(settings.seed)
        with _on(settings.device):
            return import_entry(folder, entry, FILE_NAME)()
    return import_entry(folder, entry, FILE_NAME)()


def _on(device: str) -> AbstractContextManager[object]:
    """Have Keras make its tensors on a device, where it is loaded: by itself it takes CUDA wherever there is any."""
    keras: Foreign = sys.modules.get("keras")
    return nullcontext() if keras is None or keras.backend.backend() != "torch" else keras.device(device)
