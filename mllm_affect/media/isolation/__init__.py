"""Decoding a stranger's file in a throw-away process that can reach nothing else."""
