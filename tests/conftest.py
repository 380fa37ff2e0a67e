"""Fixtures that several test modules share, and a clean start for all of them."""

import signal

pytest_plugins = ("engine_server", "two_at_once")

# A shell that starts the tests in the background has them ignore Ctrl-C, and every child inherits
# that; the tests that stop a child by Ctrl-C need the ordinary answer to it.
signal.signal(signal.SIGINT, signal.default_int_handler)
