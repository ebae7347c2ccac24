"""SIDD's submissions of all blocks in one file: `SubmitSrgb.mat` of its server, `SubmitSrgb.csv` of Kaggle.

The file is taken apart once, into a temporary file without a name, and offered as one `.npy` file a case; from there on
it is read, checked and hashed as any other outputs are. A block's case is image · 32 + block, as on Kaggle.
"""

from __future__ import annotations

import binascii
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from evaluator.findings import EvaluatorError, Finding, has_errors, some
from evaluator.images import ImageProblem, mat
from evaluator.ingest.sources.base import CHUNK, LocalSource, TooLarge, once, scratch_file, stamp
from evaluator.ingest.sources.folder import FileSource, FolderSource

FILES = ("submitsrgb.mat", "submitsrgb.csv", "idenoised.mat")
"""Names, in lower case, of files that hold all blocks; the last is what MPRNet, Restormer and Uformer write."""
VARIABLES = ("DenoisedBlocksSrgb", "Idenoised")
BLOCKS_PER_IMAGE = 32
BLOCK = (256, 256, 3)
_BLOCK_SIZE = 256 * 256 * 3
_ENCODED = _BLOCK_SIZE // 3 * 4
_FILE_LIMIT = 9 * _BLOCK_SIZE  # bytes a block: float64, and a ninth for what lies around the values
_FILE_FREE = 2**26
_GROUP = 64  # blocks turned at a time, whose bytes share cache lines in MATLAB's order
_SMALL = 2**24


def are_blocks(case_ids: Sequence[str]) -> bool:
    """Tell whether cases are numbered as SIDD's blocks are: 0, 1, … to whole images of 32."""
    count = len(case_ids)
    return count > 0 and count % BLOCKS_PER_IMAGE == 0 and list(case_ids) == [str(n) for n in range(count)]


@dataclass(frozen=True)
class _File:
    """A file of a source, told from others by what and where it is, so that copies of a source share what is made."""

    source: LocalSource = field(compare=False)
    kind: type
    path: Path
    name: str
    changed: tuple[int, int, int]


@dataclass
class _Unpacked:
    """The blocks of a file as `.npy` files one after the other, each with its offset and size, and what is wrong."""

    file: BinaryIO
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def put(self, number: int, block: NDArray[np.generic]) -> None:
        """Append a block of shape (256, 256, 3)."""
        head = io.BytesIO()
        descr = np.lib.format.dtype_to_descr(block.dtype)
        np.lib.format.write_array_header_1_0(head, {"descr": descr, "fortran_order": False, "shape": block.shape})
        data = head.getvalue() + np.ascontiguousarray(block).tobytes()
        self.places[number] = (self.file.tell(), len(data))
        self.file.write(data)

    def refuse(self, name: str, expected: str, got: str, fix: str) -> None:
        """Note what is wrong with the whole file."""
        self.findings.append(Finding.error("blocks", name, expected, got, fix))


