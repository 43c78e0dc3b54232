"""The command line: `voxsms`, also as `python -m voxsms`."""

import sys
from collections.abc import Sequence
from contextlib import suppress

_EXTRA = "cyclopts"  # which brings rich
_USAGE, _INTERRUPTED = 2, 130  # of `_errors.Exit`, which needs the extra


def main(tokens: Sequence[str] | None = None) -> int:
    """Run a command, by default the one in `sys.argv`; return its exit status.

    3 if a message may have been sent but no answer confirmed it, 0 if it was sent.
    """
    try:
        # Late: without the extra this program is installed, but cyclopts is not.
        from voxsms.cli.app import run  # noqa: PLC0415

        return run(sys.argv[1:] if tokens is None else tokens)
    except ModuleNotFoundError as missing:
        if missing.name != _EXTRA:
            raise
        return _end(f"the command line needs {_EXTRA}: pip install 'voxsms[cli]'", _USAGE)
    except KeyboardInterrupt:  # during imports: a running command reports it itself
        return _end("interrupted", _INTERRUPTED)


def _end(problem: str, status: int) -> int:
    with suppress(OSError, AttributeError):  # standard error may be closed
        sys.stderr.write(f"voxsms: {problem}\n")
    return status
