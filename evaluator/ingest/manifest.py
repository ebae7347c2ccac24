"""submission.toml: what a team says of its submission."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

FILE_NAME = "submission.toml"


def _plain(text: str) -> str:
    # Control and format characters (bidi marks among them) could disguise a name in a terminal or on a page.
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
            raise ValueError(f"holds the character U+{ord(character):04X}, which is not allowed")
    return unicodedata.normalize("NFC", text)


def _plain_lines(text: str) -> str:
    return "\n".join(_plain(line.replace("\t", " ")) for line in text.split("\n"))


def _http(url: str) -> str:
    if not url.lower().startswith(("https://", "http://")):
        raise ValueError("is not an http or https address")
    return url


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]
LongText = Annotated[str, Field(max_length=4000), AfterValidator(_plain_lines)]
Url = Annotated[str, Field(max_length=500), AfterValidator(_plain), AfterValidator(_http)]
RESERVED = ("cases", "track", "index.html", "moves.json", "moves.html", "opinions.html")
"""Names of the harness's own beside the pages and the results of submissions."""


def _free(identifier: str) -> str:
    if identifier in RESERVED:
        raise ValueError("is a name of the harness's own")
    return identifier


SubmissionId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$"), AfterValidator(_free)]


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or any(c in path for c in ":\\"):
        raise ValueError("must lie inside the submission, written with forward slashes")
    _plain(path)
    return path  # as it stands: a file system may hold a name in another form of Unicode


def _listed(names: object) -> object:
    return [names] if isinstance(names, str) else names


Format = Literal["tflite", "onnx", "torchscript", "pt2", "keras", "savedmodel", "frozen"]
FORMAT_BY_SUFFIX: dict[str, Format] = {
    ".tflite": "tflite",
    ".onnx": "onnx",
    ".pt": "torchscript",
    ".pt2": "pt2",
    ".keras": "keras",
    ".pb": "frozen",
    "": "savedmodel",  # a folder
}
Finite = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
TensorName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Links(_Strict):
    """Where to read more."""

    paper: Url | None = None
    code: Url | None = None
    page: Url | None = None


class Outputs(_Strict):
    """Precomputed outputs."""

    folder: Annotated[str, Field(max_length=200), AfterValidator(_inside)] = "."
    """Folder inside the submission that holds the outputs."""

    @property
    def inside(self) -> str:
        """The folder without needless parts; empty for the submission's own."""
        name = PurePosixPath(self.folder).as_posix()
        return "" if name == "." else name


class Model(_Strict):
    """What a model takes and gives; its artefacts share it. Nothing of it is guessed from the file."""

    layout: Literal["NHWC", "NCHW", "flat"]
    """Order of the axes; `flat` is `(N, H·W·C)`, the form of the PIRM 2018 challenge. One image at a time: N is 1."""
    range: tuple[Finite, Finite]
    """The values of black and of white in its input."""
    output_range: tuple[Finite, Finite] | None = None
    """The same of its output, where they differ."""
    colour: Literal["RGB", "BGR"] = "RGB"
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    """Type of its input. A quantised TFLite file says itself how values become integers."""
    size_multiple: Annotated[int, Field(ge=1, le=1024)] = 1
    """Height and width must be multiples of it: inputs are padded by reflection, outputs cropped."""
    inputs: Annotated[tuple[Name, ...], Field(min_length=1, max_length=8)] = ("input",)
    """Its inputs, in the order in which a case's images are given: `["left", "right"]` for dual-pixel pairs."""
    tile_overlap: Annotated[int, Field(ge=2, le=4096)] | None = None
    """Pixels by which neighbouring tiles overlap, if its input has a fixed size."""

    @model_validator(mode="after")
    def _sensible(self) -> Model:
        for black, white in (self.range, self.output_range or self.range):
            if black == white:
                raise ValueError("black and white must differ in range and output_range")
        if self.dtype == "uint8" and not (0 <= min(self.range) < max(self.range) - 1 <= 254):
            raise ValueError('dtype = "uint8" needs a range within 0 to 255, such as [0, 255]')
        if len(set(self.inputs)) < len(self.inputs):
            raise ValueError("names one of the inputs twice")
        return self

    @property
    def given(self) -> tuple[float, float]:
        """The values of black and of white in its output."""
        return self.output_range or self.range


