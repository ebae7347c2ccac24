"""Open a submission: find its manifest, match its outputs to the cases of a split, say everything that is wrong."""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from evaluator.findings import EvaluatorError, Finding, has_errors, some
from evaluator.images import SUFFIXES
from evaluator.ingest.baselines import baselines_folder, is_bare, is_baseline
from evaluator.ingest.manifest import FILE_NAME, RESERVED, Manifest
from evaluator.ingest.sources import ARCHIVE_SUFFIXES, Source, TooLarge, open_source
from evaluator.typed_toml import SIZE_LIMIT, parse_toml

_JUNK_FILES = (".DS_Store", "Thumbs.db", "desktop.ini")
_JUNK_FOLDERS = ("__MACOSX", "__pycache__")
_HINTS = 20
"""Missing outputs for which a file is looked for that may be meant: comparing names takes time."""
_DOCUMENTS = (".md", ".txt", ".toml", ".pdf", ".rst")


@dataclass(frozen=True)
class Submission:
    """A submission that was opened and matched to the cases of a split; no output has been read yet."""

    id: str
    manifest: Manifest
    source: Source
    files: Mapping[str, str]
    """Case id → name of its output in the source; for a model, empty."""
    findings: tuple[Finding, ...] = ()
    blocked: Mapping[str, Finding] = field(default_factory=dict)
    """Case id → why it has no output that can be read: it is missing, or there are two."""
    rejected: str = ""
    """Why it is not scored, though its outputs can be read and what is wrong with them be said."""
    names: Mapping[str, int] = field(default_factory=dict)
    """A model's files, with their sizes."""
    prefix: str = ""
    """The folder around all files, with a slash; mostly empty."""
    origin: str = ""
    """The URL that it was fetched from, without what may be secret; empty where it lies on this machine."""

    @property
    def is_model(self) -> bool:
        """Whether the harness runs it, rather than reads its outputs."""
        return self.manifest.kind != "outputs"

    @property
    def is_baseline(self) -> bool:
        """Whether it ships with the harness."""
        return is_baseline(self.source.path)


def open_submission(path: Path, case_ids: Sequence[str], source: Source | None = None) -> Submission:
    """Open a folder, an archive, or a file of all outputs, and match outputs to cases by id.

    An output belongs to a case if its path below the outputs folder, without suffix, is the case's id. Nothing is
    matched by position or by likeness.

    Args:
        path: see `open_source`.
        case_ids: the ids of the split's cases.
        source: its files, as a worker reads them; None reads them in this process, for files that can be trusted.

    Raises:
        EvaluatorError: nothing of it can be read; the error carries all findings.
    """
    source = source or open_source(path, case_ids)
    names, findings = source.scan()
    fatal = has_errors(findings)
    names, junk = _without_junk(names)
    if is_baseline(path):
        junk = []  # bytecode that an installer or Python left beside our own files
    findings += junk
    prefix = _wrapping_folder(names, case_ids)
    if prefix:
        findings.append(
            Finding.note(
                "wrapping-folder",
                prefix,
                "files at the top",
                "one folder around them",
                "It is looked into.",
            )
        )
    manifest, problems = _read_manifest(source, names, prefix)
    findings += problems
    fatal = fatal or manifest is None
    manifest = manifest or Manifest()
    identifier, problem = _identify(path, manifest)
    if problem:
        findings.append(problem)
        fatal = True
    if manifest.kind != "outputs":
        if fatal:
            raise EvaluatorError(f"{path} cannot be scored.", findings)
        return Submission(identifier, manifest, source, {}, tuple(findings), names=names, prefix=prefix)
    matched = _match(names, prefix + manifest.outputs.inside, case_ids)
    findings += matched.findings
    if not matched.files and not matched.blocked_twice:
        base = f"{manifest.outputs.inside}/" if manifest.outputs.inside else ""
        findings.append(_nothing_matches(path, names, case_ids, prefix + base))
        raise EvaluatorError(f"{path} holds no output for any of the {len(case_ids)} cases.", findings)
    rejected = f"{path} has a fault that concerns all of it." if fatal else ""
    return Submission(identifier, manifest, source, matched.files, tuple(findings), matched.blocked, rejected)


def _without_junk(names: Mapping[str, int]) -> tuple[dict[str, int], list[Finding]]:
    """Leave out what macOS, Windows and Python add to folders and archives, with one note."""

    def added(name: str) -> bool:
        *folders, file = name.split("/")
        return any(f in _JUNK_FOLDERS for f in folders) or file in _JUNK_FILES or file.startswith("._")

    junk = [name for name in names if added(name)]
    if not junk:
        return dict(names), []
    note = Finding.note("junk", some(junk), "outputs", f"{len(junk)} system files", "They are left out.")
    return {n: s for n, s in names.items() if n not in set(junk)}, [note]


def _wrapping_folder(names: Iterable[str], case_ids: Sequence[str]) -> str:
    """Return `folder/` if all files lie in one folder that is not part of a case's id, else an empty string."""
    tops = {name.split("/")[0] for name in names}
    if len(tops) != 1 or any("/" not in name for name in names):
        return ""
    prefix = tops.pop() + "/"
    return "" if any(case.startswith(prefix) for case in case_ids) else prefix


