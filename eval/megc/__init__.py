"""Scores of the micro-expression grand challenge; unofficial until the organisers' scorer is."""
