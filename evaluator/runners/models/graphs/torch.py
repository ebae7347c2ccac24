"""Operators of networks in torch: files of TorchScript and torch.export, live modules, and Python code."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from evaluator.efficiency.ops import Graph
from evaluator.findings import Finding
from evaluator.ingest.manifest import Artefact
from evaluator.runners.models.care_torch import check_torchscript, safe_pt2
from evaluator.runners.models.contract import Tensor
from evaluator.runners.models.graphs.base import GraphReader, Input
from evaluator.runners.models.graphs.torch_record import Recorder, recorded
from evaluator.runners.models.problem import Foreign, ModelProblem, loading, runtime


def open_graph(path: Path, artefact: Artefact) -> GraphReader:
    """Open a TorchScript file, or one of torch.export; see `base.open_graph`."""
    runtime("torch", "torch")
    return _Script(path) if artefact.format == "torchscript" else _Exported(path)


def module_graph(module: Foreign, shapes: Sequence[tuple[int, ...]], dtype: str = "float32", file: str = "") -> Graph:
    """List the operators of a `torch.nn.Module`, a Keras model under the torch backend included.

    Args:
        module: it is called with its inputs by position, in evaluation mode, and left as it was.
        shapes: of its inputs, as it takes them.
        dtype: of all inputs, by torch's name.
        file: what findings are about.

    Raises:
        ModelProblem: it does not run on inputs of these shapes, or torch is not installed.
    """
    runtime("torch", "torch")
    training = {part: part.training for part in module.modules()}

    def run(recorder: Recorder, inputs: list[Foreign]) -> None:
        recorder.weights.add_module(module)
        module(*inputs)

    module.eval()
    try:
        recorder = recorded(run, shapes, [dtype] * len(shapes), file)
    finally:
        for part, was in training.items():
            part.training = was
    return recorder.graph(recorder.weights.total())


def function_graph(call: Callable[[], object]) -> Graph:
    """Call a function, and list the operators of torch that run in it.

    Its parameters are the `torch.nn.Parameter`s that these use, and those of TorchScript files that it calls. Whatever
    it raises is raised.

    Raises:
        ModelProblem: torch is not installed.
    """
    recorder = Recorder()
    with recorder.recording():
        call()
    # Of a function that uses plain tensors as weights none can be told.
    return recorder.graph(recorder.weights.total() or None)


class _Script:
    """A TorchScript file. See `GraphReader`."""

    def __init__(self, path: Path) -> None:
        torch = runtime("torch", "torch")
        check_torchscript(path)
        with loading("a TorchScript file that torch loads"), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's own wish to be left for torch.export
            self._module = torch.jit.load(str(path), map_location="cpu").eval()
            arguments = [a.name for a in self._module.forward.schema.arguments[1:] if not a.has_default_value()]
        self.inputs = tuple(Input(name, Tensor(None, None)) for name in arguments)
        self._file = path.name

    def read(self, shapes: Sequence[tuple[int, ...]]) -> Graph:
        """See `GraphReader`."""
        parameters = dict(self._module.named_parameters())
        buffers = [buffer for _, buffer in self._module.named_buffers()]
        # The file does not say what it takes; weights of half the width are used on inputs of half the width.
        half = any(str(p.dtype) == "torch.float16" for p in parameters.values())

        def run(recorder: Recorder, inputs: list[Foreign]) -> None:
            recorder.weights.add(parameters)
            recorder.weights.add_buffers(buffers)
            self._module(*inputs)

        recorder = recorded(run, shapes, ["float16" if half else "float32"] * len(shapes), self._file)
        # torch.jit.freeze makes constants of all parameters.
        return recorder.graph(recorder.weights.total() if parameters else recorder.weights.frozen())


class _Exported:
    """A file of torch.export. See `GraphReader`."""

    def __init__(self, path: Path) -> None:
        torch = runtime("torch", "torch")
        clean = safe_pt2(path)
        with loading("a file of torch.export that torch loads"):
            self._program = torch.export.load(clean)
            values = {n.name: n.meta["val"] for n in self._program.graph.nodes if n.op == "placeholder"}
            self._values = [values[name] for name in self._program.graph_signature.user_inputs]
            self.inputs = tuple(
                Input(
                    name,
                    Tensor(
                        tuple(d if isinstance(d, int) else None for d in values[name].shape),
                        str(values[name].dtype).removeprefix("torch."),
                    ),
                )
                for name in self._program.graph_signature.user_inputs
            )
        self._file = path.name

    def read(self, shapes: Sequence[tuple[int, ...]]) -> Graph:
        """See `GraphReader`."""
        self._check(shapes)
        program, signature = self._program, self._program.graph_signature
        kinds = runtime("torch.export.graph_signature", "torch").InputKind

        def run(recorder: Recorder, inputs: list[Foreign]) -> None:
            recorder.weights.add({name: program.state_dict[name] for name in signature.parameters})
            given = iter(inputs)
            taken = [
                next(given)
                if spec.kind is kinds.USER_INPUT
                else program.state_dict.get(spec.target, program.constants.get(spec.target))
                for spec in signature.input_specs
            ]
            _interpret(program.graph_module, taken, recorder, self._file)

        recorder = recorded(run, shapes, [str(i.tensor.dtype) for i in self.inputs], self._file)
        return recorder.graph(recorder.weights.total())

    def _check(self, shapes: Sequence[tuple[int, ...]]) -> None:
        """Compare sizes with those that the file is made for; torch itself would not."""
        sizes: dict[str, int] = {}
        for value, shape in zip(self._values, shapes, strict=True):
            fits = len(value.shape) == len(shape) and all(
                self._fits(wanted, size, sizes) for wanted, size in zip(value.shape, shape, strict=True)
            )
            if not fits:
                raise ModelProblem(
                    "model-shape",
                    expected=f"an input of {' × '.join(map(self._shown, value.shape))}, which {self._file} is made for",
                    got="×".join(map(str, shape)),
                    fix="Export with open sizes (dynamic_shapes), or set size_multiple and tile_overlap in [model].",
                )

    def _fits(self, wanted: Foreign, size: int, sizes: dict[str, int]) -> bool:
        if isinstance(wanted, int):
            return wanted == size
        expression = wanted.node.expr
        symbols = list(expression.free_symbols)
        if len(symbols) != 1:
            return True  # a size made of several others: the network itself says whether it fits
        (symbol,) = symbols
        solved = [s for s in runtime("sympy", "torch").solve(expression - size, symbol) if s.is_integer]
        if len(solved) != 1:
            return False
        limits = self._program.range_constraints.get(symbol)
        inside = limits is None or bool(limits.lower <= solved[0] <= limits.upper)
        return inside and sizes.setdefault(str(symbol), int(solved[0])) == int(solved[0])

    def _shown(self, wanted: Foreign) -> str:
        if isinstance(wanted, int):
            return str(wanted)
        expression = wanted.node.expr
        limits = self._program.range_constraints.get(expression)
        return str(expression) if limits is None else f"{expression} ({limits.lower} to {limits.upper})"


def _interpret(module: Foreign, taken: Sequence[Foreign], recorder: Recorder, file: str) -> Foreign:
    """Run a graph of torch.export node by node, so that each operator gets its layer's name."""
    map_arg = runtime("torch.fx.node", "torch").map_arg
    values: dict[Foreign, Foreign] = {}
    given = iter(taken)
    for node in module.graph.nodes:
        args, kwargs = map_arg((node.args, node.kwargs), values.__getitem__)
        if node.op == "placeholder":
            values[node] = next(given)
        elif node.op == "get_attr":
            found = module
            for part in node.target.split("."):
                found = getattr(found, part)
            values[node] = found
        elif node.op == "output":
            return args[0]
        else:
            stack = list((node.meta.get("nn_module_stack") or {}).values())
            recorder.name = stack[-1][0].removeprefix("L['self'].") if stack else ""
            values[node] = _called(node.target, args, kwargs, recorder, file)
            recorder.name = None
    return None