def _read_manifest(source: Source, names: Mapping[str, int], prefix: str) -> tuple[Manifest | None, list[Finding]]:
    name = prefix + FILE_NAME
    if name not in names:
        return Manifest(), []
    try:
        data = source.read(name, SIZE_LIMIT)
    except (OSError, TooLarge) as error:
        got = "a longer file" if isinstance(error, TooLarge) else str(error)
        expected = f"a TOML file of at most {SIZE_LIMIT} bytes"
        return None, [Finding.error("manifest", name, expected, got, "Write it again.")]
    return parse_toml(Manifest, data, name, "manifest")


def submission_id(path: Path, manifest: Manifest) -> str:
    """Return a submission's id: what its manifest says, else its file's or folder's name."""
    resolved = path.resolve()
    name = resolved.name.lower()
    if resolved.is_file():
        suffix = next((s for s in ARCHIVE_SUFFIXES if name.endswith(s)), resolved.suffix)
        name = name[: len(name) - len(suffix)]
    derived = re.sub(r"[^a-z0-9_.-]+", "-", name)
    return manifest.id or derived.strip("-._")[:40].strip("-._") or "submission"


def other_id(manifest: Manifest) -> str:
    """Return what to do about an id that is taken: a name of its own does not help where the manifest sets the id."""
    return f'{"Set another" if manifest.id else "Rename it, or set"} id = "..." in {FILE_NAME}.'


def _identify(path: Path, manifest: Manifest) -> tuple[str, Finding | None]:
    identifier = submission_id(path, manifest)
    fix = other_id(manifest)
    if identifier in RESERVED:
        return identifier, Finding.error("id-taken", str(path), "a name that is not the harness's own", identifier, fix)
    folder = baselines_folder() / identifier
    taken = is_baseline(folder) and not is_bare(folder)  # without weights it has no row
    if taken and not is_baseline(path):
        return identifier, Finding.error(
            "id-taken",
            str(path),
            "an id that no baseline and no part of the pages has",
            identifier,
            fix,
        )
    return identifier, None


@dataclass
class _Matching:
    files: dict[str, str]
    blocked: dict[str, Finding]
    blocked_twice: bool
    findings: list[Finding]


def _match(names: Mapping[str, int], folder: str, case_ids: Sequence[str]) -> _Matching:
    base = folder.rstrip("/") + "/" if folder.rstrip("/") else ""
    wanted = set(case_ids)
    candidates: dict[str, list[str]] = {}
    others: list[str] = []
    for name in names:
        case, suffix = posixpath.splitext(name.removeprefix(base))  # a path of each of 100,000 would take its time
        if name.startswith(base) and suffix.lower() in SUFFIXES and case in wanted:
            candidates.setdefault(case, []).append(name)
        elif suffix.lower() not in _DOCUMENTS:
            others.append(name)
    findings = []
    blocked: dict[str, Finding] = {}
    files: dict[str, str] = {}
    twice = False
    for case in case_ids:
        found = candidates.get(case, [])
        if len(found) == 1:
            files[case] = found[0]
        elif found:
            twice = True
            blocked[case] = Finding.error(
                "duplicate-output",
                found[0],
                f"one output for case {case}",
                some(found),
                "Keep one of them.",
            )
        else:
            close = _likely(f"{base}{case}", others) if len(blocked) < _HINTS else ""
            hint = f" Is it {close}?" if close else ""
            blocked[case] = Finding.error(
                "missing-output",
                f"{base}{case}.png",
                f"an output for case {case}",
                "no such file",
                f"Add it, named by the case's id (any of {', '.join(SUFFIXES)}).{hint}",
            )
    if others:
        findings.append(
            Finding.warning(
                "unexpected-file",
                some(others),
                "files named by a case's id",
                f"{len(others)} that belong to no case",
                "Rename or remove; they are not scored.",
            )
        )
    return _Matching(files, blocked, twice, findings)


def _likely(wanted: str, others: Sequence[str]) -> str:
    """Return the file that may be meant by a name without suffix; empty if there is none, or too many to compare."""
    if len(others) >= 100:
        return ""
    same = [name for name in others if posixpath.splitext(name)[0].casefold() == wanted.casefold()]
    return next(iter(same or difflib.get_close_matches(f"{wanted}.png", others, n=1, cutoff=0.85)), "")


def _nothing_matches(path: Path, names: Iterable[str], case_ids: Sequence[str], base: str) -> Finding:
    found = [n for n in names if posixpath.splitext(n)[1].lower() not in _DOCUMENTS]
    wanted = set(case_ids)
    deeper = sorted({PurePosixPath(n).parent.as_posix() for n in found if PurePosixPath(n).stem in wanted})
    if deeper:
        fix = f"They lie in {some(deeper)}: move them up, or set outputs.folder in {FILE_NAME}."
    elif base and not any(n.startswith(base) for n in found):
        fix = f"There is no folder {base} in the submission; correct outputs.folder in {FILE_NAME}."
    else:
        fix = "Name each output by its case's id."
    got = some(found) if found else "no images"
    return Finding.error(
        "no-outputs", str(path), f"files such as {base}{case_ids[0]}.png, {base}{case_ids[-1]}.png", got, fix
    )
