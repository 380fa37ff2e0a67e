"""What uploaded videos show besides the answers, remembered for as long as this process lives.

Does: look at a video once, one video at a time, and keep what was found of the last ones in memory.
Does not: write anything down, so that nothing of it outlives an erased video for long.
"""

import threading
from collections import OrderedDict

from mllm_affect.errors import EngineError
from mllm_affect.media.limits import Limits
from mllm_affect.media.observed import Observed
from mllm_affect.media.observing import observe_video
from mllm_affect.media.types import Source
from mllm_affect.stopping import Stop

MOST_VIDEOS = 64
PATIENCE_S = 2.0
"""So long a request waits for another video to be looked at."""


class Observations:
    """What was found in the videos that were looked at last."""

    def __init__(self, most: int = MOST_VIDEOS) -> None:
        self._most = most
        self._found: OrderedDict[str, tuple[Observed, ...]] = OrderedDict()
        self._looking = threading.Lock()

    def of(self, video_id: str, source: Source, limits: Limits, stop: Stop) -> tuple[Observed, ...]:
        """Return what the segments of a video show; it is looked at where that is not known.

        Raises EngineError `looking_elsewhere` while another video is looked at, StoppedError once
        told to stop, UserError as `observe_video` does.
        """
        known = self._found.get(video_id)
        if known is not None:
            return known
        if not self._looking.acquire(timeout=PATIENCE_S):
            raise EngineError(
                "looking_elsewhere", "Another video is being looked at; try again in a moment."
            )
        try:
            if video_id not in self._found:
                self._found[video_id] = tuple(observe_video(source, limits, stop=stop))
                while len(self._found) > self._most:
                    self._found.popitem(last=False)
            return self._found[video_id]
        finally:
            self._looking.release()

    def forget(self, video_id: str) -> None:
        """Keep nothing of a video."""
        self._found.pop(video_id, None)
