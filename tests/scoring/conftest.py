"""Fixtures of the scoring tests: where results go, a run that is stopped, a count of the jobs done, baselines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evaluator.scoring import plan
from evaluator.scoring.jobs import CaseJob, CaseResult, PrecomputedOutputs


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    """The folder of results; nothing is there yet."""
    return tmp_path / "boards"


class Stop:
    """A progress that stops the run as Ctrl-C does, right after so many case scores were journalled."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.ended = False

    def begin(self, total: int, resumed: int) -> None:
        self.total, self.resumed = total, resumed

    def advance(self, count: int, submission: str = "") -> None:
        self.left -= count
        if self.left <= 0:
            raise KeyboardInterrupt

    def tell(self, event: str, **facts: object) -> None: ...

    def end(self) -> None:
        self.ended = True


@pytest.fixture
def stop() -> Callable[[int], Stop]:
    """Return a progress that stops the run after so many case scores."""
    return Stop


@pytest.fixture
def jobs_done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The (submission, case) of each score that a run computes, as it goes on."""
    done: list[tuple[str, str]] = []
    real = plan.run_case

    def counted(job: CaseJob) -> dict[int, CaseResult]:
        for provider in job.providers.values():
            path = (
                provider.submission.source.path if isinstance(provider, PrecomputedOutputs) else provider.runner.folder
            )
            done.append((path.name, job.case))
        return real(job)

    monkeypatch.setattr(plan, "run_case", counted)
    return done


@pytest.fixture
def own_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Make a baseline of the given name and code; the harness then knows no other baselines."""
    folder = tmp_path / "own-baselines"
    monkeypatch.setattr("evaluator.ingest.baselines.baselines_folder", lambda: folder)

    def make(name: str, code: str) -> Path:
        (folder / name).mkdir(parents=True)
        (folder / name / "submission.toml").write_text('kind = "python"\n[python]\nentry = "model:restore"\n')
        (folder / name / "model.py").write_text(code)
        return folder / name

    return make
