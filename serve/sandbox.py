"""The check at start: which sandbox layers confine the processes that decode videos here.

Does: ask such a process which layers are active, report missing ones in one sentence, refuse to
start where all are required.  Does not: apply them (mllm_affect.media.isolation).
"""

from mllm_affect.errors import UserError
from mllm_affect.media.isolation.isolated_video import sandbox_layers
from mllm_affect.media.isolation.sandbox import SandboxLayers
from serve.plan import Say


def checked_sandbox(required: bool, say: Say) -> SandboxLayers:
    """Return which layers are active here; `say` is told what is missing.

    Raises UserError `sandbox_missing` where any is missing and all are `required`, and as
    `isolated_video.sandbox_layers` does where no such process can be started.
    """
    found = sandbox_layers()
    if found.missing:
        sentence = (
            "Decoding processes are not fully confined on this machine; missing: "
            f"{', '.join(found.missing)}. docs/security-media.md says what each needs."
        )
        if required:
            raise UserError("sandbox_missing", sentence)
        say(sentence)
    return found
