"""3.4: the manifest, and everything that is printed."""

from __future__ import annotations

import os
from pathlib import Path

from hostile.kind import CASES, Class, Place

printing = Class()
kind = printing.kind
REFUSED = "rejected"
SCRIPT = "<script>alert(1)</script>"


def says(place: Place, at: Path, manifest: str | bytes) -> None:
    """Honest outputs with a manifest."""
    place.put(at)
    data = manifest if isinstance(manifest, bytes) else manifest.encode()
    (at / "submission.toml").write_bytes(data)


@kind("scored", score="honest")
def manifest_of_web_pages(place: Place, at: Path) -> None:
    says(
        place,
        at,
        f"""
team = '"><img src=x onerror=alert(1)>{SCRIPT}'
method = "</title></td></tr><svg onload=alert(1)>{{{{ 7 * 7 }}}}{{% for x in y %}}"
description = "</script>{SCRIPT} [click](javascript:alert(1)) &lt;b&gt;"
authors = ["' onmouseover='alert(1)", "=HYPERLINK(\\"http://evil\\")", "\\\\input{{/etc/passwd}}"]
affiliation = "<iframe src=//evil.example></iframe>"
[links]
paper = "https://example.org/\\"onclick=\\"alert(1)"
code = "http://example.org/<script>"
""",
    )


@kind(REFUSED, "manifest", says=("http",))
def manifest_with_a_link_that_is_code(place: Place, at: Path) -> None:
    says(place, at, '[links]\npaper = "javascript:alert(1)"\n')


@kind(REFUSED, "manifest", says=("http",))
def manifest_with_a_link_that_holds_a_page(place: Place, at: Path) -> None:
    says(place, at, '[links]\ncode = "data:text/html,<script>alert(1)</script>"\n')


@kind(REFUSED, "manifest", says=("U+001B",))
def manifest_that_steers_the_terminal(place: Place, at: Path) -> None:
    says(place, at, 'team = "\\u001b[2J\\u001b]0;owned\\u0007"\n')


@kind(REFUSED, "manifest", says=("U+202E",))
def manifest_that_turns_the_text(place: Place, at: Path) -> None:
    says(place, at, 'team = "\\u202Egnitae1 knar\\u202C"\n')


@kind(REFUSED, "manifest", says=("U+2066",))
def manifest_that_hides_text(place: Place, at: Path) -> None:
    says(place, at, 'description = "a\\u2066b\\u2069"\n')


@kind(REFUSED, "manifest", says=("200",))
def manifest_of_a_hundred_thousand_characters(place: Place, at: Path) -> None:
    says(place, at, f'team = "{"x" * 50_000}"\n')


@kind(REFUSED, "manifest", says=("65536 bytes",))
def manifest_of_ten_megabytes(place: Place, at: Path) -> None:
    says(place, at, "# " + "x" * (10 << 20))


@kind(REFUSED, "manifest")
def manifest_of_brackets(place: Place, at: Path) -> None:
    says(place, at, "x = " + "[" * 30_000 + "]" * 30_000)


@kind(REFUSED, "manifest")
def manifest_of_dots(place: Place, at: Path) -> None:
    """Dotted keys nest without brackets."""
    says(place, at, "description" + ".a" * 30_000 + " = 1")


@kind(REFUSED, "manifest")
def manifest_of_tables(place: Place, at: Path) -> None:
    says(place, at, "".join(f"[links.{'a.' * n}b]\n" for n in range(0, 240)))


@kind(REFUSED, "manifest")
def manifest_of_ten_thousand_keys(place: Place, at: Path) -> None:
    says(place, at, "".join(f"k{n}=1\n" for n in range(7000)))


@kind(REFUSED, "manifest")
def manifest_of_a_number_without_end(place: Place, at: Path) -> None:
    says(place, at, "[reported]\nruntime_ratio = " + "9" * 60_000)


@kind(REFUSED, "manifest")
def manifest_of_infinite_speed(place: Place, at: Path) -> None:
    says(place, at, "[reported]\nruntime_ratio = inf\n")


@kind(REFUSED, "manifest")
def manifest_that_says_it_twice(place: Place, at: Path) -> None:
    says(place, at, 'team = "a"\nteam = "b"\n')


@kind(REFUSED, "manifest")
def manifest_that_is_no_text(place: Place, at: Path) -> None:
    says(place, at, b"team = '\xff\xfe\x00'")


