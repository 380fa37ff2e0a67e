"""Real-world inputs (see real_world_files) about what is shown and which streams are read.

Does: make orientations, pixel aspects, HDR, changing sizes, and files of several streams.
Does not: check them.
"""

import struct
from fractions import Fraction
from pathlib import Path

import av
from boxes import box, boxes, changed
from PIL import Image
from real_world_files import Row
from wheel_ffmpeg import run_ffmpeg

from tests.real_videos import real_video

QUADRANTS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
"""Colours at the top left and right, then at the bottom left and right."""
ORIENTATIONS = {
    f"{degrees} degrees{', hflip' * across}{', vflip' * down}": (
        *(("-display_rotation:v:0", str(degrees)) if degrees else ()),
        *(("-display_hflip:v:0",) if across else ()),
        *(("-display_vflip:v:0",) if down else ()),
    )
    for degrees in (0, 90, 180, 270)
    for across, down in ((False, False), (True, False), (False, True))
}
"""ffmpeg's input options that state a display matrix: twelve, which give all eight orientations."""
HALF = ("-preset", "ultrafast", "-pix_fmt", "yuv420p")


def four_colours(folder: Path, seconds: float = 1.0) -> Path:
    """A video of 128x64 pixels with four coloured quadrants, without a display matrix."""
    picture = Image.new("RGB", (2, 2))
    picture.putdata(QUADRANTS)
    picture.resize((128, 64), Image.Resampling.NEAREST).save(folder / "quad.png")
    path = folder / "quad.mp4"
    run_ffmpeg("-loop", "1", "-framerate", "25", "-i", str(folder / "quad.png"), "-t", str(seconds),
               "-c:v", "libx264", *HALF, "-crf", "10", str(path))  # fmt: skip
    return path


def turned(folder: Path, orientation: str) -> Path:
    """The four colours with a display matrix."""
    path = folder / "turned.mp4"
    run_ffmpeg(*ORIENTATIONS[orientation], "-i", str(four_colours(folder)), "-c", "copy", str(path))
    return path


def mirrored(folder: Path) -> Path:
    return turned(folder, "90 degrees, hflip")


def circle(folder: Path, filters: str, *coding: str, suffix: str = "mp4") -> Path:
    """A white circle on black of 1024x576 square pixels, then filtered and coded."""
    path = folder / f"circle.{suffix}"
    shape = "lum=255*lte(hypot(X-W/2\\,Y-H/2)\\,200):cb=128:cr=128"
    source = f"color=black:size=1024x576:rate=25:duration=1,format=yuv444p,geq={shape}"
    coding = coding or ("-c:v", "libx264", *HALF)
    run_ffmpeg("-f", "lavfi", "-i", f"{source},{filters}", *coding, str(path))
    return path


def anamorphic(folder: Path) -> Path:
    return circle(folder, "scale=720:576,setsar=64/45")


def hdr(folder: Path, transfer: str, seconds: float = 1.0) -> Path:
    """A face video in 10 bits, BT.2020, with a transfer as zscale names it."""
    path = folder / f"{transfer}.mp4"
    stated = "tin=bt709:pin=bt709:min=bt709:rin=tv"
    colour = f"zscale={stated}:t={transfer}:p=bt2020:m=bt2020nc:r=tv,format=yuv420p10le"
    run_ffmpeg("-i", str(real_video("wide")), "-t", str(seconds), "-vf", colour, "-an",
               "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error",
               "-tag:v", "hvc1", str(path))  # fmt: skip
    return path


def hybrid_log_gamma(folder: Path) -> Path:
    return hdr(folder, "arib-std-b67")


def perceptual_quantizer(folder: Path) -> Path:
    return hdr(folder, "smpte2084")


def resized(folder: Path) -> Path:
    return joined(folder, ("640x360", "360x640"))


def joined(
    folder: Path, sizes: tuple[str, ...], seconds: float = 2.0, codec: str = "libvpx"
) -> Path:
    """Face videos of several sizes one after the other in one WebM track; the aspect is kept."""
    parts = []
    coding = ("-c:v", codec, "-deadline", "realtime", "-cpu-used", "8", "-b:v", "800k", "-g", "24")
    for number, size in enumerate(sizes):
        width, height = size.split("x")
        fit = (
            f"crop=w='min(iw,ih*{width}/{height})':h='min(ih,iw*{height}/{width})':x='(iw-ow)*.44'"
        )
        part = folder / f"part{number}.webm"
        run_ffmpeg("-i", str(real_video("single_face")), "-t", str(seconds), "-an",
                   "-vf", f"{fit},scale={width}:{height},setsar=1,fps=24",
                   *coding, str(part))  # fmt: skip
        parts.append(f"file '{part}'")
    (folder / "parts.txt").write_text("\n".join(parts))
    path = folder / "joined.webm"
    run_ffmpeg("-f", "concat", "-safe", "0", "-i", str(folder / "parts.txt"), "-c", "copy",
               str(path))  # fmt: skip
    return path


