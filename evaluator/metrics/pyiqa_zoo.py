"""Further metrics by name, `pyiqa:NAME`, computed by the package pyiqa where it is installed.

pyiqa is licensed for non-commercial use: it is an extra, and imported only when one of these metrics is computed. It
downloads weights on its own; here it is let do so by `fetch` alone, into a folder for each metric below the folder of
weights. While a metric is computed it sees that folder and no network.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Literal

import numpy as np

from evaluator.extras import install
from evaluator.findings import EvaluatorError, did_you_mean
from evaluator.metrics.contract import Contract, Image, Metric, NotApplicable, Unavailable, Undefined
from evaluator.metrics.lpips_net import apply_thread_limit, check_device
from evaluator.metrics.weights import digest_of_file, weights_folder

PREFIX = "pyiqa:"
"""What the ids of these metrics begin with."""
PACKAGES = ("pyiqa", "timm", "torchvision")
"""The distributions that may change a number of these metrics."""
LICENCE = "pyiqa: non-commercial; weights: see their makers"

_INSTALL = install("pyiqa")
_SUMS = "sha256.txt"
_UNBOUNDED = 1000.0
_NAME = re.compile(r"[A-Za-z0-9_+.-]+")
_ELSEWHERE = "keeps its weights outside the folder of weights"
_UNFIT = {
    "fid": "scores sets of images, not one",
    "sfid": "scores sets of images, not one",
    "fid_dinov2": "scores sets of images, not one",
    "inception_score": "scores sets of images, not one",
    "clipscore": "compares an image with a text",
    "fgresq_pair": "gives several numbers",
    **dict.fromkeys(("fgresq", "compare2score", "qalign", "qalign_8bit", "qalign_4bit"), _ELSEWHERE),
    **dict.fromkeys(("qrealign", "qrealign-mini", "qrealign-lite", "qrealign-pro"), _ELSEWHERE),
    **dict.fromkeys(("afine_nr", "afine_fr", "afine_all_scale", "afine_all"), _ELSEWHERE),
}


def metric(metric_id: str) -> Metric:
    """Return the metric `pyiqa:NAME`; nothing of pyiqa is imported before it computes.

    Where pyiqa is not installed, any name is taken: the metric is then unavailable, and says what to install.

    Raises:
        EvaluatorError: the installed pyiqa has none of that name, or it is no metric of single images.
    """
    name = metric_id.removeprefix(PREFIX)
    known = _known(_package())
    if not _NAME.fullmatch(name) or (known and name not in known):
        hint = did_you_mean(metric_id, [PREFIX + n for n in known if n not in _UNFIT])
        raise EvaluatorError(f"There is no metric {metric_id!r}.{hint or ' pyiqa.list_models() has the names.'}")
    if name in _UNFIT:
        raise EvaluatorError(f"{metric_id} cannot be used here: it {_UNFIT[name]}.")

    def measure(output: Image, reference: Image, peak: float) -> float:
        return _load(name).measure(output, reference, peak)

    return Metric(_contract(name, _package()), measure)


def _package() -> Path | None:
    """Return the folder of the installed pyiqa, without importing it."""
    found = find_spec("pyiqa")
    return Path(found.origin).parent if found is not None and found.origin else None


@cache
def _known(package: Path | None) -> Mapping[str, Mapping[str, Any]]:
    """Return pyiqa's table of metrics; empty if it is not installed."""
    if package is None:
        return {}
    # That one file alone: importing pyiqa brings torch and takes seconds.
    spec = spec_from_file_location("_pyiqa_table", package / "default_model_configs.py")
    assert spec is not None  # noqa: S101 - for the type checker: a .py file always has one
    assert spec.loader is not None  # noqa: S101
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        table: Mapping[str, Mapping[str, Any]] = module.DEFAULT_CONFIGS
    except (OSError, AttributeError, ImportError) as error:
        raise EvaluatorError(f"The installed pyiqa has no table of metrics ({error}): {_INSTALL}") from None
    return table


@cache
def _contract(name: str, package: Path | None) -> Contract:
    said: Mapping[str, Any] = _known(package).get(name, {})
    direction: Literal["higher", "lower"] = "lower" if said.get("lower_better") else "higher"
    needs_reference = said.get("metric_mode", "NR") == "FR"
    shown = str(said.get("score_range", "")) or "not stated"
    worst, how = _worst(shown, direction)
    version = metadata.version("pyiqa") if package else ""
    title = f"{name} of pyiqa {version}" if package else f"{name} of pyiqa, which is not installed: {_INSTALL}"
    return Contract(
        id=PREFIX + name,
        # pyiqa's version, so that numbers of two versions (or none) are never ranked together.
        version=_number(version),
        title=title,
        direction=direction,
        unit="",
        worst=worst,
        decimals=4,
        colour="RGB; images of other than three channels are not scored",
        range=f"0 to peak is mapped to 0 to 1, float32, not rounded; values outside are refused. pyiqa says that "
        f"scores are {shown}, roughly; {how}",
        window="as pyiqa has it",
        border="as pyiqa has it",
        pooling="as pyiqa has it",
        aggregation="mean",
        identical="as pyiqa has it",
        minimum_size=1,
        source=f"pyiqa {version or '(not installed)'}, pyiqa.create_metric({name!r})",
        used_by="",
        reference=needs_reference,
    )


