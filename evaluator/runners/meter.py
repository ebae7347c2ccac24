"""The harness's side of measuring a model: its operators as a worker lists them, its time and memory by our own means.

The clock and the view of memory are the harness's, outside of the process that runs the model: code that measures
itself could say anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from evaluator.efficiency.ops import Graph
from evaluator.findings import Finding
from evaluator.images import Pixels
from evaluator.ingest.manifest import Format, Model
from evaluator.runners.client import Workers
from evaluator.runners.frames import Limits
from evaluator.runners.model import Device, ModelRunner, Role, RunFailed, failing, problem_finding
from evaluator.runners.told import findings_of, shown

_LISTING = 1 << 27
_FINDINGS = 100
_SENSELESS = "its answer makes no sense"


@dataclass(frozen=True)
class Operators:
    """A model's operators for an image of one size."""

    graph: Graph
    """Of one pass."""
    size: tuple[int, int]
    """Height and width of what a pass is given."""
    passes: int
    """How many passes an image takes: one, or one for each tile."""
    findings: tuple[Finding, ...] = ()


def describe_file(workers: Workers, inside: str, format_: Format | None, entry: str = "") -> Model:
    """Return the contract of a lone model, as far as its file tells it.

    Args:
        workers: that see the file.
        inside: where they see it; of a network in code, the folder of its module.
        format_: its format; None of a network in code.
        entry: `module:function` of a network in code.

    Raises:
        RunFailed: it cannot be read.
    """
    request = {"job": "describe", "path": inside, "format": format_, "entry": entry}
    with failing():
        text = workers.ask(request, answer=Limits(text=1 << 16)).text
    if isinstance(text.get("problem"), dict):
        raise RunFailed(problem_finding(text["problem"]))
    try:
        return Model.model_validate(text.get("model"))
    except ValidationError:
        raise RunFailed(_senseless()) from None


@dataclass(frozen=True)
class Meter:
    """Measures one model, in one worker of its own."""

    runner: ModelRunner
    role: Role = "latency"
    threads: int = 1
    device: Device = "cpu"

    @property
    def _opening(self) -> dict[str, Any]:
        return self.runner.opening(self.role, threads=self.threads, device=self.device)

    def operators(self, height: int, width: int) -> Operators:
        """List what runs for an image of a size.

        Raises:
            RunFailed: the model cannot be read, or the worker was stopped.
        """
        runner = self.runner
        request = {
            "job": "operators",
            "folder": runner.workers.inside(runner.folder),
            "manifest": dict(runner.manifest),
            "role": self.role,
            "size": [height, width],
        }
        answer = Limits(text=1 << 22, payloads=1, payload=_LISTING)
        with failing():
            text, payloads, _ = runner.workers.ask(request, answer=answer)
        if isinstance(text.get("problem"), dict):
            raise RunFailed(problem_finding(text["problem"]))
        size, passes = text.get("size"), text.get("passes")
        sound = isinstance(size, list) and len(size) == 2 and all(type(n) is int and 0 < n < 1 << 20 for n in size)
        if not sound or not isinstance(size, list) or type(passes) is not int or not 0 < passes < 1 << 20:
            raise RunFailed(_senseless())
        try:
            if not payloads or not isinstance(payloads[0], bytes):
                raise ValueError("no list came")
            graph = Graph.model_validate_json(payloads[0])
        except ValueError:
            raise RunFailed(_senseless()) from None
        findings = findings_of(text)[:_FINDINGS]
        return Operators(graph.model_copy(update={"findings": findings}), (size[0], size[1]), passes, findings)

    def hold(self, images: Mapping[str, Pixels]) -> None:
        """Hand the worker the images that it is to run on; it loads the model first if it has not.

        Raises:
            RunFailed: as for `ModelRunner.run`.
        """
        given = self.runner.given(images)
        request = {"job": "hold", "peaks": [image.peak for image in given]}
        with failing():
            self.runner.workers.ask(request, [i.array for i in given], answer=Limits(), first=[self._opening])

    def again(self) -> float:
        """Run the model on the images that the worker holds; return the seconds by this process's clock.

        On CUDA they are those of the device's own events, which leave out copies, if they can be true; of a
        submission that brings code, which could tell others, they are not asked.

        Raises:
            RunFailed: as for `ModelRunner.run`.
        """
        request = {"job": "again", "key": self._opening["key"]}
        with failing():
            text, _, seconds = self.runner.workers.ask(request, answer=Limits())
        if isinstance(text.get("problem"), dict):
            raise RunFailed(problem_finding(text["problem"]))
        told = text.get("device_s")
        believed = self.device == "cuda" and self.runner.manifest.get("kind") == "model"
        return told if believed and isinstance(told, float) and 0 < told < seconds else seconds

    def memory(self, images: Mapping[str, Pixels]) -> int | None:
        """Return by how many bytes a run lets a fresh worker grow beyond what it has with model and images loaded.

        On CUDA it is what torch took at most of the device's memory, as it says itself; None where memory cannot be
        seen (outside Linux).

        Raises:
            RunFailed: as for `ModelRunner.run`.
        """
        workers = self.runner.workers
        workers.close()
        self.hold(images)
        workers.forget_peak()
        before, _ = workers.resident()
        self.again()
        if self.device == "cuda":
            return self.told_of_device()[1]
        _, peak = workers.resident()
        return max(0, peak - before) if before else None

    def told_of_device(self) -> tuple[str, int | None]:
        """Return what a worker says of the device that it ran on: its name, and the most memory taken of it.

        Raises:
            RunFailed: the worker was stopped.
        """
        with failing():
            text = self.runner.workers.ask({"job": "device"}, answer=Limits()).text
        peak = text.get("peak")
        return shown(str(text.get("name", "")))[:100], peak if type(peak) is int and 0 <= peak < 1 << 50 else None


def _senseless() -> Finding:
    return Finding.error("run-failed", "", "a list of operators", _SENSELESS, "Look at what the model's code does.")
