"""submission.toml: what a team says of its submission."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

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
    if not url.startswith(("https://", "http://")):
        raise ValueError("is not an http or https address")
    return url


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]
LongText = Annotated[str, Field(max_length=4000), AfterValidator(_plain_lines)]
Url = Annotated[str, Field(max_length=500), AfterValidator(_plain), AfterValidator(_http)]
SubmissionId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Links(_Strict):
    """Where to read more."""

    paper: Url | None = None
    code: Url | None = None
    page: Url | None = None


class Outputs(_Strict):
    """Precomputed outputs."""

    folder: Annotated[str, Field(max_length=200)] = "."
    """Folder inside the submission that holds the outputs."""

    @model_validator(mode="after")
    def _inside(self) -> Outputs:
        if self.folder.startswith("/") or ".." in self.folder.split("/") or any(c in self.folder for c in ":\\"):
            raise ValueError("must be a folder inside the submission, written with forward slashes")
        return self

    @property
    def inside(self) -> str:
        """The folder without needless parts; empty for the submission's own."""
        name = PurePosixPath(self.folder).as_posix()
        return "" if name == "." else name


class Python(_Strict):
    """Code that is run by the harness; only for the baselines that ship with it."""

    entry: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*:[a-z_][a-z0-9_]*$")]
    """`module:function`; the function takes and returns an `(H, W, C)` array."""


class Reported(_Strict):
    """What the team says, not what was measured here; shown as such."""

    runtime_ratio: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
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
    kind: Literal["outputs", "python"] = "outputs"
    outputs: Outputs = Outputs()
    python: Python | None = None
    reported: Reported = Reported()

    @model_validator(mode="after")
    def _kind_has_its_table(self) -> Manifest:
        if (self.kind == "python") != (self.python is not None):
            raise ValueError('kind = "python" and the table [python] belong together')
        return self
