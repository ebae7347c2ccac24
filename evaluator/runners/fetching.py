"""Submissions behind URLs: copied to a private folder, by names that were checked before anything is written."""

from __future__ import annotations

from pathlib import Path

from evaluator.findings import EvaluatorError, Finding
from evaluator.ingest.sources.base import DEPTH_LIMIT, ENTRY_LIMIT, Names, special_file, too_many
from evaluator.ingest.sources.choose import ARCHIVE_SUFFIXES, BLOCKS_SUFFIXES
from evaluator.remote import Entry, Remote, Url, room


def fetch(url: Url, folder: Path) -> Path:
    """Copy a submission into a folder, under its own name.

    Args:
        url: of a file or a folder; what has no archive's suffix on a web server is a folder whose page lists files.
        folder: private, and empty.

    Returns:
        The copy.

    Raises:
        EvaluatorError: there is nothing, or it cannot be read; a name could lead outside, or be two names; there are
            too many files, or no room for them.
    """
    names = Names()
    problem = names.unsafe(url.name)
    if problem:
        raise EvaluatorError(f"{url} has no name that a file may have.", [problem])
    remote, copy = Remote(url), folder / url.name
    wanted = _files(remote)
    room(folder, list(wanted.values()), url)
    remote.copy({copy / name if name else copy: entry for name, entry in wanted.items()})
    return copy


def _files(remote: Remote) -> dict[str, Entry]:
    """Return the files of a submission by name; a single file has none."""
    url = remote.url
    listed = url.scheme in ("http", "https") and not url.name.lower().endswith((*ARCHIVE_SUFFIXES, *BLOCKS_SUFFIXES))
    if not listed:
        entry = remote.entry()
        if entry.kind == "file":
            return {"": entry}
    names, wanted, findings = Names(), dict[str, Entry](), list[Finding]()
    for count, entry in enumerate(remote.walk(DEPTH_LIMIT), start=1):
        if count > ENTRY_LIMIT:
            raise too_many(url, count)
        problem = names.unsafe(entry.name) or _no_file(entry) or names.take(entry.name)
        if problem:
            findings.append(problem)
        else:
            wanted[entry.name] = entry
    if findings:
        raise EvaluatorError(f"{url} is not fetched: it holds what may not be copied.", findings)
    if not wanted:
        got = "an empty folder, or a page without links to files" if listed else "an empty folder"
        finding = Finding.error("kind", str(url), "a folder or an archive", got, "Name the folder, or the archive.")
        raise EvaluatorError(f"{url} is no submission.", [finding])
    return wanted


def _no_file(entry: Entry) -> Finding | None:
    if entry.kind == "folder":
        expected, got = f"files at most {DEPTH_LIMIT} levels deep", "deeper ones"
        return Finding.error("unsafe-name", entry.name, expected, got, "Leave out what is not needed.")
    return special_file(entry.name) if entry.kind == "other" else None
