"""Formulas from task files: arithmetic over named numbers, nothing else; checked here, evaluated by simpleeval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from evaluator.tasks.spec import FORMULA_FUNCTIONS, check_formula

_FUNCTIONS = {"min": min, "max": max, "exp": math.exp, "log": math.log, "sqrt": math.sqrt}
assert set(_FUNCTIONS) == FORMULA_FUNCTIONS  # noqa: S101


def evaluate_formula(formula: str, names: Mapping[str, float]) -> float:
    """Evaluate a formula.

    Args:
        formula: arithmetic with + - * / **, min, max, exp, log, sqrt.
        names: the value of each name in it.

    Raises:
        ValueError: it gives no finite number, or holds something else than arithmetic.
    """
    from simpleeval import InvalidExpression, SimpleEval

    check_formula(formula, names)
    evaluator: Any = SimpleEval(functions=_FUNCTIONS, names=dict(names))  # type: ignore[no-untyped-call]
    try:
        value = float(evaluator.eval(formula))
    except (InvalidExpression, SyntaxError, TypeError, ArithmeticError, ValueError, RecursionError) as error:
        raise ValueError(f"{formula!r} gives no number: {error}") from None
    if not math.isfinite(value):
        raise ValueError(f"{formula!r} gives no finite number")
    return value
