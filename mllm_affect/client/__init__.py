"""Asking a running service: `ask` in one call, `ServiceClient` for videos and analyses."""

from mllm_affect.client.asking import ask
from mllm_affect.client.service_client import DEFAULT_URL, ServiceClient

__all__ = ["DEFAULT_URL", "ServiceClient", "ask"]
