"""Read what operators a model consists of, without running it where its format allows that."""

from evaluator.runners.models.graphs.base import GraphReader, Input, open_graph

__all__ = ["GraphReader", "Input", "open_graph"]
