"""Where an example's pictures are: a video file, or a folder of images with a rate.

Does: name what can be opened.  Does not: open it (see mllm_affect.media.video).
"""

from pathlib import Path

from mllm_affect.data.examples import Example
from mllm_affect.media.images.folder import ImageFolder
from mllm_affect.media.video import following_links

Footage = Path | ImageFolder


def footage(data: Path, example: Example) -> Footage:
    """Return what to open for an example of the labelled set in `data`, links of the user's own
    followed."""
    path = following_links(data / example.video)
    return path if example.image_fps is None else ImageFolder(path, example.image_fps)


def is_there(data: Path, example: Example) -> bool:
    """Whether an example's video file, or its folder of images, exists."""
    path = data / example.video
    return path.is_file() if example.image_fps is None else path.is_dir()