def _called(
    target: Foreign, args: Sequence[Foreign], kwargs: dict[str, Foreign], recorder: Recorder, file: str
) -> Foreign:
    kind = getattr(target, "namespace", ""), getattr(target, "__name__", "")
    if kind[0] != "higher_order":
        return target(*args, **kwargs)
    if kind[1] == "wrap_with_set_grad_enabled":
        return _interpret(args[1], args[2:], recorder, file)
    if kind[1] != "cond":
        raise ModelProblem(
            "model-load", expected="operators that can be listed", got=kind[1], fix="Export without control flow."
        )
    # Neither branch is counted; one runs for the shapes of what follows.
    recorder.findings["cost-branch"] = Finding.warning(
        "cost-branch",
        file,
        "a network that takes the same way for every input",
        "torch.cond; neither of its branches is counted",
        "Export the branch that images take.",
    )
    name, before, recorder.paused = recorder.name, recorder.paused, True
    result = _interpret(args[1], args[3], recorder, file)
    recorder.paused, recorder.name = before, name
    if not recorder.paused:
        first = next((r for r in result if hasattr(r, "shape")), None)
        output = tuple(first.shape) if first is not None else ()
        recorder.add({"kind": "unknown", "operator": "higher_order.cond", "output": output, "parameters": 0})
    return result
