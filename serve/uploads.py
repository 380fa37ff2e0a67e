"""An uploaded video on disk for as long as it is needed and no longer.

Does: copy an upload into a folder of its own under a name of ours, and remove it always.
Does not: look inside (probe does) or keep the client's file name.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import UploadFile

from mllm_affect.errors import UserError


@contextmanager
def stored(upload: UploadFile, max_bytes: int) -> Iterator[Path]:
    """Yield the path of the upload's bytes; gone when the block ends, however it ends.

    Raises UserError `file_too_large`.
    """
    if (upload.size or 0) > max_bytes:
        raise UserError("file_too_large", f"A video may have at most {max_bytes >> 20} MiB.")
    with tempfile.TemporaryDirectory(prefix="mllm-affect-") as folder:
        path = Path(folder) / "video"  # errors name it so
        with path.open("wb") as target:
            shutil.copyfileobj(upload.file, target)
        yield path
