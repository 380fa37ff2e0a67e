"""Why a video is not read: every code with its sentence.

Does: hold the one table of codes and sentences, and the error that is made from it.
Does not: decide.  The table is part of the public interface; docs/media-limits.md lists it.
"""

from mllm_affect.errors import UserError
from mllm_affect.media.limits import AUDIO_CODECS, CONTAINERS, VIDEO_CODECS

Fact = int | float | str

SENTENCES = {
    "file_not_found": "No file at {path}; check the path.",
    "not_a_file": "{path} is not a regular file; give a video file.",
    "symbolic_link": "{name} is a symbolic link; give the file that it leads to.",
    "file_unreadable": "{name} cannot be opened ({reason}); check its permissions.",
    "empty_file": "{name} is empty; give a video file.",
    "file_too_large": "{name} is larger than {limit} MiB; cut or compress it.",
    "unsupported_container": "{name} does not begin like a video; accepted are "
    + f"{', '.join(CONTAINERS.values())}, whatever the name says.",
    "no_images": "{path} holds no image; give a folder of .png, .jpg or .bmp files, or a video.",
    "no_image_rate": "{name} is a folder of images; say with --image-fps how many a second.",
    "bad_image_rate": "{name} is said to have {rate:g} images a second; give 0.1 to 1000.",
    "mixed_images": "{name} holds images that differ: {image} is {this}, the first is {first}; "
    "give one kind and size.",
    "unsupported_image": "{name} is no PNG, JPEG or uncompressed BMP, whatever its name says; "
    "convert it to PNG.",
    "unreadable_video": "{name} is damaged or cut off: its headers cannot be read; export it "
    "again.",
    "too_many_streams": "{name} holds {streams} streams; at most {limit} are read.",
    "no_video": "{name} holds no video track; give a video.",
    "no_frames": "{name} has a video track without any frame that can be decoded; export it again.",
    "unsupported_codec": "{name} has {kind} coded as {codec}, which is not read; convert it to one "
    f"of {', '.join(sorted(VIDEO_CODECS))}, with sound as one of "
    f"{', '.join(sorted(AUDIO_CODECS))} or PCM.",
    "frame_too_large": "{name} is {width}x{height}; at most {limit} pixels and {side} a side are "
    "read.",
    "frame_rate_too_high": "{name} has {rate:.0f} frames a second; at most {limit:.0f} are read.",
    "video_too_long": "{name} lasts {seconds:.0f} s or {frames} frames; at most {limit:.0f} s and "
    "{frame_limit} frames are read.",
    "audio_too_large": "{name} has sound of {channels} channels at {rate} Hz; their product may be "
    "at most {limit}.",
    "audio_too_long": "{name} has sound that runs on for more than {limit:.0f} s without a picture "
    "or lies in too many pieces; cut it to the video's length.",
    "bad_timestamps": "{name} states times that are no times of a video ({seconds:.0f} s); export "
    "it again.",
    "clock_restarts": "{name} counts time anew in its {kind} alone, or more than {limit} times; "
    "export it again, or each recording in it by itself.",
    "source_changed": "{name} no longer holds the frames of its segments; segment it anew.",
    "media_crashed": "{name} made its decoder fail ({reason}); it is damaged or hostile, export it "
    "again.",
    "media_killed": "The process that decodes {name} was killed twice, most likely for lack of "
    "memory; free some, or decode fewer videos at once.",
    "sandbox_missing": "{name} is not decoded: this machine does not confine the process that "
    "would ({layers} missing); see docs/security-media.md.",
    "media_too_slow": "{name} took more than {limit:.0f} s without a next clip; shorten or "
    "re-encode it.",
    "media_too_big": "{name} needs more than {limit} MiB of memory to decode; re-encode it "
    "smaller.",
}  # fmt: skip
"""Sentences by code; the names in braces are filled in from what was found."""


class MediaError(UserError):
    """A video that is not read; `facts` are what its sentence is filled in with."""

    def __init__(self, code: str, name: str, **facts: Fact) -> None:
        super().__init__(code, SENTENCES[code].format(**{"name": name, "path": name, **facts}))
        self.facts = facts