class BlocksSource:
    """A source in which one file may hold all blocks of SIDD; its other files are as they were."""

    def __init__(self, base: LocalSource, count: int) -> None:
        """Name the source that the file lies in.

        Args:
            base: a folder, an archive, or the file alone.
            count: the number of blocks that it must hold.
        """
        self.base = base
        self.path = base.path
        self._count = count
        self._unpacked: dict[str, _Unpacked] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"base": self.base, "count": self._count}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def scan(self) -> tuple[dict[str, int], list[Finding]]:
        """See `Source`.

        Raises:
            EvaluatorError: the archive cannot be opened.
        """
        names, findings = self.base.scan()
        alone = isinstance(self.base, FileSource)
        sent = [n for n in names if alone or PurePosixPath(n).name.lower() in FILES]
        found = {n: size for n, size in names.items() if n not in sent}
        if len(sent) > 1:
            findings.append(Finding.error("blocks", some(sent), "one file of all blocks", f"{len(sent)}", "Keep one."))
        elif sent:
            unpacked = self._open(sent[0])
            findings += unpacked.findings
            found |= {_case_name(sent[0], n): size for n, (_, size) in sorted(unpacked.places.items())}
        return found, findings

    def _open(self, name: str) -> _Unpacked:
        if name not in self._unpacked:
            place = self.path / name if isinstance(self.base, FolderSource) else self.path
            self._unpacked[name] = _unpack(
                _File(self.base, type(self.base), self.path, name, stamp(place)), self._count
            )
        return self._unpacked[name]

    def read(self, name: str, limit: int) -> bytes:
        """See `Source`."""
        if not self._unpacked:
            try:
                self.scan()
            except EvaluatorError as error:
                raise OSError(str(error)) from None
        number = PurePosixPath(name).stem
        for sent, unpacked in self._unpacked.items():
            if number.isdecimal() and name == _case_name(sent, int(number)) and int(number) in unpacked.places:
                offset, size = unpacked.places[int(number)]
                if size > limit:
                    raise TooLarge
                return os.pread(unpacked.file.fileno(), size, offset)
        return self.base.read(name, limit)


def _case_name(file: str, number: int) -> str:
    """Return the name under which a block is offered: beside the file that holds it."""
    return PurePosixPath(file).with_name(f"{number}.npy").as_posix()


@once
def _unpack(file: _File, count: int) -> _Unpacked:
    """Take a file of all blocks apart; what is wrong with it is in the findings, and then it holds no block."""
    unpacked = _Unpacked(scratch_file())
    try:
        with file.source.open(file.name) as stream:
            mappable = isinstance(file.source, (FolderSource, FileSource))
            local = stream if mappable else _copied(stream, count * _FILE_LIMIT + _FILE_FREE)
            if file.name.lower().endswith(".csv"):
                _from_csv(local, file.name, count, unpacked)
            else:
                _from_mat(local, file.name, count, unpacked)
        unpacked.file.flush()
    except ImageProblem as problem:
        wrong = Finding.error(problem.code, file.name, problem.expected, problem.got, problem.fix)
        unpacked.findings.append(wrong)
    except TooLarge:
        unpacked.refuse(file.name, f"{count} blocks", "far more bytes than they can have", "Send the blocks alone.")
    except OSError as error:
        got = error.strerror or str(error)
        unpacked.findings.append(Finding.error("unreadable", file.name, "a readable file", got, "Send it again."))
    if has_errors(unpacked.findings):
        unpacked.places.clear()
    return unpacked


def _copied(stream: BinaryIO, limit: int) -> BinaryIO:
    copy = scratch_file()
    total = 0
    while chunk := stream.read(CHUNK):
        total += len(chunk)
        if total > limit:
            raise TooLarge
        copy.write(chunk)
    copy.flush()
    copy.seek(0)
    return copy


