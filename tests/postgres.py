"""A PostgreSQL server for tests: on a free port of this machine, in a temporary directory."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

_PORTS = range(20_000, 32_000)
"""The system gives out others to programs that ask for any free one."""


def find_programs() -> Path | None:
    """Return the directory of `initdb`, if a server is installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def server(*, fsync: bool = False) -> Iterator[str]:
    """Run a server; give the URL of its database. Skip where none is installed, fail in CI.

    No test cuts the power, so it need not write to the disk unless speed is measured.
    """
    programs = find_programs()
    if programs is None:
        words = "no PostgreSQL server is installed: apt install postgresql"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    with TemporaryDirectory(prefix="pg") as directory:
        data = Path(directory) / "data"
        if user:
            shutil.chown(directory, user)

        def run(program: str, *arguments: str) -> None:
            subprocess.run(  # noqa: S603 - the server's own programs
                [programs / program, "-D", data, *arguments],
                user=user,
                cwd=directory,
                check=True,
                stdout=subprocess.DEVNULL,
                timeout=60,
            )

        run("initdb", "-A", "trust", "-U", "voxsms", "--no-sync")
        durable = "on" if fsync else "off"
        options = f"-k {directory} -c listen_addresses=127.0.0.1 -c fsync={durable}"
        for port in random.sample(_PORTS, 5):  # another worker may have taken the same one
            with suppress(subprocess.CalledProcessError):
                run("pg_ctl", "-w", "-o", f"-p {port} {options}", "-l", f"{directory}/log", "start")
                break
        else:
            pytest.fail((Path(directory) / "log").read_text())
        try:
            yield f"postgresql://voxsms@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")


def empty(url: str) -> None:
    """Remove all tables of a database, whoever made them."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
