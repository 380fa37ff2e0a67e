"""Settings of completion webhooks: which receivers are allowed, and how often to try.

Does: hold settings, parse the allowed hosts.  Does not: read secrets (see secret_file).
"""

import ipaddress
import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretBytes, model_validator

from mllm_affect.errors import UserError

DEFAULT_PORTS = {"https": 443, "http": 80}
HOST_NAME = re.compile(
    r"(?!.*\.[0-9]+$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*"
)
RETRY_AFTER_TRY_S = (10.0, 60.0, 300.0, 1800.0, 7200.0, 21600.0, 43200.0)
"""Pauses after each failed try; 8 tries within 21 hours, if the receiver does not ask for more."""


class WebhookHost(BaseModel):
    """An allowed receiver: a host name or an address; `port` None: the scheme's own port."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    port: int | None = None

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Return what `HOST`, `HOST:PORT` or `[IPv6]:PORT` names.

        Raises UserError `bad_webhook_host`.
        """
        found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@?#\s]+)(?::([0-9]{1,5}))?", text)
        name = found[1].strip("[]").lower() if found else ""
        port = int(found[2]) if found and found[2] else None
        if not _is_host(name) or (port is not None and not 1 <= port <= 65535):
            raise UserError(
                "bad_webhook_host",
                f"--webhook-host is {text!r}; give a host name without scheme and path, with a "
                "port where it is not 443, as in hooks.example.org:8443.",
            )
        return cls(name=name, port=port)

    def allows(self, scheme: str, host: str, port: int) -> bool:
        """Return whether this is the host; `host` in lower case."""
        return host == self.name and port == (self.port or DEFAULT_PORTS[scheme])


class WebhookSettings(BaseModel):
    """Whom to tell, signed with what, how often and for how long; all times in seconds.

    No host: webhooks are off.  `insecure`: http and addresses of this machine and of private
    networks are allowed too, for development.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hosts: tuple[WebhookHost, ...] = ()
    secrets: tuple[SecretBytes, ...] = ()
    insecure: bool = False

    retry_after_try_s: tuple[float, ...] = RETRY_AFTER_TRY_S
    longest_retry_after_s: float = Field(default=12 * 3600.0, gt=0)
    connect_s: float = Field(default=5.0, gt=0)
    try_s: float = Field(default=15.0, gt=0, description="One try as a whole, name resolved.")
    lease_s: float = Field(default=60.0, gt=0, description="Longer than a try can take.")
    look_s: float = Field(default=0.5, gt=0, description="Pause between looks for deliveries.")
    at_once: int = Field(default=4, ge=1, description="Deliveries on their way at the same time.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.hosts) != bool(self.secrets):
            raise UserError(
                "bad_webhook_options",
                "Webhooks need both --webhook-host and --webhook-secret-file; give both or none.",
            )
        if self.insecure and not self.hosts:
            raise UserError(
                "bad_webhook_options",
                "--webhook-insecure changes nothing without --webhook-host; leave it out.",
            )
        return self

    @property
    def are_on(self) -> bool:
        """Whether analyses may name a receiver, and deliveries are sent from here."""
        return bool(self.hosts)


def _is_host(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        # A last part of digits alone would be an address to some resolvers, as 127.1 is.
        return len(name) <= 253 and not name.isdecimal() and bool(HOST_NAME.fullmatch(name))
    return True
