"""A look at TensorFlow graphs before they are loaded: only operations that compute may be reachable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from evaluator.runners.models.care_ops import COMPUTING, SAVING
from evaluator.runners.models.files import unsafe
from evaluator.runners.models.problem import Foreign, ModelProblem, loading

_FILES = {"saved_model.pb", "fingerprint.pb", "keras_metadata.pb"}
_FIX = "Export the network alone: no file, network or Python operations, no printing, no tables."


def check_saved_model(folder: Path) -> None:
    """Refuse a SavedModel that could do more than compute when it is loaded or run.

    Saving and restoring belong to every export: these operations are taken where nothing but the saver uses them.

    Raises:
        ModelProblem: it is unsafe, or no SavedModel.
    """
    if not (folder / "saved_model.pb").is_file():
        raise ModelProblem(
            "model-format",
            expected="a SavedModel folder, with saved_model.pb in it",
            got=", ".join(sorted(f.name for f in folder.iterdir())[:5]) or "an empty folder",
            fix="Correct file or format in [artefacts].",
        )
    for file in (f for f in folder.rglob("*") if not f.is_dir()):
        name = file.relative_to(folder).as_posix()
        if name not in _FILES and not name.startswith("variables/variables."):
            raise unsafe("saved_model.pb and variables", f"{name!r} in the folder", "Export without assets.")
    from tensorflow.core.protobuf import saved_model_pb2

    with loading("a SavedModel"):
        saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for meta in saved.meta_graphs:
        _check_meta_graph(meta)


def _check_meta_graph(meta: Foreign) -> None:
    graph = _Graph(meta.graph_def)
    saver = meta.saver_def
    of_saver = graph.behind(_node(name) for name in (saver.save_tensor_name, saver.restore_op_name) if name)
    others = graph.behind(name for name in graph.nodes if name not in of_saver)
    others |= graph.behind(
        _node(tensor.name) for signature in meta.signature_def.values() for tensor in signature.outputs.values()
    )
    # What Python objects of the model may call when they are loaded.
    called = graph.called(graph.nodes[name] for name in others)
    called |= graph.closed(meta.object_graph_def.concrete_functions)
    by_saver = graph.called(graph.nodes[name] for name in of_saver) - called
    graph.check(others, set(graph.functions) - by_saver, COMPUTING)
    graph.check(of_saver - others, by_saver, COMPUTING | SAVING)


def safe_graph(path: Path, inputs: list[str], output: str) -> Foreign:
    """Return the part of a frozen graph that the output needs, if all of it only computes.

    Raises:
        ModelProblem: it is unsafe, has no such tensors, or is no graph.
    """
    from tensorflow.core.framework import graph_pb2

    with loading("a frozen TensorFlow graph"):
        definition = graph_pb2.GraphDef.FromString(path.read_bytes())
    graph = _Graph(definition)
    for name in (*inputs, output):
        if _node(name) not in graph.nodes:
            placeholders = ", ".join(n.name for n in definition.node if n.op == "Placeholder") or "none"
            raise ModelProblem(
                "model-shape",
                expected=f"the tensor {name} in the graph",
                got=f"none of that name (its placeholders: {placeholders[:200]})",
                fix="Set input and output in [artefacts] to the graph's names.",
            )
    needed = graph.behind([_node(output), *map(_node, inputs)])
    called = graph.called(graph.nodes[name] for name in needed)
    graph.check(needed, called, COMPUTING)
    part = graph_pb2.GraphDef()
    part.versions.CopyFrom(definition.versions)
    part.node.extend(node for node in definition.node if node.name in needed)
    part.library.function.extend(graph.functions[name] for name in sorted(called))
    return part


class _Graph:
    """Nodes and library functions by name, and what leads to what."""

    def __init__(self, definition: Foreign) -> None:
        self.nodes = {node.name: node for node in definition.node}
        self.functions = {function.signature.name: function for function in definition.library.function}

    def behind(self, names: Iterable[str]) -> set[str]:
        """Return the nodes of these names and all that they take their inputs from."""
        found: set[str] = set()
        waiting = [name for name in names if name in self.nodes]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(source for source in map(_node, self.nodes[name].input) if source in self.nodes)
        return found

    def called(self, nodes: Iterable[Any]) -> set[str]:
        """Return the library functions that nodes call, and those that these call."""
        return self.closed(name for node in nodes for name in self._calls(node))

    def closed(self, names: Iterable[str]) -> set[str]:
        """Return library functions and all that they call."""
        found: set[str] = set()
        waiting = [name for name in names if name in self.functions]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(call for node in self.functions[name].node_def for call in self._calls(node))
        return found

    def check(self, names: Iterable[str], functions: Iterable[str], allowed: frozenset[str]) -> None:
        """Refuse nodes, of the graph or of library functions, whose operations are not allowed.

        Raises:
            ModelProblem: there are such; it names their operations.
        """
        used = {self.nodes[name].op for name in names}
        used |= {node.op for function in functions for node in self.functions[function].node_def}
        refused = sorted(used - allowed - set(self.functions))
        if refused:
            shown = ", ".join(repr(operation[:60]) for operation in refused[:8])
            raise unsafe("TensorFlow operations that only compute", shown, _FIX)

    def _calls(self, node: Foreign) -> Iterator[str]:
        names = [node.op]
        for value in node.attr.values():
            names += [value.func.name, *(function.name for function in value.list.func)]
        yield from (name for name in names if name in self.functions)


def _node(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]
