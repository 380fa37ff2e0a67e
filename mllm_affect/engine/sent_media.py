"""Which clips a model server has been sent, so that the next question sends their name alone.

Does: name clips by their content, remember a bounded number of names, stop where a server keeps
nothing.  Does not: send (see vllm_client), or know how a server keeps media.

vLLM takes media by a name (`uuid`) that it was sent before, as long as its cache holds them.  The
names are keyed with a number that only this client knows: on a server that others ask too, nobody
can leave other media under them.
"""

import secrets
import threading
from collections import OrderedDict
from hashlib import blake2b

from mllm_affect.tasks.model_input import ModelInput
from mllm_affect.tasks.rows import content_hash

NAMES = 4096
"""Names kept, a few hundred kilobytes of them. Where vLLM's cache holds fewer media, an older name
merely costs one more request."""

PATIENCE = 16
"""How often a server may have forgotten, beyond what it knew, before it is asked by name no more:
one with several front ends keeps nothing."""


class SentMedia:
    """Names of what one server was sent; may be used from several threads."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._names: OrderedDict[str, None] = OrderedDict()
        self._known = self._forgotten = 0
        self._lock = threading.Lock()

    def name_of(self, made: ModelInput) -> str:
        """Return the name of the frames and the sound of an input."""
        return blake2b(content_hash(made).encode(), digest_size=16, key=self._key).hexdigest()

    def has(self, name: str) -> bool:
        """Whether the server was sent this, and is worth asking for it by name."""
        with self._lock:
            if self._forgotten > self._known + PATIENCE or name not in self._names:
                return False
            self._names.move_to_end(name)
            return True

    def sent(self, name: str) -> None:
        """Note that the server took the media themselves."""
        with self._lock:
            self._names[name] = None
            if len(self._names) > NAMES:
                self._names.popitem(last=False)

    def known(self) -> None:
        """Note that the server knew a name."""
        with self._lock:
            self._known += 1

    def missed(self, name: str) -> None:
        """Note that the server no longer has this, and so perhaps nothing: it may be a new one."""
        with self._lock:
            if name in self._names:
                self._names.clear()
                self._forgotten += 1
