"""Recipes and the training verbs, on top of ms-swift."""
