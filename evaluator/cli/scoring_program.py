"""The scoring program of a Codabench bundle, which holds a copy of this file as `score.py` beside the harness.

    python3 score.py INPUT OUTPUT

INPUT holds `ref` and `res`, as Codabench's worker lays them out; OUTPUT is written to.
Exit status: 0 if there are scores, else 2.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_TRIED = "EVALUATOR_BUNDLE_INSTALLED"


def main(given: Path, output: Path) -> int:
    """Score the submission in `given/res` and say what became of it, as `evaluate` does; return the exit status."""
    from evaluator.bundle import score_upload
    from evaluator.cli.options import worker_count
    from evaluator.cli.output import print_board, print_findings, say
    from evaluator.cli.progress import RunProgress
    from evaluator.findings import EvaluatorError

    try:
        verdict = score_upload(given, output, workers=worker_count(None), progress=RunProgress("scoring"))
    except EvaluatorError as error:
        say(f"Error: {error}")
        print_findings(error.findings, rest="detailed_results.html lists all")
        return 2
    if verdict.board:
        print_board(verdict.board)
    if verdict.outcome.findings:
        say("Findings:")
    print_findings(verdict.outcome.findings, rest="detailed_results.html lists all")
    if not verdict.scores:
        say(f"No scores: {verdict.reason.rstrip('.')}. The detailed results say more.")
    return 0 if verdict.scores else 2


def ensure_packages(file: Path) -> None:
    """Install the pinned packages where one is missing, and say which have another version than the bundle's.

    Nothing is installed, and no network needed, where all are there.
    """
    wanted = dict(line.split("==") for line in file.read_text(encoding="utf-8").split())
    found = {name: _version(name) for name in wanted}
    missing = [name for name, version in found.items() if version is None]
    if missing and _TRIED not in os.environ:
        print(f"Not installed: {', '.join(missing)}. Installing {file.name}.", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(file)]
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode == 0:  # noqa: S603 - our own list
            os.environ[_TRIED] = "1"
            os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - so that the new packages are seen
    if missing:
        sys.exit(
            f"The scoring program lacks {', '.join(missing)}, and cannot install them. The organisers have to name a "
            "Docker image that has them: see Dockerfile in the scoring program."
        )
    for name, version in found.items():
        if version != wanted[name]:
            print(f"{name} is {version}; the bundle was written with {wanted[name]}.", file=sys.stderr)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - an image may have any Python
        sys.exit(f"The scoring program needs Python 3.11 or newer, and this image has {sys.version.split()[0]}.")
    if len(sys.argv) != 3:
        sys.exit("Usage: python3 score.py INPUT OUTPUT")
    ensure_packages(_HERE / "requirements.txt")
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
