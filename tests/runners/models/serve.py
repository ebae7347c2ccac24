"""Restore images in a process of its own, as a worker would: one JSON line in, one out. Two frameworks in one process
have been seen to crash, so each is given its own."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

from evaluator.images import Pixels, peak_of
from evaluator.ingest.manifest import Manifest
from evaluator.runners.models import ModelProblem, load_model

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # frameworks print
loaded, model = None, None
for line in sys.stdin:
    job = json.loads(line)
    arrays = [np.load(name) for name in job["inputs"]]
    try:
        wanted = (job["folder"], job["manifest"], job["role"])
        if loaded != wanted:
            model = load_model(Path(job["folder"]), Manifest.model_validate(job["manifest"]), job["role"])
            loaded = wanted
        restored = model.restore([Pixels(array, peak_of(array.dtype)) for array in arrays])
    except ModelProblem as problem:
        answer = {"code": problem.code, "expected": problem.expected, "got": problem.got, "fix": problem.fix}
    else:
        np.save(job["output"], restored.output)
        answer = {"code": "", "seams": restored.seams}
    print(json.dumps(answer), file=answers, flush=True)
