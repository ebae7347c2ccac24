"""Record the operators that torch runs, on tensors without values where that is possible."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any

from pydantic import ValidationError

from evaluator.efficiency.ops import Graph, Kind, Op
from evaluator.findings import Finding
from evaluator.runners.models.graphs.torch_ops import base, described, kind_of, shape_of, statistics
from evaluator.runners.models.problem import Foreign, ModelProblem, one_line, runtime

_SMALL = 16
"""Elements of a constant that may be computed with: sizes that a traced file holds as tensors."""


class Recorder:
    """What runs, and whose weights it uses."""

    def __init__(self, fake: Foreign = None) -> None:
        """Take the mode that gives tensors without values, if one is in force."""
        self.ops: list[Op] = []
        self.findings: dict[str, Finding] = {}
        self.name: str | None = None
        """The layer that runs now, where whoever runs it knows."""
        self.paused = False
        self.weights = Weights(fake)
        self._torch = runtime("torch", "torch")
        self._leaves = importlib.import_module("torch.utils._pytree").tree_leaves
        self._dispatch = importlib.import_module("torch.utils._python_dispatch")
        self._fake = fake
        self._stack: list[str] = []
        self._names: dict[int, str] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what runs inside."""

        def dispatch(mode: Foreign, func: Foreign, _: Foreign, args: Any = (), kwargs: Any = None) -> Foreign:  # noqa: ANN401
            return self._run(mode, func, args, kwargs or {})

        mode = type("Recording", (self._dispatch.TorchDispatchMode,), {"__torch_dispatch__": dispatch})()
        hooks = self._torch.nn.modules.module
        fast = self._torch.backends.mha.get_fastpath_enabled()
        with ExitStack() as stack:
            # One operator for all of a multi-head attention would hide its projections.
            self._torch.backends.mha.set_fastpath_enabled(False)
            stack.callback(self._torch.backends.mha.set_fastpath_enabled, fast)
            stack.callback(hooks.register_module_forward_pre_hook(self._enter).remove)
            stack.callback(hooks.register_module_forward_hook(self._leave, always_call=True).remove)
            stack.enter_context(self._torch.compiler.set_stance("force_eager"))
            stack.enter_context(mode)
            yield

    def _enter(self, module: Foreign, _: Foreign) -> None:
        if id(module) not in self._names:
            self._names.update({id(part): name for name, part in module.named_modules() if id(part) not in self._names})
            # Weights of TorchScript are no `Parameter`s where they are used.
            self.weights.add_module(module)
        # Keras keeps its layers where torch finds no names for them.
        keras = hasattr(module, "_non_trainable_variables") and bool(self._stack)
        self._stack.append(str(module.name) if keras else self._names[id(module)])

    def _leave(self, module: Foreign, _: Foreign, __: Foreign) -> None:
        self._stack.pop()

    def _run(self, mode: Foreign, func: Foreign, args: Any, kwargs: Any) -> Foreign:  # noqa: ANN401
        tensors = [leaf for leaf in self._leaves((args, kwargs)) if isinstance(leaf, self._torch.Tensor)]
        if self._constant(tensors):
            with self._dispatch._disable_current_modes():
                return func(*args, **kwargs)
        name = func._schema.name.partition("::")[2]
        kind = kind_of(func.namespace, name, func._overloadname)
        if kind is None and func.namespace != "prim":
            with mode:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if not self.paused:
            self._record(func, base(name), kind, (args, kwargs, tensors), result)
        return result

    def _constant(self, tensors: list[Foreign]) -> bool:
        """Tell whether an operator has small constants only, such as sizes: these are computed, and not counted."""
        return (
            self._fake is not None
            and bool(tensors)
            and all(
                type(t) is self._torch.Tensor and t.numel() <= _SMALL and not self.weights.known(t) for t in tensors
            )
        )

    def _record(self, func: Foreign, name: str, kind: Kind | None, given: Any, result: Foreign) -> None:  # noqa: ANN401
        args, kwargs, tensors = given
        made = next((leaf for leaf in self._leaves(result) if isinstance(leaf, self._torch.Tensor)), None)
        if made is None:
            return
        output = shape_of(made)
        values = {**dict(zip((a.name for a in func._schema.arguments), args, strict=False)), **kwargs}
        self.weights.see(tensors, statistics(kind, values), bias=values.get("bias"), moved=kind == "move")
        held, layer = self.weights.claim(tensors) if kind != "move" else (0, "")
        if self._stack:
            layer = self._stack[-1] or layer
        fields = described(kind or "unknown", name, values, tensors, output)
        self.add({**fields, "operator": f"{func.namespace}.{name}", "output": output, "parameters": held}, layer)

    def add(self, fields: Mapping[str, Any], layer: str = "") -> None:
        """Add an operator by the fields of an `Op`; as unknown if it lacks what its rule needs."""
        named = {**fields, "name": (self.name if self.name is not None else layer)[-200:]}
        try:
            self.ops.append(Op.model_validate(named))
        except ValidationError:
            plain = {**named, "kind": "unknown", "operator": str(named["operator"])[:200]}
            self.ops.append(Op.model_validate({k: plain[k] for k in ("kind", "operator", "name", "parameters")}))

    def graph(self, parameters: int | None) -> Graph:
        """Return what was recorded."""
        return Graph(parameters=parameters, ops=tuple(self.ops), findings=tuple(self.findings.values()))


