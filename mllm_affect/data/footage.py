"""Where an example's pictures are: a video file, or a folder of images with a rate.

Does: name what can be opened.  Does not: open it (see mllm_affect.media.video).
"""

from collections.abc import Callable
from pathlib import Path

from mllm_affect.data.examples import FILE_NAME, Example, read_examples
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


def footage_by_name(data: Path) -> Callable[[str], Footage]:
    """Return what gives the footage of a video below `data` by its name.

    Where the folder lists examples, those that are images have their rate.  Raises UserError
    `bad_examples` for a list that cannot be used.
    """
    listed = {}
    if (data / FILE_NAME).is_file():
        listed = {example.video: example for example in read_examples(data)}

    def by_name(name: str) -> Footage:
        example = listed.get(name)
        return following_links(data / name) if example is None else footage(data, example)

    return by_name
