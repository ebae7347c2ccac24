"""The one door through which a submitted file is read and decoded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluator.findings import Finding, has_errors
from evaluator.images import Header, ImageProblem, Pixels, decode, inspect
from evaluator.ingest.sources import Source, TooLarge
from evaluator.patience import patiently

if TYPE_CHECKING:
    from evaluator.tasks import Protocol

_NONSENSE = 1e6
_DEPTHS = {"uint8": 8, "uint16": 16}


@dataclass(frozen=True)
class Expected:
    """What a case's output must be: all that whoever decodes it has to know of the task."""

    height: int
    width: int
    channels: int
    bit_depth: int
    accepts: tuple[str, ...]
    """Kinds of values."""
    is_rounded: bool
    """Whether values of another depth are rounded to whole levels."""
    white: float | None
    """The largest value of linear light that counts; None for images of other tasks."""

    @classmethod
    def of(cls, height: int, width: int, protocol: Protocol) -> Expected:
        """Return what a task's protocol asks of an output of one size."""
        return cls(
            height,
            width,
            protocol.channels,
            protocol.bit_depth,
            protocol.accepts,
            protocol.quantise == "round",
            None if protocol.tone_map is None else protocol.tone_map.white,
        )

    @property
    def byte_limit(self) -> int:
        """Bytes beyond which no honest file of this size goes (float64 values, and room for headers)."""
        return self.height * self.width * 4 * 8 + 2**20


@dataclass(frozen=True)
class Reading:
    """An output as read: its pixels unless a finding of severity error says why not, and the file's sha256."""

    pixels: Pixels | None
    sha256: str
    findings: tuple[Finding, ...]


def fetch(source: Source, name: str, expected: Expected) -> bytes | Finding:
    """Return a submitted file's bytes, or what is wrong with it."""
    try:
        return patiently(lambda: source.read(name, expected.byte_limit), name)
    except TooLarge:
        return Finding.error(
            "too-large",
            name,
            f"at most {expected.byte_limit} bytes for an image of this size",
            "more bytes than that",
            "Send one image a file.",
        )
    except OSError as error:
        return Finding.error(
            "unreadable", name, "a readable file", error.strerror or str(error), "Send the file again."
        )


def examine(data: bytes, name: str, expected: Expected, *, sha256: str | None = None) -> Reading:
    """Decode a submitted file's bytes; never raises for what they hold.

    Args:
        data: the bytes.
        name: the file's name in the submission.
        expected: what the case's output must be. Nothing is resized, cropped or converted to fit.
        sha256: the digest of the bytes, where it is known; else it is computed.
    """
    digest = hashlib.sha256(data).hexdigest() if sha256 is None else sha256
    findings: list[Finding] = []
    try:
        header = inspect(data)
        findings = judge(header, name, expected)
        if has_errors(findings):
            return Reading(None, digest, tuple(findings))
        pixels = decode(data, header)
    except ImageProblem as problem:
        findings.append(Finding.error(problem.code, name, problem.expected, problem.got, problem.fix))
        return Reading(None, digest, tuple(findings))
    suspect = suspect_range(pixels, name, expected.white)
    return Reading(None if has_errors(suspect) else pixels, digest, (*findings, *suspect))


def read_output(source: Source, name: str, expected: Expected) -> Reading:
    """Fetch and examine one file in this process: for files that the harness wrote itself."""
    data = fetch(source, name, expected)
    return Reading(None, "", (data,)) if isinstance(data, Finding) else examine(data, name, expected)


def judge(header: Header, name: str, expected: Expected) -> list[Finding]:
    """Return what is wrong with a file for its case, by its header."""
    found = []
    if (header.width, header.height) != (expected.width, expected.height):
        found.append(
            Finding.error(
                "size",
                name,
                f"{expected.width}×{expected.height} pixels",
                f"{header.width}×{header.height}",
                "This array looks channels-first: transpose it to (height, width, channels)."
                if header.format == "NPY" and (header.height, header.width) == (expected.channels, expected.height)
                else "Write it at the reference's size; nothing is resized or cropped.",
            )
        )
    channels = expected.channels
    if header.alpha:
        found.append(Finding.error("alpha", name, "no alpha channel", "one", "Save it without transparency."))
    elif header.channels != channels:
        code = "gray" if header.channels == 1 else "channels"
        got = "1 channel (gray)" if header.channels == 1 else f"{header.channels} channels"
        found.append(
            Finding.error(
                code,
                name,
                f"{channels} channel{'s' if channels > 1 else ''}",
                got,
                f"Save it as {'RGB' if channels == 3 else 'gray'}.",
            )
        )
    if header.frames != 1:
        found.append(Finding.error("frames", name, "one image", f"{header.frames}", "Save one image a file."))
    found += _compare_depth(header, name, expected)
    if header.orientation != 1:
        found.append(
            Finding.warning(
                "orientation",
                name,
                "pixels stored upright",
                f"EXIF orientation {header.orientation}",
                "Pixels are taken as stored; remove the tag, or rotate and save.",
            )
        )
    if header.lossy:
        fix = "Compression errors count against the score; PNG has none."
        found.append(Finding.warning("lossy", name, "lossless compression", header.format, fix))
    return found


def _compare_depth(header: Header, name: str, expected: Expected) -> list[Finding]:
    kind = "float" if header.dtype.startswith("float") else header.dtype
    if kind not in expected.accepts:
        return [
            Finding.error(
                "bit-depth", name, " or ".join(expected.accepts), header.dtype, "Save it in a depth that is accepted."
            )
        ]
    depth = _DEPTHS.get(kind)
    if depth and depth != expected.bit_depth:
        treated = "rounded to" if expected.is_rounded else "scaled, not rounded, to"
        wanted = f"{expected.bit_depth} bit"
        fix = f"It is {treated} the scale of {wanted}; save {wanted} if that is not meant."
        return [Finding.warning("bit-depth", name, wanted, f"{depth} bit", fix)]
    return []


def suspect_range(pixels: Pixels, name: str, white: float | None) -> list[Finding]:
    """Point out values that look like another scale; they are scored as they are, if they are no nonsense.

    Args:
        pixels: what was decoded.
        name: the file's.
        white: the largest value of linear light that counts; None for images of other tasks.
    """
    highest = float(pixels.array.max())
    lowest = float(pixels.array.min())
    if pixels.kind == "uint16" and 0 < highest <= 255:
        fix = "Values are taken as 16 bit all the same: multiply by 257, or save 8 bit."
        return [Finding.warning("range", name, "16-bit values up to 65535", f"none above {highest:.0f}", fix)]
    meant = 1.0 if white is None else white
    if pixels.kind == "float" and max(-lowest, highest) > _NONSENSE * meant:
        fix = "No image holds such values: find out where they come from."
        got = f"values from {lowest:.4g} to {highest:.4g}"
        return [Finding.error("range", name, f"values from 0 to {meant:g}", got, fix)]
    if white is not None:
        return []  # the clipping of the tone map says it
    if pixels.kind == "float" and (lowest < 0 or highest > 1):
        fix = "White is 1 for float values; what lies outside is treated as the protocol says."
        if highest > 2:
            fix += " If white is 255 here, save uint8, or divide by 255."
        got = f"values from {lowest:.4g} to {highest:.4g}"
        return [Finding.warning("range", name, "values from 0 to 1", got, fix)]
    return []
