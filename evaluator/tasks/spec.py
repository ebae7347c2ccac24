"""TaskSpec: what a task's TOML file may say, strictly."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from evaluator import metrics
from evaluator.findings import EvaluatorError, did_you_mean
from evaluator.tasks.costs import MEASURED_RUNTIME_RATIO, CostRules, is_cost
from evaluator.tasks.rules import MEAN_RANK, Gate, Ranking, Track


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


GENERATOR_NAMES = (
    "sidd_noise",
    "motion_blur",
    "display_psf",
    "dual_pixel",
    "dual_pixel_8",
    "dual_pixel_radial",
    "dual_pixel_disparity",
    "phone_to_dslr",
    "under_exposed",
    "under_exposed_boxes",
)
"""Generators of `evaluator.tasks.mini`, named here so that a task file is checked without loading them."""
RESERVED = ("site", "outputs", "published", "costs", "opinions")
FORMULA_FUNCTIONS = frozenset({"min", "max", "exp", "log", "sqrt"})
REPORTED_RUNTIME_RATIO = "reported.runtime_ratio"
MOS, BRADLEY_TERRY = "opinion.mos", "opinion.bt"
OPINIONS = (MOS, BRADLEY_TERRY)
"""Numbers from what people said: a mean opinion score, and a strength from choices between two."""
_FORMULA_LIMIT = 500
_ARITHMETIC = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.Pow,
    ast.USub,
    ast.UAdd,
    ast.Name,
    ast.Load,
)


def check_formula(formula: str, names: Iterable[str]) -> None:
    """Check that a formula is arithmetic over known names.

    Raises:
        ValueError: it does not parse, is longer than 500 characters, or holds anything else.
    """
    if len(formula) > _FORMULA_LIMIT:
        raise ValueError(f"the formula has {len(formula)} characters; {_FORMULA_LIMIT} are allowed")
    try:
        nodes = list(ast.walk(ast.parse(formula, mode="eval")))
    except SyntaxError as error:
        raise ValueError(f"the formula does not parse: {error.msg}") from None
    known = set(names)
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
        call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords
        if call and isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id not in FORMULA_FUNCTIONS:
                raise ValueError(
                    f"the formula calls {node.func.id}; it may call {', '.join(sorted(FORMULA_FUNCTIONS))}"
                )
        elif not number and not isinstance(node, _ARITHMETIC):
            raise ValueError(f"the formula holds {ast.unparse(node)[:40]!r}, which is no arithmetic")
        if isinstance(node, ast.Name) and node.id not in known and id(node) not in called:
            raise ValueError(f"the formula uses {node.id}, which `where` does not define")


class ToneMap(_Strict):
    """For linear light beyond white: values are clipped to [0, `white`], then x becomes x / (x + `offset`)."""

    white: float = Field(gt=0)
    offset: float = Field(gt=0)


class Protocol(_Strict):
    """How pixels become numbers."""

    channels: Literal[1, 3] = 3
    bit_depth: Literal[8, 16] = 8
    """Depth of the references; outputs of another depth are scaled to it, with a finding."""
    accepts: tuple[Literal["uint8", "uint16", "float"], ...] = ("uint8", "uint16", "float")
    """Kinds of outputs that are scored; others are findings of severity error."""
    quantise: Literal["none", "round"] = "none"
    """Round outputs to whole levels of `bit_depth` before scoring, or leave them as they are."""
    clip: bool = True
    """Clip outputs to [0, peak] before scoring, with a finding; false where the official code does not."""
    tone_map: ToneMap | None = None
    """Applied to outputs and references of linear light (float arrays) before anything else."""
    identical: Literal["exclude"] = "exclude"
    """Cases whose metric is infinite (output equal to reference) are left out of the mean, counted and shown."""
    notes: tuple[str, ...] = ()
    """What one must know to get the official numbers; shown on the task's page."""

    def sentences(self) -> list[str]:
        """Return the protocol in words."""
        kinds = {"uint8": "8 bit", "uint16": "16 bit", "float": "float (0 to 1)"}
        accepted = ", ".join(kinds[k] for k in self.accepts)
        pixels = "RGB" if self.channels == 3 else "gray"
        kind = "linear light" if self.tone_map else f"{self.bit_depth}-bit {pixels}"
        accepted = "the same, as float arrays" if self.tone_map else accepted
        words = [
            f"References are {kind}; outputs may be {accepted}.",
            *self._tone_mapping(),
            "Outputs are rounded to whole levels before scoring."
            if self.quantise == "round"
            else "Outputs are not rounded.",
            "Values outside 0 to white are clipped, with a finding."
            if self.clip
            else "Outputs are handed to the metrics unclipped; each contract says what it does.",
            "Nothing is resized, cropped or registered.",
            "An infinite score (output identical to the reference) is left out of the mean; how many is shown.",
        ]
        return words + list(self.notes)

    def _tone_mapping(self) -> list[str]:
        if self.tone_map is None:
            return []
        white, offset = self.tone_map.white, self.tone_map.offset
        return [f"Both are clipped to 0 to {white:g} and mapped by x/(x+{offset:g}) before they are compared."]

    @model_validator(mode="after")
    def _linear_light_is_float(self) -> Protocol:
        if self.tone_map is not None and self.accepts != ("float",):
            raise ValueError('tone_map is for linear light: it needs accepts = ["float"]')
        return self


