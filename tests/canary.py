"""What nobody may see, planted and listened for: keys, salts, tokens, texts and numbers.

`with listening() as log:` hears every logger at its loudest; a `Canary` says whether a line sings.
"""

import logging
import re
import traceback
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

import attrs

from voxsms import CallEvent
from voxsms.sandbox import Sandbox

_NUMBER = re.compile(r"(?<![\d.])(4474\d{8}|14155550100)")
"""Any of the numbers that messages go to or come from."""
_TOKEN = re.compile(r"eyJ[\w-]{20}")
"""Any JSON Web Token."""


@attrs.frozen
class Canary:
    """Knows what was planted."""

    planted: Collection[str]

    @classmethod
    def of(cls, sandbox: Sandbox, *more: str) -> "Canary":
        """Plant the keys and the salt of a sandbox's account, and what else there is."""
        of_private_key = sandbox.auth.private_key.splitlines()[1]
        salt = sandbox.callback_salt
        return cls((sandbox.api_key.api_key, salt, of_private_key, *more))

    def sings(self, text: str) -> bool:
        """Whether a text shows what nobody may see."""
        shown = any(secret in text for secret in self.planted)
        return shown or bool(_NUMBER.search(text)) or bool(_TOKEN.search(text))

    def heard(self, texts: Iterable[str]) -> list[str]:
        """Give the texts that sing."""
        return [text for text in texts if self.sings(text)]


def said_by(error: BaseException) -> str:
    """Give all that an error shows: its text, its `repr`, its traceback with all causes."""
    return f"{error} {error!r} {''.join(traceback.format_exception(error))}"


def said_of(event: CallEvent) -> str:
    """Give all that a hook can show of a call, and of the doubt that it may have ended in."""
    parts = [repr(event), repr(attrs.astuple(event, recurse=False))]
    return " ".join(parts if event.doubt is None else [*parts, said_by(event.doubt)])


class Everything(logging.Handler):
    """Keeps all that a record could show to anyone, each line once."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: set[tuple[str, str]] = set()

    @property
    def texts(self) -> list[str]:
        """The lines, without the loggers' names."""
        return [line for _, line in self.lines]

    @property
    def loggers(self) -> set[str]:
        """The names of the loggers that were heard."""
        return {name for name, _ in self.lines}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, with its arguments and its traceback."""
        shown = f"{self.format(record)} {record.msg!r} {record.args!r}"
        self.lines.add((record.name, shown))


@contextmanager
def listening() -> Iterator[Everything]:
    """Hear every logger at its loudest."""
    # pytest hears too, and would show all of it with a failure: it goes on as before.
    everything, root = Everything(), logging.getLogger()
    level, others = root.level, {handler: handler.level for handler in root.handlers}
    for handler in others:
        handler.setLevel(max(handler.level, level))
    root.addHandler(everything)
    root.setLevel(logging.DEBUG)
    try:
        yield everything
    finally:
        root.setLevel(level)
        root.removeHandler(everything)
        for handler, before in others.items():
            handler.setLevel(before)
