"""Clips kept on disk by what they depend on, so that a video is decoded once."""

from mllm_affect.media.cache.cached_video import cached_segments, cached_video, open_cache
from mllm_affect.media.cache.folder import ClipCache

__all__ = ["ClipCache", "cached_segments", "cached_video", "open_cache"]
