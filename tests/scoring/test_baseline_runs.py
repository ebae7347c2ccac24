"""Baselines in a run: their outputs are made, kept, and judged as any team's are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from evaluator import metrics
from evaluator.images import read_image
from evaluator.ingest import baselines_folder
from evaluator.metrics import State
from evaluator.results import Store
from evaluator.scoring import check, score

if TYPE_CHECKING:
    from support import Tiny

OwnBaseline = Callable[[str, str], Path]


def codes(findings: Any) -> list[str]:
    return sorted(f.code for f in findings)


def test_a_baseline_is_run_timed_and_its_outputs_kept(tiny: Tiny, boards: Path) -> None:
    (outcome,) = score([baselines_folder() / "identity"], tiny.split, leaderboards=boards)
    assert outcome.card is not None
    assert outcome.card.submission.baseline
    assert outcome.card.submission.source == "baselines/identity"
    assert outcome.card.runtime is not None
    assert outcome.card.runtime.cases == 5
    row = Store(boards).read_cases(outcome.card)[0]
    wanted = metrics.compute("psnr.f64", output=tiny.inputs["a-1"], reference=tiny.references["a-1"], peak=255)
    assert row.scores["psnr.f64"].value == wanted
    kept = boards / "outputs/tiny/five/identity"
    assert sorted(p.name for p in kept.iterdir()) == sorted(f"{case}.npy" for case in tiny.references)


def test_a_baseline_that_fails_on_one_case_fails_there_only(
    tiny: Tiny, boards: Path, own_baseline: OwnBaseline
) -> None:
    level = int(tiny.inputs["b-1"].sum())
    body = f"    if int(image.sum()) == {level}:\n        raise RuntimeError('boom')\n    return image\n"
    code = f"def restore(image):\n{body}"
    (outcome,) = score([own_baseline("shaky", code)], tiny.split, leaderboards=boards)
    assert outcome.card is not None
    assert outcome.card.status == "incomplete"
    states = {r.case: r.scores["mae"].state for r in Store(boards).read_cases(outcome.card)}
    assert states == {case: State.FAILED if case == "b-1" else State.OK for case in states}
    assert codes(outcome.findings) == ["run-failed"]
    assert "boom" in outcome.findings[0].got


@pytest.mark.parametrize("value", ["np.full(image.shape, np.nan)", "np.float64(3) * np.ones(())", "np.ones((2, 2, 3))"])
def test_a_baseline_that_gives_no_image_of_the_size_has_invalid_cases(
    tiny: Tiny, boards: Path, own_baseline: OwnBaseline, value: str
) -> None:
    code = f"import numpy as np\n\n\ndef restore(image):\n    return {value}\n"
    (outcome,) = score([own_baseline("wrong", code)], tiny.split, leaderboards=boards)
    assert outcome.card is not None
    assert outcome.card.status == "incomplete"
    assert {s.state for r in Store(boards).read_cases(outcome.card) for s in r.scores.values()} <= {
        State.INVALID,
        State.FAILED,
    }
    assert outcome.has_errors


def test_an_edited_baseline_is_run_as_it_is_now(tiny: Tiny, boards: Path, own_baseline: OwnBaseline) -> None:
    folder = own_baseline("own", "def restore(image):\n    return image * 0 + 1\n")
    (before,) = score([folder], tiny.split, leaderboards=boards)
    (folder / "model.py").write_text("def restore(image):\n    return image * 0 + 200\n")
    (after,) = score([folder], tiny.split, leaderboards=boards)
    assert np.all(read_image(boards / "outputs/tiny/five/own/a-1.npy").array == 200)
    assert before.card is not None
    assert after.card is not None
    assert before.card.submission.digest != after.card.submission.digest


def test_a_baseline_that_cannot_be_imported_stops_no_other(tiny: Tiny, boards: Path, own_baseline: OwnBaseline) -> None:
    broken = own_baseline("broken", "import a_module_that_is_nowhere\n")
    outcomes = score([broken, tiny.outputs("team")], tiny.split, leaderboards=boards)
    assert [o.card is not None for o in outcomes] == [False, True]
    assert codes(outcomes[0].findings) == ["model-load"]
    assert "a_module_that_is_nowhere" in outcomes[0].findings[0].got
    assert outcomes[0].message


def test_check_refuses_a_baseline_named_twice_as_score_does(tiny: Tiny, boards: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(baselines_folder() / "identity")
    paths = [baselines_folder() / "identity", link]
    checked, scored = check(paths, tiny.split), score(paths, tiny.split, leaderboards=boards)
    assert [codes(o.findings) for o in checked] == [codes(o.findings) for o in scored] == [[], ["id-taken"]]
    assert [o.message for o in checked] == [o.message for o in scored]
