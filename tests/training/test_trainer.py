"""The training loop: it lowers the held-out loss, goes on exactly, and says what it cannot do."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluator.findings import EvaluatorError
from evaluator.images import encode_png, read_image
from evaluator.ingest import baselines_folder, open_submission
from evaluator.runners.models.python import import_entry
from evaluator.tasks import load_task
from evaluator.training import Settings, baseline_recipe, train
from evaluator.training.degradations import degradation_of
from evaluator.training.leaving import CURVE, RECORD, WEIGHTS
from evaluator.training.optimisers import scheduler_of
from evaluator.training.recipe import Schedule, Value
from evaluator.training.sampling import Photographs, Sampler
from evaluator.training.trainer import CHECKPOINT, LOG, _Autocast
from support import Run

torch = pytest.importorskip("torch", reason="torch is an optional dependency")
load_file = pytest.importorskip("safetensors.numpy", reason="safetensors is an optional dependency").load_file


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve smooth scenes of 64×64 px."""
    folder = tmp_path_factory.mktemp("photographs")
    rows, columns = np.mgrid[0:64, 0:64] / 63
    for number in range(12):
        wave = 0.5 + 0.3 * np.sin(6 * columns + number) * np.cos(4 * rows - number)
        scene = np.stack([wave, 0.2 + 0.6 * rows, 0.8 - 0.5 * rows * columns], -1)
        (folder / f"{number:02}.png").write_bytes(encode_png((scene * 255).astype(np.uint8)))
    return folder


@pytest.fixture
def settings(photographs: Path, tmp_path: Path) -> Settings:
    """A small training: an epoch has three steps."""
    return Settings("unet", load_task("sidd"), photographs, tmp_path / "out", steps=8, batch=4, crop=16, seed=3)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / LOG).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_short_training_lowers_the_held_out_loss(settings: Settings) -> None:
    done: list[tuple[int, int]] = []
    trained = train(replace(settings, steps=30), lambda step, steps: done.append((step, steps)))
    assert done == [(step, 30) for step in range(31)]
    assert trained.last < 0.7 * trained.first
    log = rows(settings.out)
    assert [int(row["step"]) for row in log] == list(range(0, 31, 3))
    assert float(log[0]["held_out_loss"]) == trained.first
    assert min(float(row["held_out_loss"]) for row in log) == trained.last
    assert {row["learning_rate"] for row in log} == {"0.001"}


