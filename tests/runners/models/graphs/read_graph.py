"""Read operators for the tests: a JSON job a line in, a JSON answer a line out. In a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from evaluator.ingest.manifest import Artefact
from evaluator.runners.models import ModelProblem
from evaluator.runners.models.graphs import open_graph

answers = sys.stdout
sys.stdout = sys.stderr
for line in sys.stdin:
    job = json.loads(line)
    try:
        path = Path(job["path"])
        reader = open_graph(path, Artefact.model_validate({"file": path.name, **job["artefact"]}))
        graph = reader.read([tuple(shape) for shape in job["shapes"]])
        answer = {"graph": graph.model_dump(mode="json"), "inputs": [given.name for given in reader.inputs]}
    except ModelProblem as problem:
        answer = {"code": problem.code, "said": f"{problem.expected}; {problem.got}; {problem.fix}"}
    print(json.dumps(answer), file=answers, flush=True)
