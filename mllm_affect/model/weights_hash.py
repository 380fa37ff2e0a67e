"""One hash that says which weights a checkpoint folder holds.

Does: hash configuration and weight files by content.  Does not: look at what else lies there.
"""

from pathlib import Path

from mllm_affect.files import sha256_file, sha256_json


def weights_hash(checkpoint: Path) -> str:
    """Return one SHA-256 over config.json and the weight files; reads all of them."""
    files = [checkpoint / "config.json", *sorted(checkpoint.glob("*.safetensors"))]
    return sha256_json({path.name: sha256_file(path) for path in files})
