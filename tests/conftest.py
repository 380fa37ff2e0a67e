"""Fixtures that several test modules share."""

pytest_plugins = ("engine_server",)
