"""One job: what is read, scored and said for one case."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from evaluator import metrics
from evaluator.findings import Severity
from evaluator.images import encode_png
from evaluator.ingest import open_submission
from evaluator.metrics import Score, State, strips
from evaluator.runners import ModelRunner, Reception, Workers
from evaluator.scoring.jobs import CaseJob, CaseResult, ModelOutputs, PrecomputedOutputs, run_case
from evaluator.tasks import Limits

if TYPE_CHECKING:
    from support import Tiny

METRICS = ("psnr.f64", "mae")
LIMIT = 2**20


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Workers that decode what is sent to them."""
    with Reception(Limits()) as reception:
        yield reception.workers()


One = Callable[..., CaseResult]


@pytest.fixture
def one(tiny: Tiny, workers: Workers) -> One:
    """Do the job of one case of one submission."""

    def run(folder: Path, case: str = "a-1", metric_ids: tuple[str, ...] = METRICS) -> CaseResult:
        (found,) = run_case(CaseJob(tiny.split, case, {0: provider(tiny, folder, workers)}, metric_ids)).values()
        return found

    return run


def provider(tiny: Tiny, folder: Path, workers: Workers) -> PrecomputedOutputs:
    return PrecomputedOutputs(open_submission(folder, tiny.split.case_ids), workers)


def put(folder: Path, array: Any) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array)
    (folder / "a-1.png").unlink()
    (folder / "a-1.npy").write_bytes(buffer.getvalue())


def test_a_job_reads_outputs_without_scoring_them_if_no_metric_is_asked(one: One, tiny: Tiny) -> None:
    found = one(tiny.outputs("team"), metric_ids=())
    assert found.scores == {}
    assert len(found.output_sha256) == 64
    assert found.pixels == 20 * 24


def test_a_missing_output_and_two_for_one_case_are_different_states(one: One, tiny: Tiny) -> None:
    folder = tiny.outputs("team")
    (folder / "a-1.png").unlink()
    (folder / "a-2.bmp").write_bytes((folder / "a-2.png").read_bytes())
    missing, twice = one(folder), one(folder, "a-2")
    assert missing.scores == dict.fromkeys(METRICS, Score(State.MISSING))
    assert twice.scores == dict.fromkeys(METRICS, Score(State.INVALID))
    assert [f.code for f in (*missing.findings, *twice.findings)] == ["missing-output", "duplicate-output"]


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", encode_png(np.zeros((24, 20, 3), np.uint8))], ids=["empty", "cut", "turned"]
)
def test_an_output_that_cannot_be_used_has_no_number(one: One, tiny: Tiny, content: bytes) -> None:
    folder = tiny.outputs("team")
    (folder / "a-1.png").write_bytes(content)
    found = one(folder)
    assert {s.state for s in found.scores.values()} == {State.INVALID}
    assert all(s.value is None for s in found.scores.values())
    assert [f.severity for f in found.findings] == [Severity.ERROR]


def test_values_outside_the_range_are_clipped_and_their_share_said(one: One, tiny: Tiny) -> None:
    folder = tiny.outputs("team")
    array = tiny.references["a-1"] / 255
    array[:2] = 1.5
    put(folder, array)
    found = one(folder)
    wanted = metrics.compute("psnr.f64", output=np.clip(array, 0, 1) * 255, reference=tiny.references["a-1"], peak=255)
    assert found.scores["psnr.f64"].value == pytest.approx(wanted, rel=1e-12)
    assert [f.code for f in found.findings] == ["range"]
    assert found.findings[0].severity is Severity.WARNING
    assert "10.00%" in found.findings[0].fix  # 2 of 20 rows


def test_a_task_that_does_not_clip_hands_values_over_as_they_are(one: One, tiny: Tiny) -> None:
    folder = tiny.outputs("team")
    tiny.toml.write_text(tiny.toml.read_text().replace("clip = true", "clip = false"))
    array = tiny.references["a-1"] / 255
    array[:2] = 1.5
    put(folder, array)
    wanted = metrics.compute("psnr.f64", output=array * 255, reference=tiny.references["a-1"], peak=255)
    assert one(folder).scores["psnr.f64"].value == pytest.approx(wanted, rel=1e-12)


def test_a_metric_without_a_number_is_a_finding_with_its_reason(one: One, tiny: Tiny) -> None:
    folder = tiny.outputs("team")
    # The negative of the reference: contrast terms are negative, where the official MS-SSIM gives NaN.
    (folder / "a-1.png").write_bytes(encode_png(255 - tiny.references["a-1"]))
    found = one(folder, metric_ids=("ms_ssim.pirm", "mae"))
    assert found.scores["ms_ssim.pirm"].state is State.FAILED
    assert found.scores["ms_ssim.pirm"].detail
    assert found.scores["mae"].state is State.OK
    assert [(f.code, f.severity) for f in found.findings] == [("no-number", Severity.ERROR)]


