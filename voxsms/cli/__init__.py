"""The command line: `voxsms`, also as `python -m voxsms`."""

import sys
from collections.abc import Sequence

_EXTRA = "cyclopts"  # which brings rich
_USAGE = 2


def main(tokens: Sequence[str] | None = None) -> int:
    """Run a command, by default the one that the program was called with; give its exit status."""
    try:
        # Late: whoever installs voxsms without the extra has this program, but not cyclopts.
        from voxsms.cli.app import run  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        if missing.name != _EXTRA:
            raise
        need = f"voxsms: the command line needs {_EXTRA}: pip install 'voxsms[cli]'"
        print(need, file=sys.stderr)  # noqa: T201 - to a person, at a terminal
        return _USAGE
    return run(sys.argv[1:] if tokens is None else tokens)
