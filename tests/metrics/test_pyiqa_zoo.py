"""`pyiqa:NAME`: pyiqa's own numbers, from the folder of weights alone, and never from the network."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray

import evaluator
from evaluator import metrics
from evaluator.findings import EvaluatorError
from evaluator.metrics import NotApplicable, State, Unavailable, Undefined, pyiqa_zoo
from evaluator.results.cases import read_cases
from support import TOML, Run, Tiny

WITHOUT_WEIGHTS = ("vif", "gmsd", "fsim", "nlpd", "mad", "vsi", "piqe", "entropy")
Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture
def pyiqa() -> Any:
    return pytest.importorskip("pyiqa", reason="pyiqa is an optional dependency")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVALUATOR_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.delenv("EVALUATOR_DEVICE", raising=False)
    return tmp_path / "weights"


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """No network, and a note of every try to reach one."""
    tries: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> NoReturn:
        tries.append(arguments)
        raise OSError("the tests have no network")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tries


def photograph() -> Pair:
    data = pytest.importorskip("skimage.data")
    clean = data.chelsea()[:224, :256]
    noise = np.random.RandomState(7).standard_normal(clean.shape) * 12
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8), clean


def by_pyiqa(pyiqa: Any, name: str, pair: Pair) -> float:
    torch = pytest.importorskip("torch")
    metric = pyiqa.create_metric(name, device=torch.device("cpu"))
    fed = [torch.from_numpy(i.astype(np.float32) / 255).permute(2, 0, 1)[None] for i in pair]
    return float(metric(*fed) if metric.metric_mode == "FR" else metric(fed[0]))


def without_pyiqa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiqa", None)


@pytest.mark.parametrize("name", WITHOUT_WEIGHTS)
def test_the_value_is_pyiqas_own_and_needs_no_network(name: str, pyiqa: Any, reached: list[Any]) -> None:
    output, reference = photograph()
    ours = metrics.compute(f"pyiqa:{name}", output=output, reference=reference, peak=255)
    assert reached == []
    assert ours == pytest.approx(by_pyiqa(pyiqa, name, (output, reference)), rel=1e-5)


def test_8_bit_16_bit_and_float_give_the_same_digits(pyiqa: Any) -> None:
    output, reference = (i.astype(np.float64) for i in photograph())
    value = metrics.compute("pyiqa:gmsd", output=output, reference=reference, peak=255)
    assert metrics.compute("pyiqa:gmsd", output=output * 257, reference=reference * 257, peak=65535) == value
    assert metrics.compute("pyiqa:gmsd", output=output / 255, reference=reference / 255, peak=1) == value


def test_the_contract_is_what_pyiqa_says(pyiqa: Any) -> None:
    for name in set(pyiqa.list_models()) - set(pyiqa_zoo._UNFIT):
        contract = metrics.get(f"pyiqa:{name}").contract
        said = pyiqa.default_model_configs.DEFAULT_CONFIGS[name]
        assert contract.direction == ("lower" if said.get("lower_better") else "higher")
        assert contract.reference == (said["metric_mode"] == "FR")
        assert np.isfinite(contract.worst)
        assert pyiqa.__version__ in contract.source
        assert contract.version > 0
    assert metrics.get("pyiqa:musiq").contract.worst == 0
    assert metrics.get("pyiqa:brisque").contract.worst == 150
    assert metrics.get("pyiqa:uranker").contract.worst == -1
    assert metrics.get("pyiqa:lpips").contract.worst == 1


@pytest.mark.parametrize(
    ("version", "number"), [("0.1.16", 116), ("1.2.3", 10203), ("0.1.16.post1", 116), ("0.2", 200), ("", 0)]
)
def test_each_version_of_pyiqa_has_a_number_of_its_own(version: str, number: int) -> None:
    assert pyiqa_zoo._number(version) == number


def test_names_that_are_none_are_refused_with_the_nearest(pyiqa: Any) -> None:
    with pytest.raises(EvaluatorError, match=r"no metric 'pyiqa:muisq'. Did you mean 'pyiqa:musiq'\?"):
        metrics.get("pyiqa:muisq")
    with pytest.raises(EvaluatorError, match="sets of images"):
        metrics.get("pyiqa:fid")
    with pytest.raises(EvaluatorError, match=r"no metric 'pyiqa:\.\./x'"):
        metrics.get("pyiqa:../x")
    assert set(pyiqa_zoo._UNFIT) <= set(pyiqa.list_models())


@pytest.mark.parametrize("name", ["../x", "a/b", "", "/etc"])
def test_a_name_that_is_a_path_is_refused_without_pyiqa_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_pyiqa(monkeypatch)
    with pytest.raises(EvaluatorError, match="There is no metric"):
        metrics.get(f"pyiqa:{name}")


def test_without_pyiqa_it_is_unavailable_and_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    without_pyiqa(monkeypatch)
    output, reference = photograph()
    with pytest.raises(Unavailable, match=r"needs pyiqa: pip install 'restoration-evaluator\[pyiqa\]'"):
        metrics.compute("pyiqa:musiq", output=output, reference=reference, peak=255)
    contract = metrics.get("pyiqa:musiq").contract
    assert contract.version == 0
    assert "not installed" in contract.title


@pytest.mark.parametrize("name", ["musiq", "niqe", "topiq_fr"])
def test_without_weights_it_is_unavailable_and_reaches_for_nothing(
    name: str, pyiqa: Any, folder: Path, reached: list[Any]
) -> None:
    output, reference = photograph()
    for _ in range(2):
        with pytest.raises(Unavailable, match=f"evaluate weights fetch pyiqa:{name}$") as missing:
            metrics.compute(f"pyiqa:{name}", output=output, reference=reference, peak=255)
        assert str(folder / "pyiqa" / name) in str(missing.value)
    assert reached == []
    assert not folder.exists() or list(folder.rglob("*")) == []


def test_the_address_of_what_is_missing_is_named(pyiqa: Any) -> None:
    output, _ = photograph()
    with pytest.raises(Unavailable, match=r"https://\S*musiq\S*\.pth"):
        metrics.compute("pyiqa:musiq", output=output, peak=255)


def brisque_parameters(path: Path) -> None:
    """Parameters of the shapes of BRISQUE's, with random content."""
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(3)
    path.parent.mkdir(parents=True)
    arrays = (random.random(774), random.random((774, 36)))
    torch.save(tuple(torch.from_numpy(a.astype(np.float32)) for a in arrays), path)


