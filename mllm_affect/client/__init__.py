"""Asking a running service: `ask` in one call, `ServiceClient` for videos and analyses.

`verified_webhook` is for programs that the service tells when an analysis has ended.
"""

from mllm_affect.client.asking import ask
from mllm_affect.client.service_client import DEFAULT_URL, ServiceClient
from mllm_affect.client.webhooks import WebhookEvent, verified_webhook

__all__ = ["DEFAULT_URL", "ServiceClient", "WebhookEvent", "ask", "verified_webhook"]
