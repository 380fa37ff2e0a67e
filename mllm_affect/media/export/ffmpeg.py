"""Where the ffmpeg program is.

Does: find the binary that the imageio-ffmpeg wheel carries.  Does not: run it, or look on the PATH.
"""

from pathlib import Path

from mllm_affect.errors import UserError


def ffmpeg_path() -> Path:
    """Return the path of the ffmpeg program from the wheel.

    Raises UserError `no_ffmpeg` when the wheel for this platform has none.
    """
    import imageio_ffmpeg

    binaries = sorted((Path(imageio_ffmpeg.__file__).parent / "binaries").glob("ffmpeg-*"))
    if not binaries:
        raise UserError(
            "no_ffmpeg",
            "imageio-ffmpeg holds no ffmpeg program; reinstall it from a wheel for this platform.",
        )
    return binaries[0]
