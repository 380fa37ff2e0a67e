"""What is put into a store without a service."""

import hashlib
from pathlib import Path

from mllm_affect.media.types import Source
from mllm_affect.scoring.answers import SegmentAnswer
from mllm_affect.tasks.prompts import load_task
from serve.store import Store
from serve.store.videos import StoredVideo

MODEL = "miniature"
TASK = load_task("ah")


def kept(store: Store, owner: str = "", content: bytes = b"video") -> StoredVideo:
    sha256 = hashlib.sha256(content).hexdigest()
    source = Source(
        path=Path("x"), sha256=sha256, container="mov", video_codec="h264", audio_codec=None,
        start_s=0.0, duration_s=6.0, width=64, height=64, rotation=0, average_fps=25.0,
        size_bytes=len(content),
    )  # fmt: skip
    with store.media.incoming(1 << 20) as incoming:
        incoming.write(content)
        assert incoming.finish() == sha256
        return store.videos.keep(owner, incoming, source, 2)


def answer(index: int) -> SegmentAnswer:
    return SegmentAnswer(
        index=index, start_s=5.0 * index, end_s=5.0 * index + 5, has_audio=True, answer="yes",
        probabilities={"yes": 0.1 + 0.2, "no": 0.7},
    )  # fmt: skip