@pytest.mark.slow
def test_a_short_training_beats_the_input_on_photographs_that_it_did_not_see(settings: Settings) -> None:
    trained = train(replace(settings, steps=150, crop=32, threads=1))
    assert trained.last < 0.5 * trained.first
    network = import_entry(baselines_folder() / "unet", "unet:build", "[network]")()
    network.load_state_dict({n: torch.from_numpy(a) for n, a in load_file(trained.weights).items()})
    # Other noise than the held-out loss was taken with, and the whole photographs.
    sampler = Sampler(degradation_of(settings.task), 1, 64, (), seed=99)
    pairs = sampler.fixed(Photographs(settings.photographs, 64).held_out)
    assert len(pairs) == 2
    for pair in pairs:
        with torch.no_grad():
            output = network(torch.from_numpy(pair.inputs[0]).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
        error, before = (float(np.mean((image - pair.targets) ** 2)) for image in (output, pair.inputs[0]))
        assert 10 * np.log10(before / error) > 3, "dB above the input"


def test_the_weights_are_the_networks(settings: Settings) -> None:
    trained = train(replace(settings, steps=2))
    network = import_entry(baselines_folder() / "unet", "unet:build", "[network]")()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    arrays = load_file(trained.weights)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()}, strict=True)
    assert any(not torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_what_a_training_leaves(settings: Settings) -> None:
    trained = train(replace(settings, steps=4, threads=1))
    record = json.loads((settings.out / RECORD).read_text())
    assert record["command"] == (
        f"evaluate train unet --task sidd --photographs {settings.photographs.name} --out out "
        "--steps 4 --batch 4 --crop 16 --threads 1 --seed 3"
    )
    assert (record["steps"], record["best_step"], record["weights"]) == (4, trained.best, trained.sha256)
    assert record["photographs"] == Photographs(settings.photographs, 16).sha256
    assert {"evaluator", "python", "torch", "numpy"} <= record["versions"].keys()
    assert (settings.out / CURVE).is_file() == trained.curve == (importlib.util.find_spec("matplotlib") is not None)
    if trained.curve:
        assert read_image(settings.out / CURVE).array.shape[:2] == (400, 700)
    submission = open_submission(settings.out, ["a"])
    assert submission.id == f"unet-{trained.sha256[:8]}"
    assert submission.manifest.has_weights
    assert submission.findings == ()


def test_patience_ends_it_and_the_best_weights_are_written(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rate that is far too high: the held-out loss is lowest before the first step."""
    recipe = baseline_recipe("unet")
    rate = recipe.optimiser.learning_rate.model_copy(update={"value": 0.1})
    wild = recipe.model_copy(update={"optimiser": recipe.optimiser.model_copy(update={"learning_rate": rate})})
    monkeypatch.setattr("evaluator.training.trainer.baseline_recipe", lambda name: wild)
    trained = train(replace(settings, steps=30, patience=2))
    assert (trained.steps, trained.best) == (6, 0)
    assert trained.last == trained.first
    network = import_entry(baselines_folder() / "unet", "unet:build", "[network]")()
    found = load_file(trained.weights)
    assert all(np.array_equal(found[name], value.numpy()) for name, value in network.state_dict().items())
    on = train(replace(settings, steps=30, patience=2, resume=True))
    assert (on.steps, on.sha256) == (6, trained.sha256)


class Stopped(Exception):
    """A run is interrupted."""


@pytest.fixture
def adversarial(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A small unpaired training with an adversary: an epoch has three steps, and rates are high."""
    name = "msfg-lle-low-light"
    recipe = baseline_recipe(name)
    three = recipe.data.model_copy(update={"epoch": Value[int](value=3, source="choice")})
    fast = {"learning_rate": Value[float](value=3e-3, source="choice")}
    update = {"data": three, "optimiser": recipe.optimiser.model_copy(update=fast)}
    monkeypatch.setattr("evaluator.training.trainer.baseline_recipe", lambda name: recipe.model_copy(update=update))
    return replace(settings, baseline=name, task=load_task("low-light"), batch=2, crop=64, threads=1)


def test_a_short_adversarial_training_lowers_the_held_out_error(adversarial: Settings) -> None:
    trained = train(replace(adversarial, steps=30))
    assert trained.last < 0.7 * trained.first
    log = rows(adversarial.out)
    assert [*log[0]] == ["step", "learning_rate", "loss", "held_out_loss", "adversary_loss"]
    assert (log[0]["loss"], log[0]["adversary_loss"]) == ("", "")
    judged = [float(row["adversary_loss"]) for row in log[1:]]
    assert 0 < min(judged) < 0.5 * judged[0], "the adversary learns to tell them apart"
    network = import_entry(baselines_folder() / "msfg-lle", "msfg_lle:build_small", "[network]")().eval()
    network.load_state_dict({n: torch.from_numpy(a) for n, a in load_file(trained.weights).items()})
    # The error of the weights that were written, outputs and references in [0, 1].
    errors = []
    sampler = Sampler(degradation_of(adversarial.task), 2, 64, (), adversarial.seed)
    for pair in sampler.fixed(Photographs(adversarial.photographs, 64).held_out):
        with torch.no_grad():
            output = network(torch.from_numpy(pair.inputs[0]).permute(0, 3, 1, 2) * 2 - 1).permute(0, 2, 3, 1).numpy()
        errors.append(np.abs(np.clip((output + 1) / 2, 0, 1) - pair.targets).mean())
    assert trained.last == pytest.approx(np.mean(errors), rel=1e-4)


@pytest.mark.parametrize("at", [4, 6])
def test_an_adversarial_training_goes_on_exactly(adversarial: Settings, tmp_path: Path, at: int) -> None:
    goes_on_exactly(adversarial, tmp_path, at)


@pytest.mark.parametrize("at", [4, 5, 6])
def test_a_training_goes_on_exactly(settings: Settings, tmp_path: Path, at: int) -> None:
    goes_on_exactly(settings, tmp_path, at)


def goes_on_exactly(settings: Settings, tmp_path: Path, at: int) -> None:
    whole = train(settings)

    def report(step: int, steps: int) -> None:
        if step == at:
            raise Stopped

    parted = replace(settings, out=tmp_path / "parted")
    with pytest.raises(Stopped):
        train(parted, report)
    again = train(replace(parted, resume=True))
    assert again.sha256 == whole.sha256
    assert again.first == whole.first
    assert (parted.out / LOG).read_text() == (settings.out / LOG).read_text()
    # Not because nothing matters: another seed gives other weights.
    assert train(replace(settings, out=tmp_path / "other", seed=4)).sha256 != whole.sha256


def test_more_steps_than_at_first(settings: Settings, tmp_path: Path) -> None:
    whole = train(settings)
    parted = replace(settings, out=tmp_path / "parted")
    train(replace(parted, steps=4))
    assert train(replace(parted, resume=True)).sha256 == whole.sha256


def test_a_checkpoint_of_another_training(settings: Settings) -> None:
    train(replace(settings, steps=1))
    again = replace(settings, resume=True)
    for change in ({"seed": 9}, {"batch": 2}, {"crop": 20}, {"task": load_task("low-light")}, {"baseline": "dncnn"}):
        with pytest.raises(EvaluatorError, match="of another training") as caught:
            train(replace(again, **change))
        assert next(iter(change)) in caught.value.findings[0].expected
    (settings.out / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(EvaluatorError, match="is no checkpoint"):
        train(again)


def test_folders(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(EvaluatorError, match="to go on from"):
        train(replace(settings, resume=True))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("")
    with pytest.raises(EvaluatorError, match="not an empty folder"):
        train(settings)


def test_a_training_that_cannot_begin_leaves_no_folder(settings: Settings) -> None:
    with pytest.raises(EvaluatorError, match="smaller than a crop"):
        train(replace(settings, crop=4096))
    assert not settings.out.exists()


def test_the_tasks_that_can_be_trained_for(settings: Settings) -> None:
    with pytest.raises(EvaluatorError, match=r"for: .*gopro.*sidd.*\.$"):
        train(replace(settings, task=load_task("exdark")))


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        ("fast-dped", "of VGG-19, relu5_4"),
        ("msfg-lle", "of VGG-16, conv5_1, .* no stand_in"),
        ("k3dn", "takes left, right, and the task's mini split gives input"),
        ("tv", "no recipe"),
    ],
)
def test_what_cannot_be_trained(settings: Settings, baseline: str, said: str) -> None:
    with pytest.raises(EvaluatorError, match=said):
        train(replace(settings, baseline=baseline))


def test_zero_dce_learns_without_references(settings: Settings) -> None:
    wanted = replace(settings, baseline="zero-dce", task=load_task("low-light"), crop=32, steps=6)
    trained = train(wanted)
    assert trained.last < trained.first


def test_two_views_train_and_go_on_exactly(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = baseline_recipe("k3dn-tiny")
    data = recipe.data.model_copy(update={"epoch": Value(value=2, source="choice")})
    precision = Value(value="bfloat16", source="choice")
    short = recipe.model_copy(update={"data": data, "precision": precision})
    monkeypatch.setattr("evaluator.training.trainer.baseline_recipe", lambda name: short)
    wanted = Settings("k3dn-tiny", load_task("dpd-blur"), photographs, tmp_path / "out", steps=3, batch=2, crop=32)
    whole = train(wanted)
    assert whole.last < 0.9 * whole.first

    def report(step: int, steps: int) -> None:
        if step == 2:
            raise Stopped

    parted = replace(wanted, out=tmp_path / "parted")
    with pytest.raises(Stopped):
        train(parted, report)
    assert train(replace(parted, resume=True)).sha256 == whole.sha256
    # What ships has constants for kernels, as the network that restores takes them.
    arrays = load_file(whole.weights)
    assert not [name for name in arrays if name.endswith("spectrum")]
    network = import_entry(baselines_folder() / "k3dn", "k3dn:build_tiny", "[network]")()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()}, strict=True)


def test_a_held_out_loss_that_is_no_number_ends_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    held_out = "evaluator.training.trainer._Run._loss"
    monkeypatch.setattr(held_out, lambda run, batch: torch.tensor(float("nan")))
    with pytest.raises(EvaluatorError, match="held-out loss is nan at step 0"):
        train(settings)


def test_bfloat16_is_for_the_network_alone(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It computes in it, on channels that come last; losses are taken in float32, and weights stay it."""
    precision = Value(value="bfloat16", source="choice")
    quick = baseline_recipe("unet").model_copy(update={"precision": precision})
    monkeypatch.setattr("evaluator.training.trainer.baseline_recipe", lambda name: quick)
    called, types, last = _Autocast.__call__, set(), []

    def looking(network: Any, *inputs: Any, **options: Any) -> Any:
        conv = next(module for module in network.modules() if isinstance(module, torch.nn.Conv2d))
        hook = conv.register_forward_hook(lambda module, given, output: types.add(output.dtype))
        output = called(network, *inputs, **options)
        hook.remove()
        last.extend(t.is_contiguous(memory_format=torch.channels_last) for t in (inputs[0], conv.weight))
        assert (output.dtype, conv.weight.dtype) == (torch.float32, torch.float32)
        return output

    monkeypatch.setattr(_Autocast, "__call__", looking)
    trained = train(replace(settings, steps=30))
    assert types == {torch.bfloat16}
    assert all(last)
    assert trained.last < 0.7 * trained.first
    assert {array.dtype.name for array in load_file(trained.weights).values()} == {"float32"}


def schedule(kind: str, **values: Any) -> Schedule:
    named = {"kind": kind, **values}
    return Schedule.model_validate({name: {"value": value, "source": "choice"} for name, value in named.items()})


@pytest.mark.parametrize(
    ("says", "losses", "rates"),
    [
        (schedule("constant"), [1] * 4, [1, 1, 1, 1]),
        (schedule("step", factor=0.1, start=2), [1] * 4, [1, 0.1, 0.1, 0.1]),
        (schedule("linear", start=2), [1] * 6, [1, 1, 0.75, 0.5, 0.25, 0]),
        # From 1 down to the least at the last of six epochs, half way in the middle.
        (schedule("cosine", least=0.2), [1] * 5, [0.923607, 0.723607, 0.476393, 0.276393, 0.2]),
        # Two epochs without a better loss, then again; never below the least.
        (schedule("plateau", factor=0.5, patience=2, least=0.3), [3, 2, 2, 2, 1, 1, 1], [1, 1, 1, 0.5, 0.5, 0.5, 0.3]),
    ],
    ids=["constant", "step", "linear", "cosine", "plateau"],
)
def test_schedules(says: Schedule, losses: list[float], rates: list[float]) -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = scheduler_of(torch, says, optimiser, 6)
    found = []
    for loss in losses:
        optimiser.step()
        scheduler.step(*([loss] if says.kind.value == "plateau" else []))
        found.append(optimiser.param_groups[0]["lr"])
    assert found == pytest.approx(rates)


@pytest.mark.slow
def test_the_command_trains_a_keras_network(evaluate: Run, photographs: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("keras") is None:  # imported, it would load TensorFlow here
        pytest.skip("keras is an optional dependency")
    arguments = ("train", "lpienet", "--task", "sidd", "--photographs", photographs, "--out", "out", "--batch", "2",
                 "--crop", "16", "--steps")  # fmt: skip
    done = evaluate(*arguments, "2", env={"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert "held-out loss" in done.stdout
    arrays = load_file(tmp_path / "out" / WEIGHTS)
    assert sum(array.size for array in arrays.values()) == 133_652
    again = evaluate(*arguments, "3")
    assert again.returncode == 2
    assert "Traceback" not in again.stderr
    assert "--resume" in again.stderr
    on = evaluate(*arguments, "3", "--resume", env={"OMP_NUM_THREADS": "1"})
    assert on.returncode == 0, on.stderr
    assert "3 steps" in on.stdout
