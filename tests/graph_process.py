"""What the tests of operators share: a process that reads them, so that no framework is loaded into the tests' own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluator.efficiency.counts import Counts, count
from evaluator.efficiency.ops import Graph

_SCRIPT = Path(__file__).parent / "runners" / "models" / "graphs" / "read_graph.py"


@dataclass(frozen=True)
class Read:
    """What came of reading a file: its operators, or a problem's code and words."""

    graph: Graph | None
    inputs: tuple[str, ...] = ()
    code: str = ""
    said: str = ""

    @property
    def ops(self) -> Graph:
        """The operators; there must be some."""
        assert self.graph is not None, self.said
        return self.graph

    def counts(self) -> Counts:
        """Count the network."""
        return count(self.ops, (1, 1))

    def codes(self) -> set[str]:
        """Return the codes of its findings."""
        return {finding.code for finding in self.ops.findings}


class GraphProcess:
    """A process that lists operators."""

    def __init__(self, log: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def __call__(self, path: Path, *shapes: tuple[int, ...], **artefact: Any) -> Read:
        """Read a file on inputs of these shapes; keywords are its entry in the manifest."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"path": str(path), "shapes": shapes, "artefact": artefact}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the process ended with {self._process.wait(10)}"
        found = json.loads(line)
        if "graph" not in found:
            return Read(None, code=found["code"], said=found["said"])
        return Read(Graph.model_validate(found["graph"]), tuple(found["inputs"]))

    def end(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)
