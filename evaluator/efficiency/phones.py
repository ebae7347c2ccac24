"""Logs of runs on phones: AI Benchmark's app and TensorFlow Lite's `benchmark_model`; and the cards of devices.

Sources: lines as the app shows them (A. Ignatov et al., AI Benchmark); `benchmark_model` of TensorFlow Lite
(tensorflow/lite/tools/benchmark), whose times are in microseconds.
"""

from __future__ import annotations

import hashlib
import re
import statistics
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from evaluator.efficiency.cost import DeviceCard, PhoneRun
from evaluator.findings import EvaluatorError, Finding, did_you_mean
from evaluator.tasks.costs import size_text
from evaluator.typed_toml import parse_toml

SIZE_LIMIT = 4 * 1024 * 1024
"""Bytes; a longer log is refused unread."""
_CARDS = Path(__file__).with_name("devices.toml")
_LINE = 2000
"""Characters of a line that are looked at."""
_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{0,15})?(?:e[+-]?[0-9]{1,2})?)"
_INFERENCE = re.compile(rf"\binference\s*#?\s*(\d{{1,9}})\s*,?\s*\(?ms\)?\s*[:=]\s*{_NUMBER}", re.IGNORECASE)
_AVERAGE = re.compile(rf"\b(?:avg\.?|average)\s+latency\s*,?\s*\(?ms\)?\s*[:=]\s*{_NUMBER}", re.IGNORECASE)
_STD = re.compile(rf"\b(?:latency\s+)?std\.?(?:\s+latency)?\s*,?\s*\(?ms\)?\s*[:=]\s*{_NUMBER}", re.IGNORECASE)
_STATS = re.compile(rf"\bcount=(\d{{1,9}})\s+(.*\bavg={_NUMBER}.*)", re.IGNORECASE)
_PAIR = re.compile(rf"\b(\w+)={_NUMBER}", re.IGNORECASE)
_TIMINGS = re.compile(rf"inference timings in us:.*(?:inference\s*\(avg\)|no stats)\s*:\s*{_NUMBER}", re.IGNORECASE)
_PEAK = re.compile(
    rf"(?:overall\s+)?peak memory footprint \(MB\)(?: via periodic monitoring)?\s*[:=]\s*{_NUMBER}", re.IGNORECASE
)
_SHAPE = re.compile(
    r"(?:input shapes?\s*:\s*\[|--input_layer_shape=)\"?1,(\d{1,6}),(\d{1,6}),(\d{1,6})\b", re.IGNORECASE
)
_THREADS = re.compile(r"(?:#threads used for CPU inference|num[_ ]threads)\s*[:=]\s*\[?(\d{1,5})", re.IGNORECASE)
_APPLIED = re.compile(
    r"applied\s+(?:the\s+)?(\w[\w ]{0,30}?)\s+delegate(?:.*?\b(partially|completely) executed)?", re.IGNORECASE
)
_ASKED = re.compile(r"(?:--use_|\buse )(gpu|nnapi|hexagon|coreml|xnnpack)\s*[:=]\s*\[?(?:1|true)\b", re.IGNORECASE)
_NAMES = {"gpu": "GPU", "nnapi": "NNAPI", "hexagon": "Hexagon", "coreml": "Core ML", "xnnpack": "XNNPACK"}
_MODE = re.compile(r"\b(?:acceleration|accelerator|delegate|backend|runtime)\s*[:=]\s*(\S[^\n]{0,60})", re.IGNORECASE)


