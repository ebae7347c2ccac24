"""Runners: the worker processes in which all that a team sent is opened, decoded and run, and their isolation."""

from evaluator.runners.client import Failed, Stopped, Workers
from evaluator.runners.meter import Meter, Operators, describe_file
from evaluator.runners.model import ModelRunner, Ran, RunFailed, copy_files
from evaluator.runners.reading import WorkerSource, decode, read_output, stopped_finding
from evaluator.runners.reception import Reception

__all__ = [
    "Failed",
    "Meter",
    "ModelRunner",
    "Operators",
    "Ran",
    "Reception",
    "RunFailed",
    "Stopped",
    "WorkerSource",
    "Workers",
    "copy_files",
    "decode",
    "describe_file",
    "read_output",
    "stopped_finding",
]
