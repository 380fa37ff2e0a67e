"""`manifest.json` of the miniature: how it was made, what it scored, and the hash of every file.

Does: write it and check a folder against it.  Does not: train or measure.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mllm_affect.errors import UserError
from mllm_affect.files import sha256_file, write_json

FILE_NAME = "manifest.json"
PACKAGES = ("torch", "transformers", "numpy", "scipy", "opencv-python-headless")


def versions() -> dict[str, str]:
    """Return the versions of the packages that the weights depend on."""
    return {name: version(name) for name in PACKAGES}


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write `facts`, versions and the hash of every other file of `folder`; return it all."""
    manifest = {**facts, "versions": versions(), "sha256": _hashes(folder)}
    write_json(folder / FILE_NAME, manifest)
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a folder.  Raises UserError `no_manifest`."""
    path = folder / FILE_NAME
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            "no_manifest",
            f"{folder} has no readable {FILE_NAME}; give a folder that `miniature build` wrote.",
        ) from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("sha256"), dict):
        raise UserError("no_manifest", f"{path} is not a manifest of a miniature.")
    return manifest


def differences(folder: Path) -> list[str]:
    """Return one sentence for every file that differs from the manifest, is missing or is new."""
    noted: dict[str, str] = read_manifest(folder)["sha256"]
    found = _hashes(folder)
    return [
        *(f"{name} is missing" for name in noted if name not in found),
        *(f"{name} is not in the manifest" for name in found if name not in noted),
        *(
            f"{name} has changed"
            for name, digest in noted.items()
            if name in found and found[name] != digest
        ),
    ]


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: sha256_file(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != FILE_NAME
    }
