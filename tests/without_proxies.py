"""Tests and benchmarks talk to this machine alone, whatever proxy its environment names."""

import os

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def remove_proxies() -> None:
    """Remove the variables that name proxies, for this process and those that it starts."""
    for name in PROXY_VARIABLES:
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)
