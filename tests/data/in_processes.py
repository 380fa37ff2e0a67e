"""What tests run in processes of their own; imports little, so that those start fast."""

import os
import resource
import signal
from pathlib import Path

from mllm_affect.data.corpus import find_videos
from mllm_affect.data.preparing import Policy, prepare
from mllm_affect.errors import UserError


def half_or_die(number: int) -> float:
    """Return half of the number; 3 is killed, 4 leaves without a word."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 4:
        os._exit(5)
    return number / 2


def prepare_with_little_disk(corpus: Path, out: Path, policy: Policy, answer: Path) -> None:
    """Prepare where no file may grow beyond 60 kB; write the error's code into `answer`."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
    try:
        prepare(find_videos(corpus, out), out, policy, 1, trusted=True)
    except UserError as error:
        answer.write_text(error.code)
