"""A sandbox in another process, which never outlives this one."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Self, cast

from voxsms.calls.auth import ServiceAccount
from voxsms.cli._errors import Exit, Failed, Usage

_PATIENCE: Final = 10
"""Seconds that it may take to end, before it is killed."""


class SandboxProcess:
    """`voxsms sandbox`, run as a program of its own: `with SandboxProcess(options)`.

    It ends when its standard input does. As this process holds the other end, that happens whatever
    becomes of it: left, interrupted, crashed or killed.
    """

    url: str
    auth: ServiceAccount

    def __init__(self, options: Sequence[str]) -> None:
        self._options = options

    def __enter__(self) -> Self:
        """Start it, and come back when it listens."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "credentials.json")
            self._start(file)
            try:
                self.url = self._told()["url"]
                self.auth = ServiceAccount.from_file(file)
            except BaseException:
                self._end()
                raise
        return self

    def _start(self, file: Path) -> None:
        always = ("--credentials-file", str(file), "--until-eof", "--json")
        self._process = subprocess.Popen(  # noqa: S603 - this very program
            # -P, and the path as it is here: what lies in the current folder is not imported.
            [sys.executable, "-P", "-m", "voxsms", "sandbox", *always, *self._options],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C at the terminal is for this process, which then ends that one.
            start_new_session=True,
        )

    def _told(self) -> Mapping[str, Any]:
        """Read the next line that it prints."""
        line = _pipe(self._process.stdout).readline()
        if not line:
            status = self._process.wait(_PATIENCE)
            kind = Usage if status == Exit.USAGE else Failed
            raise kind(f"the sandbox ended with exit status {status}")
        return cast("Mapping[str, Any]", json.loads(line))

    def ledger(self) -> Mapping[str, Any]:
        """End it, and give what it really delivered."""
        _pipe(self._process.stdin).close()
        return self._told()

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._end()

    def _end(self) -> None:
        with self._process as process:
            _pipe(process.stdin).close()
            try:
                process.wait(_PATIENCE)
            except BaseException as error:
                process.kill()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    """Give a pipe, which is there: it was asked for."""
    return cast("IO[bytes]", end)
