"""The engine: what is scored, what is refused, and that the digits do not depend on how the work is spread."""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
from collections import Counter
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator import metrics
from evaluator.findings import EvaluatorError
from evaluator.images import Pixels, encode_png, read_image
from evaluator.metrics import Score, State
from evaluator.results import CaseRow, read_cases
from evaluator.scoring import check, running, score
from evaluator.tasks import Split, load_task

if TYPE_CHECKING:
    from support import Tiny


def codes(findings: Any) -> list[str]:
    return sorted(f.code for f in findings)


def cases(boards: Path, submission: str) -> list[CaseRow]:
    return read_cases((boards / "tiny/five" / submission / "cases.csv").read_text(encoding="utf-8"))


def strict(path: Path) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_scores_are_those_of_compute_and_aggregates_their_mean(tiny: Tiny, boards: Path) -> None:
    folder = tiny.outputs("team")
    (outcome,) = score([folder], tiny.split, leaderboards=boards)
    assert outcome.card is not None
    assert outcome.card.status == "complete"
    rows = cases(boards, "team")
    assert [r.case for r in rows] == ["a-1", "a-2", "b-1", "b-9", "b-10"]
    wanted: dict[str, list[float]] = {m: [] for m in ("psnr.f64", "ssim.basicsr", "mae", "rmse_rel")}
    for row in rows:
        output = read_image(folder / f"{row.case}.png").array
        for metric, values in wanted.items():
            values.append(metrics.compute(metric, output=output, reference=tiny.references[row.case], peak=255))
            assert row.scores[metric] == Score(State.OK, values[-1]), (row.case, metric)
    for metric in ("psnr.f64", "ssim.basicsr", "mae"):
        assert outcome.card.metrics[metric].value == math.fsum(wanted[metric]) / 5
    assert outcome.card.metrics["rmse_rel"].value == pytest.approx(math.prod(wanted["rmse_rel"]) ** (1 / 5), rel=1e-12)
    # 24×20 is too small for this one: a fact of the case, which makes no submission incomplete.
    assert outcome.card.metrics["ms_ssim.common"].state is State.NOT_APPLICABLE
    assert outcome.card.metrics["ms_ssim.common"].not_applicable == 5


@pytest.mark.parametrize("how", ["2 workers", "threads", "processes"])
def test_digits_do_not_depend_on_how_the_work_is_spread(tiny: Tiny, tmp_path: Path, how: str) -> None:
    paths = [tiny.outputs("one"), tiny.outputs("two", error=9)]
    score(paths, tiny.split, leaderboards=tmp_path / "alone")
    if how == "2 workers":
        score(paths, tiny.split, leaderboards=tmp_path / "spread", workers=2)
    else:
        spawn = multiprocessing.get_context("spawn")
        pool: Executor = ThreadPoolExecutor(3) if how == "threads" else ProcessPoolExecutor(2, mp_context=spawn)
        with pool:
            score(paths, tiny.split, leaderboards=tmp_path / "spread", executor=pool)
            assert pool.submit(int, 1).result() == 1, "the caller's executor was shut down"
    for name in ("one", "two"):
        alone, spread = (tmp_path / where / "tiny/five" / name for where in ("alone", "spread"))
        assert (alone / "cases.csv").read_bytes() == (spread / "cases.csv").read_bytes()
        one, other = strict(alone / "scorecard.json"), strict(spread / "scorecard.json")
        for field in ("metrics", "findings", "cases_sha256", "status", "dataset", "rules_digest"):
            assert one[field] == other[field], field


def test_missing_and_invalid_cases_are_said_and_the_others_scored(tiny: Tiny, boards: Path) -> None:
    folder = tiny.outputs("team")
    (folder / "a-2.png").unlink()
    (folder / "b-1.png").write_bytes(b"no image")
    (outcome,) = score([folder], tiny.split, leaderboards=boards)
    assert outcome.card is not None
    assert outcome.has_errors
    assert outcome.card.status == "incomplete"
    states = {r.case: r.scores["psnr.f64"].state.value for r in cases(boards, "team")}
    assert states == {"a-1": "ok", "a-2": "missing", "b-1": "invalid", "b-9": "ok", "b-10": "ok"}
    psnr = outcome.card.metrics["psnr.f64"]
    assert (psnr.state, psnr.value, psnr.scored, psnr.lost) == (State.INCOMPLETE, None, 3, 2)
    assert psnr.partial is not None
    assert {f.file for f in outcome.findings} == {"a-2.png", "b-1.png"}


