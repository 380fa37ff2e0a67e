"""Sound that begins before the first picture or ends after the last one.

Does: say from when the first picture is shown and until when the last one, so that every second
with sound lies in a segment; the warnings about that.  Does not: read packets, or cut.
See docs/design/0035.
"""

from fractions import Fraction
from typing import NamedTuple

from mllm_affect.media.limits import DEFAULT_LIMITS
from mllm_affect.media.refusals import MediaError
from mllm_affect.media.warnings import Warnings, warn

OVERHANG_S = 0.25
"""Sound that lies beside the pictures by less than this makes no difference: coders pad the sound,
and cameras start and stop the two a little apart."""


class TimeExtent(NamedTuple):
    """Where a file states sound, in seconds on the video's timeline."""

    start_s: float
    end_s: float


class SoundOverhang:
    """Extends the first and the last picture of one video over the sound beside them."""

    def __init__(self, heard: TimeExtent | None, time_base: Fraction, name: str) -> None:
        self._heard, self._time_base, self._name = heard, time_base, name
        self._first_s, self._ended_s = float("-inf"), float("inf")

    def first(self, ticks: int) -> int:
        """Return from when the first picture is shown, given its timestamp.

        Raises UserError `audio_too_long`, as `last` does.
        """
        first_s = float(ticks * self._time_base)
        if self._heard is None or first_s - self._heard.start_s <= OVERHANG_S:
            return ticks
        self._hold(first_s - self._heard.start_s)
        self._first_s = first_s
        return round(self._heard.start_s / self._time_base)

    def last(self, ticks: int) -> int:
        """Return until when the last picture is shown, given where it would end."""
        ended_s = float(ticks * self._time_base)
        if self._heard is None or self._heard.end_s - ended_s <= OVERHANG_S:
            return ticks
        self._hold(self._heard.end_s - ended_s)
        self._ended_s = ended_s
        return round(self._heard.end_s / self._time_base)

    def _hold(self, beside_s: float) -> None:
        limit = DEFAULT_LIMITS.sound_beyond_seconds
        if beside_s > limit:
            raise MediaError("audio_too_long", self._name, limit=limit)

    def warnings(self, start_s: float, end_s: float) -> Warnings:
        """Return what is to be said about a segment; the last one's after `last` was asked."""
        found: Warnings = ()
        if self._heard is not None and start_s < self._first_s:
            before_s = self._first_s - self._heard.start_s
            found += (warn("sound_before_pictures", seconds=f"{before_s:.2f}"),)
        if self._heard is not None and end_s > self._ended_s:
            after_s = self._heard.end_s - self._ended_s
            found += (warn("sound_after_pictures", seconds=f"{after_s:.2f}"),)
        return found
