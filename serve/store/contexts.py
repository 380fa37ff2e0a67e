"""What was asked and said, as the store keeps it.

Does: turn a VideoContext into JSON text and back.  Does not: parse transcripts.
"""

import json

from mllm_affect.media.speech.transcript import Chunk, Repairs, Transcript
from mllm_affect.tasks.video_context import UNKNOWN, VideoContext


def context_text(context: VideoContext) -> str | None:
    """Return a context as JSON text, None where nothing is known."""
    if context == UNKNOWN:
        return None
    said = context.transcript
    return json.dumps(
        {
            "asked": context.asked,
            "text": None if said is None else said.text,
            "chunks": [[c.text, c.start_s, c.end_s] for c in said.chunks] if said else [],
        }
    )


def context_from(text: str | None) -> VideoContext:
    """Return the context of such a text; how its times were repaired is no longer known."""
    if text is None:
        return UNKNOWN
    kept = json.loads(text)
    said = None
    if kept["text"] is not None:
        said = Transcript(kept["text"], tuple(Chunk(*one) for one in kept["chunks"]), Repairs())
    return VideoContext(kept["asked"], said)
