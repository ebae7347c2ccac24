"""Formulas from task files: arithmetic over named numbers, nothing else; checked here, evaluated by simpleeval."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.tasks.spec import FORMULA_FUNCTIONS, check_formula

_FUNCTIONS = {"min": min, "max": max, "exp": math.exp, "log": math.log, "sqrt": math.sqrt}
_OF_ARRAYS = {
    "min": lambda *values: reduce(np.minimum, values),
    "max": lambda *values: reduce(np.maximum, values),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
}
assert set(_FUNCTIONS) == set(_OF_ARRAYS) == FORMULA_FUNCTIONS  # noqa: S101
# simpleeval's own operators guard against long strings and high powers, and take no arrays.
_OPERATORS = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.float_power,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}


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


def evaluate_formula_of_arrays(formula: str, names: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Evaluate a formula element by element; NaN where it gives no finite number.

    Args:
        formula: as for `evaluate_formula`.
        names: the values of each name in it, of shapes that go together.

    Raises:
        ValueError: it holds something else than arithmetic.
    """
    from simpleeval import InvalidExpression, SimpleEval

    check_formula(formula, names)
    evaluator: Any = SimpleEval(operators=_OPERATORS, functions=_OF_ARRAYS, names=dict(names))  # type: ignore[no-untyped-call]
    shape = np.broadcast_shapes(*(value.shape for value in names.values()))
    try:
        with np.errstate(all="ignore"):
            value = np.broadcast_to(np.asarray(evaluator.eval(formula), dtype=np.float64), shape)
    except (InvalidExpression, SyntaxError, TypeError, ArithmeticError, ValueError, RecursionError) as error:
        raise ValueError(f"{formula!r} gives no numbers: {error}") from None
    return np.where(np.isfinite(value), value, np.nan)
