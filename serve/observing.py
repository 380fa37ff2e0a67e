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
        self._found: OrderedDict[tuple[str, float], tuple[Observed, ...]] = OrderedDict()
        self._looking = threading.Lock()

    def of(
        self, video_id: str, source: Source, max_seconds: float, limits: Limits, stop: Stop
    ) -> tuple[Observed, ...]:
        """Return what the segments of a video show; it is looked at where that is not known.

        `max_seconds`: longest segment, in seconds.

        Raises EngineError `looking_elsewhere` while another video is looked at, StoppedError once
        told to stop, UserError as `observe_video` does.
        """
        key = (video_id, max_seconds)
        known = self._found.get(key)
        if known is not None:
            return known
        if not self._looking.acquire(timeout=PATIENCE_S):
            raise EngineError(
                "looking_elsewhere", "Another video is being looked at; try again in a moment."
            )
        try:
            if key not in self._found:
                self._found[key] = tuple(
                    observe_video(source, limits, max_seconds=max_seconds, stop=stop)
                )
                while len(self._found) > self._most:
                    self._found.popitem(last=False)
            return self._found[key]
        finally:
            self._looking.release()

    def forget(self, video_id: str) -> None:
        """Keep nothing of a video."""
        for key in [key for key in self._found if key[0] == video_id]:
            self._found.pop(key, None)
