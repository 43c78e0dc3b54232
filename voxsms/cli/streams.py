"""The standard streams, also where whoever started the program has closed them."""

import os
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from typing import Final

_NAMES: Final = ("stdin", "stdout", "stderr")  # by their descriptors: each gets its own back


class Nowhere(TextIOWrapper):
    """Stands where a stream is closed: what is written is gone, and there is nothing to read."""

    def __init__(self) -> None:
        device = os.fdopen(os.open(os.devnull, os.O_RDWR), "r+b", buffering=0)
        super().__init__(device, write_through=True)


@contextmanager
def ready() -> Generator[None]:
    """See to it that all streams are there and can show any text.

    Otherwise a file that is opened would get the descriptor of a closed stream, and with it what is
    meant for that stream.
    """
    with ExitStack() as after:
        for name in _NAMES:
            if getattr(sys, name) is None:
                setattr(sys, name, after.enter_context(Nowhere()))
                after.callback(setattr, sys, name, None)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # whatever a terminal can not show
        yield
