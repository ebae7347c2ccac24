"""Names of files and folders for ids that others chose: safe on every file system, none twice."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

_LONGEST = 60
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))}
"""What Windows takes for a device, whatever folder it stands in."""


def file_names(ids: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return a name for each id: letters, digits, `-` and `_` of ASCII alone, at most 84 of them.

    An id that is such a name keeps it; any other, and those that differ in their case only, get a part of their sha256
    behind what can be kept. The same ids give the same names, in whatever order they come.

    Args:
        ids: any texts.
        taken: names that none may have, in lower case.
    """
    plain = {i: re.sub(r"[^A-Za-z0-9_-]+", "-", i)[:_LONGEST].strip("-") for i in sorted(set(ids))}
    often = Counter(name.lower() for name in plain.values())
    refused = {"", *_DEVICES, *taken}
    kept = (i for i, name in plain.items() if i == name and often[i.lower()] == 1 and i.lower() not in refused)
    names = {i: i for i in kept}
    used = refused | {name.lower() for name in names.values()}
    for i, name in plain.items():
        if i in names:
            continue
        digest = hashlib.sha256(i.encode("utf-8", "surrogatepass")).hexdigest()
        tries = (f"{name}-{digest[:length]}".lstrip("-") for length in range(8, len(digest) + 1))
        names[i] = next(n for n in tries if n.lower() not in used)
        used.add(names[i].lower())
    return names
