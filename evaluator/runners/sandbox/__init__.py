"""One child process in the strongest isolation that has proved itself on this machine.

::

    found = isolation()
    with launch(command, isolation=found, limits=Limits(), readable=python_roots()) as child:
        child.stdin.write(frame)
        answer = child.stdout.read(size)
"""

from evaluator.runners.sandbox.child import Child
from evaluator.runners.sandbox.launch import launch
from evaluator.runners.sandbox.levels import Isolation, Level, Limits
from evaluator.runners.sandbox.policy import Kind, allowed
from evaluator.runners.sandbox.probing import isolation
from evaluator.runners.sandbox.roots import python_roots

__all__ = ["Child", "Isolation", "Kind", "Level", "Limits", "allowed", "isolation", "launch", "python_roots"]
