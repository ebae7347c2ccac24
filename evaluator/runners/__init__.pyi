from .client import Failed, Stopped, Workers
from .meter import Meter, Operators, describe_file
from .model import ModelRunner, Ran, RunFailed, copy_files
from .reading import WorkerSource, decode, read_output, stopped_finding
from .reception import Reception

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