class _Devices(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    devices: tuple[DeviceCard, ...]


@cache
def device_cards() -> Mapping[str, DeviceCard]:
    """Return the device cards that ship with the harness, by id."""
    found, findings = parse_toml(_Devices, _CARDS.read_bytes(), _CARDS.name, "device-card")
    if found is None:
        raise EvaluatorError("The device cards of the harness are damaged: install it again.", findings)
    return {card.id: card for card in found.devices}


def find_card(device: str, file: Path | None = None) -> DeviceCard:
    """Return the card of a device: the one in a TOML file of the user's own, or one that ships with the harness.

    Raises:
        EvaluatorError: there is none of that id, or the file is no device card.
    """
    if file is None:
        known = device_cards()
        if device not in known:
            raise EvaluatorError(
                f"There is no device {device!r}.{did_you_mean(device, known)} Known: {', '.join(known)}. "
                "Describe one of your own in a file, and name it by --device-card FILE.toml."
            )
        return known[device]
    card, findings = parse_toml(DeviceCard, _read(file), str(file), "device-card")
    if card is None:
        raise EvaluatorError(f"The device card {file} cannot be used.", findings)
    if card.id != device:
        finding = Finding.error(
            "device-card", str(file), f"the card of {device}", f"that of {card.id}", f"Say --device {card.id}."
        )
        raise EvaluatorError(f"The device card {file} is of another device.", [finding])
    return card


def read_log(
    file: Path,
    device: DeviceCard,
    size: tuple[int, int] | None = None,
    *,
    backend: str = "",
    failed: str = "",
) -> tuple[PhoneRun, list[Finding]]:
    """Read the log of one run on a phone.

    Args:
        file: the log: what AI Benchmark's app shows, or the output of `benchmark_model`, as text.
        device: the phone.
        size: height and width of the input, where the log does not say; checked against it where it does.
        backend: what it ran on, where the log does not say.
        failed: why there is no time in it, if it failed.

    Returns:
        The run, and what one must know of it: an average that is not that of the inferences, operators that ran
        elsewhere than on the accelerator.

    Raises:
        EvaluatorError: it is no such log, holds several runs, or is of another input size.
    """
    data = _read(file)
    lines = (" ".join(line[:_LINE].split()) for line in data.decode("utf-8", errors="replace").splitlines())
    text = "\n".join(line for line in lines if line)  # no long white space, over which patterns would go many times
    findings: list[Finding] = []
    values: dict[str, Any] = {"device": device, "source_sha256": hashlib.sha256(data).hexdigest()}
    app = bool(_INFERENCE.search(text) or _AVERAGE.search(text))
    tool = bool(_STATS.search(text) or _TIMINGS.search(text))
    if failed and (app or tool):
        raise _refused(file, "a log without times, since --failed is given", "times", "Leave out --failed.")
    if app and tool:
        raise _refused(file, "the log of one program", "lines of both", "Import each log on its own.")
    if failed:
        values |= {"failure": failed, "tool": None, "backend": backend, "input": size}
        return _run(values, file), []
    if not app and not tool:
        raise _refused(
            file,
            "lines such as 'Avg Latency, ms: 40.2' or 'Inference timings in us: …'",
            _last_error(text) or "none of them",
            "Save the whole log as text; if the run failed, say why: --failed 'out of memory'.",
        )
    values |= _ai_benchmark(text, file, findings) if app else _benchmark_model(text, file, findings)
    found = _SHAPE.search(text)
    stated = (int(found[1]), int(found[2])) if found and found[3] in ("1", "3", "4") else None
    if stated and size and stated != size:
        raise _refused(
            file, f"an input of {size_text(size)}", size_text(stated), "Correct --input: it is HEIGHTxWIDTH."
        )
    values |= {"input": stated or size, "backend": backend or values["backend"]}
    return _run(values, file), findings


def _run(values: dict[str, Any], file: Path) -> PhoneRun:
    try:
        return PhoneRun.model_validate(values)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        where = ".".join(map(str, wrong["loc"]))
        raise _refused(file, f"a run ({where}: {wrong['msg']})", repr(wrong["input"])[:80], "Look into it.") from None


def _ai_benchmark(text: str, file: Path, findings: list[Finding]) -> dict[str, Any]:
    inferences = _INFERENCE.findall(text)
    averages, deviations = _AVERAGE.findall(text), _STD.findall(text)
    numbers = [number for number, _ in inferences]
    if len(numbers) > len(set(numbers)) or len(averages) > 1:
        raise _refused(file, "the log of one run", "several", "Cut it into one file a run.")
    times = [float(time) for _, time in inferences]
    mean = float(averages[0]) if averages else statistics.fmean(times)
    if averages and times:
        # A printed time may have been rounded or cut off.
        slack = max(_step(time) for _, time in inferences) + _step(averages[0])
        if abs(mean - statistics.fmean(times)) > slack * (1 + 1e-9):
            findings.append(
                Finding.warning(
                    "phone-average",
                    str(file),
                    f"an average of its {len(times)} inferences, {statistics.fmean(times):.4g} ms",
                    f"{averages[0]} ms",
                    "The printed average is kept; look whether the log is whole.",
                )
            )
    mode = _MODE.search(text)
    return {
        "tool": "ai_benchmark",
        "runs": len(times) or None,
        "mean_ms": mean,
        "std_ms": float(deviations[0]) if deviations else None,
        "median_ms": statistics.median(times) if times else None,
        "backend": mode[1].strip() if mode else "",
    }


def _benchmark_model(text: str, file: Path, findings: list[Finding]) -> dict[str, Any]:
    found = list(_TIMINGS.finditer(text))
    timings = [line[1] for line in found]
    if len(timings) > 1:
        raise _refused(file, "the log of one run", f"{len(timings)}", "Cut it into one file a run.")
    # The warm-up first, then the timed runs; a profile may follow.
    stats = _STATS.findall(text[: found[0].start()] if found else text)
    values: dict[str, float] = {}
    if stats and (timings or len(stats) > 1):
        values = {name.lower(): float(number) for name, number in _PAIR.findall(stats[-1][1])}
    elif not timings:
        raise _refused(file, "the line 'Inference timings in us'", "only the warm-up", "Save the whole log.")
    mean = float(timings[0]) if timings else values["avg"]
    if values and timings and abs(values["avg"] - mean) > max(1.0, 1e-4 * mean):
        findings.append(
            Finding.warning(
                "phone-average",
                str(file),
                f"the average of its {stats[-1][0]} runs, {values['avg']:g} µs",
                f"{timings[0]} µs",
                "The average of the line 'Inference timings' is kept; look whether the log is whole.",
            )
        )
    peak = _PEAK.search(text)
    return {
        "tool": "benchmark_model",
        "runs": int(stats[-1][0]) if values else None,
        "mean_ms": mean / 1000,
        "std_ms": values["std"] / 1000 if "std" in values else None,
        "median_ms": values["median"] / 1000 if "median" in values else None,
        "memory_mb": float(peak[1]) if peak else None,
        "backend": _backend(text, file, findings),
    }


def _backend(text: str, file: Path, findings: list[Finding]) -> str:
    applied = [found for found in _APPLIED.findall(text) if found[0].lower() != "xnnpack"]
    if applied:
        name, extent = applied[-1]
        if extent.lower() == "partially":
            findings.append(
                Finding.warning(
                    "phone-partial",
                    str(file),
                    f"a model that runs on the {name} delegate",
                    "one that runs on it in part, the rest on the CPU",
                    "The time is kept and said to be of both.",
                )
            )
        return f"{name} delegate" + (", in part" if extent.lower() == "partially" else "")
    asked = [_NAMES[name.lower()] for name in _ASKED.findall(text) if name.lower() != "xnnpack"]
    if asked:
        findings.append(
            Finding.warning(
                "phone-partial",
                str(file),
                f"a line that says that the {asked[0]} delegate was applied",
                "none: it was asked for only",
                "The time may be of the CPU; look into the log.",
            )
        )
        return f"{asked[0]} delegate, not said to be applied"
    threads = _THREADS.findall(text)
    if not threads:
        return "CPU"
    return f"CPU, {threads[-1]} thread{'' if threads[-1] == '1' else 's'}"


def _step(number: str) -> float:
    """Return the weight of a printed number's last digit."""
    return float(10.0 ** -len(number.partition(".")[2])) if "e" not in number.lower() else 0.0


def _last_error(text: str) -> str:
    errors = [line.strip() for line in text.splitlines() if re.search(r"\berror\b|\bfailed\b", line, re.IGNORECASE)]
    return f"the line {errors[-1][:120]!r}" if errors else ""


def _refused(file: Path, expected: str, got: str, fix: str) -> EvaluatorError:
    finding = Finding.error("phone-log", str(file), expected, got, fix)
    return EvaluatorError(f"The log {file} cannot be used.", [finding])


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            data = stream.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise EvaluatorError(f"{file} cannot be read ({error.strerror}).") from None
    if len(data) > SIZE_LIMIT:
        raise EvaluatorError(f"{file} is larger than {SIZE_LIMIT // 2**20} MiB: it is no log of one run.")
    return data
