"""Which code a figure came from.

Does: hash the sources that can change a result.  Does not: need a repository.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("mllm_affect", "finetune", "serve", "prompts")
KINDS = frozenset({".py", ".yaml", ".json", ".safetensors", ".jinja"})


def code_hash() -> str:
    """Return the hex SHA-256 over names and contents of every file that can change a result."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        root = _folder(package)
        for path in sorted(item for item in root.rglob("*") if item.suffix in KINDS):
            digest.update(f"{package}/{path.relative_to(root)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _folder(package: str) -> Path:
    """Where a package lies, without importing it."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"package {package} is not installed")
    return Path(found.submodule_search_locations[0])
