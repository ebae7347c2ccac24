"""An output belongs to the case that its name says, and to no other; all that does not fit is said."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluator.findings import EvaluatorError, Severity
from evaluator.images.header import SUFFIXES
from evaluator.ingest import Manifest, Submission, open_source, open_submission

CASES = ["1", "2", "10", "scene/1", "a-1"]
NAMES = st.text("12a0.-", min_size=1, max_size=4).filter(lambda n: n.strip(".") != "")


def outputs(png: bytes, *cases: str) -> dict[str, bytes]:
    return {f"{case}.png": png for case in cases or CASES}


def codes(submission: Submission) -> list[str]:
    return [f.code for f in submission.findings]


def refusal(path: Path, cases: list[str] = CASES) -> EvaluatorError:
    with pytest.raises(EvaluatorError) as caught:
        open_submission(path, cases)
    return caught.value


def test_whole_submission_matches_without_a_word(folder: Any, archive: Any, png: bytes) -> None:
    for put in (folder, archive):
        submission = open_submission(put("mine", outputs(png)), CASES)
        assert submission.files == {case: f"{case}.png" for case in CASES}
        assert (submission.id, submission.findings, submission.blocked, submission.rejected) == ("mine", (), {}, "")
        assert not submission.is_model
        assert not submission.is_baseline


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NAMES, min_size=1, max_size=8, unique=True), st.lists(NAMES, max_size=8, unique=True), st.randoms())
def test_matching_is_by_id_never_by_position(archive: Any, cases: list[str], sent: list[str], random: Any) -> None:
    random.shuffle(sent)
    path = archive("mine", {f"{name}.png": b"x" for name in sent})
    right = {case: f"{case}.png" for case in cases if case in sent}
    strangers = sorted(set(sent) - set(cases))
    if not right:
        assert "no-outputs" in {f.code for f in refusal(path, cases).findings}
        return
    submission = open_submission(path, cases)
    assert submission.files == right
    assert set(submission.blocked) == set(cases) - set(right)
    assert {f.code for f in submission.blocked.values()} <= {"missing-output"}
    assert codes(submission) == (["unexpected-file"] if strangers else [])


def test_equal_count_of_wrong_names_matches_nothing(folder: Any, png: bytes) -> None:
    error = refusal(folder("mine", outputs(png, "0001", "0002", "0003", "0004", "0005")))
    finding = error.findings[-1]
    assert finding.code == "no-outputs"
    assert "1.png" in finding.expected
    assert "0001.png" in finding.got


def test_leading_zeros_are_another_name(folder: Any, png: bytes) -> None:
    submission = open_submission(folder("mine", outputs(png, "01", "2")), ["1", "2"])
    assert submission.files == {"2": "2.png"}
    assert submission.blocked["1"].code == "missing-output"


def test_missing_output_is_named_with_what_is_like_it(folder: Any, png: bytes) -> None:
    path = folder("mine", outputs(png, "photograph-1", "photograf-2"))
    submission = open_submission(path, ["photograph-1", "photograph-2"])
    finding = submission.blocked["photograph-2"]
    assert (finding.code, finding.file, finding.severity) == ("missing-output", "photograph-2.png", Severity.ERROR)
    assert "Is it photograf-2.png?" in finding.fix
    assert submission.files == {"photograph-1": "photograph-1.png"}, "a likeness is a hint, never a match"


def test_two_outputs_for_a_case_block_it(folder: Any, png: bytes) -> None:
    submission = open_submission(folder("mine", {**outputs(png), "2.jpg": png}), CASES)
    assert "2" not in submission.files
    finding = submission.blocked["2"]
    assert finding.code == "duplicate-output"
    assert {"2.jpg", "2.png"} == set(finding.got.split(", "))
    assert len(submission.files) == len(CASES) - 1


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PNG", ".Jpeg"])
def test_every_image_suffix_counts_whatever_its_case(folder: Any, suffix: str) -> None:
    assert open_submission(folder("mine", {f"1{suffix}": b""}), ["1"]).files == {"1": f"1{suffix}"}


@pytest.mark.parametrize("name", ["1.gif", "1", "1.png.bak", "1.m", "x1.png", "1 .png", "deep/1.png"])
def test_other_files_are_reported_and_not_scored(folder: Any, png: bytes, name: str) -> None:
    submission = open_submission(folder("mine", {**outputs(png), name: png}), CASES)
    assert submission.files == {case: f"{case}.png" for case in CASES}
    (finding,) = submission.findings
    assert (finding.code, finding.severity, finding.file) == ("unexpected-file", Severity.WARNING, name)


def test_many_unexpected_files_are_counted(folder: Any, png: bytes) -> None:
    extra = {f"x{n}.png": png for n in range(12)}
    (finding,) = open_submission(folder("mine", {**outputs(png), **extra}), CASES).findings
    assert finding.got.startswith("12 ")
    assert finding.file.endswith("and 7 more")


@pytest.mark.parametrize("name", ["README.md", "paper.pdf", "notes.txt", "x.rst", "other.toml"])
def test_documents_are_no_strangers(folder: Any, png: bytes, name: str) -> None:
    assert open_submission(folder("mine", {**outputs(png), name: b"text"}), CASES).findings == ()


@pytest.mark.parametrize("name", ["__MACOSX/._1.png", ".DS_Store", "Thumbs.db", "desktop.ini", "scene/._1.png"])
def test_what_systems_leave_behind_is_a_note(folder: Any, archive: Any, png: bytes, name: str) -> None:
    for put in (folder, archive):
        submission = open_submission(put("mine", {name: b"junk", **outputs(png)}), CASES)
        assert len(submission.files) == len(CASES)
        (finding,) = submission.findings
        assert (finding.code, finding.severity, finding.file) == ("junk", Severity.NOTE, name)


def test_one_folder_around_everything_is_looked_into(archive: Any, png: bytes) -> None:
    manifest = b'team = "T"'
    files = {"mine/submission.toml": manifest, "__MACOSX/mine/._1.png": b"", **outputs(png)}
    wrapped = {n if n.startswith(("mine/", "__")) else f"mine/{n}": d for n, d in files.items()}
    submission = open_submission(archive("x", wrapped), CASES)
    assert submission.files == {case: f"mine/{case}.png" for case in CASES}
    assert submission.manifest.team == "T"
    assert codes(submission) == ["junk", "wrapping-folder"]


def test_folder_that_belongs_to_the_ids_is_no_wrapping(folder: Any, png: bytes) -> None:
    submission = open_submission(folder("mine", outputs(png, "scene/1")), ["scene/1", "scene/2"])
    assert submission.files == {"scene/1": "scene/1.png"}
    assert codes(submission) == []


@pytest.mark.parametrize("named", ["out", "./out", "out/"])
def test_manifest_names_the_folder_of_outputs(folder: Any, png: bytes, named: str) -> None:
    files = {f"out/{n}": d for n, d in outputs(png).items()}
    path = folder("mine", {**files, "1.png": png, "submission.toml": f'[outputs]\nfolder = "{named}"'.encode()})
    submission = open_submission(path, CASES)
    assert submission.files == {case: f"out/{case}.png" for case in CASES}
    assert [(f.code, f.file) for f in submission.findings] == [("unexpected-file", "1.png")]


@pytest.mark.parametrize("named", [".hidden", "...", "x/./y", "x//y", "./x/y/", " "])
def test_unusual_folder_of_outputs_is_taken_as_written(folder: Any, png: bytes, named: str) -> None:
    manifest = f'[outputs]\nfolder = "{named}"'.encode()
    submission = open_submission(folder("mine", {f"{named}/1.png": png, "submission.toml": manifest}), ["1"])
    assert list(submission.files) == ["1"]
    assert (submission.findings, submission.rejected) == ((), "")


def test_manifest_inside_a_wrapping_folder_names_a_folder_too(archive: Any, png: bytes) -> None:
    files = {"w/out/1.png": png, "w/submission.toml": b'id = "x"\n[outputs]\nfolder = "out"'}
    submission = open_submission(archive("mine", files), ["1"])
    assert (submission.files, submission.id) == ({"1": "w/out/1.png"}, "x")


def test_wrong_manifest_rejects_and_its_outputs_are_still_matched(folder: Any, png: bytes) -> None:
    submission = open_submission(folder("mine", {**outputs(png), "submission.toml": b"tem = 1"}), CASES)
    assert submission.rejected
    assert codes(submission) == ["manifest"]
    assert len(submission.files) == len(CASES)


def test_vast_manifest_is_not_read(folder: Any, png: bytes) -> None:
    path = folder("mine", {**outputs(png), "submission.toml": b"#" * 70_000})
    assert codes(open_submission(path, CASES)) == ["manifest"]


def test_one_bad_name_rejects_the_archive_and_says_the_rest_too(archive: Any, png: bytes) -> None:
    submission = open_submission(archive("mine", {**outputs(png, "1"), "../2.png": png, "x.png": png}), ["1", "2"])
    assert submission.rejected
    assert set(codes(submission)) == {"unsafe-name", "unexpected-file"}
    assert submission.blocked["2"].code == "missing-output"


def test_links_in_a_folder_reject_it(folder: Any, png: bytes) -> None:
    path = folder("mine", outputs(png, "1"))
    (path / "2.png").symlink_to(path / "1.png")
    submission = open_submission(path, ["1", "2"])
    assert submission.rejected
    assert set(submission.files) == {"1"}


def test_pipe_in_a_folder_does_not_hang(folder: Any, png: bytes) -> None:
    path = folder("mine", outputs(png, "1"))
    os.mkfifo(path / "submission.toml")
    assert codes(open_submission(path, ["1"])) == ["not-a-file"]


def test_code_is_opened_like_any_model_and_not_run(folder: Any, archive: Any, tmp_path: Path) -> None:
    manifest = b'kind = "python"\n[python]\nentry = "evil:run"'
    trace = tmp_path / "trace"
    for put in (folder, archive):
        path = put("mine", {"submission.toml": manifest, "evil.py": f"open({str(trace)!r}, 'w')".encode()})
        submission = open_submission(path, CASES)
        assert submission.is_model
        assert not submission.is_baseline
        assert set(submission.names) == {"submission.toml", "evil.py"}
    assert not trace.exists()


@pytest.mark.parametrize("given_by", ["folder", "manifest"])
def test_id_of_a_baseline_is_taken(folder: Any, png: bytes, given_by: str) -> None:
    manifest = {"submission.toml": b'id = "identity"'} if given_by == "manifest" else {}
    submission = open_submission(
        folder("identity" if given_by == "folder" else "x", {**outputs(png), **manifest}), CASES
    )
    assert submission.rejected
    assert codes(submission) == ["id-taken"]


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("My Net (v2)", "my-net-v2"),
        ("abc_1.0", "abc_1.0"),
        ("Ünïcode", "n-code"),
        ("日本", "submission"),
        ("_x", "x"),
        ("-._", "submission"),
        ("x" * 60, "x" * 40),
        ("x" * 39 + "-y", "x" * 39),
    ],
)
def test_id_is_derived_from_the_name(folder: Any, archive: Any, png: bytes, name: str, identifier: str) -> None:
    for put in (folder, archive):
        assert open_submission(put(name, outputs(png)), CASES).id == identifier
    assert Manifest(id=identifier).id == identifier, "a derived id is one that could have been given"


@pytest.mark.parametrize("name", ["x.tar.bz2", "x.png", "x", "SubmitSrgb.mat", "SubmitSrgb.csv"])
def test_other_kinds_of_files_are_no_submission(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    for path, got in ((tmp_path / name, Path(name).suffix or "without suffix"), (tmp_path / "none", "no such file")):
        with pytest.raises(EvaluatorError) as caught:
            open_source(path)
        assert [f.code for f in caught.value.findings] == ["kind"]
        assert got in caught.value.findings[0].got


def test_empty_folder_and_empty_archive_hold_nothing(folder: Any, tmp_path: Path) -> None:
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    for path in (folder("empty", {}), tmp_path / "empty.zip"):
        (finding,) = refusal(path).findings
        assert (finding.code, finding.got) == ("no-outputs", "no images")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.sampled_from([f"{c}{s}" for c in CASES for s in (".png", ".jpg", ".x")]), unique=True))
def test_folder_and_archive_open_alike(folder: Any, archive: Any, tmp_path_factory: Any, names: list[str]) -> None:
    files = dict.fromkeys(names, b"data")
    root = folder(f"{tmp_path_factory.mktemp('each').name}/mine", files)
    path = archive("mine", dict(sorted(files.items())))
    results = []
    for place in (root, path):
        try:
            opened = open_submission(place, CASES)
            results.append((opened.id, dict(opened.files), dict(opened.blocked), {f.code for f in opened.findings}))
        except EvaluatorError as error:
            results.append({f.code for f in error.findings})
    assert results[0] == results[1]
