"""Open a submission: manifest, archives, matching of outputs to cases, and the door through which files are read."""

import lazy_loader

# Workers load modules of this package, and few of what those that the stub names load.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
