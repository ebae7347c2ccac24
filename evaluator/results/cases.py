"""The per-case table: a CSV file beside the scorecard. A cell is a number or the name of a state, never both."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluator.metrics import Score, State

if TYPE_CHECKING:
    import pandas as pd

_FIRST = ("case", "output", "output_sha256")
_LAST = "runtime_s"


@dataclass(frozen=True)
class CaseRow:
    """What became of one case of one submission."""

    case: str
    output: str
    """Name of the output in the submission; empty where there is none."""
    output_sha256: str
    scores: dict[str, Score]
    runtime_s: float | None = None


def write_cases(rows: Sequence[CaseRow], metrics: Sequence[str]) -> tuple[str, str]:
    """Return the table as CSV text, and its sha256 without the runtime column.

    Numbers are written with the fewest digits that give the same float back.
    """
    with_times, without = io.StringIO(), io.StringIO()
    timed = any(row.runtime_s is not None for row in rows)
    full, bare = csv.writer(with_times, lineterminator="\n"), csv.writer(without, lineterminator="\n")
    bare.writerow([*_FIRST, *metrics])
    full.writerow([*_FIRST, *metrics, *([_LAST] if timed else [])])
    for row in rows:
        cells = [row.case, row.output, row.output_sha256, *(_cell(row.scores[m]) for m in metrics)]
        bare.writerow(cells)
        time = "" if row.runtime_s is None else f"{row.runtime_s:.6f}"
        full.writerow([*cells, *([time] if timed else [])])
    return with_times.getvalue(), hashlib.sha256(without.getvalue().encode()).hexdigest()


def _cell(score: Score) -> str:
    return repr(score.value) if score.state is State.OK else score.state.value


def read_cases(path: Path) -> list[CaseRow]:
    """Read a per-case table back."""
    states = {state.value for state in State}
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            metrics = [k for k in line if k not in (*_FIRST, _LAST)]
            scores = {
                m: Score(State(line[m])) if line[m] in states else Score(State.OK, float(line[m])) for m in metrics
            }
            time = line.get(_LAST)
            rows.append(
                CaseRow(line["case"], line["output"], line["output_sha256"], scores, float(time) if time else None)
            )
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
