"""`evaluate baseline import`: what is written, and what is said of files that do not fit."""

from __future__ import annotations

import hashlib
import pickle
import tomllib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluator.findings import EvaluatorError
from evaluator.runners.models.importing import import_checkpoint
from evaluator.runners.models.official import OFFICIAL
from support import Run

pytest.importorskip("safetensors", reason="safetensors comes with the frameworks, which are optional")

Saved = dict[str, NDArray[np.float32]]


def arrays(name: str) -> Saved:
    random = np.random.default_rng(0)
    return {n: random.random(shape, np.float32) + 0.5 for n, shape in OFFICIAL[name].shapes.items()}


def saved(path: Path, given: Saved) -> Path:
    np.savez(path, **given)  # type: ignore[arg-type]
    return path


def said(name: str, checkpoint: Path, out: Path) -> list[str]:
    with pytest.raises(EvaluatorError) as raised:
        import_checkpoint(name, checkpoint, out)
    assert not out.exists()
    return [finding.line() for finding in raised.value.findings]


@pytest.mark.parametrize("name", OFFICIAL)
def test_what_is_written_fits_the_network(tmp_path: Path, name: str) -> None:
    from safetensors.numpy import load_file

    checkpoint = saved(tmp_path / "given.npz", arrays(name))
    made = import_checkpoint(name, checkpoint, tmp_path / "out")
    says = tomllib.loads((tmp_path / "out" / "submission.toml").read_text(encoding="utf-8"))
    sha256 = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert made.sha256 == sha256
    assert says["id"] == made.id == f"{name}-{sha256[:8]}"
    assert len(made.id) <= 40
    assert sha256 in says["description"]
    assert says["network"] == {"entry": OFFICIAL[name].entry, "weights": "weights.safetensors"}
    weights = load_file(tmp_path / "out" / "weights.safetensors")
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}
    assert sum(array.size for array in weights.values()) == made.parameters
    module = says["network"]["entry"].partition(":")[0]
    assert (tmp_path / "out" / f"{module}.py").is_file()


def test_scopes_and_slots_of_optimisers_are_left_out(tmp_path: Path) -> None:
    given = {f"generator/{n}": a for n, a in arrays("srcnn").items()}
    given |= {"generator/w1/Adam": given["generator/w1"], "beta1_power": np.ones((), np.float32)}
    made = import_checkpoint("srcnn", saved(tmp_path / "given.npz", given), tmp_path / "out")
    assert made.parameters == 69_249


def test_arrays_that_do_not_fit_are_findings(tmp_path: Path) -> None:
    given = arrays("srcnn")
    del given["b3"]
    given |= {"w2": given["w2"][:3], "w4": given["w1"]}
    missing, surplus, shape = said("srcnn", saved(tmp_path / "given.npz", given), tmp_path / "out")
    assert "[checkpoint-arrays] given.npz: expected 6 arrays; got a file without b3" in missing
    assert "got w4 beside them" in surplus
    assert "expected w2 of shape 5×5×64×32; got 3×5×64×32" in shape


def test_the_checkpoint_of_another_baseline_is_told(tmp_path: Path) -> None:
    lines = said("srcnn", saved(tmp_path / "given.npz", arrays("dped-resnet")), tmp_path / "out")
    assert all(line.endswith("Import it as dped-resnet.") for line in lines)


def test_numbers_that_are_none_are_findings(tmp_path: Path) -> None:
    given = arrays("srcnn")
    given["b1"][3] = np.nan
    (line,) = said("srcnn", saved(tmp_path / "given.npz", given), tmp_path / "out")
    assert "b1, which holds NaN or infinity" in line


class Harmful:
    """What a pickle could hold."""

    def __reduce__(self) -> object:
        return Path.touch, (Path("harmed"),)


@pytest.mark.parametrize("suffix", [".npz", ".pth", ".txt"])
def test_other_files_are_findings_and_no_pickle_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"given{suffix}"
    path.write_bytes(pickle.dumps({"w1": Harmful()}))
    (line,) = said("srcnn", path, tmp_path / "out")
    assert line.startswith("error [checkpoint-format]" if suffix == ".txt" else "error [model-")
    np.savez(tmp_path / "objects.npz", w1=np.array([Harmful()], object))
    assert "[model-load]" in said("srcnn", tmp_path / "objects.npz", tmp_path / "out")[0]
    assert not (tmp_path / "harmed").exists()


def test_the_command_says_it_with_status_2(evaluate: Run, tmp_path: Path) -> None:
    saved(tmp_path / "given.npz", arrays("zero-dce"))
    done = evaluate("baseline", "import", "zero-dce", "given.npz", "--out", "team")
    assert done.returncode == 0, done.stderr
    assert "79,416 parameters" in done.stdout
    for name, words in (
        ("zero-dce", "exists already"),
        ("zero-dec", "Did you mean 'zero-dce'?"),
        ("lpienet", "No checkpoint of the baseline"),
    ):
        done = evaluate("baseline", "import", name, "given.npz", "--out", "team")
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
