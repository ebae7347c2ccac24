"""The process in which everything that a team sent is opened, decoded and run.

It answers one request at a time over its standard input and output (see `frames`), and knows nothing of references.
Whatever goes wrong here can spoil the answers about this one submission, and nothing else.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from evaluator.findings import EvaluatorError, Finding
from evaluator.images import ImageProblem, Pixels, mat73
from evaluator.ingest.reader import Expected, Reading, examine, fetch
from evaluator.ingest.sources import Source, TooLarge, open_source
from evaluator.runners.frames import Array, Channel, Closed, Limits, Payload

_TRUSTED = Limits(text=1 << 26, payloads=8, payload=1 << 40)  # the harness sends no nonsense
_LARGE = 1 << 26  # bytes
Answer = tuple[dict[str, Any], Sequence[Payload]]


class Worker:
    """What it has open: one archive, one model."""

    def __init__(self) -> None:
        self._source: Source | None = None
        self._models: dict[str, Any] = {}
        self._held: list[Pixels] = []
        self._cpu: int | None = None

    def _follow(self, cpu: int | None) -> None:
        """Go where the thread is that waits for the answer: else its processor stays idle, and another is shared."""
        if cpu is not None and cpu != self._cpu:
            self._cpu = cpu
            with contextlib.suppress(OSError):  # it may not be ours to use
                os.sched_setaffinity(0, {cpu})

    def ping(self, _: dict[str, Any], payloads: Sequence[Payload]) -> Answer:
        """Send back what came."""
        return {}, payloads

    def scan(self, request: dict[str, Any], _: Sequence[Payload]) -> Answer:
        """Open an archive and list it."""
        try:
            self._source = open_source(Path(request["path"]), request["cases"])
            names, findings = self._source.scan()
        except EvaluatorError as error:
            return {"error": str(error), "findings": _plain(error.findings)}, ()
        return {"names": names, "findings": _plain(findings)}, ()

    def read(self, request: dict[str, Any], _: Sequence[Payload]) -> Answer:
        """Read one file of the archive."""
        try:
            return {}, [self._archive.read(request["file"], request["limit"])]
        except TooLarge:
            return {"too_large": True}, ()
        except OSError as error:
            return {"error": error.strerror or str(error)}, ()

    def output(self, request: dict[str, Any], payloads: Sequence[Payload]) -> Answer:
        """Decode one output, from its bytes or from the archive, and say what is wrong with it."""
        self._follow(request["cpu"])
        wanted = request["expected"]
        expected = Expected(**{**wanted, "accepts": tuple(wanted["accepts"])})
        name = request["file"]
        data = payloads[0] if payloads else fetch(self._archive, name, expected)
        if isinstance(data, Finding):
            reading = Reading(None, "", (data,))
        else:  # the harness has the digest of what it sent itself
            reading = examine(bytes(data), name, expected, sha256="" if payloads else None)
        answer = {"sha256": reading.sha256, "findings": _plain(reading.findings)}
        if reading.pixels is None:
            return answer, ()
        return {**answer, "peak": reading.pixels.peak}, [_framed(reading.pixels.array)]

    def image(self, _: dict[str, Any], payloads: Sequence[Payload]) -> Answer:
        """Decode one image of any size."""
        from evaluator.images import decode, inspect

        try:
            header = inspect(bytes(payloads[0]))
            pixels = decode(bytes(payloads[0]), header)
        except ImageProblem as problem:
            return {"problem": _problem(problem)}, ()
        return {"peak": pixels.peak, "header": asdict(header)}, [_framed(pixels.array)]

    def load(self, request: dict[str, Any], _: Sequence[Payload]) -> Answer:
        """Load a model; `key` names it in later requests."""
        from evaluator.ingest.manifest import Manifest
        from evaluator.runners.models import ModelProblem, load_model

        manifest = Manifest.model_validate(request["manifest"])
        try:
            model = load_model(
                Path(request["folder"]), manifest, request["role"], request["threads"], request["device"]
            )
        except ModelProblem as problem:
            return {"problem": _problem(problem)}, ()
        self._models[request["key"]] = model
        return {}, ()

    def describe(self, request: dict[str, Any], _: Sequence[Payload]) -> Answer:
        """Tell what a lone model file says of its contract."""
        from evaluator.runners.models import ModelProblem
        from evaluator.runners.models.cost import describe

        try:
            return {"model": describe(Path(request["path"]), request["format"], request["entry"])}, ()
        except ModelProblem as problem:
            return {"problem": _problem(problem)}, ()

    def operators(self, request: dict[str, Any], _: Sequence[Payload]) -> Answer:
        """List the operators of a model for an image of one size; as bytes, for there may be many."""
        from evaluator.ingest.manifest import Manifest
        from evaluator.runners.models import ModelProblem
        from evaluator.runners.models.cost import list_operators

        manifest = Manifest.model_validate(request["manifest"])
        try:
            found = list_operators(Path(request["folder"]), manifest, request["role"], *request["size"])
        except ModelProblem as problem:
            return {"problem": _problem(problem)}, ()
        passes = {"size": found.passes.size, "passes": found.passes.count, "findings": _plain(found.findings)}
        return passes, [found.graph.model_dump_json(exclude={"findings"}).encode()]

    def hold(self, request: dict[str, Any], payloads: Sequence[Payload]) -> Answer:
        """Keep inputs for `again`."""
        self._held = _pixels(request, payloads)
        return {}, ()

    def again(self, request: dict[str, Any], _: Sequence[Payload]) -> Answer:
        """Run a model on the inputs that are held, and keep the output to itself."""
        from evaluator.runners.models import ModelProblem

        try:
            model = self._models[request["key"]]
            model.restore(self._held)
        except ModelProblem as problem:
            return {"problem": _problem(problem)}, ()
        return {"device_s": getattr(model, "device_seconds", None)}, ()

    def device(self, _: dict[str, Any], __: Sequence[Payload]) -> Answer:
        """Tell the CUDA device's name, and how much of its memory torch took at most."""
        torch = sys.modules.get("torch")
        if torch is None or not torch.cuda.is_available():
            return {}, ()
        return {"name": torch.cuda.get_device_name(), "peak": int(torch.cuda.max_memory_allocated())}, ()

    def restore(self, request: dict[str, Any], payloads: Sequence[Payload]) -> Answer:
        """Run a model on one input (or one pair)."""
        from evaluator.runners.models import ModelProblem

        try:
            restored = self._models[request["key"]].restore(_pixels(request, payloads))
        except ModelProblem as problem:
            return {"problem": _problem(problem)}, ()
        output = _framed(restored.output)
        if output.nbytes > request["limit"]:
            large = ModelProblem(
                "model-output",
                expected=f"an image of the case's size, at most {request['limit']} bytes",
                got=f"an array of shape {output.shape} and {output.nbytes} bytes",
                fix="Give an output for each pixel of the input.",
            )
            return {"problem": _problem(large)}, ()
        return {"seams": restored.seams}, [output]

    @property
    def _archive(self) -> Source:
        if self._source is None:
            raise RuntimeError("no archive is open")
        return self._source


