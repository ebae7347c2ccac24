"""The table `[cost]` of a task, and the names of costs in formulas."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from evaluator.tasks import load_task, task_ids
from evaluator.tasks.costs import CostRules, is_cost, parse_size, size_text
from evaluator.tasks.spec import RESERVED, TaskSpec
from evaluator.typed_toml import parse_toml
from support import TOML, Tiny

SCORE = '\n[[scores]]\nid = "s"\ntitle = "S"\nformula = "x"\nwhere = {{ x = "{}" }}\n'


@pytest.mark.parametrize(("text", "size"), [("720x1280", (720, 1280)), (" 1×2 ", (1, 2)), ("99999x1", (99999, 1))])
def test_a_size_is_height_times_width(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size
    assert parse_size(size_text(size)) == size


@pytest.mark.parametrize("text", ["", "720", "0x5", "5x0", "-1x5", "1x2x3", "100000x1", "٣x٣", "1 x 2", "axb"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="720x1280"):
        parse_size(text)


@pytest.mark.parametrize(
    "change",
    [
        {"at": "1x1"},
        {"inputs": ("256x256", "256×256")},
        {"inputs": ()},
        {"inputs": ("0x1",)},
        {"memory_mb": 0},
        {"reference": "../x"},
        {"device": "npu"},
        {"atr": 1},
    ],
)
def test_rules_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CostRules.model_validate(change)


def test_a_task_file_without_the_table_has_rules() -> None:
    spec, _ = parse_toml(TaskSpec, TOML.encode(), "tiny.toml", "task-file")
    assert spec is not None
    assert spec.cost == CostRules()
    assert spec.cost.size in spec.cost.sizes
    assert {"costs", "opinions"} <= set(RESERVED)


def test_the_rules_of_costs_are_none_of_the_rules_of_scores(tiny: Tiny) -> None:
    digest = tiny.task.rules_digest()
    tiny.toml.write_text(TOML.replace("[ranking]", '[cost]\nat = "800x800"\nmemory_mb = 5\n\n[ranking]'))
    assert tiny.task.spec.cost.memory_mb == 5
    assert tiny.task.rules_digest() == digest


def test_pirms_rule_of_memory_stands_in_its_task() -> None:
    rules = load_task("dped").spec.cost
    assert (rules.memory_mb, rules.size, rules.reference) == (3500, (720, 1280), "srcnn")
    assert any("3500 MB at 720×1280" in sentence for sentence in rules.sentences())


@pytest.mark.parametrize("task", task_ids())
def test_every_task_says_what_its_models_are_measured_on(task: str) -> None:
    rules = load_task(task).spec.cost
    assert {"at", "inputs", "reference"} <= rules.model_fields_set
    areas = [height * width for height, width in rules.sizes]
    assert areas == sorted(areas)


@pytest.mark.parametrize(
    "target",
    [
        *("measured.runtime_ratio", "measured.runtime_ms", "measured.memory_mb", "cost.parameters", "cost.macs"),
        *("cost.flops", "cost.tf_profiler_flops", "cost.size_bytes", "phone.samsung-a50.latency_ms"),
        "reported.runtime_ratio",
    ],
)
def test_formulas_may_name_costs(target: str) -> None:
    spec, findings = parse_toml(TaskSpec, (TOML + SCORE.format(target)).encode(), "tiny.toml", "task-file")
    assert findings == []
    assert spec is not None


@pytest.mark.parametrize("target", ["measured.speed", "cost.", "phone..latency_ms", "phone.a.ms", "cost.macs2", "macs"])
def test_other_names_are_refused(target: str) -> None:
    spec, (finding,) = parse_toml(TaskSpec, (TOML + SCORE.format(target)).encode(), "tiny.toml", "task-file")
    assert spec is None
    assert not is_cost(target)
    assert target in finding.expected
