"""A service that starts before its database waits for it, and not for one that refuses it."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from postgres_server import Postgres, postgres_server

from mllm_affect.engine.server_process import free_port
from mllm_affect.errors import UserError
from serve.running import opened_store
from serve.settings import ServiceSettings


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres_server() as one:
        yield one


def test_a_database_that_comes_up_later_is_waited_for(server: Postgres, tmp_path: Path) -> None:
    said: list[str] = []
    settings = ServiceSettings(data=tmp_path, database_url=server.url)
    server.stop()
    starting = threading.Timer(5.0, server.start)
    starting.start()
    try:
        with opened_store(settings, said.append) as store:
            assert store.database.is_ready()
    finally:
        starting.join()
    assert said == ["The database does not answer yet; waiting for it, 60 s at most."]


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "no.such.invalid"])
def test_the_wait_is_bounded(tmp_path: Path, address: str) -> None:
    url = f"postgresql://affect@{address.format(port=free_port())}/x"
    settings = ServiceSettings(data=tmp_path, database_url=url, database_wait_s=1.0)
    begun = time.monotonic()
    with (
        pytest.raises(UserError, match="did not answer within 1 s") as told,
        opened_store(settings),
    ):
        pass
    assert told.value.code == "bad_database"
    assert 1.0 <= time.monotonic() - begun < 10.0


def test_a_database_that_refuses_us_is_not_waited_for(server: Postgres, tmp_path: Path) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE other LOGIN PASSWORD 'right'")
        rules = Path(str(server._given["cwd"])) / "pg_hba.conf"
        rules.write_text("host all other all scram-sha-256\nhost all affect all trust\n")
        connection.execute("SELECT pg_reload_conf()")
    time.sleep(0.5)
    said: list[str] = []
    for url in (
        server.url.replace("affect@", "other:wrong@"),
        server.url.replace("affect@", "nobody@"),
        server.url.replace("/postgres", "/nothing"),
        f"{server.url}?sslmode=bogus",
        "postgresql://affect@host:port/x",
        "nonsense",
    ):
        begun = time.monotonic()
        settings = ServiceSettings(data=tmp_path, database_url=url)
        with pytest.raises(UserError) as told, opened_store(settings, said.append):
            pass
        assert told.value.code == "bad_database", url
        assert time.monotonic() - begun < 10.0, url
    assert said == []
