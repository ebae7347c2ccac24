"""Load a submitted model of any format and run it on images. To be used inside a sandboxed worker only.

The looks at a file before it is loaded (`care_*`) give early and clear messages; the sandbox is the defence.
"""

from evaluator.runners.models.contract import Loaded, Restored, Restorer
from evaluator.runners.models.load import load_model
from evaluator.runners.models.problem import ModelProblem

__all__ = ["Loaded", "ModelProblem", "Restored", "Restorer", "load_model"]
