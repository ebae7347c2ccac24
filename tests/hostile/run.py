"""Run `evaluate` on hostile submissions and an honest one, and look at what came of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from hostile.kind import CASES, HEIGHT, WIDTH, Class, Kind, Place

import evaluator
from evaluator.images import encode_png

VARIABLE = "EVALUATOR_TEST_SECRET"
TOML = f"""
id = "tiny"
title = "Tiny task"
description = "Two small pairs for tests."
paper = "none"
inputs = "One {WIDTH}×{HEIGHT} image."
metrics = ["psnr.f64", "mae"]
default_split = "two"

[protocol]
clip = true

[limits]
LIMITS

[ranking]
by = ["psnr.f64"]

[splits.two]
reader = "files"
title = "two pairs"
licence = "CC0"
home = "https://example.org"
get = "made by the tests"
count = {len(CASES)}
size = [{WIDTH}, {HEIGHT}]
folders = ["tiny"]
inputs = "in/*.png"
references = "ref/*.png"
"""


@contextmanager
def place_in(root: Path) -> Iterator[Place]:
    """Make a place with data, a watched folder and a listener; nobody may have come to it at the end."""
    references, inputs = {}, {}
    for number, case in enumerate(CASES):
        random = np.random.default_rng(200 + number)
        rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
        base = (rows * 6 + columns * 4 + 20)[:, :, None] + np.array([0, 15, 30])
        clean = np.clip(base + random.integers(-10, 11, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
        references[case] = clean
        inputs[case] = np.clip(clean * 0.8 + random.integers(-30, 31, clean.shape), 0, 255).astype(np.uint8)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        name = uuid.uuid4().hex
        place = Place(root, references, inputs, listener.getsockname()[1], name, f"ev{name[:12]}")
        for case in CASES:
            for path, image in ((place.reference(case), references[case]), (place.given(case), inputs[case])):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode_png(image))
                path.chmod(0o666)
        place.watched.mkdir()
        (place.watched / "canary.txt").write_text("still here")
        for folder in (place.watched, place.reference().parent, place.given().parent):
            folder.chmod(0o777)
        (root / "tmp").mkdir()
        yield place
        try:
            listener.accept()
        except BlockingIOError:
            return
        raise AssertionError("a submission reached a port of the host")


@dataclass(frozen=True)
class Night:
    """What a run of `evaluate` left and said."""

    place: Place
    results: dict[str, dict[str, Any]]
    """By the submission's path, as it was given."""
    returncode: int
    stderr: str
    table: str
    """What `evaluate rank` prints."""
    pages: dict[str, str]
    """The site, by path: its HTML files."""
    files: list[str]
    """All files of the site."""
    problems: list[str]
    """What the run as a whole did wrong."""


