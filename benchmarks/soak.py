"""Score a split of 100,000 small cases, and watch the memory: how it grows with the cases, in bytes a case.

    python benchmarks/soak.py [--cases 100000] [--workers 2]

`evaluate` runs as users run it, in a process of its own. Its resident memory, and that of all its children, is noted as
its log tells how far it is; the slope is that of a straight line through what was seen after the first fifth.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from evaluator.images import encode_png

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def resident(root: int) -> tuple[int, int]:
    """Return the resident bytes of a process, and of all its descendants, now (Linux)."""
    parents, sizes = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(folder.name)], sizes[int(folder.name)] = int(fields[1]), int(fields[21]) * 4096
    family = {root}
    for _ in range(8):
        family |= {pid for pid, parent in parents.items() if parent in family}
    return sizes.get(root, 0), sum(sizes.get(pid, 0) for pid in family - {root})


def write(root: Path, cases: int) -> Path:
    """Write the split and a submission; the references are few, and have many names."""
    from support import TOML

    text = TOML.replace("count = 5", f"count = {cases}").replace("ms_ssim.common", "psnr.y601")
    (root / "soak.toml").write_text(text, encoding="utf-8")
    chance, team = np.random.default_rng(0), root / "team"
    for folder in (root / "tiny/in", root / "tiny/ref", root / "own", team):
        folder.mkdir(parents=True)
    for number in range(64):
        clean = chance.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        (root / "own" / f"{number}.png").write_bytes(encode_png(clean))
    for case in range(cases):
        clean_file = root / "own" / f"{case % 64}.png"
        for folder in ("in", "ref"):
            (root / "tiny" / folder / f"c-{case}.png").hardlink_to(clean_file)
        noisy = chance.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        (team / f"c-{case}.png").write_bytes(encode_png(noisy))
    return team


def main() -> None:
    """Print memory as the run goes on, and its slope."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        team = write(root, given.cases)
        command = [shutil.which("evaluate") or "evaluate", "--task", str(root / "soak.toml"), "--data", str(root)]
        command += ["--leaderboards", str(root / "boards"), "--workers", str(given.workers), "--log", "json"]
        run = subprocess.Popen([*command, str(team)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        journal = root / "boards/tiny/five/team/journal.jsonl"
        seen: list[tuple[int, int, int]] = []
        done, place, begin = 0, 0, time.perf_counter()
        while run.poll() is None:
            time.sleep(2)
            if journal.exists():
                with journal.open("rb") as file:
                    file.seek(place)
                    data = file.read()
                place, done = place + len(data), done + data.count(b"\n")
                seen.append((done, *resident(run.pid)))
                if len(seen) % 15 == 0:
                    own, children = (size / 2**20 for size in seen[-1][1:])
                    print(f"{done} cases: {own:.1f} MiB, children {children:.1f} MiB", flush=True)
        assert run.stderr is not None
        report = next((json.loads(line) for line in run.stderr if '"run-finished"' in line), {})
    seconds = time.perf_counter() - begin
    later = [row for row in seen if given.cases / 5 < row[0] < given.cases]
    assert run.returncode == 0
    for column, what in ((1, "evaluate"), (2, "its children")):
        values = [row[column] for row in later]
        slope = float(np.polyfit([row[0] for row in later], values, 1)[0])
        print(f"{what}: {min(values) / 2**20:.1f} to {max(values) / 2**20:.1f} MiB, {slope:+.1f} bytes a case")
    most = max(own for _, own, _ in seen) / 2**20
    print(f"{given.cases} cases in {seconds:.0f} s, the last steps included; most memory {most:.1f} MiB")
    print(json.dumps({k: v for k, v in report.items() if k in ("seconds", "scores_per_s", "stages")}))


if __name__ == "__main__":
    main()
