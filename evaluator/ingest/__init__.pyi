from .baselines import (
    baseline_files,
    baseline_manifest,
    baseline_names,
    baselines_folder,
    code_folder,
    is_bare,
    is_baseline,
    left_out,
)
from .detections import read_detections
from .manifest import FILE_NAME, Manifest
from .reader import Expected, Reading, examine, fetch, judge, read_output, suspect_range
from .sources import FolderSource, Source, TarSource, ZipSource, open_source
from .submission import Submission, open_submission, other_id, submission_id

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
    "other_id",
    "read_detections",
    "read_output",
    "submission_id",
    "suspect_range",
]
