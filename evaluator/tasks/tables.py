"""Strict tables of comma-separated values: every line that is not as it must be is named, with its number."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluator.findings import EvaluatorError

BYTE_LIMIT = 128 * 2**20
ROW_LIMIT = 1_000_000
NAME_LIMIT = 200
"""Characters of a name; VOC's longest is far below."""
PIXEL_LIMIT = 1e6
"""Coordinates beyond this lie in no image."""
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)


class Wrong(ValueError):
    """What a line, or the file, should hold and what it holds."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}; got {got}")
        self.expected = expected
        self.got = got


@dataclass(frozen=True)
class Row:
    """The fields of one line, by name of the column."""

    line: int
    fields: dict[str, str]

    def name(self, column: str) -> str:
        """Return a field as a name: not empty, no white space around it, nothing unprintable.

        Raises:
            Wrong: it is none.
        """
        text = self.fields[column]
        if not text or len(text) > NAME_LIMIT or text != text.strip() or not text.isprintable():
            raise Wrong(f"a {column} of 1 to {NAME_LIMIT} printable characters, no space around it", shown(text))
        return text

    def number(self, column: str, least: float, most: float) -> float:
        """Return a field as a finite number from `least` to `most`.

        Raises:
            Wrong: it is none.
        """
        return number(self.fields[column], column, least, most)

    def side(self, column: str) -> float:
        """Return a field as the side of a box, in pixels: above 0.

        Raises:
            Wrong: it is none.
        """
        found = self.number(column, 0, PIXEL_LIMIT)
        if found == 0:
            raise Wrong(f"a {column} above 0", "0")
        return found


def number(text: str, what: str, least: float, most: float) -> float:
    """Return text as a finite number from `least` to `most`, written as `1`, `-0.5` or `2e-3`.

    Raises:
        Wrong: it is none.
    """
    if not _NUMBER.fullmatch(text) or not least <= float(text) <= most:
        raise Wrong(f"{what}: a number from {least:g} to {most:g}", shown(text))
    return float(text)


def shown(text: str) -> str:
    """Return text as it can be printed: quoted, escaped, and cut where it is long."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def read_bounded(file: Path, limit: int = BYTE_LIMIT) -> bytes:
    """Return a file's bytes.

    Raises:
        EvaluatorError: it cannot be read.
        Wrong: it holds more than `limit` bytes.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise EvaluatorError(f"{file} cannot be read ({error.strerror}).") from None
    if len(data) > limit:
        raise Wrong(f"a file of at most {limit} bytes", "more")
    return data


def rows(data: bytes, header: Sequence[str], optional: str | None = None) -> Iterator[Row | tuple[int, Wrong]]:
    """Yield the lines below the header; for a line that is no row, its number and what is wrong with it.

    Nothing follows a header, or a syntax, that is wrong.

    Args:
        data: a file's bytes, in UTF-8; lines may end in CR LF, and a byte order mark is passed over.
        header: the names of the columns, in order.
        optional: the name of one more column, which may be left out; it is then empty in every row.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield data[: error.start].count(b"\n") + 1, Wrong("text in UTF-8", f"bytes that are none ({error.reason})")
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = next(reader, [])
        if columns != list(header) and columns != [*header, optional]:
            also = f" (and {optional}, if wanted)" if optional else ""
            yield 1, Wrong(f"the header {','.join(header)}{also}", shown(",".join(columns)))
            return
        previous = reader.line_num
        for count, fields in enumerate(reader, 1):
            line, previous = previous + 1, reader.line_num
            if count > ROW_LIMIT:
                yield line, Wrong(f"at most {ROW_LIMIT} rows", "more")
                return
            if len(fields) == len(columns):
                yield Row(
                    line, dict.fromkeys([optional] if optional else [], "") | dict(zip(columns, fields, strict=True))
                )
            else:
                yield line, Wrong(f"{len(columns)} fields", f"{len(fields)}")
    except csv.Error as error:
        yield reader.line_num, Wrong("comma-separated values", str(error))