_JOBS: dict[str, Callable[[Worker, dict[str, Any], Sequence[Payload]], Answer]] = {
    "ping": Worker.ping,
    "scan": Worker.scan,
    "read": Worker.read,
    "output": Worker.output,
    "image": Worker.image,
    "load": Worker.load,
    "restore": Worker.restore,
    "describe": Worker.describe,
    "operators": Worker.operators,
    "hold": Worker.hold,
    "again": Worker.again,
    "device": Worker.device,
}


def _pixels(request: dict[str, Any], payloads: Sequence[Payload]) -> list[Pixels]:
    return [
        Pixels(np.asarray(array), peak)
        for array, peak in zip(payloads, request["peaks"], strict=True)
        if not isinstance(array, bytes)
    ]


def _plain(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [finding.plain() for finding in findings]


def _problem(problem: Any) -> dict[str, str]:  # noqa: ANN401 - an ImageProblem or a ModelProblem
    return {name: str(getattr(problem, name)) for name in ("code", "expected", "got", "fix")}


def _framed(array: Array) -> Array:
    """Return an array of a type that frames carry (unusual floats as float64)."""
    plain = np.ascontiguousarray(array)
    return plain if plain.dtype.itemsize <= 8 else plain.astype(np.float64)


def serve(channel: Channel) -> None:
    """Answer requests until the harness goes away."""
    worker = Worker()
    while True:
        try:
            request, payloads = channel.receive(_TRUSTED)
        except Closed:
            return
        try:
            text, answer = _JOBS[request["job"]](worker, request, payloads)
            payloads = []  # an image may be large: neither it nor its file is held for longer than it is needed
            if any(len(part) >= _LARGE if isinstance(part, bytes) else part.nbytes >= _LARGE for part in answer):
                gc.collect()  # a compiler that ran meanwhile leaves cycles that hold the frames, and so the file
            channel.send(text, answer)
            answer = ()
        except Closed:
            return
        except MemoryError:
            channel.send({"failed": "it needs more memory than it may have"})
        except Exception as error:  # whatever decoders and models raise belongs into the answer
            channel.send({"failed": f"{type(error).__name__}: {error}"[:2000]})


def main() -> None:
    """Take over the standard streams, so that what a library prints does not get between the frames, and serve."""
    read, write = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    hdf5, *place = sys.argv[1:]
    mat73.allowed = hdf5 == "hdf5"
    shared = mmap.mmap(*map(int, place)) if place else None
    serve(Channel(read, write, shared))