def run(place: Place, command: str, chosen: Class, kinds: Sequence[Kind]) -> tuple[Night, dict[str, Path]]:
    """Write the submissions, score them all in one run beside an honest one, rank them, and build the site."""
    (place.root / "tiny.toml").write_text(TOML.replace("LIMITS", chosen.limits), encoding="utf-8")
    place.submissions.mkdir()
    honest = place.put(place.submissions / "honest")
    paths = {kind.name: place.submissions / f"{kind.name}{kind.suffix}" for kind in kinds}
    for kind in kinds:
        paths[kind.name] = kind.write(place, paths[kind.name]) or paths[kind.name]
    # The honest one neither first nor last, and named as a shell would name them all.
    given = sorted([*paths.values(), honest])
    before = snapshot(place)

    def evaluate(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
        env = {**os.environ, VARIABLE: place.secret, "TMPDIR": str(place.root / "tmp")}
        words = [command, *map(os.fsencode, arguments)]
        return subprocess.run(words, cwd=place.root, env=env, capture_output=True, timeout=570, check=False)

    task, data = place.root / "tiny.toml", place.data
    done = evaluate("--task", task, "--data", data, "--workers", str(chosen.workers), "--format", "json", *given)
    problems = [f"left running: {name}" for name in left_running(place.marker)]
    rank = evaluate("rank", "--task", task)
    site = evaluate("site", "--task", task, "--data", data)
    root = place.root / "leaderboards" / "site"
    files = [path for path in root.rglob("*") if path.is_file()]
    for title, ran, wanted in (("score", done, (0, 2)), ("rank", rank, (0,)), ("site", site, (0,))):
        said = ran.stderr.decode(errors="replace")
        problems += [f"{title}: status {ran.returncode}: {said[-3000:]}"] if ran.returncode not in wanted else []
        problems += [f"{title}: a traceback: {said[-3000:]}"] if "Traceback" in said else []
        problems += [f"{title} prints {c!r}" for c in steering(ran.stdout + ran.stderr)]
    problems += differences(before, snapshot(place))
    problems += [f"left in the folder for temporary files: {path}" for path in (place.root / "tmp").iterdir()]
    try:
        submissions = json.loads(done.stdout)["submissions"]
    except (ValueError, KeyError):
        submissions = []
        problems.append(f"score: no results: {done.stderr.decode(errors='replace')[-3000:]}")
    night = Night(
        place=place,
        results={result["path"]: result for result in submissions},
        returncode=done.returncode,
        stderr=done.stderr.decode(errors="replace"),
        table=rank.stdout.decode(),
        pages={str(f.relative_to(root)): f.read_text(encoding="utf-8") for f in files if f.suffix == ".html"},
        files=[str(path.relative_to(root)) for path in files],
        problems=problems,
    )
    return night, paths


def wrong(night: Night, kinds: Sequence[Kind], paths: dict[str, Path]) -> list[str]:
    """Return everything that did not come out as it must, a line each."""
    problems = list(night.problems)
    place = night.place
    right = {"honest": {c: place.honest(c) for c in CASES}, "input": place.inputs}
    honest = night.results.get(str(place.submissions / "honest"))
    problems += _scored("honest", honest, place.psnr(right["honest"]))
    for kind in kinds:
        result = night.results.get(
            str(paths[kind.name]).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        )
        if result is None:
            problems.append(f"{kind.name}: no result")
            continue
        problems += _unlike(kind, result)
        problems += _scored(kind.name, result, place.psnr(right[kind.score])) if kind.score else []
    for name, page in night.pages.items():
        problems += [f"{name}: {what}" for what in active(page)]
        problems += [f"{name} holds {c!r}" for c in steering(page.encode())]
    allowed = (".html", ".png", ".css", ".js", ".svg")
    problems += [f"the site holds {name}" for name in night.files if not name.endswith(allowed)]
    for table in (place.root / "leaderboards").glob("tiny/*/*/cases.csv"):
        text = table.read_text(encoding="utf-8")
        formula = re.search(r'(^|,)"?[=+@\t\r]', text, flags=re.MULTILINE)
        problems += [f"{table}: a formula: {text}"] if formula else []
    problems += [f"the table holds {c!r}" for c in steering(night.table.encode())]
    return problems


def _unlike(kind: Kind, result: dict[str, Any]) -> list[str]:
    found = {finding["code"] for finding in result["findings"]}
    told = f"it was {result['status']}, {result['message']!r}, with {result['findings'][:4]}"
    status = {"rejected": "rejected", "part": "incomplete", "scored": "complete"}[kind.verdict]
    problems = [] if result["status"] == status else [f"{kind.name} must be {status}: {told}"]
    problems += [f"{kind.name}: no finding {code}: {told}" for code in kind.codes - found]
    problems += [f"{kind.name}: a finding {code}: {told}" for code in kind.never & found]
    words = json.dumps([result["findings"], result["message"]], ensure_ascii=False)
    problems += [f"{kind.name} does not say {text!r}: {told}" for text in kind.says if text not in words]
    for finding in result["findings"]:
        empty = [name for name in ("code", "file", "expected", "got", "fix") if not finding[name].strip()]
        problems += [f"{kind.name}: a finding without {empty}: {finding}"] if empty else []
        problems += (
            [f"{kind.name}: a code {finding['code']!r}"] if not re.fullmatch("[a-z0-9-]{1,40}", finding["code"]) else []
        )
        problems += [f"{kind.name}: {c!r} in a finding" for c in steering("".join(finding.values()).encode())]
        problems += [f"{kind.name}: a finding of {len(str(finding))} characters"] if len(str(finding)) > 12_000 else []
    return problems


def _scored(name: str, result: dict[str, Any] | None, psnr: float) -> list[str]:
    if result is None or "psnr.f64" not in result["metrics"]:
        return [f"{name} has no score: {result}"]
    value = result["metrics"]["psnr.f64"]["value"]
    if value is None or abs(value - psnr) > 1e-9:
        return [f"{name} has a PSNR of {value} instead of {psnr}: {result['findings'][:4]}"]
    return []


def steering(text: bytes) -> set[str]:
    """Return the characters that a terminal or a browser would obey, lines and tabs apart."""
    found = text.decode("utf-8", errors="surrogateescape")
    return {c for c in found if not c.isprintable() and c != "\n"}


class _Active(HTMLParser):
    """Collects what would be run, or lead elsewhere than it says."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag == "script" and not re.fullmatch(r"(\.\./)*static/[a-z]+\.js", values.get("src") or ""):
            self.found.append(f"a script {values}")
        if tag in ("iframe", "object", "embed", "form", "base", "style"):
            self.found.append(f"<{tag}>")
        for name, value in values.items():
            address = name in ("href", "src", "action") and re.match(
                r"\s*(?!https?:)[a-z]+:", value or "", re.IGNORECASE
            )
            if name.startswith("on") or name == "style" or address:
                self.found.append(f"{name}={value!r} in <{tag}>")


def active(page: str) -> list[str]:
    """Return what of a page a browser would run."""
    parser = _Active()
    parser.feed(page)
    return parser.found


def snapshot(place: Place) -> dict[str, tuple[Any, ...]]:
    """Return what tells whether anything that was to stay as it is has changed."""
    found = {}
    roots = [place.data, place.submissions, place.watched, Path(evaluator.__file__).parent]
    for root in roots:
        for path in [root, *_below(root)]:
            status = path.lstat()
            told = [status.st_mode, status.st_uid, status.st_size, status.st_ino]
            # What the harness itself may leave in its package: compiled modules.
            own = root == roots[-1]
            told += [] if own and path.is_dir() else [status.st_mtime_ns]
            if path.is_file() and not path.is_symlink():
                told.append(hashlib.sha256(path.read_bytes()).hexdigest())
            found[os.fsencode(path).decode(errors="backslashreplace")] = tuple(told)
    return found


def _below(root: Path, depth: int = 12) -> Iterator[Path]:
    for path in root.iterdir() if depth else ():
        if path.name != "__pycache__":
            yield path
            if path.is_dir() and not path.is_symlink():
                yield from _below(path, depth - 1)


def differences(before: dict[str, tuple[Any, ...]], after: dict[str, tuple[Any, ...]]) -> list[str]:
    """Return what changed between two snapshots."""
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    return [f"changed: {name!r}: {before.get(name)} → {after.get(name)}" for name in sorted(changed)]


def left_running(marker: str) -> list[str]:
    """Return the processes that gave themselves the name."""
    found = []
    for file in Path("/proc").glob("[0-9]*/comm"):
        try:
            found += [str(file)] if file.read_text().strip() == marker else []
        except OSError:
            continue  # it has just ended
    return found


def clear(place: Place) -> None:
    """Remove what Python's own removal cannot: folders deeper than it can follow."""
    if sys.platform == "linux":
        subprocess.run([shutil.which("rm") or "rm", "-rf", place.submissions], check=False)
