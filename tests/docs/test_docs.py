"""The documentation: what is generated is whole, and what is shown can be typed."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import pytest
import yaml

import evaluator
from evaluator.cli.main import cli
from evaluator.images import encode_png
from evaluator.tasks.mini.photographs import crops
from support import Run

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
READMES = [ROOT / name / "README.md" for name in (".", "submissions", "baselines", "leaderboards")]
WRITTEN = [*sorted((DOCS / "pages").glob("*.md")), *READMES]


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands_in(file: Path) -> Iterator[str]:
    """Yield the commands that a page shows: lines of code blocks, with or without a prompt, and inline code."""
    text = file.read_text(encoding="utf-8")
    for line in text.splitlines():
        found = re.match(r"(?: {4}(?:\$ )?|\$ )?(?:python3 -m venv .* && )?(?:\S*/)?(evaluate .*)", line)
        in_block = line.startswith((" ", "$", "evaluate"))
        if found and in_block and "[OPTIONS]" not in line:
            yield found[1]
    yield from re.findall(r"`(evaluate [^`]+)`", text.replace("\n", " "))


SHOWN = sorted({(f.relative_to(ROOT).as_posix(), c) for f in WRITTEN for c in commands_in(f)})


def test_many_commands_were_found() -> None:
    assert len(SHOWN) > 60
    assert ("docs/pages/challenge.md", "evaluate init task my_challenge.toml") in SHOWN


@pytest.mark.parametrize(("page", "command"), SHOWN)
def test_verbs_and_options_that_are_shown_exist(page: str, command: str) -> None:
    words = shlex.split(command.replace("…", " ").replace("|", " "), comments=True)[1:]
    current: click.Command = cli
    context = click.Context(cli)
    if words and words[0].startswith("--") and words[0] not in ("--help", "--version"):
        words.insert(0, "score")
    while isinstance(current, click.Group) and words and not words[0].startswith("-"):
        names = current.list_commands(context)
        if words[0].isupper():  # VERB
            return
        if words[0] not in names and current is cli:
            words.insert(0, "score")
        assert words[0] in names, f"{page}: {command}"
        found = current.get_command(context, words.pop(0))
        assert found is not None
        current = found
    known = {name for option in current.params for name in (*option.opts, *option.secondary_opts)} | {"--help", "-h"}
    if current is cli:
        known |= {"--version"}
    shown = {word.partition("=")[0].rstrip(",;.") for word in words if re.match(r"--[a-z]", word)}
    assert shown <= known, f"{page}: {command}"


def test_a_misspelt_option_would_be_found() -> None:
    with pytest.raises(AssertionError):
        test_verbs_and_options_that_are_shown_exist("page", "evaluate check --tsak sidd my_outputs")
    with pytest.raises(AssertionError):
        test_verbs_and_options_that_are_shown_exist("page", "evaluate tasks shwo sidd")


def test_every_metric_is_on_the_page_of_contracts(hooks: ModuleType) -> None:
    page = hooks.contracts()
    for name in (*evaluator.metrics.ids(), *evaluator.metrics.set_contracts()):
        contract = evaluator.metrics.contract_of(name)
        assert f"\n## `{name}` " in page
        assert hooks._cell(contract.title) in page
        assert hooks._cell(contract.source) in page


def test_every_task_is_on_the_page_of_tasks(hooks: ModuleType) -> None:
    page = hooks.tasks()
    for name in evaluator.task_ids():
        spec = evaluator.load_task(name).spec
        assert f"{{ #{name} }}" in page
        for metric in spec.metrics:
            assert f"`{metric}`" in page
        for split in spec.splits:
            assert f"| `{split}`" in page


def test_every_public_name_is_on_the_page_of_the_interface(hooks: ModuleType) -> None:
    page = hooks.api()
    documented = re.findall(r"^::: evaluator\..*?(\w+)$", page, flags=re.MULTILINE)
    assert {*documented, "metrics", "__version__"} == {*evaluator.__all__, "compute"}


def test_the_page_on_isolation_is_readmes_section(hooks: ModuleType) -> None:
    assert "| level | what it is | what may run |" in hooks.safety()
    assert "## " not in hooks.safety().removeprefix("# Isolation")


def test_every_page_has_a_place_in_the_menu(hooks: ModuleType) -> None:
    menu = yaml.safe_load((DOCS / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    named = set(re.findall(r"\w+\.md", str(menu)))
    assert named == {file.name for file in (DOCS / "pages").glob("*.md")} | set(hooks.pages())


def test_the_documentation_is_built_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="pip install -e '.[docs]'")
    pytest.importorskip("mkdocstrings")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "-f",
        DOCS / "mkdocs.yml",
        "-d",
        tmp_path,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    built = sorted(tmp_path.glob("*.html"))
    assert {"index.html", "contracts.html", "tasks.html", "api.html", "costs.html"} <= {file.name for file in built}
    for file in built:
        text = file.read_text(encoding="utf-8")
        tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", text)
        assert not [tag for tag in tags if "//" in tag and "canonical" not in tag], file.name
        # Opened from the disk, a link to a folder shows its listing.
        assert not re.findall(r'href="[^":]*/"', text), file.name
    assert "Score submissions on a split and write their scorecards." in (tmp_path / "api.html").read_text("utf-8")


def block_of(text: str) -> str:
    """Return the Python code of an indented block."""
    return "\n".join(line.removeprefix("    ") for line in text.splitlines())


def test_the_docstrings_example_runs_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hooks: ModuleType
) -> None:
    monkeypatch.chdir(tmp_path)
    split = evaluator.load_task("sidd").split("mini")
    (tmp_path / "my_outputs").mkdir()
    for case in split.case_ids:
        (tmp_path / "my_outputs" / f"{case}.png").write_bytes(encode_png(split.input(case).array // 2 * 2))
    code = block_of((evaluator.__doc__ or "").partition("::\n\n")[2])
    assert code.strip() in hooks.api()
    assert len(code.splitlines()) <= 24  # one screen
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - it is ours
    (outcome,) = names["outcomes"]  # type: ignore[misc]
    assert outcome.card.status == "complete"
    assert [row.submission for row in names["board"].rows] == ["my_outputs"]  # type: ignore[attr-defined]
    assert (tmp_path / "leaderboards" / "site" / "index.html").is_file()
    assert (tmp_path / "my_bundle.zip").is_file()


def test_readmes_example_runs_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "submissions").mkdir()
    (tmp_path / "submissions" / "example").symlink_to(ROOT / "submissions" / "example")
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - it is ours
    assert [row.submission for row in names["board"].rows] == ["example"]  # type: ignore[attr-defined]


def test_the_challenge_from_start_to_end(evaluate: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    for number, image in enumerate(list(crops().values())[::5][:3]):
        noisy = np.clip(image + random.normal(0, 15, image.shape), 0, 255).astype(np.uint8)
        pixels = {
            "data/my-challenge/input": noisy,
            "data/my-challenge/reference": image,
            "teams/team-a": image // 2 * 2,
            "teams/team-b": noisy // 2 * 2,
        }
        for folder, array in pixels.items():
            file = tmp_path / folder / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode_png(array.astype(np.uint8)))
    ran = []
    for line in (DOCS / "pages" / "challenge.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("    evaluate "):
            words = [w for word in shlex.split(line)[1:] for w in expanded(word, tmp_path)]
            done = evaluate(*words)
            assert done.returncode == 0, f"{line}: {done.stderr}"
            ran.append(done.stdout)
    assert len(ran) == 8
    assert [line.split()[:2] for line in ran[5].splitlines()[3:5]] == [["1", "team-a"], ["2", "team-b"]]
    assert (tmp_path / "leaderboards" / "site" / "index.html").is_file()
    assert (tmp_path / "my_bundle.zip").is_file()


def expanded(word: str, folder: Path) -> list[str]:
    """Return what a shell makes of a word."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.glob(word)) if "*" in word else [word]
