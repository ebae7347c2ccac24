"""A task file says what it means, or is refused with the place and the nearest right word."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from pydantic import ValidationError

from evaluator.findings import Finding
from evaluator.tasks import Protocol, TaskSpec
from evaluator.typed_toml import parse_toml
from support import TOML

SCORE = """
[[scores]]
id = "points"
title = "Points"
formula = "psnr + min(speed, 4)"
where = { psnr = "psnr.f64", speed = "reported.runtime_ratio" }
"""


def parse(text: str) -> tuple[TaskSpec | None, list[Finding]]:
    return parse_toml(TaskSpec, text.encode(), "tiny.toml", "task-file")


def refusal(old: str, new: str, text: str = TOML) -> Finding:
    """Return the only finding of the task with a piece of it replaced."""
    assert old in text
    spec, findings = parse(text.replace(old, new, 1))
    assert spec is None
    (finding,) = findings
    assert (finding.code, finding.file) == ("task-file", "tiny.toml")
    return finding


def test_task_is_read() -> None:
    spec, findings = parse(TOML + SCORE)
    assert findings == []
    assert spec is not None
    assert spec.splits["five"].size == (24, 20)
    assert spec.scores[0].where["psnr"] == "psnr.f64"


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("paper =", "papr =", "'paper'"),
        ("clip =", "clp =", "'clip'"),
        ("missing =", "mising =", "'missing'"),
        ("licence =", "license =", "'licence'"),
        ("references =", "refrences =", "'references'"),
        ("formula =", "formla =", "'formula'"),
        ("[protocol]", "[protocoll]", "'protocol'"),
    ],
)
def test_misspelt_key_is_pointed_out_at_every_level(old: str, new: str, hint: str) -> None:
    spec, findings = parse((TOML + SCORE).replace(old, new, 1))
    assert spec is None
    unknown = [f for f in findings if f.expected == "only known keys"]
    assert len(unknown) == 1
    assert new.strip("[ =]") in unknown[0].got
    assert hint in unknown[0].fix
    # The right key is then missing, where it has no default.
    assert all(f.expected == f"the key {f.expected.split()[-1]}" for f in findings if f not in unknown)


@pytest.mark.parametrize("key", ["id", "title", "metrics", "default_split"])
def test_missing_key_is_named(key: str) -> None:
    line = next(line for line in TOML.splitlines() if line.startswith(f"{key} ="))
    finding = refusal(line + "\n", "")
    assert (finding.expected, finding.got) == (f"the key {key}", "nothing")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('id = "tiny"', 'id = "../tiny"'),
        ('id = "tiny"', 'id = "Tiny"'),
        ("metrics = [", "metrics = [] #"),
        ("clip = true", "channels = 2"),
        ("clip = true", "bit_depth = 12"),
        ("clip = true", 'accepts = ["int8"]'),
        ("clip = true", 'quantise = "floor"'),
        ('missing = "unranked"', 'missing = "zero"'),
        ('by = ["psnr.f64", "ssim.basicsr"]', "by = []"),
        ('reader = "files"', 'reader = "magic"'),
        ("count = 5", "count = 0"),
        ("size = [24, 20]", "size = [24]"),
        ('folders = ["tiny"]', "folders = []"),
    ],
)
def test_wrong_value_is_refused(old: str, new: str) -> None:
    assert refusal(old, new).fix


def test_unknown_metric_is_refused_with_the_nearest_one() -> None:
    finding = refusal('"mae"', '"maee"')
    assert "there is no metric 'maee'" in finding.expected
    assert "Did you mean 'mae'?" in finding.expected


def test_ranking_by_an_unknown_metric_is_refused() -> None:
    assert "there is no metric 'psnr.f46'" in refusal('by = ["psnr.f64"', 'by = ["psnr.f46"').expected


def test_rule_uses_only_metrics_of_the_task() -> None:
    assert "not among the task's metrics" in refusal('by = ["psnr.f64"', 'by = ["psnr.pirm"').expected
    assert "not among" in refusal('psnr = "psnr.f64"', 'psnr = "psnr.pirm"', TOML + SCORE).expected


@pytest.mark.parametrize(("old", "new"), [('"mae"', "{}"), ('by = ["psnr.f64"', "by = [{}")])
def test_reported_ratio_stands_only_where_a_score_names_it(old: str, new: str) -> None:
    finding = refusal(old, new.format('"reported.runtime_ratio"'), TOML + SCORE)
    assert "there is no metric 'reported.runtime_ratio'" in finding.expected


@pytest.mark.parametrize("name", ['"../x"', '""', '"a b"', '"-a"', '"A"'])
def test_name_of_a_split_is_safe_in_paths(name: str) -> None:
    text = TOML.replace("[splits.five]", f"[splits.{name}]")
    spec, findings = parse(text)
    assert spec is None
    assert findings


def test_default_split_must_exist() -> None:
    finding = refusal('default_split = "five"', 'default_split = "six"')
    assert "'six' is not one of five" in finding.expected


@pytest.mark.parametrize("formula", ["psnr + sped", "min(sped, 4)", "-sped ** 2", "max(1, min(psnr, sped))"])
def test_formula_with_an_unknown_name_is_refused(formula: str) -> None:
    finding = refusal("psnr + min(speed, 4)", formula, TOML + SCORE)
    assert "uses sped, which `where` does not define" in finding.expected


@pytest.mark.parametrize("formula", ["psnr + min", "max(exp, psnr)", "min(min, 4)", "log"])
def test_name_of_a_function_is_no_value(formula: str) -> None:
    assert "which `where` does not define" in refusal("psnr + min(speed, 4)", formula, TOML + SCORE).expected


@pytest.mark.parametrize(
    "formula",
    [
        "psnr +",
        "open('x')",
        "__import__('os')",
        "psnr.real",
        "psnr[0]",
        "[psnr for psnr in psnr]",
        "lambda: psnr",
        "psnr psnr",
        "x = 1",
        "",
        "1" + "+1" * 300,
    ],
)
def test_formula_that_is_no_arithmetic_is_refused(formula: str) -> None:
    assert "formula" in refusal("psnr + min(speed, 4)", formula, TOML + SCORE).expected


@pytest.mark.parametrize("name", ["min", "max", "exp", "log", "sqrt"])
def test_formula_may_use_the_functions_that_are_promised(name: str) -> None:
    spec, findings = parse((TOML + SCORE).replace("min(speed, 4)", f"{name}(speed) ** 2 / 3 - 1"))
    assert (spec is None, findings) == (False, [])


def test_definition_cannot_be_changed_once_read() -> None:
    spec, _ = parse(TOML)
    assert spec is not None
    with pytest.raises(ValidationError):
        spec.protocol.clip = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "8-bit RGB"),
        ({"channels": 1, "bit_depth": 16}, "16-bit gray"),
        ({"accepts": ["uint8", "float"]}, "8 bit, float (0 to 1)."),
        ({"quantise": "round"}, "Outputs are rounded to whole levels"),
        ({"quantise": "none"}, "Outputs are not rounded."),
        ({"clip": True}, "are clipped, with a finding"),
        ({"clip": False}, "unclipped"),
        ({"notes": ["Mind the gap."]}, "Mind the gap."),
    ],
)
def test_protocol_is_told_in_words(fields: dict[str, Any], words: str) -> None:
    assert words in " ".join(Protocol.model_validate(fields).sentences())


def ranked(ranking: dict[str, Any], **more: Any) -> TaskSpec:
    """The tiny task with another rule."""
    return TaskSpec.model_validate(tomllib.loads(TOML) | {"ranking": ranking} | more)


def test_ranking_is_told_in_words() -> None:
    by = tomllib.loads('by = ["psnr.f64", "rmse_rel", "mae"]')["by"]
    words = ranked({"by": by}).rule_sentences()
    assert words[0].startswith("Ranked by psnr.f64 (higher is better), then ")
    assert "mae (lower is better)" in words[0]
    assert "not ranked" in words[-1]
    assert "worst value" in ranked({"by": by, "missing": "worst"}).rule_sentences()[-1]


def test_tracks_and_gates_are_told_in_words() -> None:
    track = {"id": "fast", "title": "Fast", "by": ["measured.runtime_ms", "mae"], "method": "mean_rank"}
    spec = ranked({"by": ["mae"], "gates": [{"metric": "psnr.f64", "at_least": 26.9}]}, tracks=[track])
    assert "A submission with psnr.f64 below 26.9 is shown, and not ranked." in spec.rule_sentences()
    words = spec.rule_sentences("fast")[0]
    assert words == (
        "Ranked by the mean of the ranks by measured.runtime_ms (lower is better) and mae (lower is better); where it "
        "is equal, by measured.runtime_ms."
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ('by = ["psnr.f64", "psnr.f64"]', "names one of them twice"),
        ('by = ["points"]', "there is no metric 'points'"),
        ('by = ["psnr.f64"]\nmethod = "mean_rank"', "needs two or more"),
        ('by = ["psnr.f64"]\nmethod = "borda"', "'lexicographic' or 'mean_rank'"),
        ('by = ["psnr.f64"]\ngates = [{ metric = "mae" }]', "at_least or at_most"),
        ('by = ["psnr.f64"]\ngates = [{ metric = "mae", at_least = 1, at_most = 2 }]', "at_least or at_most"),
        ('by = ["psnr.f64"]\ngates = [{ metric = "psnr.pirm", at_least = 1 }]', "not among the task's metrics"),
        ('by = ["psnr.f64"]\ngates = [{ metric = "cost.mac", at_least = 1 }]', "there is no metric 'cost.mac'"),
        ('by = ["psnr.f64"]\ngates = [{ metric = "mae", at_least = nan }]', "finite"),
    ],
)
def test_wrong_rule_is_refused_in_the_main_rule_and_in_tracks(rule: str, words: str) -> None:
    by = 'by = ["psnr.f64", "ssim.basicsr"]\nmissing = "unranked"'
    assert words in refusal(by, rule).expected
    track = f'[[tracks]]\nid = "t"\ntitle = "T"\n{rule}\n\n[splits.five]'
    assert words in refusal("[splits.five]", track).expected


def test_scores_and_tracks_have_ids_of_their_own() -> None:
    for taken in ("mae", "cost.macs", "mean_rank"):
        assert "an id of its own" in refusal('id = "points"', f'id = "{taken}"', TOML + SCORE).expected
    track = '\n[[tracks]]\nid = "t"\ntitle = "T"\nby = ["mae"]\n'
    assert (
        "two tracks have the same id: t, t" in refusal("[[scores]]", track * 2 + "\n[[scores]]", TOML + SCORE).expected
    )


def test_key_of_a_gate_that_is_misspelt_is_pointed_out() -> None:
    gate = 'by = ["psnr.f64", "ssim.basicsr"]\ngates = [{ metric = "mae", at_lest = 1 }]'
    _, findings = parse(TOML.replace('by = ["psnr.f64", "ssim.basicsr"]', gate))
    assert any("'at_least'" in f.fix for f in findings)
