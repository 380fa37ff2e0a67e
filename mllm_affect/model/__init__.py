"""The miniature Qwen3-Omni, checkpoints and the reference encoding of model inputs."""
