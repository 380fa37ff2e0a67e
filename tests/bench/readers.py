"""Ours and its peers as their documentation shows them, on any file.

Does: one function a reader, which returns what it makes of a file.  Does not: judge (see rights).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MOST_PICTURES = 8
RATE = 16_000


@dataclass(frozen=True)
class Found:
    """What a reader makes of a file.

    pictures: HWC uint8 RGB, up to MOST_PICTURES, evenly chosen.  seconds, fps: as the reader tells,
    or as its frames tell.  sound_S: int16 mono at 16 kHz; None for a reader or file without sound.
    warnings: what it says about the file.
    """

    pictures: list[NDArray[np.uint8]]
    seconds: float
    fps: float
    sound_S: NDArray[np.int16] | None
    warnings: tuple[str, ...] = ()


def ours(path: Path) -> Found:
    """Isolated probe and reader, as every command uses them."""
    from mllm_affect.media.isolation.isolated_video import IsolatedVideo
    from mllm_affect.media.types import Sampling

    with IsolatedVideo(path) as video:
        clips = list(video.read(Sampling(fps=2.0)))
        pictures = [picture for clip in clips for picture in clip.frames_THWC]
        first_s = clips[0].segment.start_s
        heard = [(clip.segment, clip.audio_S) for clip in clips if clip.audio_S is not None]
        sound_S = np.zeros(round((clips[-1].segment.end_s - first_s) * RATE), np.int16)
        for segment, audio_S in heard:
            begin = round((segment.start_s - first_s) * RATE)
            length = min(len(audio_S), round(segment.duration_s * RATE), len(sound_S) - begin)
            sound_S[begin : begin + length] = audio_S[:length]
        said = dict.fromkeys(one.sentence for clip in clips for one in clip.segment.warnings)
        seconds = sum(clip.segment.duration_s for clip in clips)
        return Found(
            chosen(pictures), seconds, video.source.average_fps, sound_S if heard else None,
            tuple(said),
        )  # fmt: skip


def pyav(path: Path) -> Found:
    """`container.decode(video=0)` and `decode(audio=0)`."""
    import av

    with av.open(str(path)) as container:
        frames = [(frame.time or 0.0, frame.to_ndarray(format="rgb24"))
                  for frame in container.decode(video=0)]  # fmt: skip
        rate = float(container.streams.video[0].average_rate or 0)
    sound_S = None
    with av.open(str(path)) as container:
        if container.streams.audio:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            pieces = [piece.to_ndarray().reshape(-1) for frame in container.decode(audio=0)
                      for piece in resampler.resample(frame)]  # fmt: skip
            sound_S = np.concatenate(pieces) if pieces else None
    seconds = frames[-1][0] - frames[0][0] + 1 / rate if rate else 0.0
    return Found(chosen([picture for _, picture in frames]), seconds, rate, sound_S)


def opencv(path: Path) -> Found:
    """`VideoCapture`; it reads no sound."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    rate, frames = capture.get(cv2.CAP_PROP_FPS), []
    while True:
        there, picture = capture.read()
        if not there:
            break
        frames.append(np.ascontiguousarray(picture[..., ::-1]))
    if not frames:
        raise ValueError("no frames")
    return Found(chosen(frames), len(frames) / rate if rate else 0.0, rate, None)


def decord(path: Path) -> Found:
    """`VideoReader` and `AudioReader`."""
    import decord as library

    reader = library.VideoReader(str(path))
    places = np.unique(np.linspace(0, len(reader) - 1, MOST_PICTURES).astype(int)).tolist()
    pictures = list(reader.get_batch(places).asnumpy())
    ends = reader.get_frame_timestamp(range(len(reader)))
    try:
        sound = library.AudioReader(str(path), sample_rate=RATE, mono=True)[:].asnumpy()[0]
        sound_S = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
    except library.DECORDError:
        sound_S = None
    return Found(pictures, float(ends[-1, 1] - ends[0, 0]), reader.get_avg_fps(), sound_S)


def torchcodec(path: Path) -> Found:
    """`VideoDecoder` and `AudioDecoder`."""
    from torchcodec.decoders import AudioDecoder, VideoDecoder

    decoder = VideoDecoder(str(path), dimension_order="NHWC")
    places = np.unique(np.linspace(0, len(decoder) - 1, MOST_PICTURES).astype(int)).tolist()
    pictures = list(decoder.get_frames_at(places).data.numpy())
    about = decoder.metadata
    try:
        samples = AudioDecoder(str(path), sample_rate=RATE, num_channels=1).get_all_samples()
        sound_S = (samples.data.numpy()[0].clip(-1, 1) * 32767).astype(np.int16)
    except (RuntimeError, ValueError):
        sound_S = None
    return Found(pictures, about.duration_seconds or 0.0, about.average_fps or 0.0, sound_S)


def qwen_omni_utils(path: Path) -> Found:
    """`process_mm_info` with the video's sound, at two frames a second."""
    logging.disable()
    from qwen_omni_utils import process_mm_info

    video = {"type": "video", "video": str(path), "fps": 2.0,
             "min_pixels": 32 * 32, "max_pixels": 448 * 256}  # fmt: skip
    talk = [{"role": "user", "content": [video]}]
    try:
        sounds, _, videos = process_mm_info(talk, use_audio_in_video=True, image_patch_size=16)
        sound_S = (np.clip(sounds[0], -1, 1) * 32767).astype(np.int16)
    except AssertionError:  # it refuses videos without sound, unless it is told
        _, _, videos = process_mm_info(talk, use_audio_in_video=False, image_patch_size=16)
        sound_S = None
    pictures = list(videos[0].permute(0, 2, 3, 1).round().byte().numpy())
    return Found(chosen(pictures), len(pictures) / 2.0, 0.0, sound_S)


def chosen(pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Up to MOST_PICTURES of them, evenly."""
    places = np.unique(np.linspace(0, len(pictures) - 1, MOST_PICTURES).astype(int))
    return [pictures[place] for place in places]


READERS: dict[str, Callable[[Path], Found]] = {
    "ours": ours,
    "PyAV": pyav,
    "decord": decord,
    "OpenCV": opencv,
    "torchcodec": torchcodec,
    "qwen_omni_utils": qwen_omni_utils,
}
