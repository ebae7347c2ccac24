"""Turn a page into a single file: styles, scripts and pictures inside, and nothing that leads to another file."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

Attributes = dict[str, str | None]


def inline(page: str, folder: Path) -> str:
    """Return a page with its style sheets, scripts and pictures inside, under a policy that allows these alone.

    Links to other files become text. Scripts that are deferred go to the end of the body, which is when they would run.

    Args:
        page: HTML; what it refers to is named relative to `folder`.
        folder: where these files are.

    Raises:
        ValueError: the page refers to something outside of the folder, or a file cannot stand inside a page.
    """
    reader = _Reader(page, folder)
    reader.feed(page)
    reader.close()
    return reader.result()


class _Reader(HTMLParser):
    """Collects what is to be replaced in a page, by place; all else stays as it is, to the byte."""

    def __init__(self, page: str, folder: Path) -> None:
        super().__init__(convert_charrefs=False)
        self._page = page
        self._folder = folder
        self._lines = [0]
        for line in page.split("\n"):  # as HTMLParser counts lines
            self._lines.append(self._lines[-1] + len(line) + 1)
        self._edits: list[tuple[int, int, str]] = []
        self._links: list[str] = []
        """What the open `a` elements became; empty: they stay."""
        self._in_svg = 0
        self._policy: tuple[int, int] | None = None
        self._dropping = False
        self._deferred: list[str] = []
        self._hashes: dict[str, list[str]] = {"style-src": [], "script-src": []}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "svg":
            self._in_svg += 1
        elif tag == "meta" and values.get("http-equiv", "") == "Content-Security-Policy":
            self._policy = self._place()
        elif tag == "link":
            self._link(values)
        elif tag == "script" and values.get("src"):
            self._script(values)
        elif tag == "img":
            self._replace(_tag("img", values | {"src": self._data(values.get("src") or "")}))
        elif tag == "a":
            self._anchor(values)

    def handle_endtag(self, tag: str) -> None:
        start, _ = self._place()
        end = self._page.index(">", start) + 1
        if tag == "svg":
            self._in_svg -= 1
        elif tag == "a" and self._links and (became := self._links.pop()):
            self._edits.append((start, end, f"</{became}>"))
        elif tag == "script" and self._dropping:
            self._dropping = False
            self._edits.append((start, end, ""))
        elif tag == "body":
            self._edits.append((start, start, "".join(self._deferred)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("svg", "a"):  # in SVG, these may end at once
            self.handle_starttag(tag, attrs)

    def result(self) -> str:
        """Return the page with everything replaced."""
        if self._policy is None:
            raise ValueError("the page has no policy")
        sources = {name: " ".join(hashes) or "'none'" for name, hashes in self._hashes.items()}
        rules = {"default-src": "'none'", "img-src": "data:"} | sources
        policy = "; ".join(f"{name} {value}" for name, value in rules.items())
        meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        found, last = [], 0
        for start, end, text in sorted([*self._edits, (*self._policy, meta)]):
            found += [self._page[last:start], text]
            last = end
        return "".join([*found, self._page[last:]])

    def _place(self) -> tuple[int, int]:
        line, offset = self.getpos()
        start = self._lines[line - 1] + offset
        return start, start + len(self.get_starttag_text() or "")

    def _replace(self, text: str) -> None:
        self._edits.append((*self._place(), text))

    def _link(self, values: Attributes) -> None:
        name, kind = values.get("href") or "", values.get("rel")
        if kind == "stylesheet":
            text = self._text(name, "style")
            self._allow("style-src", text)
            self._replace(f"<style>{text}</style>")
        else:
            self._replace(_tag("link", values | {"href": self._data(name)}))

    def _script(self, values: Attributes) -> None:
        text = self._text(values.get("src") or "", "script")
        self._allow("script-src", text)
        rest = {name: value for name, value in values.items() if name not in ("src", "defer")}
        script = f"{_tag('script', rest)}{text}"
        if "defer" in values or values.get("type") == "module":
            self._deferred.append(f"{script}</script>\n")
            self._dropping = True
            self._replace("")
        else:
            self._replace(script)

    def _anchor(self, values: Attributes) -> None:
        target = values.get("href") or ""
        became = "" if target.startswith("#") or urlsplit(target).scheme else ("g" if self._in_svg else "span")
        self._links.append(became)
        if became:
            rest = {name: value for name, value in values.items() if name not in ("href", "rel", "target", "download")}
            self._replace(_tag(became, rest))

    def _allow(self, rule: str, text: str) -> None:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        self._hashes[rule].append(f"'sha256-{digest}'")

    def _file(self, name: str) -> Path:
        path = (self._folder / name).resolve()
        if urlsplit(name).scheme or not path.is_relative_to(self._folder.resolve()) or not path.is_file():
            raise ValueError(f"{name!r} is no file of the page's own")
        return path

    def _text(self, name: str, element: str) -> str:
        text = self._file(name).read_text(encoding="utf-8")
        if f"</{element}" in text.lower() or "url(" in text.lower() or "@import" in text.lower():
            raise ValueError(f"{name!r} cannot stand inside a page")
        return text

    def _data(self, name: str) -> str:
        if name.startswith("data:"):
            return name
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return f"data:{kind};base64,{base64.b64encode(self._file(name).read_bytes()).decode()}"


def _tag(name: str, attributes: Attributes) -> str:
    values = (key if value is None else f'{key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{' '.join((name, *values))}>"
