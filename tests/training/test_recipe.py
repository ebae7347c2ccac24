"""The recipes that ship: they parse, and say what the code beside them does."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from evaluator.findings import EvaluatorError
from evaluator.ingest import baseline_manifest, baseline_names, baselines_folder, code_folder
from evaluator.training import FILE_NAME, Recipe, baseline_recipe, recipe_file, trainable_baselines
from evaluator.training import recipe as recipe_module
from evaluator.typed_toml import parse_toml

# What networks.md's sources print: of LPIENet, K3DN, the low-light GAN and fast-DPED the papers that are benchmarked
# here; of Zero-DCE and DnCNN the public code.
PRINTED: dict[str, dict[str, Any]] = {
    "lpienet": {"optimiser.learning_rate": 2e-3, "data.batch": 4, "schedule.least": 1e-6, "length.epochs": 500},
    "fast-dped": {"data.batch": 50, "length.iterations": 40000},
    "k3dn": {"optimiser.name": "adamw", "optimiser.learning_rate": 3e-4, "data.batch": 4},
    "msfg-lle": {"optimiser.learning_rate": 1e-4, "data.crop": 256, "schedule.start": 100, "data.pairs": "unpaired"},
    "zero-dce": {"optimiser.learning_rate": 1e-4, "optimiser.clip": 0.1, "optimiser.weight_decay": 1e-4},
    "dncnn": {"optimiser.learning_rate": 1e-3, "data.crop": 50, "data.batch": 128, "length.epochs": 50},
}
WEIGHTS = {
    "fast-dped": {"content": 1, "texture": 0.4, "colour": 0.1, "variation": 400},
    "zero-dce": {"smoothness": 200, "spatial": 1, "colour": 5, "exposure": 10},
}


def functions(file: Path) -> dict[str, dict[str, Any]]:
    """Return a module's functions by name, each with the defaults of its parameters; nothing is imported."""
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names = [a.arg for a in node.args.args][len(node.args.args) - len(node.args.defaults) :]
            found[node.name] = {n: ast.literal_eval(d) for n, d in zip(names, node.args.defaults, strict=True)}
    return found


def test_which_baselines_have_one() -> None:
    own = {"dncnn", "fast-dped", "k3dn", "lpienet", "msfg-lle", "unet", "zero-dce"}
    others = {name for name in baseline_names() if baseline_manifest(name).baseline.code_of in own}
    assert {
        "lpienet-l",
        "k3dn-tiny",
        "k3dn-tiny-dpd-blur",
        "lpienet-sidd",
        "lpienet-l-sidd",
        "lpienet-gopro",
        "lpienet-udc",
        "unet-sidd",
        "dncnn-sidd",
        "fast-dped-dped",
        "msfg-lle-low-light",
    } <= others
    assert set(trainable_baselines()) == own | others


def test_a_variant_has_the_recipe_of_its_code_or_its_own() -> None:
    large, small = baseline_recipe("lpienet-l"), baseline_recipe("lpienet")
    assert (large.entry, small.entry) == ("lpienet:build_large", "lpienet:build")
    assert large.model_copy(update={"entry": small.entry}) == small
    tiny, large = baseline_recipe("k3dn-tiny"), baseline_recipe("k3dn")
    assert (tiny.entry, large.entry) == ("k3dn:build_tiny_training", "k3dn:build_training")
    assert recipe_file("lpienet-sidd") == baselines_folder() / "lpienet-sidd" / FILE_NAME
    assert baseline_recipe("lpienet-sidd") != baseline_recipe("lpienet")


@pytest.mark.parametrize("name", trainable_baselines())
def test_losses_and_settings_are_those_of_the_code(name: str) -> None:
    recipe, known = baseline_recipe(name), functions(code_folder(name) / "losses.py")
    module, _, entry = recipe.entry.partition(":")
    assert entry in functions(code_folder(name) / f"{module}.py")
    assert recipe.terms in known
    for loss in recipe.losses:
        assert loss.name in known
        numbers = {n: d for n, d in known[loss.name].items() if isinstance(d, (int, float))}
        assert {n: v.value for n, v in loss.settings.items()} == numbers
    if recipe.adversary:
        assert {recipe.adversary.name, recipe.adversary.loss} <= known.keys()
    if recipe.stand_in:
        assert recipe.stand_in.value in known


