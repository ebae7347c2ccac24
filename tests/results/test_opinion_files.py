"""Files of opinions: every fault is told by its line, and nothing of a faulty file is taken."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from evaluator.findings import EvaluatorError
from evaluator.results import Opinions, Store
from evaluator.results.opinion_files import read_choices, read_ratings

KNOWN = ["zeta", "alpha", "beta"]
HEAD = "rater,submission,case,score\n"
PAIRS = "rater,case,first,second,choice\n"


def save(folder: Path, text: str | bytes) -> Path:
    file = folder / "said.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def lines_at_fault(file: Path) -> list[tuple[int, str]]:
    with pytest.raises(EvaluatorError, match="nothing of it was taken") as raised:
        read_ratings(file, KNOWN, (1, 5))
    return [(int(f.file.rpartition(" ")[2]), f.got) for f in raised.value.findings]


def test_columns_may_stand_in_any_order_and_only_rated_submissions_are_named(tmp_path: Path) -> None:
    text = "\ufeffscore,case,rater,submission\r\n4.5,c 1,Ann,zeta\r\n\r\n2, c 1 ,Ann,alpha\r\n3,c2,Bob,zeta\r\n"
    found = read_ratings(save(tmp_path, text), KNOWN, (1, 5))
    assert found.names == ("alpha", "zeta")
    assert list(found.submissions) == [1, 0, 1]
    assert list(found.raters) == [0, 0, 1]
    assert list(found.cases) == [0, 0, 1]
    assert list(found.scores) == [4.5, 2.0, 3.0]


def test_every_fault_is_told_with_its_line(tmp_path: Path) -> None:
    rows = ["r,alpha,c,3", "r,alhpa,c,3", "r,beta,c,good", "r,beta,c,6", "r,beta,c,nan", "r,alpha,c,4", "r,beta,c"]
    rows += ["r,beta,c,1_0", "r,beta,c,٣", "r,,c,3", f"{'x' * 300},beta,c,3", 'r,"be\nta",c,3', "r,beta,d,1e0"]
    faults = lines_at_fault(save(tmp_path, HEAD + "\n".join(rows)))
    assert [line for line, _ in faults] == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15]
    assert faults[0] == (3, "'alhpa'")
    assert faults[4] == (7, "another")


def test_a_million_faults_are_counted_and_the_first_ones_told(tmp_path: Path) -> None:
    file = save(tmp_path, HEAD + "r,nobody,c,3\n" * 100_000)
    with pytest.raises(EvaluatorError, match=r"100000 faults.*the first 50 are told") as raised:
        read_ratings(file, KNOWN, (1, 5))
    assert len(raised.value.findings) == 50


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no file of this kind"),
        (b"rater,submission,score\n", "no file of this kind"),
        (PAIRS.encode(), "no file of this kind"),
        (b"rater,submission,case,score,score\n", "no file of this kind"),
        (HEAD.encode(), "no rating"),
        (HEAD.encode() + b"r,alpha,c,3\nr,b\xff,c,3\n", r"not UTF-8 \(line 3\)"),
        (HEAD.encode() + b'r,"alpha,c,3\n', "no CSV"),
        (HEAD.encode() + b"r," + b"x" * 200_000 + b",c,3\n", "no CSV"),
        (HEAD.encode() + b"r,al\0pha,c,3\n", "."),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(EvaluatorError, match=words) as raised:
        read_ratings(save(tmp_path, content), KNOWN, (1, 5))
    assert "said.csv" in str(raised.value)


def test_choices_are_read_and_their_faults_told(tmp_path: Path) -> None:
    good = "r,c,beta,alpha,first\nr,c,alpha,beta,tie\ns,c,beta,alpha,second\n"
    found = read_choices(save(tmp_path, PAIRS + good), KNOWN)
    assert found.names == ("alpha", "beta")
    assert (list(found.first), list(found.second), list(found.wins)) == ([1, 0, 1], [0, 1, 0], [1.0, 0.5, 0.0])
    bad = good + "r,c,beta,alpha,tie\nr,d,beta,beta,first\nr,d,beta,alpha,beta\nr,d,x,y,first\n"
    with pytest.raises(EvaluatorError) as raised:
        read_choices(save(tmp_path, PAIRS + bad), KNOWN)
    assert [int(f.file.rpartition(" ")[2]) for f in raised.value.findings] == [5, 6, 7, 8, 8]


@pytest.mark.slow
def test_a_million_lines_are_read(tmp_path: Path) -> None:
    file = save(
        tmp_path, HEAD + "".join(f"r{n // 1000},{KNOWN[n % 3]},c{n % 1000},{n % 5 + 1}\n" for n in range(10**6))
    )
    started = time.process_time()
    found = read_ratings(file, KNOWN, (1, 5))
    assert len(found.scores) == 10**6
    assert time.process_time() - started < 60  # takes about four seconds; a quadratic reading would take hours


def test_opinions_are_one_file_that_is_whole_or_refused_by_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.read_opinions("sidd", "mini") is None
    record = Opinions(task="sidd", split="mini", harness="0")
    path = store.write_opinions(record)
    assert path == tmp_path / "opinions" / "sidd" / "mini.json"
    assert store.read_opinions("sidd", "mini") == record
    assert list(store.boards()) == []
    path.rename(path.with_name("test.json"))
    with pytest.raises(EvaluatorError, match=r"test.json is of sidd/mini: it was renamed"):
        store.read_opinions("sidd", "test")
    path.write_text("{}")
    with pytest.raises(EvaluatorError, match=r"mini\.json has schema version None"):
        store.read_opinions("sidd", "mini")
