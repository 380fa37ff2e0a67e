"""A real PostgreSQL on a free port, from the binaries of this machine, gone with the block.

It refuses to run as root; then it runs as the user `postgres` or `nobody`.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


@contextmanager
def postgres() -> Iterator[str]:
    """Yield the address of an empty database.  Skips where PostgreSQL is not installed."""
    initdb, server = _program("initdb"), _program("postgres")
    if initdb is None or server is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    user, port = _user(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        cluster = Path(folder) / "cluster"
        cluster.mkdir()
        if user is not None:
            Path(folder).chmod(0o755)
            os.chown(cluster, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid} if user else {}
        init = [initdb, "-D", str(cluster), "-U", "affect", "--auth=trust", "-N", "-E", "UTF8"]
        subprocess.run(init, check=True, capture_output=True, cwd=cluster, **as_user)  # type: ignore[call-overload]
        words = [server, "-D", str(cluster), "-p", str(port), "-k", str(cluster)]
        words += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log, cwd=cluster, **as_user)  # type: ignore[call-overload]
        try:
            url = f"postgresql://affect@127.0.0.1:{port}/postgres"
            _wait(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(20)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    import psycopg

    for _ in range(600):
        assert process.poll() is None, "PostgreSQL ended"
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise AssertionError("PostgreSQL does not answer")