def test_weights_in_the_folder_are_used_and_watched(
    pyiqa: Any, folder: Path, reached: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    download = pytest.importorskip("pyiqa.utils.download_util")
    before = download.DEFAULT_CACHE_DIR
    output, _ = photograph()
    file = folder / "pyiqa" / "brisque" / "brisque_svm_weights.pth"
    brisque_parameters(file)
    value = metrics.compute("pyiqa:brisque", output=output, peak=255)
    assert reached == []
    assert before == download.DEFAULT_CACHE_DIR
    # pyiqa itself, on the same file
    monkeypatch.setattr(download, "DEFAULT_CACHE_DIR", str(file.parent))
    assert value == pytest.approx(by_pyiqa(pyiqa, "brisque", (output, output)), rel=1e-5)

    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    lines = f"{digest}  {file.name}\n"
    used = evaluator.metrics.weights_used(["pyiqa:brisque", "psnr.f64"])
    assert used == {"pyiqa:brisque": hashlib.sha256(lines.encode()).hexdigest()}
    (file.parent / "sha256.txt").write_text(f"{'0' * 64}  {file.name}\n", encoding="utf-8")
    pyiqa_zoo._LOADED.clear()
    with pytest.raises(Unavailable, match="another file than was fetched"):
        metrics.compute("pyiqa:brisque", output=output, peak=255)


def test_fetching_notes_what_pyiqa_downloaded(
    pyiqa: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evaluate: Run
) -> None:
    source = tmp_path / "source" / "parameters"
    brisque_parameters(source)
    arch = pytest.importorskip("pyiqa.archs.brisque_arch")
    monkeypatch.setitem(arch.default_model_urls, "url", source.as_uri())
    output, _ = photograph()
    with pytest.raises(Unavailable, match="weights fetch"):
        metrics.compute("pyiqa:brisque", output=output, peak=255)
    said = pyiqa_zoo.fetch("pyiqa:brisque")
    file = folder / "pyiqa" / "brisque" / "parameters"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert digest in said
    assert "unpinned" in said
    assert file.read_bytes() == source.read_bytes()
    assert (file.parent / "sha256.txt").read_text(encoding="utf-8") == f"{digest}  parameters\n"
    assert np.isfinite(metrics.compute("pyiqa:brisque", output=output, peak=255))

    listed = json.loads(evaluate("weights", "list", "--format", "json").stdout)
    assert listed["pyiqa:brisque"]["files"] == [{"name": str(file), "sha256": digest}]
    assert "unpinned" in evaluate("weights", "list").stdout
    assert evaluate("weights", "verify").returncode == 0
    file.write_bytes(b"something else")
    verified = evaluate("weights", "verify")
    assert verified.returncode == 2
    assert f"{file}: another file" in verified.stdout


def test_what_cannot_be_fetched_is_said_with_status_2(pyiqa: Any, folder: Path, monkeypatch: Any, reached: Any) -> None:
    with pytest.raises(Unavailable, match=r"could not get its weights https://\S+"):
        pyiqa_zoo.fetch("pyiqa:musiq")
    assert reached
    assert pyiqa_zoo.fetched() == []
    assert pyiqa_zoo.fetch("pyiqa:vif") == "needs no weights"


def test_what_pyiqa_refuses_is_a_failed_score_and_no_crash(pyiqa: Any) -> None:
    output, reference = (i.astype(np.float64) for i in photograph())
    with pytest.raises(Undefined, match="pyiqa: "):
        metrics.compute("pyiqa:vif", output=output * 2, reference=reference, peak=255)  # above white
    tiny = np.zeros((2, 2, 3))
    score = metrics.evaluate("pyiqa:vif", output=tiny, reference=tiny, peak=255)
    assert score.state is State.FAILED
    with pytest.raises(NotApplicable, match="three channels"):
        metrics.compute("pyiqa:vif", output=output[..., 0], reference=reference[..., 0], peak=255)


def test_threads_give_the_same_digits_as_one(pyiqa: Any) -> None:
    output, reference = photograph()
    pairs = [(output[n:, n:], reference[n:, n:]) for n in range(6)]

    def value(pair: Pair) -> float:
        return metrics.compute("pyiqa:piqe", output=pair[0], peak=255)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(value, pairs * 2)) == [value(p) for p in pairs * 2]


