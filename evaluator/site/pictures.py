"""Pictures for the pages: input, output and reference of single cases, encoded anew; no submitted file is copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError
from evaluator.images import Pixels, encode_png
from evaluator.ingest import Expected, Source
from evaluator.ranking import Board
from evaluator.results import CaseRow, Scorecard, Store
from evaluator.runners import Reception, Workers, read_output
from evaluator.tasks import Split, to_target


@dataclass(frozen=True)
class Triple:
    """The pictures of one case: paths relative to the submission's page."""

    case: CaseRow
    input: str
    output: str
    reference: str
    """Empty where there is none."""
    width: int
    height: int


class Pictures:
    """Writes pictures beside the pages of one board; inputs and references once for all submissions."""

    def __init__(self, store: Store, board: Board, folder: Path, data: Path | None) -> None:
        self._store = store
        self._board = board
        self._folder = folder
        self._split: Split | None = None
        self._sources: dict[Path, tuple[Source, Workers]] = {}
        self._reception = Reception(board.task.spec.limits)
        try:
            split = board.task.split(board.split, data)
            self._cases = set(split.case_ids)
            self._split = split
        except EvaluatorError:
            self._cases = set()  # the message names folders of this machine, which do not belong on a page

    def close(self) -> None:
        """End the processes that decode."""
        self._reception.close()

    def why_not(self, card: Scorecard) -> str:
        """Return why a submission has no pictures, or an empty string."""
        if self._split is None:
            return "No pictures: the data set was not at hand when these pages were made."
        if self._other_data(card):
            return "No pictures: the data set is not the one that it was scored on."
        return (
            "" if self._source(card) else "No pictures: its outputs are not at hand. Score it again here to have them."
        )

    def _other_data(self, card: Scorecard) -> bool:
        return self._split is not None and self._split.digest != card.dataset.digest

    def _source(self, card: Scorecard) -> tuple[Source, Workers] | None:
        """Return a submission's outputs and the workers that decode them; None where they are not at hand."""
        if card.submission.kind != "outputs":
            path = self._store.outputs_folder(card.task, card.split, card.submission.id)
        else:
            path = (self._store.root / card.submission.source).resolve()
        if path not in self._sources:
            try:
                self._sources[path] = self._reception.files(path, self._split.case_ids if self._split else ())
            except EvaluatorError:
                return None
        return self._sources[path]

    def triples(self, card: Scorecard, cases: Sequence[CaseRow]) -> list[Triple]:
        """Write the pictures of cases; leave out those whose files are not what was scored."""
        found_source = self._source(card)
        if self._split is None or found_source is None or self._other_data(card):
            return []
        source, workers = found_source
        found = []
        for case in (c for c in cases if c.case in self._cases):
            try:
                reference, degraded = self._split.reference(case.case), self._split.input(case.case)
                target = self._split.target(case.case)
            except EvaluatorError:
                continue
            height, width = target.array.shape[:2]
            reading = read_output(source, case.output, Expected(height, width, self._board.task.spec.protocol), workers)
            if reading.pixels is None or reading.sha256 != case.output_sha256:
                continue
            name = case.case.replace("/", "-")
            shared = self._folder / "cases"
            if reference is not None:
                self._put(shared / f"{name}-reference.png", reference)
            self._put(shared / f"{name}-input.png", degraded)
            self._put(self._folder / card.submission.id / f"{name}.png", reading.pixels)
            url = quote(name)
            shown = f"../cases/{url}-reference.png" if reference is not None else ""
            found.append(Triple(case, f"../cases/{url}-input.png", f"{url}.png", shown, width, height))
        return found

    def _put(self, path: Path, pixels: Pixels) -> None:
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(to_display(to_target(pixels, self._board.task.spec.protocol))))


def to_display(pixels: Pixels) -> NDArray[np.uint8]:
    """Return pixels as 8 bit for a screen: scaled by their peak, clipped, rounded."""
    if pixels.array.dtype == np.uint8:
        return pixels.array.astype(np.uint8, copy=False)
    scaled = np.clip(pixels.array.astype(np.float64) / pixels.peak, 0, 1)
    display: NDArray[np.uint8] = np.rint(scaled * 255).astype(np.uint8)
    return display