def _number(version: str) -> int:
    parts = [int(p) for p in re.findall(r"\d+", version)[:3]]
    return sum(part * 100 ** (2 - place) for place, part in enumerate(parts))


def _worst(said: str, direction: str) -> tuple[float, str]:
    """Return the value that a lost case counts, from a range such as `~0, ~100`, and what to say of it."""
    low, _, high = said.partition(",")
    end = (high if direction == "lower" else low).strip(" ~")
    try:
        return float(end), "the worse end is taken as the worst value"
    except ValueError:
        return (_UNBOUNDED if direction == "lower" else -_UNBOUNDED), "it states no worse end"


@dataclass
class _Model:
    """A metric of pyiqa, ready on one device."""

    name: str
    torch: Any
    net: Any
    device: Any
    folder: Path

    def measure(self, output: Image, reference: Image, peak: float) -> float:
        if output.shape[2] != 3:
            raise NotApplicable("needs three channels")
        images = [output, reference] if self.net.metric_mode == "FR" else [output]
        fed = [np.ascontiguousarray((i / peak).transpose(2, 0, 1)[None], dtype=np.float32) for i in images]
        # One at a time: some of pyiqa's networks keep notes on themselves while they run.
        with _LOCK, _confined(self.folder, self.name, download=False) as asked, self.torch.inference_mode():
            apply_thread_limit(self.torch)
            try:
                found = self.net(*(self.torch.from_numpy(i).to(self.device) for i in fed))
                values = np.asarray(found.detach().cpu().numpy() if hasattr(found, "detach") else found).ravel()
            except (MemoryError, self.torch.OutOfMemoryError) as error:
                raise Unavailable(f"has too little memory on {self.device} ({_first_line(error)})") from None
            except Exception as error:
                if asked:
                    raise _lacking(self.name, asked) from None
                raise Undefined(f"pyiqa: {_first_line(error)}") from None
        if values.size != 1:
            raise Undefined(f"pyiqa gave {values.size} numbers for one image")
        return float(values[0])


_LOCK = threading.RLock()
_LOADED: dict[tuple[str, Path, str], _Model | Unavailable] = {}


def _load(name: str) -> _Model:
    """Return a metric, built once per process, folder of weights and device.

    Raises:
        Unavailable: pyiqa, the device or the weights are not on this machine.
    """
    device = os.environ.get("EVALUATOR_DEVICE") or "cpu"
    key = (name, weights_folder(), device)
    with _LOCK:
        if key not in _LOADED:
            try:
                changed = [str(path) for path, was, now in recorded(name) if was != now]
                if changed:
                    raise Unavailable(f"found another file than was fetched: {', '.join(changed)}; remove it")
                _LOADED[key] = _build(name, device, download=False)
            except Unavailable as reason:
                _LOADED[key] = reason  # not tried again for every case
        found = _LOADED[key]
    if isinstance(found, Unavailable):
        raise Unavailable(str(found))
    return found


def _build(name: str, device: str, *, download: bool) -> _Model:
    if _package() is None:
        raise Unavailable(f"needs pyiqa: {_INSTALL}")
    try:
        torch, pyiqa = import_module("torch"), import_module("pyiqa")
    except Exception as error:
        raise Unavailable(f"needs pyiqa, which cannot be imported ({_first_line(error)}): {_INSTALL}") from None
    check_device(torch, device)
    folder = folder_of(name)
    with _confined(folder, name, download=download) as asked:
        try:
            net = pyiqa.create_metric(name, device=torch.device(device))
        except ImportError as error:
            raise Unavailable(f"needs a module that pyiqa does not bring ({_first_line(error)})") from None
        except Exception as error:
            if download:
                wanted = f" {asked[-1]}" if asked else ""
                raise Unavailable(f"pyiqa could not get its weights{wanted} ({_first_line(error)})") from None
            if asked or not _files(folder):
                raise _lacking(name, asked) from None
            raise Unavailable(
                f"cannot be built from the weights in {folder} ({_first_line(error)}): "
                f"remove that folder, then evaluate weights fetch {PREFIX}{name}"
            ) from None
        finally:
            if not download:
                with contextlib.suppress(OSError):  # pyiqa makes the folder before it looks
                    folder.rmdir()
                    folder.parent.rmdir()
    return _Model(name, torch, net, torch.device(device), folder)


