"""Reported beside measured: matched by ids alone, with the likely reason for a difference."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evaluator.ranking import Kind, Pair, beside
from evaluator.results import Scorecard, load_published
from evaluator.tasks import load_task

MakeCard = Callable[..., Scorecard]


def pairs(*cards: Scorecard) -> dict[str, Pair]:
    return {f"{p.entry.table} {p.entry.label} {p.entry.column}": p for p in beside(load_published(), cards)}


def test_a_method_is_matched_by_its_id_and_task(make_card: MakeCard) -> None:
    sidd = load_task("sidd")
    card = make_card(sidd, "restormer", {"psnr.f64": 40.018, "ssim.matlab3d": 0.9571})
    found = pairs(card, make_card(sidd, "restormer2", {}), make_card(load_task("dped"), "restormer", {}))
    assert set(found) == {"lpienet/2 Restormer [61] psnr", "lpienet/2 Restormer [61] ssim"}
    psnr, ssim = found.values()
    assert psnr.reason == "The printed digits agree."
    assert psnr.difference == pytest.approx(-0.002)
    assert "ssim.matlab3d" in ssim.reason
    assert "another implementation" in ssim.reason
    assert (psnr.kind, ssim.kind) == (Kind.AGREES, Kind.DIFFERS)
    assert (ssim.decimals, ssim.difference) == (3, pytest.approx(-0.0029))


def test_other_images_are_named_as_the_reason(make_card: MakeCard) -> None:
    sidd = load_task("sidd")
    found = pairs(make_card(sidd, "nlm", {"psnr.f64": 26.75}), make_card(sidd, "dncnn", {}))
    assert "reported on the server set" in found["lpienet/2 NLM [8] psnr"].reason
    assert "a set that the paper does not name" in found["lpienet/2 DnCNN [66] psnr"].reason
    assert {pair.kind for pair in found.values()} == {Kind.OTHER_IMAGES}
    assert "agree" not in found["lpienet/2 NLM [8] psnr"].reason, "equal digits on other images mean nothing"


def test_numbers_are_in_the_scale_that_is_printed(make_card: MakeCard) -> None:
    card = make_card(load_task("sidd"), "identity", {"rmse_rel": 0.0639, "mae": 0.05})
    card = card.model_copy(update={"task": "dpd-blur", "split": "test"})
    found = pairs(card)
    rmse, mae = found["k3dn/1 Input rmse_rel"], found["k3dn/1 Input mae"]
    assert (rmse.entry.printed.text, rmse.measured, rmse.reason) == (
        "6.39",
        pytest.approx(6.39),
        "The printed digits agree.",
    )
    assert mae.difference == pytest.approx(0.029)
    assert mae.reason.startswith("The input itself")


def test_nothing_is_matched_where_the_variant_of_the_metric_is_not_known(make_card: MakeCard) -> None:
    card = make_card(load_task("sidd"), "lpienet", {}).model_copy(update={"task": "udc", "split": "test"})
    assert not pairs(card)
    card = make_card(load_task("dped"), "fast-dped", {})
    assert {p.entry.table for p in pairs(card).values()} == {"fast-dped/3"}
