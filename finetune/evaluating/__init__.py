"""Evaluation while training goes on: the task's own figure, the best checkpoint, an early end."""
