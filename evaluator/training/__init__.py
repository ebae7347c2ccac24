"""Training of the baselines' networks: their recipes as typed data."""

from evaluator.training.recipe import FILE_NAME, Recipe, baseline_recipe, trainable_baselines

__all__ = ["FILE_NAME", "Recipe", "baseline_recipe", "trainable_baselines"]
