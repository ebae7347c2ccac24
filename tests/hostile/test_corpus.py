"""No submission of the corpus gets through, none stops the run, and each is told what is wrong with it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from hostile.answers import answers
from hostile.archives import archives
from hostile.arrays import arrays
from hostile.attacks import code, endless, later
from hostile.models import models
from hostile.pictures import pictures
from hostile.printing import printing
from hostile.run import clear, place_in, run, wrong
from hostile.suspicions import suspicions

from evaluator.runners.sandbox import Level, isolation
from model_support import MODULES

CLASSES = {
    "archives": archives,
    "pictures": pictures,
    "arrays": arrays,
    "printing": printing,
    "code": code,
    "endless": endless,
    "models": models,
    "answers": answers,
    "later": later,
    "suspicions": suspicions,
}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="isolation needs Linux")


def installed(framework: str) -> bool:
    return all(importlib.util.find_spec(module) for module in MODULES[framework])


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
def test_no_submission_gets_through(name: str, tmp_path: Path, command: str) -> None:
    if isolation().level not in (Level.A, Level.B):
        pytest.skip("this machine has no isolation for code")
    chosen = CLASSES[name]
    kinds = [kind for kind in chosen.kinds if all(installed(framework) for framework in kind.needs)]
    with place_in(tmp_path) as place:
        try:
            night, paths = run(place, command, chosen, kinds)
            problems = wrong(night, kinds, paths)
        finally:
            clear(place)
    assert not problems, "\n".join(problems)


def test_the_corpus_covers_its_ground() -> None:
    assert sum(len(c.kinds) for c in CLASSES.values()) >= 70
    names = [kind.name for c in CLASSES.values() for kind in c.kinds]
    assert len(names) == len(set(names))
