"""A look at an ONNX file before ONNX Runtime loads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from evaluator.runners.models.files import check_plain, unsafe
from evaluator.runners.models.problem import Foreign, ModelProblem, loading, runtime

_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")  # what ONNX Runtime itself brings
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*")


def check_onnx(path: Path, *, foreign: bool = False) -> Foreign:
    """Refuse files with operators from outside, and data outside of the file's folder.

    Args:
        path: the file.
        foreign: whether operators from outside do no harm, because none is run.

    Returns:
        The file's `ModelProto`, without the data that lies in other files.

    Raises:
        ModelProblem: it is unsafe, or no ONNX file.
    """
    onnx = runtime("onnx", "onnx")
    with loading("an ONNX file"):
        model = onnx.load(str(path), load_external_data=False)
    own = {(function.domain, function.name) for function in model.functions}
    bodies = [model.graph, *model.functions]
    for body in () if foreign else bodies:
        for node in _nodes(body, onnx):
            if node.domain not in _DOMAINS and (node.domain, node.op_type) not in own:
                raise unsafe("operators of ONNX and ONNX Runtime", f"{node.op_type!r} of the domain {node.domain!r}")
    for body in bodies:
        for tensor in _tensors(body, onnx):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                _check_data(path.parent, {entry.key: entry.value for entry in tensor.external_data})
    with loading("a valid ONNX file"):
        onnx.checker.check_model(str(path))
    return model


def _nodes(body: Foreign, onnx: Foreign) -> Iterator[Foreign]:
    for node in body.node:
        yield node
        for graph in _graphs(node, onnx):
            yield from _nodes(graph, onnx)


def _graphs(node: Foreign, onnx: Foreign) -> Iterator[Foreign]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _tensors(body: Foreign, onnx: Foreign) -> Iterator[Foreign]:
    if isinstance(body, onnx.GraphProto):
        yield from body.initializer
        for sparse in body.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in body.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
        for graph in _graphs(node, onnx):
            yield from _tensors(graph, onnx)


def _check_data(folder: Path, external: dict[str, str]) -> None:
    name = external.get("location", "")
    if not _PLAIN_NAME.fullmatch(name) or name in (".", ".."):
        raise unsafe("external data in a file beside the model, by its plain name", repr(name[:80]))
    if not (folder / name).is_file() and not (folder / name).is_symlink():
        raise ModelProblem(
            "model-missing",
            expected=f"{name}, which holds weights of the model",
            got="no such file",
            fix="Add it beside the model, or export with all weights in one file.",
        )
    check_plain(folder / name)
