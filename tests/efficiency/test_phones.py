"""Logs from phones: read as they are printed, doubted where they disagree with themselves."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.efficiency import PhoneRun
from evaluator.efficiency.phones import device_cards, find_card, read_log
from evaluator.findings import EvaluatorError, Finding
from evaluator.results import load_published
from support import PHONE

APP = """AI Benchmark
Inference #1, ms: 41
Inference #2, ms: 40
Inference #3, ms: 42
Avg Latency, ms: 41.0
Latency STD, ms: 0.8
"""
# Source: the form of TensorFlow Lite's benchmark_model, as in logs of its issue tracker; numbers made up.
TOOL = """INFO: STARTING!
INFO: Num threads: [4]
INFO: Use gpu: [1]
INFO: Input shapes: [1,720,1280,3]
INFO: #threads used for CPU inference: [4]
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate.
INFO: The input model file size (MB): 0.5
INFO: Initialized session in 5.685ms.
INFO: count=34 first=18535 curr=14700 min=14100 max=18535 avg=14462.3 std=700
INFO: count=50 first=14500 curr=14600 min=14200 max=15000 avg=14575.2 std=120
INFO: Inference timings in us: Init: 5685, First inference: 18535, Warmup (avg): 14462.3, Inference (avg): 14575.2
INFO: Overall peak memory footprint (MB) via periodic monitoring: 112.4
INFO: Memory footprint delta from the start of the tool (MB): init=12.3 overall=45.6
Timings (microseconds): count=50 first=1 curr=1 min=1 max=1 avg=1 std=0
"""


def read(tmp_path: Path, text: str | bytes, **options: str) -> tuple[PhoneRun, list[Finding]]:
    log = tmp_path / "run.log"
    log.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_log(log, PHONE, **options)  # type: ignore[arg-type]


def refusal(tmp_path: Path, text: str | bytes, **options: str) -> Finding:
    with pytest.raises(EvaluatorError, match=r"run\.log") as raised:
        read(tmp_path, text, **options)
    (finding,) = raised.value.findings
    assert finding.code == "phone-log"
    return finding


def test_a_log_of_the_app_is_read(tmp_path: Path) -> None:
    run, findings = read(tmp_path, APP)
    assert findings == []
    assert (run.tool, run.runs, run.mean_ms, run.median_ms, run.std_ms) == ("ai_benchmark", 3, 41.0, 41.0, 0.8)
    assert (run.input, run.backend) == (None, "")
    assert run.source_sha256 == hashlib.sha256(APP.encode()).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        APP.upper(),
        APP.lower(),
        APP.replace("\n", "\r\n"),
        APP.replace(", ms:", " ( ms ) :").replace("( ms )", "(ms)"),
        APP.replace(": ", " :   "),
        APP.replace("\n", "\n    "),
        APP.replace("Avg", "Average"),
        "11-21 12:00:00.000  1234 I app: " + APP.replace("\n", "\n11-21 12:00:00.000  1234 I app: "),
    ],
)
def test_spaces_case_and_what_stands_before_make_no_difference(tmp_path: Path, text: str) -> None:
    run, findings = read(tmp_path, text)
    assert findings == []
    assert (run.runs, run.mean_ms, run.std_ms) == (3, 41.0, 0.8)


def test_an_average_alone_is_enough_and_so_are_inferences(tmp_path: Path) -> None:
    run, _ = read(tmp_path, "Avg Latency, ms: 40.2")
    assert (run.mean_ms, run.runs, run.median_ms, run.std_ms) == (40.2, None, None, None)
    run, _ = read(tmp_path, "Inference #1, ms: 10\nInference #2, ms: 30\n")
    assert (run.mean_ms, run.runs, run.median_ms) == (20.0, 2, 20.0)


@given(times=st.lists(st.floats(1, 5000), min_size=1, max_size=20), cut=st.booleans(), decimals=st.integers(0, 2))
def test_an_average_is_doubted_only_beyond_rounding(
    tmp_path_factory: pytest.TempPathFactory, times: list[float], cut: bool, decimals: int
) -> None:
    shown = [str(int(t)) if cut else f"{t:.{decimals}f}" for t in times]
    mean = sum(times) / len(times)
    lines = "".join(f"Inference #{n}, ms: {t}\n" for n, t in enumerate(shown, 1))
    folder = tmp_path_factory.mktemp("log")
    _, findings = read(folder, f"{lines}Avg Latency, ms: {mean:.1f}")
    assert findings == []
    run, findings = read(folder, f"{lines}Avg Latency, ms: {mean + 3:.1f}")
    assert [f.code for f in findings] == ["phone-average"]
    assert run.mean_ms == float(f"{mean + 3:.1f}"), "the log's own average is kept"


def test_a_log_of_benchmark_model_is_read(tmp_path: Path) -> None:
    run, findings = read(tmp_path, TOOL)
    assert findings == []
    assert (run.tool, run.runs, run.mean_ms, run.std_ms) == ("benchmark_model", 50, 14.5752, 0.12)
    assert (run.memory_mb, run.backend, run.input) == (112.4, "GPU delegate", (720, 1280))


def test_a_newer_log_has_a_median_and_an_older_one_another_last_line(tmp_path: Path) -> None:
    run, _ = read(tmp_path, TOOL.replace("std=120", "std=120 p5=14300 median=14570 p95=14900"))
    assert run.median_ms == 14.57
    old = TOOL.replace(
        "Inference timings in us: Init: 5685, First inference: 18535, Warmup (avg): 14462.3, Inference (avg)",
        "Average inference timings in us: Warmup: 14462.3, Init: 5685, no stats",
    )
    run, _ = read(tmp_path, old)
    assert (run.runs, run.mean_ms) == (50, 14.5752)


@pytest.mark.parametrize(
    ("line", "backend", "codes"),
    [
        (
            "Explicitly applied NNAPI delegate, and the model graph will be partially executed by the delegate w/ 44 "
            "delegate kernels.",
            "NNAPI delegate, in part",
            ["phone-partial"],
        ),
        ("Applied GPU delegate.", "GPU delegate", []),
        ("benchmark_model --graph=x --use_nnapi=true", "NNAPI delegate, not said to be applied", ["phone-partial"]),
        ("Use gpu : [0]\nNum threads: [1]", "CPU, 1 thread", []),
        ("INFO: Using num_threads=2", "CPU, 2 threads", []),
        ("Explicitly applied XNNPACK delegate, and the model graph will be partially executed", "CPU", []),
        ("", "CPU", []),
    ],
)
def test_the_backend_is_what_the_log_says_was_applied(
    tmp_path: Path, line: str, backend: str, codes: list[str]
) -> None:
    run, findings = read(tmp_path, line + "\n" + TOOL[TOOL.index("INFO: Initialized session") :])
    assert run.backend == backend
    assert [f.code for f in findings] == codes


def test_runs_that_do_not_average_to_the_last_line_are_said(tmp_path: Path) -> None:
    _, findings = read(tmp_path, TOOL.replace("avg=14575.2", "avg=24575.2"))
    assert [f.code for f in findings] == ["phone-average"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "none of them"),
        ("ERROR: Failed to allocate tensors", "Failed to allocate tensors"),
        (b"\xff\xfe\x00\x01", "none of them"),
        (APP + APP, "several"),
        (TOOL + TOOL, "2"),
        (APP + TOOL, "both"),
        (TOOL[: TOOL.index("INFO: count=50")], "only the warm-up"),
        ("Avg Latency, ms: 0", "0.0"),
        ("Inference #1, ms: 0\nInference #2, ms: 0", "0.0"),
    ],
)
def test_what_is_no_log_of_one_run_is_refused(tmp_path: Path, text: str | bytes, words: str) -> None:
    assert words in refusal(tmp_path, text).got


def test_another_size_than_the_log_says_is_refused(tmp_path: Path) -> None:
    finding = refusal(tmp_path, TOOL, size=(1280, 720))  # type: ignore[arg-type]
    assert (finding.expected, finding.got) == ("an input of 1280×720", "720×1280")
    run, _ = read(tmp_path, TOOL, size=(720, 1280))  # type: ignore[arg-type]
    assert run.input == (720, 1280)


def test_a_failure_is_kept_with_its_reason_and_no_number(tmp_path: Path) -> None:
    run, _ = read(tmp_path, "ERROR: allocation", failed="out of memory", backend="GPU")
    assert (run.failure, run.mean_ms, run.tool, run.backend) == ("out of memory", None, None, "GPU")
    assert "--failed" in refusal(tmp_path, APP, failed="out of memory").expected


def test_a_file_that_is_not_there_or_too_large_is_said(tmp_path: Path) -> None:
    with pytest.raises(EvaluatorError, match="cannot be read"):
        read_log(tmp_path / "none.log", PHONE)
    with pytest.raises(EvaluatorError, match="larger than 4 MiB"):
        read(tmp_path, b"\n" * (4 * 2**20 + 1))


@given(st.lists(st.sampled_from([*APP.splitlines(), *TOOL.splitlines(), "Inference #1, ms: 1e99", "count=1 avg=2"])))
def test_any_lines_give_a_run_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    with contextlib.suppress(EvaluatorError):
        run, _ = read(tmp_path_factory.mktemp("log"), "\n".join(lines))
        assert run.mean_ms is not None
        assert run.mean_ms > 0


def test_the_phones_of_the_paper_have_cards_that_say_what_its_table_says() -> None:
    (table,) = (t for t in load_published() if t.id == "lpienet/4")
    cards = {card.name: card for card in device_cards().values()}
    for row in table.rows:
        name, launch, chipset, cpu, gpu, ram, score = row.cells
        card = cards[name.split(") ")[1]]
        month, year = launch.split("/")
        assert (card.launched, card.chipset, card.cpu) == (f"{year}-{month}", chipset, cpu)
        assert (card.ram_gb, card.ai_score) == (float(ram), float(score))
        assert card.gpu == gpu or gpu in card.source, "another GPU than the paper's, and not a word about it"


def test_an_unknown_device_is_refused_with_the_nearest() -> None:
    with pytest.raises(EvaluatorError, match="Did you mean 'samsung-a50'"):
        find_card("samsung-a51")


def test_a_card_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "card.toml"
    file.write_text('id = "mine"\nname = "Mine"\nram_gb = 6\n', encoding="utf-8")
    assert find_card("mine", file).ram_gb == 6
    with pytest.raises(EvaluatorError) as raised:
        find_card("other", file)
    assert raised.value.findings[0].code == "device-card"
    file.write_text('id = "mine"\nnam = "Mine"\n', encoding="utf-8")
    with pytest.raises(EvaluatorError) as raised:
        find_card("mine", file)
    assert {f.code for f in raised.value.findings} == {"device-card"}