def _lacking(name: str, asked: list[str]) -> Unavailable:
    wanted = f" ({asked[0]})" if asked else ""
    line = f"evaluate weights fetch {PREFIX}{name}"
    return Unavailable(f"needs weights of pyiqa{wanted}, which are not in {folder_of(name)}: {line}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200] or type(error).__name__


class _Refused(OSError):
    """A download was asked for while a metric is computed."""


@dataclass
class _Watch(threading.local):
    """What the hook below does in this thread: nothing, note the addresses asked for, or refuse them, too."""

    asked: list[str] | None = None
    refuse: bool = field(default=False)


_WATCH = _Watch()
_REACHES_OUT = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    asked = _WATCH.asked
    if asked is None or not event.startswith(("socket.", "urllib.")):
        return
    if event == "urllib.Request":
        asked.append(str(arguments[0]))
    elif event not in _REACHES_OUT:
        return
    if _WATCH.refuse:
        raise _Refused("nothing is downloaded while scoring")


@cache
def _install_hook() -> None:
    sys.addaudithook(_audit)  # cannot be taken back, and does nothing but in a thread that computes


@contextlib.contextmanager
def _confined(folder: Path, name: str, *, download: bool) -> Iterator[list[str]]:
    """Have pyiqa look for weights in one folder only, with or without a network; yield the addresses that it asks for.

    Under `_LOCK`: torch's and Hugging Face's caches are settings of the process, and put back afterwards.
    """
    _install_hook()
    hub, huggingface = import_module("torch.hub"), import_module("huggingface_hub.constants")
    before = hub.get_dir()
    changes: list[tuple[Any, str, Any]] = [
        (module, "DEFAULT_CACHE_DIR", str(folder))
        for module_name, module in list(sys.modules.items())
        if module_name.startswith("pyiqa.") and hasattr(module, "DEFAULT_CACHE_DIR")
    ]
    changes += [
        (huggingface, "HF_HUB_CACHE", str(folder / "huggingface")),
        (huggingface, "HF_HUB_OFFLINE", not download),  # else it tries for half a minute
    ]
    kept = [(owner, attribute, getattr(owner, attribute)) for owner, attribute, _ in changes]
    asked: list[str] = []
    # pyiqa tells of its downloads on standard output, which belongs to results.
    quiet = contextlib.redirect_stdout(sys.stderr if download else io.StringIO())
    with _LOCK, quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for owner, attribute, value in changes:
                setattr(owner, attribute, value)
            hub.set_dir(str(folder))
            _WATCH.asked, _WATCH.refuse = asked, not download
            yield asked
        finally:
            _WATCH.asked, _WATCH.refuse = None, False
            hub.set_dir(before)
            for owner, attribute, value in kept:
                setattr(owner, attribute, value)


def folder_of(metric_id: str) -> Path:
    """Return the folder that holds the weights of one metric."""
    return weights_folder() / "pyiqa" / metric_id.removeprefix(PREFIX)


def _files(folder: Path) -> list[Path]:
    return sorted(
        p
        for p in folder.rglob("*")
        if p.is_file() and not p.is_symlink() and p.name != _SUMS and not p.name.endswith((".lock", ".incomplete"))
    )


def fetched() -> list[str]:
    """Return the ids of the metrics that have a folder with weights."""
    root = weights_folder() / "pyiqa"
    return sorted(PREFIX + f.name for f in root.iterdir() if _files(f)) if root.is_dir() else []


def digest_of(metric_id: str) -> str | None:
    """Return one sha256 for all files of a metric's weights (over the lines of `sha256sum`), or None without any."""
    lines = [f"{digest}  {path}\n" for path, digest in _sums(metric_id).items()]
    return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else None


def _sums(metric_id: str) -> dict[str, str]:
    folder = folder_of(metric_id)
    return {path.relative_to(folder).as_posix(): digest_of_file(path) for path in _files(folder)}


def recorded(metric_id: str) -> list[tuple[Path, str | None, str | None]]:
    """Return every file of a metric's weights with the sha256 noted when it was fetched, and that of now.

    The first is None for a file that was put there by hand, the second for one that is gone.
    """
    folder, now = folder_of(metric_id), _sums(metric_id)
    try:
        lines = (folder / _SUMS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return [(folder / path, digest, digest) for path, digest in now.items()]
    noted = {path: digest for digest, _, path in (line.partition("  ") for line in lines)}
    return [(folder / path, noted.get(path), now.get(path)) for path in sorted({*noted, *now})]


def fetch(metric_id: str) -> str:
    """Have pyiqa download what a metric needs into its folder, and note the sha256 of what came; return what to say.

    pyiqa publishes no sha256: what came is noted, so that a change is seen, and not known to be right. Some of these
    files are pickles, which may run code when pyiqa loads them.

    Raises:
        EvaluatorError: there is no such metric.
        Unavailable: it cannot be had.
    """
    metric(metric_id)
    name = metric_id.removeprefix(PREFIX)
    _build(name, "cpu", download=True)
    for key in [k for k in _LOADED if k[0] == name]:
        del _LOADED[key]
    folder, sums = folder_of(metric_id), _sums(metric_id)
    if not sums:
        with contextlib.suppress(OSError):
            folder.rmdir()
        return "needs no weights"
    (folder / _SUMS).write_text("".join(f"{digest}  {path}\n" for path, digest in sums.items()), encoding="utf-8")
    listed = ", ".join(f"{path} (sha256 {digest})" for path, digest in sums.items())
    return f"{folder}: {listed}; unpinned: pyiqa publishes no sha256 to compare with"