class Limits(_Strict):
    """What a submission may take on one case; what goes beyond is stopped, and said."""

    case_s: float = Field(default=60, gt=0)
    """Seconds for one case."""
    total_s: float | None = Field(default=None, gt=0)
    """Seconds for all cases of a submission together."""
    memory_gib: float = Field(default=4, gt=0)


class Derived(_Strict):
    """A score computed from a submission's aggregates by a formula, such as a challenge's points."""

    id: str = Field(pattern=r"^[a-z0-9_.]+$")
    title: str
    formula: str
    """Arithmetic over the names in `where` with + - * / **, min, max, exp, log, sqrt."""
    where: dict[str, str]
    """Name in the formula → metric id; or a cost at the size that the task shows: `measured.runtime_ratio` (the
    reported one where nothing was measured), `measured.runtime_ms`, `measured.memory_mb`, `cost.parameters`,
    `cost.macs`, `cost.flops`, `cost.tf_profiler_flops`, `cost.size_bytes`, `phone.DEVICE.latency_ms`; or
    `reported.runtime_ratio` (from the submission's manifest); or `opinion.mos`, `opinion.bt` (`evaluate opinions`)."""
    direction: Literal["higher", "lower"] = "higher"
    decimals: int = Field(default=2, ge=0, le=10)

    @model_validator(mode="after")
    def _names_are_known(self) -> Derived:
        taken = FORMULA_FUNCTIONS & set(self.where)
        if taken:
            raise ValueError(f"`where` may not use the names of functions: {', '.join(sorted(taken))}")
        check_formula(self.formula, self.where)
        return self


class _SplitCommon(_Strict):
    title: str
    licence: str
    home: str
    get: str
    """How to get the data, for people."""
    size: tuple[int, int] | None = None
    """(width, height) of every case, where it is one."""


Patterns = Annotated[tuple[str, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v), Field(min_length=1)]
"""One pattern or several, each relative to the split's folder: `*` is any part of a name, `{a,b}` one of these."""
Role = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class _StoredSplit(_SplitCommon):
    folders: tuple[str, ...] = Field(min_length=1)
    """Where the split's files may lie below the data root; the first that holds them is taken."""
    manifest: str | None = None
    """Name of a `sha256sum` file beside the task file."""


class Selection(_Strict):
    """The cases of a larger data set that belong to the split, by a table of words in a text file."""

    file: str
    """The table: a line a case, its first word the image's file name."""
    column: int = Field(ge=2)
    """The word of each line that decides, counted from 1."""
    value: str
    """What it must be."""


