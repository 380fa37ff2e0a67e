"""Versioned prompts: one YAML file a task."""
