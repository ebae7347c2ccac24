"""Submitted code in a worker: whatever it does becomes an output or a finding, and its digest says what was run."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.findings import EvaluatorError
from evaluator.images import Pixels
from evaluator.ingest import FolderSource, baseline_manifest, baseline_names, baselines_folder, open_submission
from evaluator.runners import ModelRunner, Reception, RunFailed, copy_files
from evaluator.runners import model as module
from evaluator.runners.model import digest
from evaluator.tasks import Limits

Make = Callable[..., ModelRunner]
LIMIT = 1 << 20
CODE = "def restore(image):\n    return image * 0 + 1\n"


def run(runner: ModelRunner, image: Pixels, limit: int = LIMIT) -> Any:
    return runner.run({"input": image}, limit=limit).output


def finding(runner: ModelRunner, image: Pixels, limit: int = LIMIT) -> Any:
    with pytest.raises(RunFailed) as failed:
        run(runner, image, limit)
    return failed.value.finding


def body(*lines: str) -> str:
    return "\n    ".join(["import numpy as np\n\n\ndef restore(image):", *lines]) + "\n"


# Networks need a framework, and what they give without training is no image.
@pytest.mark.parametrize("name", [n for n in baseline_names() if baseline_manifest(n).kind == "python"])
def test_every_baseline_gives_the_same_image_of_the_same_size_each_time(name: str) -> None:
    if name == "bm3d":
        pytest.importorskip("bm3d", reason="needs the extra bm3d")
    random = np.random.default_rng(0)
    pixels = Pixels(random.integers(0, 256, (32, 40, 3), dtype=np.uint8), 255.0)
    given = {
        "input": pixels,
        "left": pixels,
        "right": Pixels(np.roll(pixels.array, 1, axis=1), 255.0),
        "psf": Pixels(np.full((3, 3, 1), 1 / 9, np.float32), 1.0),
    }
    submission = open_submission(baselines_folder() / name, ["a"])
    with Reception(Limits()) as reception:
        runner = ModelRunner.of(submission, *reception.model(submission))
        ran = runner.run(given, limit=LIMIT)
        again = runner.run(given, limit=LIMIT).output
    assert ran.output.shape == pixels.array.shape
    if name == "bm3d":  # its package gives another image each time, even on one thread; the card says so
        assert np.abs(ran.output - again).max() < 1e-3
    else:
        assert np.array_equal(ran.output, again)
    if submission.manifest.network is None:  # what untrained networks give is not clipped yet
        assert ran.output.dtype == np.uint8 or (ran.output.min() >= 0 and ran.output.max() <= 1)
    assert ran.seconds > 0
    assert ran.seams is None


def test_helpers_beside_the_entry_and_packages_are_found(model: Make, image: Pixels) -> None:
    code = (
        "from helper import twice\nfrom parts.deep import ONE\n\n\ndef restore(image):\n    return twice(image) + ONE\n"
    )
    files = {
        "helper.py": "def twice(x):\n    return x // 4 * 2\n",
        "parts/__init__.py": "",
        "parts/deep.py": "import numpy as np\nONE = np.uint8(1)\n",
    }
    assert np.array_equal(run(model(code, files), image), image.array // 4 * 2 + 1)


def test_a_pair_is_given_in_the_order_that_the_manifest_says(put_model: Any, image: Pixels) -> None:
    folder = put_model("def restore(first, second):\n    return first - second\n")
    manifest = 'kind = "python"\n[python]\nentry = "model:restore"\ninputs = ["right", "left"]\n'
    (folder / "submission.toml").write_text(manifest)
    left = Pixels(image.array // 2, 255.0)
    with Reception(Limits()) as reception:
        submission = open_submission(folder, ["a"])
        runner = ModelRunner.of(submission, *reception.model(submission))
        pair = {"input": image, "left": left, "right": image}
        assert np.array_equal(runner.run(pair, limit=LIMIT).output, image.array - left.array)
        with pytest.raises(RunFailed) as failed:
            runner.run({"input": image}, limit=LIMIT)
    assert failed.value.finding.code == "model-shape"
    assert "right, left" in failed.value.finding.got


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        (["return 1 / 0"], "run-failed", "ZeroDivisionError: division by zero"),
        (["raise SystemExit('enough')"], "run-failed", "SystemExit: enough"),
        (["return np.ones(10**13)"], "run-failed", "MemoryError"),
        (["return None"], "model-output", "NoneType"),
        (["return image.tolist()"], "model-output", "list"),
        (["return image.astype('int64')"], "model-output", "int64"),
        (["return image > 3"], "model-output", "bool"),
        (["return image.astype('complex128')"], "model-output", "complex128"),
        (["return image.astype(object)"], "model-output", "object"),
        (["return np.zeros((1, 1, 1, 8, 9))"], "run-failed", "5 dimensions"),
        (["return np.repeat(image.astype(float), 99, axis=0)"], "model-output", "(792, 9, 3)"),
    ],
)
def test_what_is_no_image_is_a_finding_and_the_next_case_is_run(
    model: Make, image: Pixels, lines: list[str], code: str, said: str
) -> None:
    runner = model(body("if image.max() == 0:", "    return image", *lines))
    found = finding(runner, image, limit=10_000)
    assert found.code == code
    assert said in found.got
    assert found.fix
    assert runner.workers.stops == []
    dark = Pixels(image.array * 0, 255.0)
    assert np.array_equal(run(runner, dark), dark.array)


def test_an_empty_array_comes_as_it_is(model: Make, image: Pixels) -> None:
    assert run(model(body("return image[:0]")), image).shape == (0, 9, 3)


def test_an_input_that_the_code_overwrites_stays_as_it_was(model: Make, image: Pixels) -> None:
    before = image.array.copy()
    assert run(model(body("image[:] = 0", "return image")), image).max() == 0
    assert np.array_equal(image.array, before)


def test_the_output_is_contiguous_whatever_view_is_returned(model: Make, image: Pixels) -> None:
    output = run(model(body("return image[:, ::-1]")), image)
    assert output.flags.c_contiguous
    assert np.array_equal(output, image.array[:, ::-1])


def test_what_code_prints_comes_to_nobody(model: Make, image: Pixels, capfd: pytest.CaptureFixture[str]) -> None:
    lines = ["import sys, os", "print('hello', flush=True)", "os.write(1, b'hello')", "sys.stderr.write('hello')"]
    assert np.array_equal(run(model(body(*lines, "return image")), image), image.array)
    assert capfd.readouterr() == ("", "")


def test_a_runner_can_be_sent_to_another_process(model: Make, image: Pixels) -> None:
    runner = model(CODE)
    copy = pickle.loads(pickle.dumps(runner))  # noqa: S301
    assert np.array_equal(run(copy, image), run(runner, image))
    assert (copy.folder, copy.manifest, copy.version) == (runner.folder, runner.manifest, runner.version)
    copy.workers.close()


@pytest.mark.parametrize(
    ("code", "entry", "said"),
    [
        ("import a_module_that_is_nowhere", "", ("model-load", "No module named 'a_module_that_is_nowhere'")),
        ("def restore(image)", "", ("model-load", "SyntaxError")),
        ("1 / 0", "", ("model-load", "ZeroDivisionError")),
        ("raise SystemExit(0)", "", ("model-load", "SystemExit")),
        (CODE, "absent:restore", ("model-missing", "no such file")),
        (CODE, "model:absent", ("model-load", "none of that name")),
        ("import os\nos._exit(0)", "", ("stopped", "without an answer")),
    ],
)
def test_code_that_cannot_be_loaded(model: Make, image: Pixels, code: str, entry: str, said: tuple[str, str]) -> None:
    runner = model(code, entry=entry)
    with pytest.raises(RunFailed) as failed:
        runner.load()
    assert failed.value.finding.code == said[0]
    assert said[1] in failed.value.finding.got
    assert finding(runner, image).code == said[0]


def test_a_model_that_was_loaded_is_not_loaded_again_for_the_first_case(model: Make, image: Pixels) -> None:
    code = "import os, pathlib\nmark = pathlib.Path(os.environ['TMPDIR'], 'mark')\nmark.touch(exist_ok=False)\n" + CODE
    runner = model(code)
    runner.load()
    assert run(runner, image).max() == 1


@pytest.fixture
def folder(put_model: Callable[..., Path]) -> Path:
    return put_model(CODE, {"deep/weights.bin": "1"})


@pytest.mark.parametrize("change", ["content", "name", "new", "nested"])
def test_the_digest_changes_with_every_file(folder: Path, change: str) -> None:
    before = digest(folder)
    changes: dict[str, Callable[[], Any]] = {
        "content": lambda: (folder / "model.py").write_text(CODE + "# changed\n"),
        "name": lambda: (folder / "deep").rename(folder / "depth"),
        "new": (folder / "empty").touch,
        "nested": lambda: (folder / "deep" / "weights.bin").write_bytes(b"2"),
    }
    changes[change]()
    assert digest(folder) != before


def test_the_digest_is_the_same_after_a_run_and_at_another_place(folder: Path, put_model: Callable[..., Path]) -> None:
    before = digest(folder)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "model.pyc").write_bytes(b"compiled")
    assert digest(folder) == before == digest(put_model(CODE, {"deep/weights.bin": "1"}, name="two"))


def test_edited_code_is_loaded_anew(model: Make, image: Pixels) -> None:
    before, after = model(CODE), model(CODE.replace("1", "200"))
    assert run(before, image).max() == 1
    assert run(after, image).max() == 200
    assert before.version != after.version


def test_a_copy_holds_all_but_compiled_code(folder: Path, tmp_path: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"something else than model.py")
    source = FolderSource(folder)
    copy_files(source, source.scan()[0], tmp_path / "copy")
    names = sorted(p.relative_to(tmp_path / "copy").as_posix() for p in (tmp_path / "copy").rglob("*") if p.is_file())
    assert names == ["deep/weights.bin", "model.py", "submission.toml"]
    assert digest(tmp_path / "copy") == digest(folder)


def test_too_many_bytes_are_not_copied(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TOTAL_LIMIT", len(CODE) + 1)
    source = FolderSource(folder)
    with pytest.raises(EvaluatorError) as refused:
        copy_files(source, source.scan()[0], tmp_path / "copy")
    assert [f.code for f in refused.value.findings] == ["too-large"]


def test_a_file_that_went_away_cannot_be_copied(folder: Path, tmp_path: Path) -> None:
    source = FolderSource(folder)
    names = source.scan()[0]
    (folder / "model.py").unlink()
    with pytest.raises(EvaluatorError) as refused:
        copy_files(source, names, tmp_path / "copy")
    assert [(f.code, f.file) for f in refused.value.findings] == [("unreadable", "model.py")]