class FilesSplit(_StoredSplit):
    """Images in folders. What the wildcards of a pattern stand for is the case's id."""

    reader: Literal["files"]
    count: int | None = Field(default=None, gt=0)
    """The number of cases; None where the publisher states none: it is not checked then."""
    inputs: Patterns | dict[Role, Patterns]
    """Patterns of the input images; by role where there are several (`left`, `right`)."""
    references: Patterns | None = None
    """None where there is nothing to compare with."""
    masks: Patterns | None = None
    """8-bit gray images, 255 where the input is in focus."""
    select: Selection | None = None
    """None: every image that the patterns find is a case."""
    groups: dict[str, str] = {}
    """Group → file with the ids of its cases (or their places in the natural order, counted from 1)."""

    def roles(self) -> dict[str, tuple[str, ...]]:
        """Return the patterns of everything a case has, by role; the inputs first."""
        found = dict(self.inputs) if isinstance(self.inputs, dict) else {"input": self.inputs}
        if self.references:
            found["reference"] = self.references
        return found | ({"mask": self.masks} if self.masks else {})

    @model_validator(mode="after")
    def _roles_are_free(self) -> FilesSplit:
        taken = {"reference", "mask"} & set(self.inputs if isinstance(self.inputs, dict) else ())
        if taken:
            raise ValueError(f"an input may not have the role {', '.join(sorted(taken))}")
        return self


class BlocksSplit(_StoredSplit):
    """SIDD's blocks: MATLAB arrays of shape (images, blocks, H, W, 3).

    `inputs` and `references` are files; the variable in each has the file's name without `.mat`.
    """

    reader: Literal["blocks"]
    count: int = Field(gt=0)
    """The number of cases."""
    inputs: str
    references: str | None = None


class GeneratedSplit(_SplitCommon):
    """Cases made on the spot from photographs that scikit-image installs."""

    reader: Literal["generated"]
    count: int = Field(gt=0)
    """The number of cases."""
    generator: str = Field(pattern="^(" + "|".join(GENERATOR_NAMES) + ")$")
    manifest: str
    """Name of the file with the sha256 of every case's pixels, beside the task file."""


SplitSpec = Annotated[FilesSplit | BlocksSplit | GeneratedSplit, Field(discriminator="reader")]


def _check_metric(metric: str, others: Iterable[str] = ()) -> None:
    """Check that there is a metric; `others` are further names that may have been meant."""
    if metrics.is_further(metric) or metric in metrics.set_contracts():
        try:
            metrics.get(metric)
        except EvaluatorError as error:
            raise ValueError(str(error)) from None
    elif metric not in metrics.ids():
        raise ValueError(f"there is no metric {metric!r}.{did_you_mean(metric, [*metrics.ids(), *others])}")


