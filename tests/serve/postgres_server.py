"""A real PostgreSQL on a free port, from the binaries of this machine, gone with the block.

It refuses to run as root; then it runs as the user `postgres` or `nobody`.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mllm_affect.engine.server_process import free_port


def _program(name: str) -> str | None:
    found = shutil.which(name)
    if found:
        return found
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(places[0]) if places else None


def _user() -> pwd.struct_passwd | None:
    """Who it runs as, None for ourselves."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("no user that PostgreSQL may run as")


class Postgres:
    """A running server with an empty database, to be interrupted as operators and crashes do."""

    def __init__(self, folder: Path) -> None:
        initdb, server = _program("initdb"), _program("postgres")
        if initdb is None or server is None:
            pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        user, port = _user(), free_port()
        cluster = folder / "cluster"
        cluster.mkdir()
        if user is not None:
            folder.chmod(0o755)
            os.chown(cluster, user.pw_uid, user.pw_gid)
        self._given: dict[str, Any] = {"cwd": cluster}
        if user is not None:
            self._given |= {"user": user.pw_uid, "group": user.pw_gid}
        init = [initdb, "-D", str(cluster), "-U", "affect", "--auth=trust", "-N", "-E", "UTF8"]
        subprocess.run(init, check=True, capture_output=True, **self._given)
        self._words = [server, "-D", str(cluster), "-p", str(port), "-k", str(cluster)]
        self._words += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        self._log = folder / "log"
        self.url = f"postgresql://affect@127.0.0.1:{port}/postgres"
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._words, stdout=log, stderr=log, **self._given)
        for _ in range(600):
            assert self._process.poll() is None, "PostgreSQL ended"
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise AssertionError("PostgreSQL does not answer")

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT ends its connections first, SIGQUIT as a crash does."""
        self._process.send_signal(number)
        self._process.wait(20)

    def cut_connections(self) -> int:
        """End every connection at once, as an operator may; return how many there were."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
            )
            return len(found.fetchall())


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Yield a server that is gone with the block.  Skips where PostgreSQL is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        server = Postgres(Path(folder))
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def postgres() -> Iterator[str]:
    """Yield the address of an empty database.  Skips where PostgreSQL is not installed."""
    with postgres_server() as server:
        yield server.url
