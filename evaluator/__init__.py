"""Reproducible benchmark and leaderboards for image restoration and enhancement.

The public interface, loaded when it is first used::

    from pathlib import Path
    import evaluator

    task = evaluator.load_task("sidd")
    split = task.split("mini")                               # or task.split("validation", data=Path("/data"))
    outcomes = evaluator.check([Path("my_outputs")], split)  # findings, nothing scored
    outcomes = evaluator.score([Path("my_outputs")], split)  # scorecards in ./leaderboards
    board = evaluator.rank(task, "mini", evaluator.Store(Path("leaderboards")).read("sidd", "mini"))
    evaluator.build_site(Path("leaderboards"))
    evaluator.build_bundle("sidd", Path("my_bundle"), split="mini")  # for Codabench

    a, b = split.input("coffee-0").array, split.target("coffee-0").array  # (H, W, C)
    evaluator.metrics.compute("psnr.f64", output=a, reference=b, peak=255)
"""

import lazy_loader

from evaluator._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
