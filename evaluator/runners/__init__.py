"""Runners: the worker processes in which all that a team sent is opened, decoded and run, and their isolation."""

from evaluator.runners.client import ArchiveSource, Failed, Stopped, Workers, decode, open_source, read_output
from evaluator.runners.model import ModelRunner, Ran, RunFailed, snapshot

__all__ = [
    "ArchiveSource",
    "Failed",
    "ModelRunner",
    "Ran",
    "RunFailed",
    "Stopped",
    "Workers",
    "decode",
    "open_source",
    "read_output",
    "snapshot",
]