def test_rule_worst_counts_the_worst_value_for_a_lost_case(tiny: Tiny, boards: Path) -> None:
    folder = tiny.outputs("team")
    tiny.toml.write_text(tiny.toml.read_text().replace('missing = "unranked"', 'missing = "worst"'))
    (folder / "a-2.png").unlink()
    (outcome,) = score([folder], tiny.split, leaderboards=boards)
    assert outcome.card is not None
    assert outcome.card.status == "incomplete"
    rows = cases(boards, "team")
    for metric, worst in (("psnr.f64", 0.0), ("ssim.basicsr", -1.0), ("mae", 1.0)):
        found = outcome.card.metrics[metric]
        kept = [r.scores[metric].value for r in rows if r.scores[metric].value is not None]
        assert found.value == math.fsum([*kept, worst]) / 5, metric
        assert (found.state, found.substituted) == (State.OK, 1)


def test_identical_cases_are_left_out_of_the_mean_and_counted(tiny: Tiny, boards: Path) -> None:
    folder = tiny.outputs("team")
    (folder / "a-1.png").write_bytes(encode_png(tiny.references["a-1"]))
    (outcome,) = score([folder], tiny.split, leaderboards=boards)
    assert outcome.card is not None
    psnr = outcome.card.metrics["psnr.f64"]
    rows = cases(boards, "team")
    assert psnr.value == math.fsum(r.scores["psnr.f64"].value or 0 for r in rows[1:]) / 4
    assert (psnr.infinite, psnr.scored, outcome.card.status) == (1, 5, "complete")
    assert rows[0].scores["psnr.f64"].state is State.INFINITE


def test_scorecard_is_strict_json_though_all_scores_are_infinite(tiny: Tiny, boards: Path) -> None:
    folder = tiny.outputs("perfect", error=0)
    (outcome,) = score([folder], tiny.split, leaderboards=boards)
    assert outcome.card_file is not None
    values = strict(outcome.card_file)
    assert values["metrics"]["psnr.f64"]["state"] == "infinite"
    assert values["metrics"]["psnr.f64"]["value"] is None
    assert values["metrics"]["ssim.basicsr"]["value"] == 1.0


def test_second_submission_of_an_id_is_refused_and_the_first_scored(tiny: Tiny, boards: Path) -> None:
    first, second = tiny.outputs("first"), tiny.outputs("second", error=9)
    for folder in (first, second):
        (folder / "submission.toml").write_text('id = "same"')
    one, two = score([first, second], tiny.split, leaderboards=boards)
    assert one.card is not None
    assert two.card is None
    assert codes(two.findings) == ["id-taken"]
    assert two.findings[0].fix == 'Set another id = "..." in submission.toml.'
    assert str(first) in two.message
    rows = cases(boards, "same")
    output = read_image(first / "a-1.png").array
    assert rows[0].scores["psnr.f64"].value == metrics.compute(
        "psnr.f64", output=output, reference=tiny.references["a-1"], peak=255
    )


def test_an_id_belongs_to_the_path_that_has_its_name(tiny: Tiny, boards: Path) -> None:
    thief, owner = tiny.outputs("a-thief", error=0), tiny.outputs("owner")
    (thief / "submission.toml").write_text('id = "owner"')
    one, two = score([thief, owner], tiny.split, leaderboards=boards)
    assert (one.card, codes(one.findings)) == (None, ["id-taken"])
    assert two.card is not None
    assert two.card.metrics["psnr.f64"].infinite == 0


def test_a_rejected_submission_stops_no_other_and_all_its_faults_are_said(tiny: Tiny, boards: Path) -> None:
    bad, good = tiny.outputs("bad"), tiny.outputs("good")
    (bad / "submission.toml").write_text('teem = "typo"')
    (bad / "a-1.png").write_bytes(b"no image")
    (bad / "a-2.png").unlink()
    absent = tiny.root / "absent"
    outcomes = score([bad, absent, good], tiny.split, leaderboards=boards)
    assert [o.card is not None for o in outcomes] == [False, False, True]
    assert [o.path for o in outcomes] == [bad, absent, good]
    found = codes(outcomes[0].findings)
    assert "manifest" in found
    assert "missing-output" in found
    assert len(found) == 3, "the fault of the manifest hides those of the outputs"
    assert all(o.message and o.has_errors for o in outcomes[:2])
    assert sorted(p.name for p in (boards / "tiny/five").iterdir()) == ["good"]


@pytest.mark.parametrize("rejected_first", [True, False])
def test_a_rejected_submission_takes_no_id_from_another(tiny: Tiny, boards: Path, *, rejected_first: bool) -> None:
    rejected, fine = tiny.outputs("same"), tiny.outputs("other")
    (rejected / "submission.toml").write_text('teem = "typo"')
    (fine / "submission.toml").write_text('id = "same"')
    paths = [rejected, fine] if rejected_first else [fine, rejected]
    found = {o.path: o for o in score(paths, tiny.split, leaderboards=boards)}
    assert found[fine].card is not None, found[fine].message
    assert found[rejected].card is None
    assert codes(found[rejected].findings) == ["manifest"]


