"""recipe.toml: how a baseline's network is trained, and for each value whether paper, code or we say so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evaluator.findings import EvaluatorError, did_you_mean
from evaluator.ingest import baseline_manifest, baseline_names, baselines_folder, code_folder
from evaluator.typed_toml import parse_toml

FILE_NAME = "recipe.toml"

T = TypeVar("T")
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Value(_Strict, Generic[T]):
    """A value and where it comes from."""

    value: T
    source: Literal["paper", "code", "choice"]
    """The paper, the authors' code (or that of the method that they build on), or our choice where both are silent."""
    note: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    """Where exactly, or why."""


class Optimiser(_Strict):
    """What changes the weights."""

    name: Value[Literal["adam", "adamw"]]
    learning_rate: Value[Positive]
    """At the start."""
    betas: Value[tuple[Share, Share]]
    """Decay of the gradient's two moments."""
    weight_decay: Value[Annotated[float, Field(ge=0, allow_inf_nan=False)]]
    """Adam's is added to the gradient, AdamW's to the step."""
    clip: Value[Positive] | None = None
    """Longest gradient, by the norm of all weights together; no limit if left out."""


class Schedule(_Strict):
    """How the learning rate falls."""

    kind: Value[Literal["constant", "plateau", "step", "linear", "cosine"]]
    factor: Value[Annotated[float, Field(gt=0, lt=1)]] | None = None
    """`plateau` and `step`: what the rate is multiplied by."""
    patience: Value[Count] | None = None
    """`plateau`: epochs without a better held-out loss before the rate falls."""
    least: Value[Positive] | None = None
    """`plateau` and `cosine`: the smallest rate."""
    start: Value[Count] | None = None
    """`step` and `linear`: the epochs before the rate falls: at once, or in a straight line to zero at the end."""

    @model_validator(mode="after")
    def _settings_of_its_kind(self) -> Schedule:
        wanted = {
            "constant": set[str](),
            "plateau": {"factor", "patience", "least"},
            "step": {"factor", "start"},
            "linear": {"start"},
            "cosine": {"least"},
        }[self.kind.value]
        given = {n for n in ("factor", "patience", "least", "start") if getattr(self, n) is not None}
        if given != wanted:
            raise ValueError(f"{self.kind.value} takes {', '.join(sorted(wanted)) or 'no settings'}")
        return self


class Data(_Strict):
    """What a step sees."""

    batch: Value[Count]
    crop: Value[Count]
    """Side of the squares that are cut out, px."""
    augmentations: Value[tuple[Literal["flip_horizontal", "flip_vertical", "rotate_90"], ...]]
    """Each is done or not, by chance; `rotate_90` turns by 0, 90, 180 or 270°."""
    pairs: Value[Literal["paired", "unpaired", "none"]]
    """Whether a target shows the input's scene, another scene, or there is none."""
    epoch: Value[Count] | None = None
    """Steps between looks at the held-out part; as many as the photographs fill batches if left out."""


class Length(_Strict):
    """When training ends: by one of the two."""

    epochs: Value[Count] | None = None
    iterations: Value[Count] | None = None
    patience: Value[Count] | None = None
    """Epochs without a better held-out loss before training ends early; never if left out."""

    @model_validator(mode="after")
    def _one(self) -> Length:
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError("takes either epochs or iterations")
        return self


class Loss(_Strict):
    """One term of the loss."""

    name: Name
    """A function in losses.py."""
    weight: Value[Finite]
    others: dict[Name, Value[Finite]] = {}
    """Weights of other known settings, by the setting's name; each is named by all losses."""
    settings: dict[Name, Value[Finite]] = {}
    """Parameters of the function that are numbers: its defaults."""


class Adversary(_Strict):
    """Networks that are trained against the network: adversarial losses need them."""

    name: Name
    """The function in losses.py that builds them."""
    loss: Name
    """The function in losses.py that they minimise."""
    optimiser: Optimiser


class Recipe(_Strict):
    """How a network is trained."""

    entry: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*:[a-z_][a-z0-9_]*$")]
    """`module:function`: what is trained, where weights can change."""
    terms: Name = "terms"
    """The function in losses.py that gives the losses."""
    features: Value[str] | None = None
    """What a loss compares features of: a network whose weights do not ship."""
    stand_in: Value[Name] | None = None
    """The function in losses.py that gives features in their place; without it there is no training."""
    held_out: Value[Literal["losses", "absolute_error"]] | None = None
    """Which held-out loss has to fall: the sum of the losses, also if left out, or the outputs' error."""
    precision: Value[Literal["float32", "bfloat16"]] | None = None
    """What the network computes with in training: `bfloat16` is torch's autocast; weights stay float32. Float32 if left
    out."""
    optimiser: Optimiser
    schedule: Schedule
    data: Data
    length: Length
    losses: Annotated[tuple[Loss, ...], Field(min_length=1)]
    adversary: Adversary | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        names = [loss.name for loss in self.losses]
        if len(set(names)) < len(names):
            raise ValueError("names a loss twice")
        if len({frozenset(loss.others) for loss in self.losses}) > 1:
            raise ValueError("has weights of another setting for some losses only")
        if self.stand_in and not self.features:
            raise ValueError("has a stand_in for features that it does not name")
        if self.adversary and not (self.held_out and self.held_out.value == "absolute_error"):
            raise ValueError('with an adversary takes held_out = "absolute_error": what it says is no measure')
        return self

    def weights(self, setting: str = "") -> dict[str, float]:
        """Return the losses' weights by name.

        Args:
            setting: one of `Loss.others`; the recipe's own if it is empty.

        Raises:
            EvaluatorError: there is no such setting.
        """
        known = self.losses[0].others
        if setting and setting not in known:
            listed = ", ".join(known) or "none"
            hint = did_you_mean(setting, known)
            raise EvaluatorError(f"There is no setting {setting!r} of the weights.{hint} Known: {listed}.")
        return {loss.name: (loss.others[setting] if setting else loss.weight).value for loss in self.losses}


def trainable_baselines() -> list[str]:
    """Return the names of the baselines that have a recipe, their own or that of the one whose code they share."""
    return [name for name in baseline_names() if recipe_file(name).is_file()]


def recipe_file(name: str) -> Path:
    """Return where a baseline's recipe is, if it has one: beside its manifest, else beside the code that it runs."""
    own = baselines_folder() / name / FILE_NAME
    return own if own.is_file() else code_folder(name) / FILE_NAME


def baseline_recipe(name: str) -> Recipe:
    """Return a baseline's recipe.

    Raises:
        EvaluatorError: there is no such baseline, it has no recipe, or the recipe is damaged.
    """
    known = trainable_baselines()
    if name not in known:
        hint = did_you_mean(name, known)
        raise EvaluatorError(f"There is no recipe for a baseline {name!r}.{hint} Known: {', '.join(known)}.")
    file = recipe_file(name)
    recipe, findings = parse_toml(Recipe, file.read_bytes(), str(file), "recipe")
    if recipe is None:
        raise EvaluatorError(f"The recipe of {name} is damaged.", findings)
    network = baseline_manifest(name).network
    if network is None or file.parent.name == name:
        return recipe
    # At another size; where weights can change under another name, by the same ending.
    code = baseline_manifest(file.parent.name).network
    trained = recipe.entry.removeprefix(code.entry) if code is not None and recipe.entry.startswith(code.entry) else ""
    return recipe.model_copy(update={"entry": network.entry + trained})
