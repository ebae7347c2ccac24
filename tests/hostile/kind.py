"""What a hostile or careless submission is: a function that writes it, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evaluator.images import encode_png

Image = NDArray[np.uint8]
Verdict = Literal["rejected", "part", "scored"]
"""No scorecard; a scorecard without a number for some cases; a number for each case."""

CASES = ("a", "b")
HEIGHT, WIDTH = 20, 24


@dataclass(frozen=True)
class Place:
    """Where a run takes place, as the makers of submissions see it."""

    root: Path
    references: dict[str, Image]
    inputs: dict[str, Image]
    port: int
    """Of a listener on the loopback interface that nobody may reach."""
    secret: str
    """What the harness's environment holds; not to be written into a submission as it stands."""
    marker: str
    """The name that left-behind processes give themselves: at most 15 letters."""

    @property
    def data(self) -> Path:
        """The data root; references lie in `tiny/ref`, inputs in `tiny/in`."""
        return self.root / "data"

    @property
    def submissions(self) -> Path:
        """Where all submissions of the run lie."""
        return self.root / "submissions"

    @property
    def watched(self) -> Path:
        """A folder that every user may write to, and nobody does."""
        return self.root / "watched"

    def reference(self, case: str = "a") -> Path:
        """The file of a case's reference."""
        return self.data / "tiny" / "ref" / f"{case}.png"

    def given(self, case: str = "a") -> Path:
        """The file of a case's input."""
        return self.data / "tiny" / "in" / f"{case}.png"

    def honest(self, case: str, error: int = 4) -> Image:
        """The reference with a small error that is the same each time."""
        random = np.random.default_rng(ord(case))
        noise = random.integers(-error, error + 1, (HEIGHT, WIDTH, 3))
        return np.clip(self.references[case] + noise, 0, 255).astype(np.uint8)

    def png(self, case: str) -> bytes:
        """An honest output as a PNG file."""
        return encode_png(self.honest(case))

    def put(self, folder: Path, *, leave_out: Sequence[str] = ()) -> Path:
        """Write honest outputs into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for case in CASES:
            if case not in leave_out:
                (folder / f"{case}.png").write_bytes(self.png(case))
        return folder

    def psnr(self, outputs: dict[str, Image]) -> float:
        """The mean PSNR by its definition: what the harness must find."""
        values = []
        for case, output in outputs.items():
            error = np.mean((output.astype(np.float64) - self.references[case]) ** 2)
            values.append(10 * np.log10(255**2 / error))
        return float(np.mean(values))


@dataclass(frozen=True)
class Kind:
    """One kind of hostile or careless submission."""

    name: str
    write: Callable[[Place, Path], Any]
    """Writes it to the path; may return another path that is given to the harness instead."""
    verdict: Verdict
    codes: frozenset[str] = frozenset()
    """Codes that must be among its findings."""
    never: frozenset[str] = frozenset()
    """Codes that must not."""
    says: tuple[str, ...] = ()
    """What its findings and message must say, somewhere."""
    score: Literal["", "honest", "input"] = ""
    """Whose PSNR it must have, to the last digit: that of the honest outputs, or of the inputs. `input` tells that an
    attack failed: such code returns its input if the attack fails, and else what it found, or the input inverted."""
    suffix: str = ""
    needs: tuple[str, ...] = ()
    """Frameworks, by the names of `model_support.MODULES`."""


@dataclass
class Class:
    """The kinds of one class of threats."""

    kinds: list[Kind] = field(default_factory=list)
    workers: int = 2
    limits: str = "case_s = 3\nmemory_gib = 1"
    """Of the task, as TOML."""

    def kind(self, verdict: Verdict, *codes: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a function as a kind; its name, with hyphens, is the submission's."""

        def register(write: Callable[..., Any]) -> Callable[..., Any]:
            name = write.__name__.replace("_", "-")
            plain = {"never": frozenset(more.pop("never", ())), "needs": tuple(more.pop("needs", ()))}
            self.kinds.append(Kind(name, write, verdict, frozenset(codes), **plain, **more))
            return write

        return register
