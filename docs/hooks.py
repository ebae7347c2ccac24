"""What mkdocs calls: pages written from the code when the documentation is built, so that none can go stale."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import evaluator
from evaluator import metrics
from evaluator.metrics import Contract, SetContract

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parent.parent
_FIELDS = {
    "direction": "better",
    "unit": "unit",
    "worst": "worst value",
    "colour": "colour",
    "range": "range",
    "window": "window",
    "border": "border",
    "pooling": "within an image",
    "takes": "takes",
    "overlap": "overlap",
    "matching": "matching",
    "ignored": "ignored",
    "ties": "equal scores",
    "curve": "within a class",
    "aggregation": "over the set",
    "identical": "identical images",
    "minimum_size": "smallest image",
    "source": "source",
    "used_by": "used by",
    "version": "version",
}
_API = {
    "Tasks": ("load_task", "task_ids", "Task", "Split"),
    "Score": ("check", "score", "Outcome", "Scorecard", "Store", "case_table"),
    "Rank and publish": ("rank", "Board", "build_site", "build_bundle", "Bundle"),
    "What is wrong": ("Finding", "Severity", "EvaluatorError"),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are written from the code."""
    from mkdocs.structure.files import File

    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    return files


def pages() -> dict[str, str]:
    """Return the pages, by file name."""
    return {"contracts.md": contracts(), "tasks.md": tasks(), "safety.md": safety(), "api.md": api()}


def contracts() -> str:
    """Return the page of all metrics' contracts."""
    every: list[Contract | SetContract] = [metric.contract for metric in metrics.metrics().values()]
    every += metrics.set_contracts().values()
    lines = [
        "# The contracts",
        "",
        "A metric is a contract: its id names everything that changes the number. There is no bare `ssim`. "
        "`evaluate metrics explain ID` prints the same.",
        "",
        "| metric | what it is | better |",
        "|---|---|---|",
        *(f"| [`{c.id}`](#{_anchor(c.id)}) | {_cell(c.title)} | {c.direction} |" for c in every),
        "",
    ]
    for contract in every:
        lines += [f"## `{contract.id}` {{ #{_anchor(contract.id)} }}", "", _cell(contract.title) + ".", ""]
        if contract.flaw:
            lines += [f"**Flaw**: {_cell(contract.flaw)}", ""]
        lines += ["| | |", "|---|---|"]
        shown = {label: getattr(contract, name) for name, label in _FIELDS.items() if hasattr(contract, name)}
        lines += [f"| {label} | {_cell(str(value))} |" for label, value in shown.items() if value != ""]
        lines += [
            f"| also published: {name} | {_cell(text)} |" for name, text in getattr(contract, "extra", {}).items()
        ]
        lines.append("")
    return "\n".join(lines)


def tasks() -> str:
    """Return the page of all shipped tasks."""
    lines = [
        "# Tasks",
        "",
        "What ships with the harness. `evaluate tasks show TASK` prints the same, and what is on this machine.",
        "",
    ]
    for name in evaluator.task_ids():
        spec = evaluator.load_task(name).spec
        lines += [f"## {spec.title} {{ #{name} }}", "", f"`{name}`. {_text(spec.description)} {_text(spec.inputs)}", ""]
        lines += [f"- {_text(sentence)}" for sentence in spec.protocol.sentences()]
        lines += [f"- {_text(sentence)}" for sentence in spec.rule_sentences()]
        for track in spec.tracks:
            words = " ".join(spec.rule_sentences(track.id))
            lines.append(f"- Track `{track.id}`, {_text(track.title)}: {_text(words)}")
        lines += [f"- {score.title}: `{score.id}` = `{score.formula}`" for score in spec.scores]
        linked = ", ".join(
            f"[`{m}`](contracts.md#{_anchor(m)})" if m in metrics.ids() else f"`{m}`" for m in spec.metrics
        )
        lines += ["", f"Metrics: {linked}.", "", f"Paper: {_text(spec.paper)}", ""]
        lines += ["| split | what it is | cases | licence |", "|---|---|---:|---|"]
        for split, about in spec.splits.items():
            official = " (official)" if split == spec.default_split else ""
            lines.append(
                f"| `{split}`{official} | {_cell(about.title)} | {about.count or '–'} | {_cell(about.licence)} |"
            )
        lines.append("")
    return "\n".join(lines)


def safety() -> str:
    """Return README's section on isolation as a page."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^## Isolation\n(.*?)(?=^## )", readme, flags=re.MULTILINE | re.DOTALL)
    if found is None:
        raise RuntimeError("README.md has no section Isolation any more: mend docs/hooks.py")
    return f"# Isolation\n{found[1]}"


def api() -> str:
    """Return the page of the Python interface: every public name."""
    listed = {name for names in _API.values() for name in names} | {"metrics", "__version__"}
    if listed != set(evaluator.__all__):
        raise RuntimeError(f"public names and docs/hooks.py differ: {sorted(listed ^ set(evaluator.__all__))}")
    doc = (evaluator.__doc__ or "").partition("::\n\n")[2]
    lines = [
        "# Python",
        "",
        "The command line is a thin layer over this; one screen of it:",
        "",
        "```python",
    ]
    lines += [line.removeprefix("    ") for line in doc.rstrip().splitlines()]
    lines += ["```", "", "Bad input raises `EvaluatorError`, whose message and findings are for people.", ""]
    for title, names in _API.items():
        lines += [f"## {title}", ""]
        lines += [f"::: {getattr(evaluator, name).__module__}.{name}\n" for name in names]
    lines += ["## One metric", "", "::: evaluator.metrics.registry.compute", ""]
    return "\n".join(lines)


def _anchor(metric: str) -> str:
    return metric.replace(".", "-")


def _text(words: str) -> str:
    """Return words as Markdown that shows them as they are."""
    return re.sub(r"([<*_\[\]\\])", r"\\\1", words)


def _cell(words: str) -> str:
    return _text(words).replace("|", "\\|").replace("\n", " ")
