"""Engines that score answers: the vLLM server and its client, transformers, echo."""
