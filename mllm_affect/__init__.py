"""From a raw video of a person to answers one can trust about hesitancy and micro-expressions.

`from mllm_affect import ask` is the three-line way in; importing the package loads no torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mllm_affect.client import ask as ask

__version__ = "0.1.0"
__all__ = ["__version__", "ask"]


def __getattr__(name: str) -> Any:
    if name == "ask":
        from mllm_affect.client import ask

        return ask
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
