"""Whether this machine confines the processes that decode strangers' videos, told at the start.

Does: ask such a process which walls hold, put what is missing into one sentence, refuse to start
where all are required.  Does not: build walls (mllm_affect.media.isolation).
"""

from mllm_affect.errors import UserError
from mllm_affect.media.isolation.isolated_video import walls
from mllm_affect.media.isolation.sandbox import Walls
from serve.plan import Say


def checked_walls(required: bool, say: Say) -> Walls:
    """Return which walls hold here; `say` is told what is missing.

    Raises UserError `sandbox_missing` where any is missing and all are `required`, and as
    `isolated_video.walls` does where no such process can be started.
    """
    found = walls()
    if found.missing:
        sentence = (
            "Decoding processes are not fully confined on this machine; missing: "
            f"{', '.join(found.missing)}. docs/security-media.md says what each needs."
        )
        if required:
            raise UserError("sandbox_missing", sentence)
        say(sentence)
    return found