@pytest.mark.parametrize("name", trainable_baselines())
def test_the_losses_are_the_terms_that_the_code_gives(name: str) -> None:
    code = (code_folder(name) / "losses.py").read_text(encoding="utf-8")
    recipe = baseline_recipe(name)
    bodies = {n.name: n.body for n in ast.parse(code).body if isinstance(n, ast.FunctionDef)}
    returned = bodies[recipe.terms][-1]
    assert isinstance(returned, ast.Return)
    if isinstance(returned.value, ast.Call):  # the same losses, of something else
        returned = bodies[ast.unparse(returned.value.func)][-1]
        assert isinstance(returned, ast.Return)
    assert isinstance(returned.value, ast.Dict)
    keys = [ast.literal_eval(key) for key in returned.value.keys if key]
    assert keys == list(recipe.weights())


@pytest.mark.parametrize("name", PRINTED)
def test_the_values_that_are_printed(name: str) -> None:
    recipe = baseline_recipe(name)
    for path, expected in PRINTED[name].items():
        table, _, key = path.partition(".")
        found = getattr(getattr(recipe, table), key)
        assert found.value == expected
        assert found.source != "choice"
    if name in WEIGHTS:
        assert recipe.weights() == WEIGHTS[name]


def test_dpeds_own_weights() -> None:
    recipe = baseline_recipe("fast-dped")
    assert recipe.weights("dped") == {"content": 10, "texture": 1, "colour": 0.5, "variation": 2000}
    with pytest.raises(EvaluatorError, match="Did you mean 'dped'"):
        recipe.weights("dpd")
    with pytest.raises(EvaluatorError, match="Known: none"):
        baseline_recipe("unet").weights("dped")


@pytest.mark.parametrize("name", [n for n in trainable_baselines() if recipe_file(n).parent.name == n])
def test_the_card_has_a_section(name: str) -> None:
    card = (baselines_folder() / name / "README.md").read_text(encoding="utf-8")
    section = " ".join(card.partition("\n## Training\n")[2].split())
    recipe = baseline_recipe(name)
    assert f"{recipe.optimiser.learning_rate.value:g}" in re.sub(r"(\d)·10⁻(.)", _plain, section)
    assert "recipe.toml" in section
    if recipe.features:
        assert recipe.features.value.partition(",")[0] in section


def _plain(found: re.Match[str]) -> str:
    return f"{float(f'{found[1]}e-' + str('⁰¹²³⁴⁵⁶⁷⁸⁹'.index(found[2]))):g}"


def changed(old: str, new: str, name: str = "lpienet") -> list[str]:
    text = (baselines_folder() / name / FILE_NAME).read_text(encoding="utf-8")
    assert old in text
    recipe, findings = parse_toml(Recipe, text.replace(old, new, 1).encode(), FILE_NAME, "recipe")
    assert (recipe is None) == bool(findings)
    return [finding.line() for finding in findings]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('learning_rate = { value = 2e-3, source = "paper" }', "learning_rate = 2e-3", "learning_rate"),
        ('value = 4, source = "paper"', 'value = 4, source = "memory"', "data.batch.source"),
        ("value = 4, ", "value = 0, ", "data.batch.value"),
        ("patience = ", "patients = ", "schedule.patients"),
        ('value = "plateau"', 'value = "linear"', "linear takes start"),
        ('name = "gradient"', 'name = "absolute"', "names a loss twice"),
        ("epochs = ", 'iterations = { value = 7, source = "choice" }\nepochs = ', "either epochs or iterations"),
        ("weight = { value = 0.1", 'others.x = { value = 1, source = "code" }\nweight = { value = 0.1', "some losses"),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, said: str) -> None:
    assert any(said in line for line in changed(old, new)), changed(old, new)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('held_out = { value = "absolute_error"', 'held_out = { value = "losses"', "an adversary takes held_out"),
        ("features = {", "# features = {", "a stand_in for features that it does not name"),
    ],
)
def test_what_is_wrong_with_an_adversary_is_said(old: str, new: str, said: str) -> None:
    assert any(said in line for line in changed(old, new, "msfg-lle-low-light"))


def test_a_damaged_recipe_and_a_missing_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(EvaluatorError, match="Did you mean 'lpienet'"):
        baseline_recipe("lpinet")
    with pytest.raises(EvaluatorError, match="no recipe for a baseline 'tv'"):
        baseline_recipe("tv")
    (tmp_path / "tv").mkdir()
    (tmp_path / "tv" / FILE_NAME).write_text("entry = 1\n")
    monkeypatch.setattr(recipe_module, "baselines_folder", lambda: tmp_path)
    with pytest.raises(EvaluatorError, match="recipe of tv is damaged") as caught:
        baseline_recipe("tv")
    assert {f.code for f in caught.value.findings} == {"recipe"}
