"""A small budget of `python -m tests.stress_hostile_clients`: all attacks at once, for seconds.

How quickly health is answered is left to the long run: here other tests share the cores.
"""

import pytest

from tests.stress_hostile_clients import RSS_MIB, SUCCESS, stress

SECONDS = 12.0


@pytest.mark.slow
def test_honest_clients_are_served_beside_hostile_ones() -> None:
    figures = stress(SECONDS)
    assert figures["attackers_died"] == ""
    assert figures["honest_asks"] >= 8
    assert figures["success"] >= SUCCESS, figures["failures"]
    assert figures["health_failures"] == 0
    assert figures["rss_mib"] <= RSS_MIB
    assert figures["left"] == []