def test_other_threads_keep_their_network(pyiqa: Any) -> None:
    pyiqa_zoo._install_hook()
    with pyiqa_zoo._confined(Path("none"), "x", download=False):
        with pytest.raises(OSError, match="nothing is downloaded"):
            socket.getaddrinfo("localhost", 80)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(socket.getaddrinfo, "localhost", 80).result()
    assert socket.getaddrinfo("localhost", 80)


def test_naming_one_imports_neither_pyiqa_nor_torch() -> None:
    code = (
        "import sys, evaluator; evaluator.metrics.get('pyiqa:vif'); "
        "sys.exit(any(m in sys.modules for m in ('pyiqa', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_task_may_use_it_and_its_tables_read_back(pyiqa: Any, tiny: Tiny) -> None:
    ids = '"psnr.f64", "ssim.basicsr", "pyiqa:musiq", "pyiqa:nlpd"'
    text = TOML.replace('"psnr.f64", "ssim.basicsr", "ms_ssim.common", "mae", "rmse_rel"', ids)
    tiny.toml.write_text(text.replace('by = ["psnr.f64"', 'by = ["pyiqa:nlpd"'), encoding="utf-8")
    # An executor of its own: `workers` would tell torch's later threads, which other tests have, to be one.
    with ThreadPoolExecutor(2) as pool:
        (outcome,) = evaluator.score(
            [tiny.outputs("ours")], tiny.split, leaderboards=tiny.root / "boards", executor=pool
        )
    assert outcome.card is not None
    assert outcome.card.metrics["pyiqa:nlpd"].state is State.OK
    assert outcome.card.metrics["pyiqa:musiq"].state is State.UNAVAILABLE
    assert "evaluate weights fetch pyiqa:musiq" in outcome.card.metrics["pyiqa:musiq"].detail
    assert outcome.card.environment.packages["pyiqa"] == pyiqa.__version__
    store = evaluator.Store(tiny.root / "boards")
    rows = read_cases((store.folder("tiny", "five", "ours") / "cases.csv").read_text(encoding="utf-8"))
    assert list(rows[0].scores) == ["psnr.f64", "ssim.basicsr", "pyiqa:musiq", "pyiqa:nlpd"]
    board = evaluator.rank(tiny.task, "five", store.read("tiny", "five"))
    assert board.rows[0].rank == 1
    index = evaluator.build_site(tiny.root / "boards", tasks=[tiny.task])
    assert "pyiqa:nlpd" in (index.parent / "tiny" / "five" / "index.html").read_text(encoding="utf-8")


def test_a_task_with_a_misspelt_one_is_refused(pyiqa: Any, tiny: Tiny) -> None:
    tiny.toml.write_text(TOML.replace('"mae"', '"pyiqa:gmds"'), encoding="utf-8")
    with pytest.raises(EvaluatorError) as refused:
        evaluator.load_task(tiny.toml)
    assert "pyiqa:gmsd" in str([f.expected for f in refused.value.findings])


def test_spread_shows_those_that_are_asked_for(pyiqa: Any, evaluate: Run, tmp_path: Path) -> None:
    from evaluator.images import encode_png

    output, reference = photograph()
    for name, image in (("out", output), ("ref", reference)):
        (tmp_path / f"{name}.png").write_bytes(encode_png(image))
    wanted = ("--metric", "pyiqa:gmsd", "--metric", "pyiqa:musiq", "--metric", "psnr.f64")
    done = evaluate("metrics", "spread", "--format", "json", *wanted, "--reference", "ref.png", "out.png")
    found = json.loads(done.stdout)
    assert list(found) == ["pyiqa:gmsd", "pyiqa:musiq", "psnr.f64"]
    assert found["pyiqa:gmsd"]["value"] == pytest.approx(by_pyiqa(pyiqa, "gmsd", (output, reference)), rel=1e-5)
    assert found["pyiqa:musiq"]["state"] == "unavailable"
