"""Runners: the worker processes in which all that a team sent is opened, decoded and run, and their isolation."""

import lazy_loader

# Each name is loaded when it is first used: a worker needs few of these modules.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