def test_an_output_is_unchanged_only_with_the_same_name_and_bytes(one: One, tiny: Tiny, workers: Workers) -> None:
    folder = tiny.outputs("team")
    found = one(folder)
    source = provider(tiny, folder, workers)
    assert source.unchanged("a-1", found.output, found.output_sha256, LIMIT)
    assert not source.unchanged("a-1", "other.png", found.output_sha256, LIMIT)
    assert not source.unchanged("a-2", found.output, found.output_sha256, LIMIT)
    assert not source.unchanged("a-1", "", "", LIMIT)
    (folder / "a-1.png").write_bytes((folder / "a-2.png").read_bytes())
    assert not source.unchanged("a-1", found.output, found.output_sha256, LIMIT)
    (folder / "a-1.png").unlink()
    assert not source.unchanged("a-1", found.output, found.output_sha256, LIMIT)


def test_a_job_survives_pickling(tiny: Tiny, workers: Workers) -> None:
    job = CaseJob(tiny.split, "b-10", {0: provider(tiny, tiny.outputs("team"), workers)}, METRICS)
    assert run_case(pickle.loads(pickle.dumps(job))) == run_case(job)  # noqa: S301


def test_a_model_output_is_read_back_as_a_teams_file_would_be(
    tiny: Tiny, tmp_path: Path, own_baseline: Callable[[str, str], Path]
) -> None:
    folder = own_baseline("gray", "def restore(image):\n    return image[:, :, :1]\n")
    with Reception(Limits()) as reception:
        submission = open_submission(folder, tiny.split.case_ids)
        outputs = ModelOutputs(ModelRunner.of(submission, *reception.model(submission)), tmp_path / "kept")
        (found,) = run_case(CaseJob(tiny.split, "a-1", {0: outputs}, METRICS)).values()
    assert {s.state for s in found.scores.values()} == {State.INVALID}
    assert [f.code for f in found.findings] == ["gray"]
    assert found.runtime_s is not None
    assert found.runtime_s > 0
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["a-1.npy"], "a part of a file was left"


def test_a_stopped_worker_fails_the_case_and_only_that(tiny: Tiny, tmp_path: Path) -> None:
    folder = tiny.outputs("team")
    with Reception(Limits(case_s=1e-9)) as reception:
        late = provider(tiny, folder, reception.workers())
        (found,) = run_case(CaseJob(tiny.split, "a-1", {0: late}, METRICS)).values()
    assert {s.state for s in found.scores.values()} == {State.FAILED}
    assert [(f.code, f.file) for f in found.findings] == [("stopped", "a-1.png")]


def test_all_submissions_of_a_job_are_scored_on_their_own(tiny: Tiny, workers: Workers) -> None:
    good, bad = tiny.outputs("good"), tiny.outputs("bad")
    (bad / "a-1.png").write_bytes(b"")
    providers = dict(enumerate(provider(tiny, path, workers) for path in (bad, good)))
    found = run_case(CaseJob(tiny.split, "a-1", providers, METRICS))
    assert found[0].scores["mae"].state is State.INVALID
    assert found[1] == run_case(CaseJob(tiny.split, "a-1", {7: providers[1]}, METRICS))[7]


@pytest.mark.parametrize("kind", ["same", "another depth", "float"])
def test_compiled_metrics_are_used_where_no_protocol_changes_a_pixel(
    kind: str, tiny: Tiny, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.outputs("team")
    noisy = tiny.inputs["a-1"]
    if kind != "same":
        put(folder, noisy.astype(np.uint16) * 257 if kind == "another depth" else (noisy / 255).astype(np.float32))
    source = provider(tiny, folder, workers)
    ids = ("psnr.f64", "psnr.y601", "ssim.basicsr", "ms_ssim.common")
    asked = []
    compiled = metrics.evaluate_compiled
    monkeypatch.setattr(metrics, "evaluate_compiled", lambda ids, **k: asked.append(k) or compiled(ids, **k))
    plain, fast = (run_case(CaseJob(tiny.split, "a-1", {0: source}, ids, compiled=c))[0].scores for c in (False, True))
    assert len(asked) == (kind == "same")
    assert list(fast) == list(ids)
    for metric in ids:
        assert fast[metric].state is plain[metric].state
        assert fast[metric].value == pytest.approx(plain[metric].value, abs=1e-6)


@pytest.mark.parametrize("kind", ["png", "clipped float"])
def test_large_images_are_scored_and_looked_at_in_strips(
    one: One, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder = tiny.outputs("team")
    if kind != "png":
        put(folder, np.random.default_rng(0).uniform(-0.1, 1.1, tiny.references["a-1"].shape))
    ids = ("psnr.f64", "ssim.basicsr", "ms_ssim.pirm", "ms_ssim.common", "mae", "sharp_region.area")
    wanted = one(folder, metric_ids=ids)
    monkeypatch.setattr(strips, "LARGE", 0)
    monkeypatch.setattr(strips, "_STRIP", 20)
    found = one(folder, metric_ids=ids)
    assert found.findings == wanted.findings  # the share of clipped values among them
    assert found.marks == wanted.marks
    assert [found.scores[m].state for m in ids] == [wanted.scores[m].state for m in ids]
    for metric in ("psnr.f64", "ssim.basicsr", "mae"):
        assert found.scores[metric].value == pytest.approx(wanted.scores[metric].value, rel=1e-12)
