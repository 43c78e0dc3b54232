"""A machine that is switched off between two steps on its disk."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from voxsms.export import _files

STEPS = (
    "make_directory",
    "create",
    "append",
    "truncate",
    "sync",
    "sync_directory",
    "replace",
    "remove",
    "remove_directory",
    "remove_tree",
)
"""All that changes anything on the disk: `voxsms/export/_files.py`."""


class PoweredOff(BaseException):
    """The process is dead."""


class Machine:
    """Does so many steps on the disk and then none, whatever is still to be cleared away."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.is_off = False

    def step(self, function: Any, *given: Any) -> Any:  # noqa: ANN401 - a function of the module
        """Take a step, if there is one left."""
        if not self.left:
            self.is_off = True
            raise PoweredOff
        self.left -= 1
        return function(*given)


@contextmanager
def disk_of(steps: int) -> Iterator[Machine]:
    """Run what is inside with so many steps on the disk; it just ends where there is none left."""
    machine = Machine(steps)
    with ExitStack() as patched:
        for name in STEPS:
            step = partial(machine.step, getattr(_files, name))
            patched.enter_context(patch.object(_files, name, step))
        try:
            yield machine
        except PoweredOff:
            assert machine.is_off


def found(place: Path) -> dict[str, bytes]:
    """Read every file under a place."""
    files = (path for path in place.rglob("*") if path.is_file())
    return {str(path.relative_to(place)): path.read_bytes() for path in files}
