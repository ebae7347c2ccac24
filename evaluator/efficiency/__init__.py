"""What a run costs: the machine it ran on, and the time a model took for each case."""

from evaluator.efficiency.hardware import Hardware, this_machine
from evaluator.efficiency.runtime import Runtime, summarise

__all__ = ["Hardware", "Runtime", "summarise", "this_machine"]
