"""Names that bench_evidence and its plugin of ms-swift agree on (see turns_plugin)."""

CALLBACK = "take_turns"
MINE, NEXT = "turn", "next"
"""Named pipes beside a training's folder: its own turn, and the other's."""
SECONDS_NAME = "step_seconds.json"
"""Of each step, seconds of all of it, and of what comes after its rows are there."""
