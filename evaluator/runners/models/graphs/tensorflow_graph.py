"""A TensorFlow graph of constants with fixed input shapes, and what leads to what in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from math import prod

from evaluator.runners.models.graphs.tensorflow_kinds import SHAPES
from evaluator.runners.models.problem import Foreign
from evaluator.runners.models.tensorflow import frozen_function

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_numbers = count()
_PASSING = ("Identity", "Cast", "Reshape", "Squeeze", "ExpandDims", "Transpose")


def inlined(tensorflow: Foreign, definition: Foreign, inputs: Sequence[str], output: str) -> Foreign:
    """Return a graph definition with the functions that it calls put in their place.

    Args:
        tensorflow: the module.
        definition: without variables.
        inputs: names of its placeholders, as tensors.
        output: name of the tensor that is wanted.
    """
    functions = {function.signature.name for function in definition.library.function}
    if not any(node.op in _CALLS or node.op in functions for node in definition.node):
        return definition
    definition = _inlinable(definition)

    def imported() -> None:
        tensorflow.import_graph_def(definition, name="")

    wrapped = tensorflow.compat.v1.wrap_function(imported, [])
    graph = wrapped.graph
    pruned = wrapped.prune([graph.get_tensor_by_name(n) for n in inputs], graph.get_tensor_by_name(output))
    return frozen_function(pruned).graph.as_graph_def()


def _inlinable(definition: Foreign) -> Foreign:
    """Return a definition whose functions may be inlined: compiled ones may not.

    Keras makes a compiled one for each grouped convolution. They get new names, as a process knows functions by name.
    """
    changed = type(definition).FromString(definition.SerializeToString())
    library = changed.library.function
    names = {function.signature.name: f"{function.signature.name}_{next(_numbers)}" for function in library}
    for function in library:
        function.signature.name = names[function.signature.name]
    for item in (*changed.node, *library, *(node for function in library for node in function.node_def)):
        for attribute in ("_XlaMustCompile", "_noinline"):
            item.attr.pop(attribute, None)
        for value in item.attr.values():
            for called in (value.func, *value.list.func):
                if called.name in names:
                    called.name = names[called.name]
    for node in (*changed.node, *(node for function in library for node in function.node_def)):
        node.op = names.get(node.op, node.op)
    del changed.library.gradient[:]  # nothing is trained here
    return changed


class Walk:
    """The operators that an output needs, in order; which of them see the image, and which constants feed them."""

    def __init__(self, graph: Foreign, output: Foreign, inputs: Sequence[Foreign]) -> None:
        needed = _behind([output.op])
        self.operators = [op for op in graph.get_operations() if op in needed]
        self.data = self._ahead([tensor.op for tensor in inputs])
        """Operators that compute on the image, not on its shape nor on constants alone."""

    def _ahead(self, starts: Iterable[Foreign]) -> set[Foreign]:
        needed = set(self.operators)
        found: set[Foreign] = set()
        waiting = list(starts)
        while waiting:
            op = waiting.pop()
            if op not in found and op in needed and op.type not in SHAPES:
                found.add(op)
                waiting.extend(reader for tensor in op.outputs for reader in tensor.consumers())
        return found

    def constants(self, tensor: Foreign) -> Iterator[Foreign]:
        """Yield the float constants that a tensor is computed from, if it is from nothing else."""
        waiting, seen = [tensor], set()
        while waiting:
            source = waiting.pop()
            op = source.op
            if op in seen or op in self.data or not source.dtype.is_floating:
                continue
            seen.add(op)
            if op.type == "Const":
                yield op
            waiting.extend(op.inputs)

    def statistics(self) -> set[str]:
        """Return the names of constants that are means and variances of batch normalisation."""
        found: set[str] = set()
        for op in self.operators:
            if op.type.startswith("FusedBatchNorm"):
                found |= {c.name for tensor in op.inputs[3:5] for c in self.constants(tensor)}
            elif op in self.data:
                continue
            elif op.type == "Rsqrt":  # of a variance, and something small that keeps it from 0
                found |= {c.name for c in self.constants(op.inputs[0]) if elements(c) > 1}
            elif op.type == "Sub" and op.inputs[1].op.type == "Mul":  # shift - mean × scale / deviation
                found |= {c.name for tensor in op.inputs[1].op.inputs for c in _itself(tensor)}
        return found


def _itself(tensor: Foreign) -> Iterator[Foreign]:
    op = tensor.op
    while op.type in _PASSING:
        op = op.inputs[0].op
    if op.type == "Const":
        yield op


def elements(op: Foreign) -> int:
    """Return the number of elements of what an operator gives first."""
    return prod(op.outputs[0].shape.as_list()) if op.outputs[0].shape.is_fully_defined() else 0


def was_variable(op: Foreign) -> bool:
    """Tell whether a constant was a variable before the graph was frozen."""
    for reader in op.outputs[0].consumers():
        # TensorFlow 1 reads it through an Identity that is to lie beside it, TensorFlow 2 through a ReadVariableOp.
        beside = reader.type == "Identity" and f"loc:@{op.name}".encode() in reader.node_def.attr["_class"].list.s
        if beside or "ReadVariableOp" in reader.name:
            return True
    return False


def _behind(starts: Iterable[Foreign]) -> set[Foreign]:
    found: set[Foreign] = set()
    waiting = list(starts)
    while waiting:
        op = waiting.pop()
        if op not in found:
            found.add(op)
            waiting.extend(tensor.op for tensor in op.inputs)
    return found
