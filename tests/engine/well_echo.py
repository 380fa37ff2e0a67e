"""The echo engine as a server that is always well, for what watches servers."""

from mllm_affect.engine.echo import EchoEngine
from mllm_affect.engine.watched_server import Health


class WellEcho(EchoEngine):
    """Healthy, with nothing in flight for long enough to be given up."""

    def health(self) -> Health:
        return Health.well

    def hang_up(self) -> None:
        """Do nothing."""

    def take_up(self) -> None:
        """Do nothing."""
