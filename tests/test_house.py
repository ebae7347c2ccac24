"""The house stays in order: arrows point down, imports stay light, findings are documented."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import evaluator

PACKAGE = Path(evaluator.__file__).parent
# Each package may import from those named; everything may import the leaves.
ARROWS = {
    "images": set(),
    "metrics": {"images"},
    "tasks": {"metrics", "images"},
    "efficiency": {"tasks", "metrics", "images"},
    "ingest": {"tasks", "metrics", "images"},
    "training": {"runners", "ingest", "tasks", "images"},
    "results": {"efficiency", "tasks", "metrics", "images"},
    "runners": {"ingest", "efficiency", "tasks", "metrics", "images"},
    "ranking": {"results", "efficiency", "tasks", "metrics", "images"},
    "scoring": {"results", "ingest", "runners", "efficiency", "tasks", "metrics", "images"},
    "site": {"ranking", "results", "ingest", "runners", "efficiency", "tasks", "metrics", "images"},
    "bundle": {"scoring", "ranking", "results", "ingest", "efficiency", "tasks", "metrics", "images"},
}
LEAVES = {"extras", "findings", "patience", "remote", "shipped", "text", "typed_toml", "_version"}
HEAVY = ("torch", "tensorflow", "pandas", "skimage", "scipy", "cv2", "h5py", "matplotlib", "fsspec")


def imported_packages(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("evaluator"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("package", ARROWS)
def test_arrows_point_down(package: str) -> None:
    for file in (PACKAGE / package).rglob("*.py"):
        wrong = imported_packages(file) - ARROWS[package] - LEAVES - {package}
        assert not wrong, f"{file} imports {wrong}"


def test_every_package_has_a_place_in_the_picture() -> None:
    packages = {p.parent.name for p in PACKAGE.glob("*/__init__.py")} - {"_baselines"}
    assert packages == {*ARROWS, "cli"}


def loaded_after(code: str) -> set[str]:
    script = f"import sys; {code}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import evaluator") == set()


def test_help_loads_nothing_heavy_nor_pydantic() -> None:
    script = (
        "import sys, contextlib; sys.argv = ['evaluate', '--help']; from evaluator.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        f"print('LOADED', *(m for m in {(*HEAVY, 'pydantic', 'rich', 'numpy')!r} if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("LOADED")


def test_a_worker_that_reads_outputs_loads_little() -> None:
    """One is started for each submission."""
    script = """
import io, sys
from evaluator.runners.worker import Worker
from PIL import Image
file = io.BytesIO()
Image.new("RGB", (9, 8)).save(file, "PNG")
size = {"width": 9, "channels": 3, "bit_depth": 8}
for height in (8, 7):
    wanted = {**size, "height": height, "accepts": ["uint8"], "is_rounded": False, "white": None}
    request = {"cpu": None, "file": "a.png", "expected": wanted}
    answer, pixels = Worker().output(request, [file.getvalue()])
    print(bool(pixels), len(answer["findings"]))
print(*(m for m in UNWANTED if m in sys.modules))
"""
    unwanted = (*(set(HEAVY) - {"cv2"}), "pydantic", "rich", "click", "evaluator.tasks", "evaluator.ingest.manifest")
    script = script.replace("UNWANTED", repr(unwanted))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True 0", "False 1", ""]


def test_listing_tasks_and_metrics_loads_no_framework() -> None:
    assert loaded_after("import evaluator; evaluator.load_task('sidd'); evaluator.metrics.ids()") <= {"scipy", "cv2"}


def test_the_public_names_exist() -> None:
    for name in evaluator.__all__:
        assert getattr(evaluator, name) is not None
    with pytest.raises(AttributeError):
        evaluator.no_such_thing  # noqa: B018


def test_the_package_is_typed_and_its_version_is_the_installed_one() -> None:
    assert (PACKAGE / "py.typed").is_file()
    assert metadata.version("restoration-evaluator") == evaluator.__version__


def test_what_the_wheel_must_carry_is_there() -> None:
    if os.environ.get("EVALUATOR_TEST_WHEEL"):
        assert "site-packages" in PACKAGE.parts, "tox must test the installed wheel, not the checkout"
    from evaluator.ingest import baseline_names

    assert set(baseline_names()) >= {"identity", "nlm", "bilateral", "tv"}
    assert set(evaluator.task_ids()) >= {"sidd", "dped"}
    from evaluator.results import load_facts, load_papers, load_published

    assert len(load_published()) == sum(paper.tables for paper in load_papers().values()) == 16
    assert load_facts().networks
    for pattern in (
        "tasks/definitions/*.sha256",
        "tasks/templates/*.toml",
        "site/templates/*.html",
        "site/static/*.js",
        "site/templates/*.svg",
        "bundle/templates/*",
        "efficiency/devices.toml",
    ):
        assert list(PACKAGE.glob(pattern)), pattern


def test_every_finding_code_is_documented() -> None:
    readme = Path(__file__).parent.parent / "submissions" / "README.md"
    documented = set(re.findall(r"^\| `([a-z0-9-]+)` \|", readme.read_text(encoding="utf-8"), flags=re.MULTILINE))
    used = set()
    for file in PACKAGE.rglob("*.py"):
        if "tasks" in file.relative_to(PACKAGE).parts:
            continue  # findings about data sets are for organisers
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            is_finding = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and (node.func.value.id == "Finding")
            )
            named = node.args if is_finding and isinstance(node, ast.Call) else []
            problems = ("ImageProblem", "ModelProblem")
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in problems:
                named = node.args
            if named and isinstance(named[0], ast.Constant):
                used.add(named[0].value)
    used |= {"gray", "channels", "manifest"}  # chosen at run time
    assert used == documented