def test_check_finds_what_score_finds_and_writes_nothing(tiny: Tiny, boards: Path) -> None:
    # Of different errors: what `score` says of equal outputs is for the organiser.
    faulty, rejected, fine = (tiny.outputs(n, error=e) for e, n in enumerate(("faulty", "rejected", "fine"), 4))
    (faulty / "a-1.png").write_bytes(b"no image")
    (faulty / "a-2.png").unlink()
    (faulty / "b-1.png").write_bytes(encode_png(tiny.references["b-1"][:10]))
    (faulty / "stray.png").write_bytes(b"")
    (rejected / "submission.toml").write_text("kind = 3")
    (rejected / "b-9.png").unlink()
    paths = [faulty, rejected, fine]
    before = sorted(tiny.root.rglob("*"))
    checked = check(paths, tiny.split)
    assert sorted(tiny.root.rglob("*")) == before
    scored = score(paths, tiny.split, leaderboards=boards)
    assert [(o.id, o.findings, o.message) for o in checked] == [(o.id, o.findings, o.message) for o in scored]
    assert [o.has_errors for o in checked] == [True, True, False]
    assert all(o.card is None for o in checked)
    assert len(codes(checked[0].findings)) == 4


def test_reference_is_read_once_for_all_submissions(tiny: Tiny, boards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: Counter[str] = Counter()
    real = Split.reference

    def counted(self: Split, case_id: str) -> Pixels:
        reads[case_id] += 1
        return real(self, case_id)

    monkeypatch.setattr(Split, "reference", counted)
    paths = [tiny.outputs(f"team-{n}") for n in range(3)]
    score(paths, tiny.split, leaderboards=boards, workers=2)
    assert reads == dict.fromkeys(tiny.references, 1)


@pytest.mark.parametrize("damage", ["damaged", "gone"])
def test_a_bad_data_set_is_an_error_and_leaves_no_scorecard(tiny: Tiny, boards: Path, damage: str) -> None:
    folder, reference = tiny.outputs("team"), tiny.root / "tiny/ref/b-1.png"
    if damage == "damaged":
        reference.write_bytes(b"no image")
    else:
        reference.unlink()
    with pytest.raises(EvaluatorError) as raised:
        score([folder], tiny.split, leaderboards=boards, workers=2)
    assert any(f.code.startswith("data-") for f in raised.value.findings)
    assert not list(boards.rglob("scorecard.json"))


def test_findings_and_digests_name_what_was_scored(tiny: Tiny, boards: Path) -> None:
    folder = tiny.outputs("team")
    one = score([folder], tiny.split, leaderboards=boards)[0].card
    again = score([folder], tiny.split, leaderboards=boards)[0].card
    (folder / "a-1.png").write_bytes(encode_png(tiny.inputs["a-1"]))
    other = score([folder], tiny.split, leaderboards=boards)[0].card
    assert one is not None
    assert again is not None
    assert other is not None
    assert one.submission.digest == again.submission.digest != other.submission.digest
    assert one.cases_sha256 == again.cases_sha256 != other.cases_sha256
    assert (boards / one.submission.source).resolve() == folder.resolve()
    table = (boards / "tiny/five/team/cases.csv").read_bytes()
    assert other.cases_sha256 == hashlib.sha256(table).hexdigest()
    assert one.dataset.digest == tiny.split.digest
    assert one.rules_digest == load_task(tiny.toml).rules_digest()


SCORES = st.one_of(
    st.floats(1e-9, 1e9).map(lambda v: Score(State.OK, v)),
    st.sampled_from([State.INFINITE, State.MISSING, State.INVALID, State.FAILED, State.NOT_APPLICABLE]).map(Score),
)


@given(st.lists(SCORES, min_size=1, max_size=30), st.randoms(use_true_random=False), st.data())
def test_aggregates_do_not_depend_on_the_order_of_cases(scores: list[Score], random: Any, data: st.DataObject) -> None:
    contract = metrics.get(data.draw(st.sampled_from(["psnr.f64", "mae", "rmse_rel"]))).contract
    rule = data.draw(st.sampled_from(["unranked", "worst"]))
    mixed = list(scores)
    random.shuffle(mixed)
    assert metrics.aggregate(contract, mixed, rule) == metrics.aggregate(contract, scores, rule)


def test_a_large_split_is_scored_by_the_compiled_metrics_and_the_card_says_so(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.outputs("team")
    cards = []
    for size in (tiny.split.pixels + 1, tiny.split.pixels):
        monkeypatch.setattr(running, "_COMPILE_FROM", size)
        (outcome,) = score([folder], tiny.split, leaderboards=tmp_path / str(size))
        assert outcome.card
        cards.append(outcome.card)
    plain, compiled = cards
    assert (plain.arithmetic, compiled.arithmetic) == ("plain", "compiled")
    for metric, result in plain.metrics.items():
        assert compiled.metrics[metric].state is result.state
        assert compiled.metrics[metric].value == pytest.approx(result.value, abs=1e-6)
