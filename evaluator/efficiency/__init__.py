"""What a run costs: the machine it ran on, the time a model took for each case; what a model costs, on any machine."""

from evaluator.efficiency.cost import Cost, DeviceCard, PhoneRun, Timing
from evaluator.efficiency.hardware import Hardware, this_machine
from evaluator.efficiency.runtime import Runtime, summarise

__all__ = ["Cost", "DeviceCard", "Hardware", "PhoneRun", "Runtime", "Timing", "summarise", "this_machine"]
