"""Commands of voxsms as a shell runs them, with streams that cannot be written."""

import subprocess
import sys
from collections.abc import Sequence

# A pipe that nobody reads: its reader has ended before anything is written there.
NO_READER = 'exec {pipe}> >(:); wait "$!"; '


def shell(words: Sequence[str], redirected: str, before: str = "") -> tuple[int, str, str]:
    """Run a command with its streams redirected; return its status, output and errors."""
    command = f'{before}"$@" {redirected}'
    done = subprocess.run(  # noqa: S603 - this very program
        ["/bin/bash", "-c", command, "bash", sys.executable, "-m", "voxsms", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr
