"""Sending a file that may be erased while it is sent.

Does: open the file before the answer begins, so that the answer is whole or a 404.
Does not: read ranges (Starlette does), or check who may have the file.
"""

import os
from pathlib import Path

from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send


class OpenedFileResponse(FileResponse):
    """A file and its ranges; raises FileNotFoundError at once where there is no such file."""

    def __init__(self, path: Path, media_type: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        # Starlette opens a path once the headers are sent.  This path leads to the open file, also
        # after its name was removed.
        super().__init__(
            f"/dev/fd/{self._descriptor}",
            media_type=media_type,
            stat_result=os.fstat(self._descriptor),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)
