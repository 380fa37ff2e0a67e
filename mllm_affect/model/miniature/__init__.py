"""The miniature: the true Qwen3-Omni architecture at toy sizes, trained on made clips.

Does: say where the checkpoint that ships with the package lies.  Does not: load it; the modules
beside this one assemble, train and measure it.
"""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"


def embedded_checkpoint() -> Path:
    """Return the folder of the checkpoint that ships with the package (read it, do not write)."""
    return WEIGHTS
