"""The Python runner: only the harness's own code is run, and whatever it does becomes an output or a failure."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.findings import EvaluatorError
from evaluator.images import Pixels
from evaluator.ingest import FolderSource, Manifest, Submission, baseline_names, baselines_folder, open_submission
from evaluator.ingest.manifest import Python
from evaluator.runners import PythonRunner, RunFailed

IMAGE = Pixels(np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3), 255.0)


@pytest.fixture
def runner(tmp_path: Path) -> Callable[[str], PythonRunner]:
    """Make a runner for a function with the given body."""

    def make(body: str) -> PythonRunner:
        (tmp_path / "model.py").write_text(f"import numpy as np\n\n\ndef restore(image):\n    {body}\n")
        return PythonRunner(tmp_path, "model:restore", body)

    return make


def submission(folder: Path, entry: str = "model:restore") -> Submission:
    manifest = Manifest(kind="python", python=Python(entry=entry))
    return Submission("own", manifest, FolderSource(folder), {})


def test_code_outside_the_baselines_is_neither_run_nor_imported(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    folder = tmp_path / "identity"  # the name of a baseline does not make it one
    folder.mkdir()
    (folder / "model.py").write_text(f"open({str(trace)!r}, 'w')\n\n\ndef restore(image):\n    return image\n")
    with pytest.raises(EvaluatorError, match="its code is not run"):
        PythonRunner.of(submission(folder))
    assert not trace.exists()


def test_a_link_in_place_of_a_baseline_is_the_baseline_itself(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(baselines_folder() / "identity")
    opened = open_submission(baselines_folder() / "identity", ["a"])
    assert PythonRunner.of(opened) == PythonRunner.of(submission(link, "identity:restore"))


def test_a_submission_of_outputs_has_no_code_to_run() -> None:
    outputs = Submission("own", Manifest(), FolderSource(baselines_folder() / "identity"), {})
    with pytest.raises(EvaluatorError, match="not run"):
        PythonRunner.of(outputs)


@pytest.mark.parametrize(
    ("entry", "wanted"), [("absent:restore", "there is no"), ("identity:absent", "defines no function absent")]
)
def test_an_entry_that_is_not_there_is_an_error(entry: str, wanted: str) -> None:
    with pytest.raises(EvaluatorError, match=wanted):
        PythonRunner.of(submission(baselines_folder() / "identity", entry))


@pytest.mark.parametrize("name", baseline_names())
def test_every_baseline_gives_an_image_of_the_same_size_in_range(name: str) -> None:
    random = np.random.default_rng(0)
    pixels = Pixels(random.integers(0, 256, (32, 40, 3), dtype=np.uint8), 255.0)
    opened = PythonRunner.of(open_submission(baselines_folder() / name, ["a"]))
    output, seconds = opened.run(pixels)
    again, _ = opened.run(pixels)
    assert output.shape == pixels.array.shape
    assert np.array_equal(output, again), "a baseline must give the same pixels each time"
    assert output.dtype == np.uint8 or (output.min() >= 0 and output.max() <= 1)
    assert seconds > 0


def test_an_exception_is_a_failure_with_its_kind_and_message(runner: Callable[[str], PythonRunner]) -> None:
    with pytest.raises(RunFailed, match="ZeroDivisionError: division by zero"):
        runner("return 1 / 0").run(IMAGE)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return None", "NoneType"),
        ("return image.tolist()", "list"),
        ("return image.astype('int64')", "int64"),
        ("return image > 3", "bool"),
        ("return image.astype('complex128')", "complex128"),
        ("return image.astype(object)", "object"),
    ],
)
def test_what_is_no_image_is_a_failure_that_names_its_type(
    runner: Callable[[str], PythonRunner], body: str, said: str
) -> None:
    with pytest.raises(RunFailed, match=said):
        runner(body).run(IMAGE)


def test_an_input_that_the_model_overwrites_stays_as_it_was(runner: Callable[[str], PythonRunner]) -> None:
    before = IMAGE.array.copy()
    output, _ = runner("image[:] = 0; return image").run(IMAGE)
    assert output.max() == 0
    assert np.array_equal(IMAGE.array, before)


def test_the_output_is_contiguous_whatever_view_the_model_returns(runner: Callable[[str], PythonRunner]) -> None:
    output, _ = runner("return image[:, ::-1]").run(IMAGE)
    assert output.flags.c_contiguous
    assert np.array_equal(output, IMAGE.array[:, ::-1])


def test_a_runner_can_be_sent_to_another_process(runner: Callable[[str], PythonRunner]) -> None:
    made = runner("return image")
    made.run(IMAGE)
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301


CODE = "def restore(image):\n    return image * 0 + 1\n"


@pytest.fixture
def baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a baseline; the harness then knows no others."""
    monkeypatch.setattr("evaluator.ingest.baselines.baselines_folder", lambda: tmp_path / "own")
    return put_baseline(tmp_path / "own" / "one")


def put_baseline(folder: Path) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "submission.toml").write_text('kind = "python"\n[python]\nentry = "model:restore"\n')
    (folder / "model.py").write_text(CODE)
    (folder / "deep" / "weights.bin").write_bytes(b"1")
    return folder


def version(folder: Path) -> str:
    return PythonRunner.of(submission(folder)).version


@pytest.mark.parametrize("change", ["content", "name", "new", "nested"])
def test_the_version_changes_with_every_file(baseline: Path, change: str) -> None:
    before = version(baseline)
    changes: dict[str, Callable[[], Any]] = {
        "content": lambda: (baseline / "model.py").write_text(CODE + "# changed\n"),
        "name": lambda: (baseline / "deep").rename(baseline / "depth"),
        "new": (baseline / "empty").touch,
        "nested": lambda: (baseline / "deep" / "weights.bin").write_bytes(b"2"),
    }
    changes[change]()
    assert version(baseline) != before


def test_the_version_is_the_same_after_a_run_and_at_another_place(baseline: Path) -> None:
    before = version(baseline)
    (baseline / "__pycache__").mkdir(exist_ok=True)
    (baseline / "__pycache__" / "model.pyc").write_bytes(b"compiled")
    assert version(baseline) == before == version(put_baseline(baseline.with_name("two")))


def test_edited_code_is_loaded_anew(baseline: Path) -> None:
    before = PythonRunner.of(submission(baseline))
    assert before.run(IMAGE)[0].max() == 1
    (baseline / "model.py").write_text(CODE.replace("1", "200"))
    assert PythonRunner.of(submission(baseline)).run(IMAGE)[0].max() == 200
    assert PythonRunner.of(submission(baseline)) != before


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import a_module_that_is_nowhere", "ModuleNotFoundError: No module named 'a_module_that_is_nowhere'"),
        ("def restore(image)", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_baseline_that_cannot_be_loaded_is_an_error_that_says_why(baseline: Path, code: str, said: str) -> None:
    (baseline / "model.py").write_text(code)
    with pytest.raises(EvaluatorError, match=said) as raised:
        PythonRunner.of(submission(baseline))
    assert "one cannot be loaded" in str(raised.value)
