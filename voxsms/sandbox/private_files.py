"""Files that the user alone may read: they hold numbers, texts and keys."""

import os
import stat
from pathlib import Path

_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private(path: str | os.PathLike[str]) -> None:
    """Create an empty file if there is none; take others' rights away from one that is there.

    Raises:
        OSError: The file cannot be created or written, or belongs to somebody else.
    """
    # Created with its mode: there is no moment at which others can open it.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    mode = Path(path).stat().st_mode
    if stat.S_ISREG(mode) and mode & _FOR_OTHERS:
        Path(path).chmod(0o600)
