"""Training of the baselines' networks: recipes as typed data, what a step sees, and the loop."""

from evaluator.training.recipe import FILE_NAME, Recipe, baseline_recipe, recipe_file, trainable_baselines
from evaluator.training.trainer import CHECKPOINT, Settings, Trained, train

__all__ = [
    "CHECKPOINT",
    "FILE_NAME",
    "Recipe",
    "Settings",
    "Trained",
    "baseline_recipe",
    "recipe_file",
    "train",
    "trainable_baselines",
]
