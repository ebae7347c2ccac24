"""Runners turn a model into outputs; from there on it is scored as outputs are."""

from evaluator.runners.python import PythonRunner, Restore, RunFailed

__all__ = ["PythonRunner", "Restore", "RunFailed"]