def _mapped(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[np.generic]:
    """Return an empty array; a large one lies in a temporary file, so that it need not fit into memory."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size < _SMALL:
        return np.empty(shape, dtype)
    with scratch_file() as file:
        os.posix_fallocate(file.fileno(), 0, size)  # where there is no room this fails, and writing would kill
        return np.memmap(file, dtype, "r+", shape=shape)


def _from_mat(file: BinaryIO, name: str, count: int, unpacked: _Unpacked) -> None:
    images = count // BLOCKS_PER_IMAGE
    with mat.open_mat(file, _mapped) as opened:
        variables = opened.variables()
        chosen = [v for v in variables if v.name in VARIABLES]
        others = [v.name for v in variables if v.name and v.name not in VARIABLES]
        if len(chosen) != 1:
            got = some([v.name for v in chosen] or others) or "no variable"
            unpacked.refuse(name, f"one variable {VARIABLES[0]}", got, "Save the blocks under this name.")
            return
        blocks = chosen[0]
        what = f"{blocks.shape} {blocks.kind}"
        if blocks.kind == "cell" and blocks.shape == (images, BLOCKS_PER_IMAGE):
            for at, (kind, values) in enumerate(opened.cells(blocks, BLOCK)):
                if kind not in mat.DTYPES:
                    unpacked.refuse(name, f"blocks of class {', '.join(mat.DTYPES)}", kind, "Convert the blocks.")
                    return
                unpacked.put(_number(at, images), values.astype(mat.DTYPES[kind], copy=False))
        elif blocks.kind in mat.DTYPES and blocks.shape == (images, BLOCKS_PER_IMAGE, *BLOCK):
            for number, block in _turned(opened.values(blocks), images):
                unpacked.put(number, block.astype(mat.DTYPES[blocks.kind], copy=False))
        else:
            expected = f"a {images}×{BLOCKS_PER_IMAGE} cell of {BLOCK} arrays, or one array of all"
            unpacked.refuse(
                name, expected, f"{blocks.name}: {what}", "Save one block a cell: images down, blocks across."
            )
            return
    if others:
        unpacked.findings.append(
            Finding.note("extra-variables", name, VARIABLES[0], some(others), "They are not looked at.")
        )


def _turned(values: NDArray[np.generic], images: int) -> Iterator[tuple[int, NDArray[np.generic]]]:
    """Yield each block, rows first, of an array (images, blocks, height, width, channels) in MATLAB's order."""
    count = values.shape[0] * values.shape[1]
    flat = values.T.reshape(*BLOCK[::-1], count)
    for start in range(0, count, _GROUP):
        group = np.ascontiguousarray(flat[..., start : start + _GROUP].transpose(3, 2, 1, 0))
        for at, block in enumerate(group, start):
            yield _number(at, images), block


def _number(at: int, images: int) -> int:
    """Return a block's case from its place in MATLAB's order, which goes through the images first."""
    return at % images * BLOCKS_PER_IMAGE + at // images


def _from_csv(file: BinaryIO, name: str, count: int, unpacked: _Unpacked) -> None:
    wrong: list[str] = []
    head = file.readline(_ENCODED).strip(b'\xef\xbb\xbf\r\n" ').replace(b'"', b"")
    if head != b"ID,BLOCK":
        got = ascii(head[:40].decode("ascii", "replace"))
        unpacked.refuse(name, "the header ID,BLOCK", got, "Write it as Kaggle's template does.")
        return
    row = 1
    while line := file.readline(_ENCODED + 100):
        row += 1
        if not line.strip():
            continue
        number, _, encoded = line.rstrip(b"\r\n").replace(b'"', b"").partition(b",")
        problem = _csv_row(number, encoded, count, unpacked)
        if problem:
            wrong.append(f"line {row}: {problem}")
        if not line.endswith(b"\n") and len(line) >= _ENCODED + 100:
            wrong.append(f"line {row} goes on")
            break
    missing = [str(n) for n in range(count) if n not in unpacked.places]
    if wrong or missing:
        lacking = [f"no block for ID {some(missing)}"] if missing else []
        got = "; ".join([some(wrong), *lacking] if wrong else lacking)
        expected = f"{count} rows, ID 0 to {count - 1}, each with base64 of {_BLOCK_SIZE} bytes"
        unpacked.refuse(
            name, expected, got, "Encode each block's uint8 values, rows first: base64.b64encode(block.tobytes())."
        )


def _csv_row(number: bytes, encoded: bytes, count: int, unpacked: _Unpacked) -> str:
    """Take one row; return what is wrong with it."""
    if not number.isdigit() or len(number) > 9 or int(number) >= count:
        return f"the ID {number[:20].decode('ascii', 'replace')!a}"
    if int(number) in unpacked.places:
        return f"ID {int(number)} again"
    if len(encoded) != _ENCODED:
        return f"{len(encoded)} characters for ID {int(number)}"
    try:
        values = binascii.a2b_base64(encoded, strict_mode=True)
    except binascii.Error as error:
        return f"ID {int(number)}: {error}"
    unpacked.put(int(number), np.frombuffer(values, np.uint8).reshape(BLOCK))
    return ""
