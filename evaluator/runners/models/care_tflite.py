"""A look at a TFLite file before the interpreter loads it."""

from __future__ import annotations

import math

from evaluator.runners.models.files import unsafe
from evaluator.runners.models.problem import Foreign, ModelProblem, loading, runtime

_IDENTIFIER = b"TFL3"
_COUNT = 100_000
_ELEMENTS = 2**31


def check_tflite(data: bytes, *, custom: bool = False) -> None:
    """Refuse operators that are not TensorFlow Lite's own, variables, and tensors of absurd size.

    Args:
        data: the file's bytes.
        custom: whether custom operators are let through: to be listed, which runs nothing.

    Raises:
        ModelProblem: it is unsafe, or no TFLite file.
    """
    if data[4:8] != _IDENTIFIER:
        raise ModelProblem(
            "model-format",
            expected="a TFLite file",
            got="a file without its mark",
            fix="Correct file or format in [artefacts].",
        )
    schema = runtime("ai_edge_litert.schema_py_generated", "tflite")
    with loading("a TFLite file"):
        model = schema.Model.GetRootAsModel(data, 0)
        for i in range(_bounded(model.OperatorCodesLength())):
            code = model.OperatorCodes(i)
            builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            if builtin == schema.BuiltinOperator.CUSTOM or code.CustomCode():
                if custom:
                    continue
                raise _foreign(code)
            if builtin in (schema.BuiltinOperator.VAR_HANDLE, schema.BuiltinOperator.READ_VARIABLE):
                # Read before they are set, they give whatever the memory holds; set, they carry over to the next case.
                raise ModelProblem(
                    "model-load",
                    expected="weights as constants",
                    got="variables",
                    fix="Convert with from_keras_model, or give the model to from_concrete_functions beside them.",
                )
        for i in range(_bounded(model.SubgraphsLength())):
            graph = model.Subgraphs(i)
            for j in range(_bounded(graph.TensorsLength())):
                shape = [abs(int(graph.Tensors(j).Shape(k))) for k in range(graph.Tensors(j).ShapeLength())]
                if len(shape) > 8 or math.prod(shape) > _ELEMENTS:
                    raise unsafe(f"tensors of at most {_ELEMENTS} elements", "×".join(map(str, shape[:8])))


def _bounded(count: int) -> int:
    if count > _COUNT:
        raise unsafe(f"at most {_COUNT} operators and tensors", str(count))
    return count


def _foreign(code: Foreign) -> ModelProblem:
    name = (code.CustomCode() or b"").decode("ascii", "replace")[:60]
    return unsafe(
        "operators of TensorFlow Lite only",
        f"the custom operator {name!r}",
        "Convert with TFLITE_BUILTINS only (no Flex or custom operators).",
    )
