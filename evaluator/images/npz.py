"""A `.npz` file of one array, as `numpy.savez` and `savez_compressed` write it."""

from __future__ import annotations

import io
import zipfile

from evaluator.images.pixels import ImageProblem

_ENCRYPTED = 0x1
_SUFFIX = ".npy"


def array_head(data: bytes, size: int) -> tuple[bytes, int]:
    """Return the first `size` bytes of the one array's `.npy` file, and how many it says to have.

    Raises:
        ImageProblem: other than one array, or a file that is damaged.
    """
    archive, member = _only_member(data)
    with archive, archive.open(member) as file:
        return file.read(size), member.file_size


def array_bytes(data: bytes) -> bytes:
    """Return the one array's `.npy` file.

    Raises:
        ImageProblem: other than one array, or a file that is damaged.
    """
    archive, member = _only_member(data)
    with archive, archive.open(member) as file:
        return file.read(member.file_size + 1)


def _only_member(data: bytes) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
    archive = zipfile.ZipFile(io.BytesIO(data))
    members = archive.infolist()
    names = [m.filename for m in members]
    if len(members) != 1 or not names[0].endswith(_SUFFIX):
        raise ImageProblem(
            "array-count",
            expected="a .npz file of one array",
            got=f"{len(names)} files: {', '.join(map(repr, names[:5]))}",
            fix="Save one image a file: numpy.savez_compressed(file, image).",
        )
    plain = members[0].compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if not plain or members[0].flag_bits & _ENCRYPTED:
        raise ValueError("its array is encrypted, or compressed in another way than numpy's")
    return archive, members[0]
