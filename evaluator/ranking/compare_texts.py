"""A comparison as a table, as Markdown for a pull request, and as JUnit XML for whatever reads test results."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from evaluator.ranking.cells import significant
from evaluator.ranking.compare import Comparison, CostChange, MetricChange
from evaluator.text import safe

METRIC_HEAD = ("metric", "old", "new", "gain", "p", "cases that differ", "largest drop of a case", "lost", "verdict")
COST_HEAD = ("cost", "old", "new", "worse by", "allowed", "verdict")


def metric_row(change: MetricChange) -> list[str]:
    """Return the cells below `METRIC_HEAD`."""
    drop = change.largest
    digits = change.decimals
    return [
        f"{change.metric} {'↑' if change.direction == 'higher' else '↓'}",
        change.number(change.old, change.old_state),
        change.number(change.new, change.new_state),
        "–" if change.gain is None else f"{change.gain:+.{digits + 1}f}",
        "–" if change.p is None else significant(change.p, 2) if change.p >= 1e-4 else f"{change.p:.0e}",
        f"{change.differing} of {change.paired}",
        f"{drop.drop:.{digits}f} ({drop.case})" if drop else "–",
        str(len(change.lost)) if change.lost else "–",
        "WORSE" if change.problems else "ok",
    ]


def cost_row(change: CostChange) -> list[str]:
    """Return the cells below `COST_HEAD`."""
    return [
        change.name,
        f"{change.old:,.6g}" if change.old < 1e6 else f"{change.old:,.0f}",
        "–" if change.new is None else f"{change.new:,.6g}" if change.new < 1e6 else f"{change.new:,.0f}",
        "–" if change.worse is None else f"{change.worse:+.2f} %",
        "–" if change.limit is None else f"{change.limit:g} %",
        "WORSE" if change.problems else "ok" if change.limit is not None else "not judged",
    ]


def verdict(found: Comparison) -> str:
    """Return the result in a sentence."""
    pair = f"{found.new} against {found.old} on {found.task}/{found.split}"
    count = len(found.problems)
    return f"{pair}: {count} regression{'' if count == 1 else 's'}." if count else f"{pair}: no regression."


def markdown(found: Comparison) -> str:
    """Return a comparison as Markdown: the verdict, what is worse, the tables."""
    lines = [f"### {_escaped(verdict(found))}", ""]
    lines += [*(f"- {_escaped(p)}" for p in found.problems), ""] if found.problems else []
    lines += _table(METRIC_HEAD, [metric_row(m) for m in found.metrics])
    if found.costs:
        lines += ["", *_table(COST_HEAD, [cost_row(c) for c in found.costs])]
    lines += ["", *(f"{_escaped(note)}  " for note in found.notes)] if found.notes else []
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in head[1:])]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *([_escaped(c) for c in row] for row in rows))]


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is: a case's name can be anything."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]#|<>&~" else c for c in safe(text))


def junit(found: Comparison) -> str:
    """Return a comparison as JUnit XML: a test case a metric and a cost; what is only shown is skipped.

    The elements and attributes are those that Jenkins' schema (junit-10.xsd) and GitLab and GitHub's readers share.
    """
    name = f"{found.task}/{found.split}"
    cases = [
        (f"{name}.metrics", m.metric, m.problems, _row_text(METRIC_HEAD, metric_row(m)), "") for m in found.metrics
    ]
    cases += [
        (
            f"{name}.costs",
            c.name,
            c.problems,
            _row_text(COST_HEAD, cost_row(c)),
            "" if c.limit is not None else "no limit is set: --max-cost",
        )
        for c in found.costs
    ]
    failures = sum(bool(problems) for _, _, problems, _, _ in cases)
    skipped = sum(bool(why) and not problems for _, _, problems, _, why in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": "0"}
    root = ET.Element("testsuites", {"name": "evaluate compare", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": name, **counts, "skipped": str(skipped), "time": "0"})
    for kind, title, problems, row, why in cases:
        case = ET.SubElement(suite, "testcase", {"classname": safe(kind), "name": safe(title), "time": "0"})
        if problems:
            failure = ET.SubElement(case, "failure", {"type": "regression", "message": safe("; ".join(problems))})
            failure.text = safe(row)
        elif why:
            ET.SubElement(case, "skipped", {"message": why})
        ET.SubElement(case, "system-out").text = safe(row)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _row_text(head: Sequence[str], row: Sequence[str]) -> str:
    return "; ".join(f"{name}: {cell}" for name, cell in zip(head, row, strict=True))
