"""The per-case table: a CSV file beside the scorecard. A cell is a number or the name of a state, never both."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from evaluator.metrics import Score, State
from evaluator.text import harmless

if TYPE_CHECKING:
    import pandas as pd

_FIRST = ("case", "output", "output_sha256")
_EXTRA = ":"  # between a metric's id and the name of what it publishes beside its value


@dataclass(frozen=True)
class CaseRow:
    """What became of one case of one submission."""

    case: str
    output: str
    """Name of the output in the submission; empty where there is none."""
    output_sha256: str
    scores: dict[str, Score]


class Scored(Protocol):
    """What the table has of a case: see `CaseRow`."""

    @property
    def case(self) -> str:
        """Its id."""
        ...

    @property
    def output(self) -> str:
        """Name of the output; empty where there is none."""
        ...

    @property
    def output_sha256(self) -> str:
        """Of the output's file."""
        ...

    @property
    def scores(self) -> Mapping[str, Score]:
        """By metric."""
        ...


def write_cases(rows: Sequence[Scored], metrics: Sequence[str]) -> str:
    """Return the table as CSV text; numbers have the fewest digits that give the same float back."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    named: dict[str, set[str]] = {m: set() for m in metrics}
    for row in rows:
        for m, names in named.items():
            if extra := row.scores[m].extra:
                names.update(extra)
    extras = {m: sorted(names) for m, names in named.items()}
    table.writerow([*_FIRST, *(head for m in metrics for head in (m, *(f"{m}{_EXTRA}{name}" for name in extras[m])))])
    for row in rows:
        cells = [row.case, harmless(row.output), row.output_sha256]
        for m in metrics:
            score = row.scores[m]
            cells.append(_cell(score))
            cells += [repr(score.extra[n]) if n in score.extra else "" for n in extras[m]]
        table.writerow(cells)
    return text.getvalue()


def _cell(score: Score) -> str:
    return repr(score.value) if score.state is State.OK else score.state.value


def read_cases(text: str) -> list[CaseRow]:
    """Read a per-case table back.

    Raises:
        ValueError, KeyError, TypeError: it is no such table.
    """
    states = {state.value for state in State}
    rows = []
    table = csv.DictReader(io.StringIO(text))
    heads = [name for name in table.fieldnames or () if name not in _FIRST]
    # A metric's own id may hold the sign, too (`pyiqa:NAME`): an extra is what follows the id of another column.
    ids = [name for name in heads if name.rpartition(_EXTRA)[0] not in heads]
    for line in table:
        scores = {}
        for m in ids:
            prefix = f"{m}{_EXTRA}"
            extra = {n.removeprefix(prefix): float(v) for n in heads if n.startswith(prefix) and (v := line[n])}
            known = line[m] in states
            scores[m] = Score(State(line[m]), extra=extra) if known else Score(State.OK, float(line[m]), extra=extra)
        rows.append(CaseRow(line["case"], line["output"].removeprefix("'"), line["output_sha256"], scores))
    return rows


def case_table(rows: Sequence[CaseRow]) -> pd.DataFrame:
    """Return a data frame with a row a case: the value of each metric (NaN unless ok) and its state."""
    import pandas as pd

    records = []
    for row in rows:
        record: dict[str, object] = {"case": row.case}
        for metric, score in row.scores.items():
            record[metric] = score.value
            record[f"{metric}.state"] = score.state.value
        records.append(record)
    return pd.DataFrame.from_records(records).set_index("case")