class Artefact(_Strict):
    """A model file (or the folder of a SavedModel)."""

    file: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_inside)]
    format: Format
    """By the file's suffix if left out; a name without suffix is the folder of a SavedModel."""
    input: Annotated[tuple[TensorName, ...], BeforeValidator(_listed), Field(min_length=1, max_length=8)] | None = None
    """Names of the input tensors in the file, in the order of `Model.inputs`, where the file leaves a doubt."""
    output: TensorName | None = None
    """Name of the output tensor in the file, if it has several."""

    @model_validator(mode="before")
    @classmethod
    def _format_by_suffix(cls, values: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        if not isinstance(values, dict) or "format" in values or not isinstance(values.get("file"), str):
            return values
        suffix = PurePosixPath(values["file"]).suffix.lower()
        if suffix not in FORMAT_BY_SUFFIX:
            known = ", ".join(s for s in FORMAT_BY_SUFFIX if s)
            raise ValueError(f"the suffix {suffix} names no format ({known} do): set format")
        return {**values, "format": FORMAT_BY_SUFFIX[suffix]}


class Artefacts(_Strict):
    """The model, once for quality and, where it differs, once for speed."""

    quality: Artefact
    latency: Artefact | None = None
    """What the runtime is measured with; it must give the same output as `quality`."""


class Python(_Strict):
    """Code that is run on each case, in a sandbox."""

    entry: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*:[a-z_][a-z0-9_]*$")]
    """`module:function`; the function takes and returns an `(H, W, C)` array."""
    inputs: Annotated[tuple[Name, ...], Field(min_length=1, max_length=8)] = ("input",)
    """What the function is given, one argument each: `["left", "right"]` for dual-pixel pairs."""


class Network(_Strict):
    """A network in code. Without weights its cost is measured, and it is not scored."""

    entry: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*:[A-Za-z_][A-Za-z0-9_]*$")]
    """`module:function`; the function (or class) takes nothing and returns a torch module or a Keras model."""
    weights: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_inside)] | None = None
    """A safetensors file with an array for each of its weights: by the names of torch's state, or Keras's paths."""


class Baseline(_Strict):
    """What the harness knows of a baseline that ships with it; of other submissions it is not looked at."""

    code_of: SubmissionId | None = None
    """The baseline whose modules it shares, where it is that one's network at another size."""

    tasks: Annotated[tuple[Text, ...], Field(max_length=50)] = ()
    """The tasks that it is for; all if none is named."""
    needs: Annotated[tuple[Name, ...], Field(max_length=10)] = ()
    """Modules that not every machine has."""
    by_name: bool = False
    """Whether it is run only when it is named: it is slow."""


class Reported(_Strict):
    """What the team says, not what was measured here; shown as such."""

    runtime_ratio: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] | None = None
    """The challenge's reference runtime divided by this method's, on the organisers' hardware."""


class Manifest(_Strict):
    """The whole file; every key is optional."""

    id: SubmissionId | None = None
    team: Text | None = None
    method: Text | None = None
    description: LongText = ""
    authors: Annotated[tuple[Text, ...], Field(max_length=50)] = ()
    affiliation: Text | None = None
    links: Links = Links()
    kind: Literal["outputs", "model", "python", "network"] = "outputs"
    outputs: Outputs = Outputs()
    model: Model | None = None
    artefacts: Artefacts | None = None
    python: Python | None = None
    network: Network | None = None
    baseline: Baseline = Baseline()
    reported: Reported = Reported()

    @property
    def has_weights(self) -> bool:
        """Whether there is something to score: all but a network in code that comes alone."""
        return self.network is None or self.network.weights is not None

    @model_validator(mode="after")
    def _kind_has_its_tables(self) -> Manifest:
        if (self.kind == "model") != (self.artefacts is not None):
            raise ValueError('kind = "model" and the tables [model] and [artefacts.quality] belong together')
        if (self.kind in ("model", "network")) != (self.model is not None):
            raise ValueError('kind = "model" (or "network") and the table [model] belong together')
        for kind in ("python", "network"):
            if (self.kind == kind) != (getattr(self, kind) is not None):
                raise ValueError(f'kind = "{kind}" and the table [{kind}] belong together')
        if self.model and self.artefacts:
            for artefact in filter(None, (self.artefacts.quality, self.artefacts.latency)):
                if artefact.input is not None and len(artefact.input) != len(self.model.inputs):
                    raise ValueError("an artefact must name as many tensors as [model] has inputs")
        return self
