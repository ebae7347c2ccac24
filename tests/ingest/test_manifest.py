"""submission.toml: strict, harmless to show, and clear about what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.findings import Finding, Severity
from evaluator.ingest.manifest import Manifest
from evaluator.typed_toml import parse_toml

FULL = """
id = "my-net_2.0"
team = "Zoë"
method = "MyNet"
description = "Two\\nlines."
authors = ["A. One", "B. Two"]
affiliation = "Somewhere"
[links]
paper = "https://example.org/paper"
code = "http://example.org/code"
[outputs]
folder = "results/png"
[reported]
runtime_ratio = 1.5
"""


def parse(text: str) -> tuple[Manifest | None, list[Finding]]:
    return parse_toml(Manifest, text.encode(), "submission.toml", "manifest")


def refusal(text: str) -> Finding:
    """Return the only finding; fails if the text is accepted."""
    manifest, findings = parse(text)
    assert manifest is None
    (finding,) = findings
    assert (finding.code, finding.severity, finding.file) == ("manifest", Severity.ERROR, "submission.toml")
    return finding


def test_full_manifest_is_read() -> None:
    manifest, findings = parse(FULL)
    assert findings == []
    assert manifest is not None
    assert (manifest.id, manifest.team, manifest.authors) == ("my-net_2.0", "Zoë", ("A. One", "B. Two"))
    assert (manifest.links.paper, manifest.links.page) == ("https://example.org/paper", None)
    assert (manifest.outputs.folder, manifest.reported.runtime_ratio, manifest.kind) == ("results/png", 1.5, "outputs")


def test_every_key_is_optional() -> None:
    assert parse("") == (Manifest(), [])


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ('tem = "x"', "tem", "'team'"),
        ('[links]\npapr = "https://x.org"', "links.papr", "'paper'"),
        ('[outputs]\nfolders = "x"', "outputs.folders", "'folder'"),
        ("[reported]\nruntime_ration = 1.0", "reported.runtime_ration", "'runtime_ratio'"),
        ('[output]\nfolder = "x"', "output", "'outputs'"),
    ],
)
def test_unknown_key_is_refused_with_the_nearest_one(text: str, key: str, hint: str) -> None:
    finding = refusal(text)
    assert finding.got == f"the key {key}"
    assert hint in finding.fix


def test_unknown_key_like_no_other_lists_what_is_allowed() -> None:
    assert "code, page, paper" in refusal("[links]\nzzzzzz = 1").fix


def test_everything_wrong_is_said_at_once() -> None:
    manifest, findings = parse('team = 5\nid = "Not OK"\n[links]\npage = "ftp://x"\ntypo = 1')
    assert manifest is None
    assert len(findings) == 4


@pytest.mark.parametrize("character", ["\u202e", "\u200b", "\u2066", "\ufeff", "\u0007", "\u001b", "\ue000", "\u2028"])
@pytest.mark.parametrize("key", ["team", "method", "affiliation", "authors", "description"])
def test_characters_that_disguise_a_name_are_refused(key: str, character: str) -> None:
    escaped = f'"a\\u{ord(character):04X}b"'
    finding = refusal(f"{key} = [{escaped}]" if key == "authors" else f"{key} = {escaped}")
    assert f"U+{ord(character):04X}" in finding.expected
    assert character not in finding.got, "the message itself must be harmless"


@pytest.mark.parametrize("name", ["Zoë", "北京大学", "Łukasz – Ångström", "عربى", "R&D <b>", "😀"])
def test_names_of_all_scripts_are_kept(name: str) -> None:
    manifest, _ = parse(f'team = "{name}"')
    assert manifest is not None
    assert manifest.team == name


def test_names_that_look_equal_are_equal() -> None:
    manifest, _ = parse('team = "Zoe\u0308"')
    assert manifest is not None
    assert manifest.team == "Zo\u00eb"


@pytest.mark.parametrize("key", ["paper", "code", "page"])
@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        " https://x.org",
        "//x.org",
        "file:///etc",
        "",
        "vbscript:x",
        "https://x.org/\\u202Egro",
    ],
)
def test_only_http_links_are_taken(key: str, url: str) -> None:
    assert refusal(f'[links]\n{key} = "{url}"').expected.startswith(f"links.{key}")


@pytest.mark.parametrize(
    "folder", ["..", "../x", "a/../../b", "/etc", "C:/x", "c:x", "..\\\\x", "a\\\\..\\\\b", "a\\\\b"]
)
def test_outputs_lie_inside_the_submission(folder: str) -> None:
    assert "inside the submission" in refusal(f'[outputs]\nfolder = "{folder}"').expected


@pytest.mark.parametrize("folder", [".", "out", "out/png", "a..b", "./out"])
def test_folders_inside_are_taken(folder: str) -> None:
    manifest, _ = parse(f'[outputs]\nfolder = "{folder}"')
    assert manifest is not None
    assert manifest.outputs.folder == folder


@pytest.mark.parametrize("identifier", ["", "A", "a b", "-a", ".a", "..", "a/b", "a\\nb", "é", "a" * 41, "a\\n"])
def test_id_is_safe_in_paths_and_addresses(identifier: str) -> None:
    assert refusal(f'id = "{identifier}"').expected.startswith("id: ")


@pytest.mark.parametrize(
    "text",
    [
        'kind = "python"',
        '[python]\nentry = "a:b"',
        'kind = "shell"',
        'kind = "python"\n[python]\nentry = "os.system:x y"',
        'kind = "python"\n[python]\nentry = "a"',
    ],
)
def test_code_needs_its_kind_and_a_plain_entry(text: str) -> None:
    refusal(text)


MODEL = """
kind = "model"
[model]
layout = "NHWC"
range = [0, 1]
[artefacts.quality]
file = "net.tflite"
"""
PAIR = MODEL.replace("range = [0, 1]", 'range = [0, 1]\ninputs = ["left", "right"]')


def read(text: str) -> Manifest:
    manifest, findings = parse(text)
    assert manifest is not None, findings
    return manifest


def test_a_model_needs_its_layout_its_range_and_a_file() -> None:
    manifest = read(MODEL)
    assert manifest.model is not None
    assert manifest.artefacts is not None
    model, artefact = manifest.model, manifest.artefacts.quality
    assert (model.layout, model.range, model.given, model.colour) == ("NHWC", (0, 1), (0, 1), "RGB")
    assert (model.dtype, model.size_multiple, model.inputs, model.tile_overlap) == ("float32", 1, ("input",), None)
    assert (artefact.file, artefact.format, artefact.input, artefact.output) == ("net.tflite", "tflite", None, None)
    assert manifest.artefacts.latency is None


@pytest.mark.parametrize(
    ("line", "key"),
    [('layout = "NHWC"', "model.layout"), ("range = [0, 1]", "model.range"), ("file =", "artefacts.quality.file")],
)
def test_what_a_model_cannot_do_without_is_asked_for(line: str, key: str) -> None:
    text = MODEL.replace('file = "net.tflite"', 'format = "tflite"') if "file" in line else MODEL.replace(line, "")
    assert refusal(text).expected == f"the key {key}"


def test_everything_about_a_model_can_be_said() -> None:
    manifest = read(
        MODEL.replace(
            'layout = "NHWC"\nrange = [0, 1]',
            'layout = "flat"\nrange = [0, 255]\noutput_range = [-1, 1]\ncolour = "BGR"\ndtype = "uint8"\n'
            'size_multiple = 8\ninputs = ["left", "right"]\ntile_overlap = 16',
        )
        + 'input = ["l:0", "r:0"]\noutput = "o:0"\n[artefacts.latency]\nfile = "a/saved"\n'
    )
    assert manifest.model is not None
    assert manifest.artefacts is not None
    assert manifest.artefacts.latency is not None
    assert (manifest.model.given, manifest.model.inputs) == ((-1, 1), ("left", "right"))
    assert manifest.artefacts.quality.input == ("l:0", "r:0")
    assert manifest.artefacts.latency.format == "savedmodel"


def test_one_tensor_name_needs_no_list() -> None:
    manifest = read(MODEL + 'input = "x:0"')
    assert manifest.artefacts is not None
    assert manifest.artefacts.quality.input == ("x:0",)


@pytest.mark.parametrize(
    ("file", "form"),
    [
        ("n.tflite", "tflite"),
        ("n.onnx", "onnx"),
        ("n.pt", "torchscript"),
        ("n.PT2", "pt2"),
        ("n.keras", "keras"),
        ("n.pb", "frozen"),
        ("models/saved", "savedmodel"),
    ],
)
def test_format_follows_the_suffix(file: str, form: str) -> None:
    manifest = read(MODEL.replace("net.tflite", file))
    assert manifest.artefacts is not None
    assert manifest.artefacts.quality.format == form


def test_format_can_be_said_where_the_suffix_does_not() -> None:
    manifest = read(MODEL.replace("net.tflite", "saved.v2") + 'format = "savedmodel"')
    assert manifest.artefacts is not None
    assert manifest.artefacts.quality.format == "savedmodel"


@pytest.mark.parametrize("file", ["n.h5", "n.pth", "n.ckpt", "saved.v2"])
def test_other_suffixes_ask_for_the_format(file: str) -> None:
    finding = refusal(MODEL.replace("net.tflite", file))
    assert "set format" in finding.expected
    assert ".onnx" in finding.expected


@pytest.mark.parametrize("file", ["", "/etc/n.pb", "../n.pb", "a/../../n.pb", "C:n.pb", "a\\\\n.pb", "a\\u202en.pb"])
def test_model_files_lie_inside_the_submission(file: str) -> None:
    assert "artefacts.quality.file" in refusal(MODEL.replace("net.tflite", file)).expected


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("range = [0, 1]", "range = [1, 1]", "must differ"),
        ("range = [0, 1]", "range = [0, 1]\noutput_range = [2, 2]", "must differ"),
        ("range = [0, 1]", "range = [0, nan]", "finite"),
        ("range = [0, 1]", "range = [0]", "range"),
        ("range = [0, 1]", 'range = [0, 1]\ndtype = "uint8"', "[0, 255]"),
        ("range = [0, 1]", 'range = [0, 1023]\ndtype = "uint8"', "[0, 255]"),
        ("range = [0, 1]", "range = [0, 1]\nsize_multiple = 0", "size_multiple"),
        ("range = [0, 1]", "range = [0, 1]\ntile_overlap = 1", "tile_overlap"),
        ("range = [0, 1]", "range = [0, 1]\ninputs = []", "inputs"),
        ("range = [0, 1]", 'range = [0, 1]\ninputs = ["a", "a"]', "twice"),
        ('"NHWC"', '"NWHC"', "layout"),
        ('kind = "model"', 'kind = "outputs"', "belong together"),
        ("[artefacts.quality]", "[artefacts.latency]", "artefacts.quality"),
        ('file = "net.tflite"', 'file = "net.tflite"\ninput = ["a", "b"]', "as many tensors"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(old: str, new: str, words: str) -> None:
    assert words in refusal(MODEL.replace(old, new)).expected


def test_a_pair_needs_two_tensor_names() -> None:
    assert "as many tensors" in refusal(PAIR + 'input = "left:0"').expected


def test_a_model_without_tables_is_refused() -> None:
    assert "[artefacts.quality]" in refusal('kind = "model"').expected


@pytest.mark.parametrize("ratio", ["0", "-1.0", "nan", "inf", "-inf", '"fast"'])
def test_runtime_ratio_is_a_positive_number(ratio: str) -> None:
    assert refusal(f"[reported]\nruntime_ratio = {ratio}").expected.startswith("reported.runtime_ratio")


@pytest.mark.parametrize(
    "text",
    [f'team = "{"x" * 201}"', 'team = ""', f'description = "{"x" * 4001}"', "authors = [" + '"a",' * 51 + "]"],
    ids=["long", "empty", "description", "authors"],
)
def test_lengths_are_bounded(text: str) -> None:
    assert len(refusal(text).line()) < 300


@given(st.binary(max_size=60))
def test_any_bytes_give_a_manifest_or_a_finding(data: bytes) -> None:
    manifest, findings = parse_toml(Manifest, data, "submission.toml", "manifest")
    assert (manifest is None) == bool(findings)
