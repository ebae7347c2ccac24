"""Pictures for the pages: input, outputs and reference of single cases, encoded anew; no submitted file is copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError
from evaluator.images import Pixels, encode_png
from evaluator.ingest import Expected
from evaluator.ranking import Board, Row
from evaluator.remote import Url
from evaluator.results import CaseRow, Store
from evaluator.runners import Reception, read_output
from evaluator.site.choice import MOST_PIXELS, Choice
from evaluator.site.names import file_names
from evaluator.tasks import Split, to_target

INPUT, REFERENCE = "input", "reference"
_AT_ONCE = 2
"""How many submissions are read at a time."""
LONGEST_SIDE = 2048
"""Pictures with a longer side are reduced, and the page says so."""


@dataclass
class ShownCase:
    """A case with pictures, all in one folder."""

    case: str
    folder: str
    """Its name below `cases`."""
    choice: Choice
    width: int
    height: int
    """Of the reference, or of the input where there is none."""
    reduced: int
    """How many pixels of a row make one of the picture's; 1 if it is as large as the file."""
    everyone: bool
    """Whether all outputs at hand are shown, or only those of the submissions that the case is an extreme of."""
    has_reference: bool
    input_size: tuple[int, int]
    """Width and height, before anything was reduced."""
    outputs: dict[str, str] = field(default_factory=dict)
    """Submission → name of its picture, without suffix."""
    kinds: set[str] = field(default_factory=set)
    """Pixel types of the files, `uint8` left out."""

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height of the pictures."""
        return reduced_size(self.width, self.height, self.reduced)


class Pictures:
    """Writes the pictures of one board, each once, a folder a case."""

    def __init__(self, store: Store, board: Board, folder: Path, data: Path | Url | None) -> None:
        """Open the data.

        Args:
            store: the results.
            board: whose cases are shown.
            folder: where the folders of cases are made.
            data: the folder that holds data sets; else as configured.
        """
        self._store = store
        self._board = board
        self._folder = folder
        self._absent: dict[str, str] = {}
        self._split: Split | None = None
        try:
            split = board.task.split(board.split, data)
            self._known = set(split.case_ids)
            self._split = split
        except EvaluatorError:
            self._known = set()  # the message names folders of this machine, which do not belong on a page

    def why_not(self, submission: str) -> str:
        """Return why a submission has no pictures, or an empty string; after `write`."""
        if self._split is None:
            return "No pictures: the data set was not at hand when these pages were made."
        return self._absent.get(submission, "")

    def write(self, choices: Sequence[Choice], cases: Mapping[str, Sequence[CaseRow]]) -> dict[str, ShownCase]:
        """Write the pictures of the chosen cases; return those that have any, by their ids, in the choices' order.

        Files that are not what was scored are left out.

        Args:
            choices: which cases, in the order in which room is given to them.
            cases: by submission, its per-case table.
        """
        if self._split is None:
            return {}
        rows = [row for row in self._board.rows if self._usable(row, self._split)]
        shown = self._plan(self._split, choices, len(rows)) if rows else {}
        names = file_names((row.submission for row in self._board.rows), taken=(INPUT, REFERENCE))

        def write_row(row: Row) -> None:
            own = {c.case: c for c in cases[row.submission]}
            wanted = [s for s in shown.values() if s.everyone or row.submission in s.choice.extreme_of]
            self._write_outputs(row, [(s, own[s.case]) for s in wanted if s.case in own], names[row.submission])

        # Each submission has a worker of its own, whose start takes longer than its work.
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(write_row, rows))
        kept = {case: s for case, s in shown.items() if s.outputs}
        for s in kept.values():
            self._write_shared(self._split, s)
        return kept

    def _usable(self, row: Row, split: Split) -> bool:
        if split.digest != row.card.dataset.digest:
            self._absent[row.submission] = "No pictures: the data set is not the one that it was scored on."
        elif row.stale:
            self._absent[row.submission] = f"No pictures: {row.reason}."
        return row.submission not in self._absent

    def _plan(self, split: Split, choices: Sequence[Choice], submissions: int) -> dict[str, ShownCase]:
        folders = file_names(split.case_ids)
        left = MOST_PIXELS
        shown: dict[str, ShownCase] = {}
        for choice in (c for c in choices if c.case in self._known):
            try:
                reference, degraded = split.reference(choice.case), split.input(choice.case)
                target = reference or split.target(choice.case)
            except EvaluatorError:
                continue
            height, width = target.array.shape[:2]
            factor = ceil(max(height, width) / LONGEST_SIDE)
            small = reduced_size(width, height, factor)
            needed = small[0] * small[1] * (submissions + 2)
            everyone = needed <= left or not shown
            if not everyone and not choice.extreme_of:
                continue
            left -= needed if everyone else 0
            shown[choice.case] = ShownCase(
                choice.case,
                folders[choice.case],
                choice,
                width,
                height,
                factor,
                everyone,
                reference is not None,
                (degraded.array.shape[1], degraded.array.shape[0]),
                kinds={p.array.dtype.name for p in (reference, degraded) if p is not None} - {"uint8"},
            )
        return shown

    def _write_outputs(self, row: Row, wanted: Sequence[tuple[ShownCase, CaseRow]], name: str) -> None:
        card = row.card
        if card.submission.kind != "outputs":
            path = self._store.outputs_folder(card.task, card.split, card.submission.id)
        else:
            path = (self._store.root / card.submission.source).resolve()
        spec = self._board.task.spec
        with Reception(spec.limits) as reception:
            try:
                source, workers = reception.files(path, self._split.case_ids if self._split else ())
            except EvaluatorError:
                gone = "No pictures: its outputs are not at hand. Score it again here to have them."
                self._absent[row.submission] = gone
                return
            for shown, case in wanted:
                expected = Expected.of(shown.height, shown.width, spec.protocol)
                reading = read_output(source, case.output, expected, workers)
                if reading.pixels is not None and reading.sha256 == case.output_sha256:
                    self._put(shown, name, reading.pixels)
                    shown.outputs[row.submission] = name
                    shown.kinds |= {reading.pixels.array.dtype.name} - {"uint8"}

    def _write_shared(self, split: Split, shown: ShownCase) -> None:
        self._put(shown, INPUT, split.input(shown.case))
        reference = split.reference(shown.case)
        if reference is not None:
            self._put(shown, REFERENCE, reference)

    def _put(self, shown: ShownCase, name: str, pixels: Pixels) -> None:
        display = to_display(to_target(pixels, self._board.task.spec.protocol))
        path = self._folder / shown.folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(_reduced(display, shown.reduced)))


def to_display(pixels: Pixels) -> NDArray[np.uint8]:
    """Return pixels as 8 bit for a screen: scaled by their peak, clipped, rounded."""
    if pixels.array.dtype == np.uint8:
        return pixels.array.astype(np.uint8, copy=False)
    scaled = np.clip(pixels.array.astype(np.float64) / pixels.peak, 0, 1)
    display: NDArray[np.uint8] = np.rint(scaled * 255).astype(np.uint8)
    return display


def reduced_size(width: int, height: int, factor: int) -> tuple[int, int]:
    """Return width and height of a picture of which each pixel stands for `factor` × `factor` of the file."""
    return ceil(width / factor), ceil(height / factor)


def _reduced(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return an image each pixel of which is the mean of `factor` × `factor`; the last row and column are repeated."""
    if factor == 1:
        return image
    import cv2

    height, width = image.shape[:2]
    padding = ((0, -height % factor), (0, -width % factor), (0, 0))
    padded = np.pad(image, padding, mode="edge")
    small = cv2.resize(padded, reduced_size(width, height, factor), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8).reshape(*small.shape[:2], image.shape[2])
