"""A page as one file: all inside, nothing that leads elsewhere, and a policy for that alone."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evaluator.findings import EvaluatorError
from evaluator.site import build_site, single_file
from evaluator.site.single import inline

if TYPE_CHECKING:
    from support import Tiny

PAGE = """<!doctype html>
<head><meta http-equiv="Content-Security-Policy" content="default-src 'none'">
<link rel="stylesheet" href="s/a.css"><link rel="icon" href="s/i.svg" type="image/svg+xml">
<script src="s/a.js" defer></script><script src="s/b.js"></script></head>
<body><p title="a &lt; b">ä &amp; 1 < 2</p><a class="x" href="other.html">other</a> <a href="#here">here</a>
<a href="https://example.org/?a=1&amp;b=2">out</a><img src="s/i.svg" alt="&quot;q&quot;">
<svg><a href="other.html"><text>t</text></a><linearGradient id="g"/></svg>
</body>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s").mkdir()
    for name, text in (("a.css", "p { color: red }\n"), ("a.js", "'ä';\n"), ("b.js", "2\n"), ("i.svg", "<svg/>")):
        (tmp_path / "s" / name).write_text(text, encoding="utf-8")
    return tmp_path


def sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_files_stand_inside_and_the_rest_stays_to_the_byte(folder: Path) -> None:
    icon = f"data:image/svg+xml;base64,{base64.b64encode(b'<svg/>').decode()}"
    assert (
        inline(PAGE, folder)
        == f"""<!doctype html>
<head><meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'sha256-{
            sha256("p { color: red }" + chr(10))
        }'; script-src 'sha256-{sha256("'ä';" + chr(10))}' 'sha256-{sha256("2" + chr(10))}'">
<style>p {{ color: red }}
</style><link rel="icon" href="{icon}" type="image/svg+xml">
<script>2
</script></head>
<body><p title="a &lt; b">ä &amp; 1 < 2</p><span class="x">other</span> <a href="#here">here</a>
<a href="https://example.org/?a=1&amp;b=2">out</a><img src="{icon}" alt="&quot;q&quot;">
<svg><g><text>t</text></g><linearGradient id="g"/></svg>
<script>'ä';
</script>
</body>
"""
    )


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.js", "'</script>'"),
        ("a.css", "p { background: url(x.png) }"),
        ("a.css", "@import 'x.css';"),
        ("i.svg", None),
    ],
)
def test_what_cannot_stand_inside_is_an_error(folder: Path, file: str, content: str | None) -> None:
    path = folder / "s" / file
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=file):
        inline(PAGE, folder)


def test_nothing_outside_of_the_folder_is_read(folder: Path) -> None:
    (folder.parent / "secret.css").write_text("p {}")
    with pytest.raises(ValueError, match=r"secret\.css"):
        inline(PAGE.replace("s/a.css", "../secret.css"), folder)


def test_the_page_of_a_task_needs_no_other_file(results: Path, tiny: Tiny) -> None:
    page = single_file(tiny.task, "five", results)
    assert single_file(tiny.task, "five", results) == page
    for target in re.findall(r'(?:href|src)="([^"]*)"', page):
        assert target.startswith(("#", "data:", "https://")), target
    built = (build_site(results, data=tiny.root).parent / "tiny/five/index.html").read_text(encoding="utf-8")
    rows = re.findall(r'<td class="number" data-value="[^"]*"', built)
    assert rows
    assert re.findall(r'<td class="number" data-value="[^"]*"', page) == rows
    assert '<script>alert("x")</script>' not in page
    assert "about.html" not in page


def test_without_scorecards_there_is_no_page(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(EvaluatorError, match="Score something first"):
        single_file(tiny.task, "five", tmp_path)