@kind(REFUSED, "manifest", says=("limits",))
def manifest_that_wants_more(place: Place, at: Path) -> None:
    says(place, at, "[limits]\ncase_s = 100000\n[environment]\nLD_PRELOAD = 'x.so'\n")


@kind(REFUSED, "manifest", says=("inside",))
def manifest_that_points_at_the_references(place: Place, at: Path) -> None:
    says(place, at, f'[outputs]\nfolder = "{place.reference().parent}"\n')


@kind(REFUSED, "manifest", says=("inside",))
def manifest_that_points_outside(place: Place, at: Path) -> None:
    says(place, at, '[outputs]\nfolder = "x/../../../data/tiny/ref"\n')


@kind(REFUSED, "manifest")
def manifest_whose_id_is_a_path(place: Place, at: Path) -> None:
    says(place, at, 'id = "../../../watched/owned"\n')


@kind(REFUSED, "manifest")
def manifest_whose_id_ends_in_a_new_line(place: Place, at: Path) -> None:
    says(place, at, 'id = "honest\\n"\n')


@kind(REFUSED, "id-taken")
def manifest_with_the_id_of_a_baseline(place: Place, at: Path) -> None:
    says(place, at, 'id = "nlm"\n')


@kind(REFUSED, "id-taken")
def manifest_with_the_id_of_a_team(place: Place, at: Path) -> None:
    says(place, at, 'id = "honest"\n')


@kind(REFUSED, "manifest", says=("index.html",))
def manifest_with_the_id_of_a_page(place: Place, at: Path) -> None:
    says(place, at, 'id = "index.html"\n')


@kind(REFUSED, "manifest", says=("cases",))
def manifest_with_the_id_of_a_folder_of_the_pages(place: Place, at: Path) -> None:
    says(place, at, 'id = "cases"\n')


@kind(REFUSED, "id-taken")
def a_folder_named_as_one_of_the_pages(place: Place, at: Path) -> Path:
    return place.put(at.with_name("Cases"))


@kind("scored", score="honest")
def manifest_with_names_that_look_alike(place: Place, at: Path) -> None:
    """Cyrillic letters: its id is what tells it from the other."""
    says(place, at, 'team = "\u041d\u043enest"\nmethod = "h\u043enest"\n')


@kind("scored", score="honest")
def manifest_with_formulas(place: Place, at: Path) -> None:
    """The name of an output stands in the table of cases."""
    says(place, at, 'team = "=1+1"\nmethod = "@SUM(A1)"\n[outputs]\nfolder = "=cmd|\' C\'!A0"\n')
    (at / "=cmd|' C'!A0").mkdir()
    for case in CASES:
        (at / f"{case}.png").rename(at / "=cmd|' C'!A0" / f"{case}.png")


@kind("scored", "unexpected-file", score="honest")
def files_named_like_web_pages(place: Place, at: Path) -> None:
    place.put(at)
    for name in ("<img src=x onerror=alert(1)>.png", '"><script>alert(1)<', "${jndi:ldap:evil}", "-rf", "=1+1.png"):
        (at / name).write_bytes(b"x")


@kind("scored", score="honest")
def a_folder_named_like_a_web_page(place: Place, at: Path) -> Path:
    return place.put(at.with_name("<script>alert(1)<b> & 'co'"))


@kind(REFUSED, "unsafe-name")
def a_folder_named_to_steer_the_terminal(place: Place, at: Path) -> Path:
    return place.put(at.with_name("\x1b[2Jsteer\nerror [size] honest"))


@kind(REFUSED, "unsafe-name")
def a_folder_named_to_turn_the_text(place: Place, at: Path) -> Path:
    return place.put(at.with_name("turned\u202etxet"))


@kind(REFUSED, "unsafe-name")
def a_folder_named_in_no_encoding(place: Place, at: Path) -> Path:
    return place.put(Path(os.fsdecode(bytes(at) + b"\xff\xfe")))


@kind("scored", score="honest")
def modules_that_hide_those_of_the_harness(place: Place, at: Path) -> None:
    place.put(at)
    for name in ("numpy", "cv2", "json", "evaluator", "sitecustomize", "usercustomize"):
        (at / f"{name}.py").write_text(f"open({str(place.watched / 'shadow')!r}, 'w')\n")
    (at / "pyvenv.cfg").write_text("home = /\n")
