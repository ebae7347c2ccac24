"""What may run where: the policy in whole runs, at the levels of isolation that this machine has."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.io

from evaluator.ingest import baselines_folder
from evaluator.metrics import State
from evaluator.results import Store
from evaluator.runners.sandbox import Level, isolation
from evaluator.scoring import Outcome, Permissions, check, opening, score
from support import put_mat73, save_mat73

if TYPE_CHECKING:
    from support import Tiny

CODE = "def restore(image):\n    return image\n"
ONNX = '[model]\nlayout = "NCHW"\nrange = [0, 1]\n[artefacts.quality]\nfile = "net.onnx"\n'


def codes(outcome: Outcome) -> list[str]:
    return sorted(f.code for f in outcome.findings)


@pytest.fixture
def code(tiny: Tiny) -> Callable[..., Path]:
    """Write a Python submission."""

    def put(name: str, text: str = CODE, manifest: str = "") -> Path:
        folder = tiny.root / "code" / name
        folder.mkdir(parents=True)
        (folder / "submission.toml").write_text(f'{manifest}kind = "python"\n[python]\nentry = "model:restore"\n')
        (folder / "model.py").write_text(text)
        return folder

    return put


@pytest.mark.parametrize("name", ["limits", "none"])
def test_without_isolation_outputs_are_scored_and_code_is_not_run(
    tiny: Tiny, boards: Path, level: Any, code: Any, name: str
) -> None:
    level(name)
    trace = tiny.root / "trace"
    harmful = code("mine", f"open({str(trace)!r}, 'w')\n{CODE}")
    team = tiny.outputs("team")
    packed = Path(shutil.make_archive(str(tiny.root / "packed"), "zip", team))
    refused, scored, archive = score([harmful, team, packed], tiny.split, leaderboards=boards)
    assert refused.card is None
    assert codes(refused) == ["isolation"]
    assert "--trust" in refused.findings[0].fix
    assert not trace.exists()
    for outcome in (scored, archive):
        assert outcome.card is not None
        assert outcome.card.status == "complete"
        assert outcome.card.isolation is not None
        assert (outcome.card.isolation.level, outcome.card.isolation.trusted) == (name, False)
        assert "NOT isolated" in outcome.card.isolation.sentence
    (checked,) = check([harmful], tiny.split)
    assert codes(checked) == ["isolation"]
    assert checked.has_errors
    assert not trace.exists()


@pytest.mark.parametrize("name", ["limits", "none"])
def test_code_that_is_trusted_runs_and_the_scorecard_says_so(
    tiny: Tiny, boards: Path, level: Any, code: Any, name: str
) -> None:
    level(name)
    paths = [code("by-name"), code("folder", manifest='id = "calls-itself-so"\n'), code("another")]
    permissions = Permissions(trust=frozenset({"by-name", "folder"}))
    one, two, other = score(paths, tiny.split, leaderboards=boards, permissions=permissions)
    for outcome in (one, two):
        assert outcome.card is not None, outcome.findings
        assert outcome.card.isolation is not None
        assert outcome.card.isolation.trusted
    assert (other.card, codes(other)) == (None, ["isolation"])


def test_nothing_is_trusted_for_what_it_calls_itself(tiny: Tiny, boards: Path, level: Any, code: Any) -> None:
    level("limits")
    folder = code("stranger", manifest='id = "friend"\n')
    permissions = Permissions(trust=frozenset({"friend"}))
    (outcome,) = score([folder], tiny.split, leaderboards=boards, permissions=permissions)
    assert (outcome.card, codes(outcome)) == (None, ["isolation"])


def test_partial_isolation_is_enough_for_code_only_if_the_operator_says_so(
    tiny: Tiny, boards: Path, level: Any, code: Any
) -> None:
    level("C")
    mine = code("mine")
    (refused,) = score([mine], tiny.split, leaderboards=boards)
    assert (refused.card, codes(refused)) == (None, ["isolation"])
    assert "--accept-partial" in refused.findings[0].fix
    (accepted,) = score([mine], tiny.split, leaderboards=boards, permissions=Permissions(accept_partial=True))
    assert accepted.card is not None
    assert accepted.card.isolation is not None
    assert (accepted.card.isolation.level, accepted.card.isolation.trusted) == ("C", False)
    assert "Partly isolated" in accepted.card.isolation.sentence


def test_isolated_code_runs_without_a_word(tiny: Tiny, boards: Path, code: Any) -> None:
    if isolation().level not in (Level.A, Level.B):
        pytest.skip("nothing isolates on this machine")
    (outcome,) = score([code("mine")], tiny.split, leaderboards=boards)
    assert outcome.card is not None
    assert codes(outcome) == ["equals-input"]
    assert outcome.card.isolation is not None
    assert (outcome.card.isolation.trusted, outcome.card.isolation.stopped) == (False, ())
    assert outcome.card.submission.kind == "python"
    assert not outcome.card.submission.baseline


def test_baselines_are_the_harness_and_need_no_isolation(tiny: Tiny, boards: Path, level: Any) -> None:
    level("none")
    (outcome,) = score([baselines_folder() / "identity"], tiny.split, leaderboards=boards)
    assert outcome.card is not None


@pytest.mark.parametrize("name", ["limits", "C"])
def test_a_graph_needs_isolation_too(tiny: Tiny, boards: Path, level: Any, name: str) -> None:
    level(name)
    folder = tiny.root / "graph"
    folder.mkdir()
    (folder / "submission.toml").write_text(f'kind = "model"\n{ONNX}')
    (folder / "net.onnx").write_bytes(b"no graph")
    (outcome,) = score([folder], tiny.split, leaderboards=boards)
    assert outcome.card is None
    wanted = {"isolation"} if name == "limits" else {"model-load", "model-missing-runtime", "model-unsafe"}
    assert set(codes(outcome)) <= wanted
    assert len(codes(outcome)) == 1


def hdf5(tiny: Tiny, folder: Path, name: str) -> Path:
    for file in folder.glob("a-1.*"):
        file.unlink()
    image = tiny.inputs["a-1"]
    return save_mat73(folder / name, lambda file: put_mat73(file, "image", image, "uint8"))


@pytest.mark.parametrize("file", ["a-1.mat", "a-1.png"])
@pytest.mark.parametrize("packed", [False, True])
def test_hdf5_is_opened_only_in_isolation_whatever_its_name(
    tiny: Tiny, boards: Path, level: Any, tmp_path: Path, *, file: str, packed: bool
) -> None:
    folder = tiny.outputs("team")
    hdf5(tiny, folder, file)
    path = Path(shutil.make_archive(str(tmp_path / "team"), "zip", folder)) if packed else folder
    level("limits")
    (refused,) = score([path], tiny.split, leaderboards=boards)
    assert refused.card is not None
    states = {r.case: r.scores["mae"].state for r in Store(boards).read_cases(refused.card)}
    assert states == {case: State.INVALID if case == "a-1" else State.OK for case in states}
    assert [f.file for f in refused.findings if f.code == "isolation"] == [file]
    permissions = Permissions(trust=frozenset({"team"}))
    (trusted,) = score([path], tiny.split, leaderboards=boards, permissions=permissions)
    assert trusted.card is not None
    assert trusted.card.status == "complete"
    level("C")
    (isolated,) = score([path], tiny.split, leaderboards=boards)
    assert isolated.card is not None
    assert isolated.card.status == "complete"


def test_older_matlab_files_need_no_isolation(tiny: Tiny, boards: Path, level: Any) -> None:
    level("none")
    folder = tiny.outputs("team")
    (folder / "a-1.png").unlink()
    scipy.io.savemat(folder / "a-1.mat", {"image": tiny.inputs["a-1"]})
    (outcome,) = score([folder], tiny.split, leaderboards=boards)
    assert outcome.card is not None
    assert outcome.card.status == "complete"


def test_code_that_cannot_be_loaded_is_refused_once_and_keeps_the_earlier_result(
    tiny: Tiny, boards: Path, code: Any
) -> None:
    if isolation().level not in (Level.A, Level.B):
        pytest.skip("nothing isolates on this machine")
    folder = code("mine")
    score([folder], tiny.split, leaderboards=boards)
    (folder / "model.py").write_text("import a_module_that_is_nowhere\n")
    (outcome,) = score([folder], tiny.split, leaderboards=boards)
    assert outcome.card is None
    assert "cannot be run" in outcome.message
    assert [(f.code, f.file) for f in outcome.findings] == [("model-load", str(folder))]
    assert [c.submission.id for c in Store(boards).read("tiny", "five")] == ["mine"]
    (checked,) = check([folder], tiny.split)
    assert (checked.message, checked.findings) == (outcome.message, outcome.findings)


def test_models_beyond_those_that_may_wait_in_memory_are_loaded_when_it_is_their_turn(
    tiny: Tiny, boards: Path, code: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isolation().level not in (Level.A, Level.B):
        pytest.skip("nothing isolates on this machine")
    monkeypatch.setattr(opening, "_WAITING", 1)
    outcomes = score([code("one"), code("two")], tiny.split, leaderboards=boards)
    assert [o.card is not None and o.card.status for o in outcomes] == ["complete", "complete"]


def test_what_was_stopped_is_in_the_scorecard_each_way_once(tiny: Tiny, boards: Path, code: Any) -> None:
    if isolation().level not in (Level.A, Level.B):
        pytest.skip("nothing isolates on this machine")
    first = int(tiny.inputs["a-1"].sum())
    body = f"    if int(image.sum()) != {first}:\n        os._exit(3)\n    return image\n"
    text = f"import os\n\n\ndef restore(image):\n{body}"
    (outcome,) = score([code("mine", text)], tiny.split, leaderboards=boards)
    assert outcome.card is not None
    assert outcome.card.isolation is not None
    assert outcome.card.isolation.stopped == ("it died (exit: status 3)",)
    states = {r.case: r.scores["mae"].state for r in Store(boards).read_cases(outcome.card)}
    assert states == {case: State.OK if case == "a-1" else State.FAILED for case in states}
    kept = boards / "outputs/tiny/five/mine"
    assert [p.name for p in kept.iterdir()] == ["a-1.npy"]
    assert np.array_equal(np.load(kept / "a-1.npy"), tiny.inputs["a-1"])
