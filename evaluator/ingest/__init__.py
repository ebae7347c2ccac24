"""Open a submission: manifest, archives, matching of outputs to cases, and the door through which files are read."""

import lazy_loader

# Each name is loaded when it is first used: a worker needs few of these modules.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