class TaskSpec(_Strict):
    """A task: one TOML file."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    title: str
    description: str
    paper: str
    inputs: str
    """What a method is given, in words."""
    metrics: tuple[str, ...] = Field(min_length=1)
    default_split: str
    protocol: Protocol
    ranking: Ranking
    tracks: tuple[Track, ...] = ()
    """Further rules by name, beside that of `ranking`."""
    limits: Limits = Limits()
    cost: CostRules = CostRules()
    scores: tuple[Derived, ...] = ()
    splits: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")], SplitSpec] = Field(min_length=1)

    @model_validator(mode="after")
    def _hangs_together(self) -> TaskSpec:
        if self.id in RESERVED:
            raise ValueError(f"the id {self.id!r} is the harness's own folder in the results; choose another")
        for metric in self.metrics:
            _check_metric(metric)
        self._check_scores()
        tracks = [track.id for track in self.tracks]
        if len(tracks) != len(set(tracks)):
            raise ValueError(f"two tracks have the same id: {', '.join(tracks)}")
        for rule in (self.ranking, *self.tracks):
            for name in rule.names:
                self._check_ranked_by(name)
        needing = [m for m in self.metrics if metrics.get(m).contract.reference]
        for name, split in self.splits.items():
            if not isinstance(split, GeneratedSplit) and split.references is None and needing:
                raise ValueError(f"the split {name} has no references, which {', '.join(needing)} need")
        if self.default_split not in self.splits:
            raise ValueError(f"default_split {self.default_split!r} is not one of {', '.join(self.splits)}")
        return self

    def _check_scores(self) -> None:
        ids = [score.id for score in self.scores]
        if len(ids) != len(set(ids)):
            raise ValueError(f"two scores have the same id: {', '.join(ids)}")
        taken = [i for i in ids if i in (*self.metrics, *OPINIONS, MEAN_RANK) or is_cost(i)]
        if taken:
            raise ValueError(f"a score needs an id of its own; {taken[0]} names a metric, a cost or a column")
        for target in (target for score in self.scores for target in score.where.values()):
            if target not in (REPORTED_RUNTIME_RATIO, *OPINIONS, *self.metrics) and not is_cost(target):
                _check_metric(target)
                raise ValueError(f"{target} is used in a formula but is not among the task's metrics")

    def _check_ranked_by(self, name: str) -> None:
        scores = [score.id for score in self.scores]
        if name in (*self.metrics, *scores, *OPINIONS) or is_cost(name):
            return
        _check_metric(name, scores)
        raise ValueError(f"{name} is used in a rule but is not among the task's metrics")

    def rule(self, track: str | None = None) -> Ranking:
        """Return the rule of a track; None: the task's main one.

        Raises:
            EvaluatorError: the task has no such track.
        """
        if track is None:
            return self.ranking
        known = {t.id: t for t in self.tracks}
        if track in known:
            return known[track]
        has = f"It has: {', '.join(known)}." if known else "It has none beside its main rule."
        raise EvaluatorError(f"Task {self.id} has no track {track!r}.{did_you_mean(track, known)} {has}")

    def lead_metric(self, track: str | None = None) -> str:
        """Return the first metric that a rule ranks by; if it names none, the task's first.

        Raises:
            EvaluatorError: the task has no such track.
        """
        return next((name for name in self.rule(track).by if name in self.metrics), self.metrics[0])

    def rule_sentences(self, track: str | None = None) -> list[str]:
        """Return the rule of a track, or the main one, in words.

        Raises:
            EvaluatorError: the task has no such track.
        """
        rule = self.rule(track)
        names = [self._named(name) for name in rule.by]
        if rule.method == MEAN_RANK:
            every = f"{', '.join(names[:-1])} and {names[-1]}"
            words = [
                f"Ranked by the mean of the ranks by {every}; where it is equal, by {rule.by[0]}.",
                "Rows that print the same digits share a rank; in each of these ranks, they share the mean of theirs.",
            ]
        else:
            words = [f"Ranked by {', then '.join(names)}.", "Rows that print the same digits share a rank."]
        words += [f"A submission with {_gate(gate)} is shown, and not ranked." for gate in rule.gates]
        words += [_formula(score) for score in self.scores if score.id in rule.names]
        if rule.missing == "worst":
            return [*words, "A case without a valid output counts the metric's worst value."]
        return [*words, "A submission with a missing or invalid case is shown, and not ranked."]

    def _named(self, name: str) -> str:
        for score in self.scores:
            if score.id == name:
                return f"{name} ({score.title}; {score.direction} is better)"
        if name in OPINIONS:
            return f"{name} (higher is better)"
        if is_cost(name):
            return f"{name} ({'higher' if name == MEASURED_RUNTIME_RATIO else 'lower'} is better)"
        return f"{name} ({metrics.get(name).contract.direction} is better)"


def _gate(gate: Gate) -> str:
    return f"{gate.metric} {gate.beyond} {gate.bound:.12g}"


def _formula(score: Derived) -> str:
    return f"{score.id} is {score.formula}, where {', '.join(f'{n} is {t}' for n, t in score.where.items())}."
