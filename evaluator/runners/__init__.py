"""Runners: the worker processes in which all that a team sent is opened, decoded and run, and their isolation."""

import lazy_loader

# Workers load modules of this package, and few of what those that the stub names load.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
