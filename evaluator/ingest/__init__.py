"""Open a submission: manifest, archives, matching of outputs to cases, and the door through which files are read."""

from evaluator.ingest.baselines import (
    baseline_files,
    baseline_manifest,
    baseline_names,
    baselines_folder,
    code_folder,
    is_bare,
    is_baseline,
    left_out,
)
from evaluator.ingest.detections import read_detections
from evaluator.ingest.manifest import FILE_NAME, Manifest
from evaluator.ingest.reader import Expected, Reading, examine, fetch, judge, read_output, suspect_range
from evaluator.ingest.sources import FolderSource, Source, TarSource, ZipSource, open_source
from evaluator.ingest.submission import Submission, open_submission, submission_id

__all__ = [
    "FILE_NAME",
    "Expected",
    "FolderSource",
    "Manifest",
    "Reading",
    "Source",
    "Submission",
    "TarSource",
    "ZipSource",
    "baseline_files",
    "baseline_manifest",
    "baseline_names",
    "baselines_folder",
    "code_folder",
    "examine",
    "fetch",
    "is_bare",
    "is_baseline",
    "judge",
    "left_out",
    "open_source",
    "open_submission",
    "read_detections",
    "read_output",
    "submission_id",
    "suspect_range",
]
