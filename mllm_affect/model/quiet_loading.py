"""Loading small checkpoints without a progress bar.

Does: keep transformers from drawing bars that last milliseconds into somebody's log.
Does not: load, or hide the progress of large checkpoints, which take minutes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SMALL_BYTES = 1 << 30
"""Weights up to here load in seconds; above, a bar is welcome."""


@contextmanager
def quiet_when_small(checkpoint: Path) -> Iterator[None]:
    """Switch transformers' progress bars off while a checkpoint of little weight is loaded."""
    from transformers.utils import logging

    weights = sum(file.stat().st_size for file in checkpoint.glob("*.safetensors"))
    was_shown = logging.is_progress_bar_enabled()
    if weights <= SMALL_BYTES:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_shown:
            logging.enable_progress_bar()