def thumbnail_first(folder: Path) -> Path:
    source = str(real_video("talking"))
    still, path = folder / "still.jpg", folder / "thumbnail.mp4"
    run_ffmpeg("-i", source, "-frames:v", "1", "-vf", "scale=160:-2", str(still))
    with av.open(source) as read, av.open(str(path), "w") as written:
        thumbnail = written.add_stream("mjpeg", rate=90_000)
        thumbnail.width, thumbnail.height, thumbnail.pix_fmt = 160, 90, "yuvj420p"
        thumbnail.time_base = Fraction(1, 90_000)
        copies = {one.index: written.add_stream_from_template(one) for one in read.streams}
        packet = av.Packet(still.read_bytes())
        packet.stream, packet.time_base = thumbnail, thumbnail.time_base
        packet.pts, packet.dts, packet.duration, packet.is_keyframe = 0, 0, 1, True
        written.mux(packet)
        for packet in read.demux():
            if packet.dts is not None and packet.dts * packet.time_base < 3:
                packet.stream = copies[packet.stream.index]
                written.mux(packet)
    return path


def strip_first(folder: Path) -> Path:
    path = folder / "strip.mkv"
    source = str(real_video("talking"))
    run_ffmpeg("-i", source, "-i", source, "-t", "4", "-map", "0:v", "-map", "1:v", "-map", "1:a",
               "-filter:v:0", "scale=160:90,fps=1", "-c:v:0", "mjpeg", "-c:v:1", "copy",
               "-c:a", "copy", str(path))  # fmt: skip
    return path


def silent_first(folder: Path) -> Path:
    path = folder / "silent.mkv"
    run_ffmpeg("-i", str(real_video("talking")), "-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo",
               "-map", "0:v", "-map", "1:a", "-map", "0:a", "-c:v", "copy", "-c:a", "aac",
               "-shortest", "-disposition:a:0", "0", "-disposition:a:1", "default",
               str(path))  # fmt: skip
    return path


def apac_first(folder: Path) -> Path:
    return with_apac(folder, 0)


def apac_second(folder: Path) -> Path:
    return with_apac(folder, 1)


def with_apac(folder: Path, place: int) -> Path:
    """Two tracks of AAC in MOV, one of which (0 or 1) says that it is APAC."""
    made, path = folder / "two.mov", folder / "apac.mov"
    run_ffmpeg("-i", str(real_video("talking")), "-t", "6", "-map", "0:v", "-map", "0:a",
               "-map", "0:a", "-c", "copy", str(made))  # fmt: skip
    renamed = changed(made.read_bytes(), "moov/trak/mdia/minf/stbl/stsd", _to_apac, track=1 + place)
    path.write_bytes(renamed)
    return path


def _to_apac(payload: bytes) -> bytes:
    ((kind, entry),) = boxes(payload[8:])
    assert kind == b"mp4a"
    at = entry.index(b"esds")
    entry = entry[:at] + b"dapa" + entry[at + 4 :]
    return struct.pack(">II", 0, 1) + box(b"apac", entry)


ROWS = (
    Row(
        "mirrored display matrix",
        "mpv#16090, FFMS2#317",
        "quadrants as ffmpeg shows them",
        mirrored,
    ),
    Row(
        "pixels that are not square",
        "streamyfin#1785, Aegisub#214",
        "1024x576, a round circle",
        anamorphic,
    ),
    Row(
        "HDR: hybrid log-gamma",
        "LibrePhotos#2044",
        "near the SDR original's mean (70, 59, 54)",
        hybrid_log_gamma,
    ),
    Row(
        "HDR: PQ",
        "facefusion#401",
        "near the SDR original's mean (70, 59, 54)",
        perceptual_quantizer,
    ),
    Row(
        "size changes midway",
        "tracky-mouse#30, t3code#10495",
        "aspect kept, a face in all frames",
        resized,
    ),
    Row(
        "thumbnail track first",
        "automated-drone-image-analysis-tool#88",
        "640x360, 23.976 a second",
        thumbnail_first,
    ),
    Row(
        "strip of thumbnails first",
        "automated-drone-image-analysis-tool#88",
        "640x360 is read",
        strip_first,
    ),
    Row(
        "silent sound first, default second",
        "jellyfin-roku#212",
        "the microphone: rms 2219",
        silent_first,
    ),
    Row("APAC before AAC", "chatto#1602, immich#30511", "AAC is read", apac_first),
    Row("APAC after AAC", "chatto#1602, immich#30511", "AAC is read", apac_second),
)