class Weights:
    """The parameters of a network, each once, and which operator uses them first."""

    def __init__(self, fake: Foreign) -> None:
        self._torch = runtime("torch", "torch")
        self._fake = fake
        self._by_storage: dict[int, tuple[str, int]] = {}
        self._unclaimed: dict[int, int] = {}
        self._sizes: dict[tuple[Any, ...], tuple[int, int]] = {}
        self._statistics: set[int] = set()
        self._others: set[int] = set()
        self._constants: dict[int, int] = {}
        self._kept: list[Foreign] = []

    def add(self, parameters: Mapping[str, Foreign]) -> None:
        """Add parameters by their names; those that share values count once."""
        for name, parameter in parameters.items():
            storage = parameter.untyped_storage()._cdata
            key = (storage, parameter.storage_offset(), shape_of(parameter))
            if key in self._sizes:
                continue
            self._kept.append(parameter)  # so that no other tensor gets its storage's address
            size = prod(shape_of(parameter)) if parameter.is_floating_point() or parameter.is_complex() else 0
            self._sizes[key] = (storage, size)
            self._by_storage.setdefault(storage, (name.rpartition(".")[0], storage))
            self._unclaimed[storage] = self._unclaimed.get(storage, 0) + size
            if self._fake is not None:
                twin = self._fake.from_tensor(parameter)
                self._kept.append(twin)
                self._by_storage.setdefault(twin.untyped_storage()._cdata, (name.rpartition(".")[0], storage))

    def add_module(self, module: Foreign) -> None:
        """Add a module's parameters, but not what a layer of Keras made as not to be trained: statistics and states."""
        self.add(dict(module.named_parameters()))
        for part in module.modules():
            for variable in getattr(part, "_non_trainable_variables", ()):
                self._statistics.add(self._storage(variable._value))

    def add_buffers(self, buffers: Iterable[Foreign]) -> None:
        """Add what is no parameter, although no operator made it."""
        self._others |= {b.untyped_storage()._cdata for b in buffers}

    def known(self, tensor: Foreign) -> bool:
        """Tell whether a tensor is a parameter, or a view of one."""
        return self._storage(tensor) in self._by_storage

    def see(self, tensors: list[Foreign], stats: list[Foreign], *, bias: Foreign, moved: bool) -> None:
        """Look at an operator's operands for parameters that nobody named."""
        parameter = self._torch.nn.Parameter
        self.add({f"?{id(t)}": t for t in tensors if isinstance(t, parameter) and not self.known(t)})
        for tensor in stats:
            storage = self._storage(tensor)
            self._others.add(storage)
            if storage in self._by_storage:
                self._statistics.add(self._by_storage[storage][1])
        for tensor in tensors:
            storage = self._storage(tensor)
            plain = type(tensor) is self._torch.Tensor and tensor.is_floating_point() and not moved
            if plain and storage not in self._others and (tensor.numel() > 1 or tensor is bias):
                self._constants[storage] = tensor.numel()
                self._kept.append(tensor)

    def claim(self, tensors: list[Foreign]) -> tuple[int, str]:
        """Return how many of an operator's parameters no other one had before, and the name of their layer."""
        held, layer = 0, ""
        for tensor in tensors:
            if found := self._by_storage.get(self._storage(tensor)):
                held += self._unclaimed.pop(found[1], 0) if found[1] not in self._statistics else 0
                layer = layer or found[0]
        return held, layer

    def total(self) -> int:
        """Return the number of all parameters."""
        return sum(size for storage, size in self._sizes.values() if storage not in self._statistics)

    def frozen(self) -> int | None:
        """Return the number of constants that serve as weights, or None if they cannot be told from other tensors."""
        return None if self._fake is None else sum(self._constants.values())

    def _storage(self, tensor: Foreign) -> int:
        try:
            return int(tensor.untyped_storage()._cdata)
        except (RuntimeError, NotImplementedError):  # sparse tensors have none
            return 0


def recorded(
    run: Callable[[Recorder, list[Foreign]], None],
    shapes: Iterable[tuple[int, ...]],
    dtypes: Iterable[str],
    file: str,
) -> Recorder:
    """Run a network on inputs of these shapes and return what ran: without values, or with zeros where that fails.

    Raises:
        ModelProblem: it does not run on such inputs.
    """
    torch = runtime("torch", "torch")
    wanted = [(shape, getattr(torch, dtype)) for shape, dtype in zip(shapes, dtypes, strict=True)]
    fakes = importlib.import_module("torch._subclasses.fake_tensor")
    for fake in (fakes.FakeTensorMode(allow_non_fake_inputs=True), None):
        recorder = Recorder(fake)
        try:
            # Below autograd, so that operators arrive whole. Unoptimised, so that none are fused.
            with ExitStack() as stack:
                stack.enter_context(torch.inference_mode())
                stack.enter_context(torch.jit.optimized_execution(False))
                if fake is not None:
                    stack.enter_context(fake)
                inputs = [torch.zeros(shape, dtype=dtype) for shape, dtype in wanted]
                stack.enter_context(recorder.recording())
                run(recorder, inputs)
        except ModelProblem:
            raise
        except Exception as error:  # a network may fail in any way, the more so without values
            if fake is None:
                raise ModelProblem(
                    "model-shape",
                    expected="a network that runs on " + ", ".join("×".join(map(str, s)) for s, _ in wanted),
                    got=one_line(error),
                    fix="Run it yourself on inputs of that size; see layout and size_multiple in [model].",
                ) from error
            continue
        if fake is None:
            recorder.findings["cost-ran"] = Finding.note(
                "cost-ran",
                file,
                "a network whose operators can be told from the sizes alone",
                "one that needs values: it was run on zeros",
                "What depends on the values of its input may cost more or less.",
            )
        return recorder
    raise AssertionError("the last of the two ways returns or raises")
