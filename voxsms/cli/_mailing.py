"""The messages of a mailing: made from a list and a text, each with a key that identifies it."""

import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any, BinaryIO, Final

import attrs
import orjson
from cyclopts import Parameter

from voxsms.api.wire import SenderType, WireFaults
from voxsms.cli import _io as io
from voxsms.cli._account import Numbers
from voxsms.cli._errors import Failed
from voxsms.cli._mirror import reader
from voxsms.cli._recipients import Mailing, Notes, People, open_list
from voxsms.cli._shortening import Shortening
from voxsms.cli.prices import Way
from voxsms.errors import ApiError, InvalidRequest
from voxsms.outbox import Intent, State
from voxsms.pricing import Estimate, RateTable, estimate_many
from voxsms.recipients import Recipient
from voxsms.text import Message, Template

_SHOWN: Final = 3
"""Messages that are shown before anything is sent."""


def _sender(text: str) -> str:
    try:
        return str(SenderType().write(text))
    except WireFaults as found:
        raise ValueError(found.faults[0].problem) from None


OfSender = Annotated[
    str,
    Parameter(
        name="--from",
        converter=reader(_sender),
        help="Who writes: a SenderID such as ACME, or a number of yours.",
    ),
]
OfWay = Annotated[
    Way, Parameter(name="--for", help="How to send: like `voxsms a2p` or like `voxsms send`.")
]


@attrs.frozen
class Composed:
    """A message to a person of a list."""

    line: int
    destination: str
    text: Message
    key: str | None

    @property
    def row(self) -> tuple[Message, str, str | None]:
        """The message as a row for `Outbox.add`."""
        return self.text, self.destination, self.key


@attrs.frozen(kw_only=True)
class MessageList:
    """A list of people with the text for them; it can be read as often as needed."""

    path: Path
    copy: BinaryIO
    """A copy of the file, which may be edited meanwhile, or be a pipe."""
    mailing: Mailing
    numbers: Numbers
    text: Message | Template
    shortening: Shortening
    name: str | None
    """The prefix of its keys; None for messages without keys."""

    @contextmanager
    def open(self, notes: Notes | None = None) -> Generator[People]:
        """Open it; without `notes` nothing is printed about it."""
        if notes is None:
            notes = Notes(strict=False)
            notes.console.quiet = True
        self.copy.seek(0)
        written = self.text.text if isinstance(self.text, Message) else self.text
        with open_list(self.path, self.mailing, self.numbers, written, notes, self.copy) as people:
            yield people

    def messages(self, notes: Notes | None = None) -> Iterator[Composed]:
        """Yield the messages; bad rows are left out."""
        with self.open(notes) as people:
            yield from Composer(self).read(people)


class Composer:
    """Makes the messages of a list, from its first row to its last.

    A key has the number, and how many other texts that number got before: the key of its first
    message is the same wherever it is in the list and whatever its text is.
    """

    def __init__(self, listed: MessageList) -> None:
        self._text, self._shortening, self._name = listed.text, listed.shortening, listed.name
        self._seen: dict[str, list[int]] = {}
        self.repeated = 0
        """Rows with the number and the text of an earlier one."""

    def read(self, people: People) -> Iterator[Composed]:
        """Yield the messages of all rows; report what is wrong with a row."""
        for row in people:
            try:
                composed = self.compose(row)
            except InvalidRequest as error:
                people.leave_out(0, error)
                continue
            if composed is None:
                people.pass_over()
                self.repeated += 1
            else:
                yield composed

    def compose(self, row: Recipient) -> Composed | None:
        """Make the message of a row; None if an earlier row has the same number and text.

        Raises:
            InvalidRequest: this text cannot be sent, or cannot be cut as asked.
        """
        if isinstance(self._text, Message):
            text = self._text
        else:
            text = self._shortening.apply(self._text.fill(row.values))
        texts, digest = self._seen.setdefault(row.destination, []), hash(text.text)
        if digest in texts:
            return None
        texts.append(digest)
        key = self._name and f"{self._name}:{row.destination}"
        if key and len(texts) > 1:
            key = f"{key}:{len(texts)}"
        return Composed(row.line, row.destination, text, key)


@contextmanager
def copied(path: Path) -> Generator[BinaryIO]:
    """Copy a list: it is read more than once, and may be edited meanwhile."""
    with TemporaryFile() as copy, io.open_file(path) as file:
        shutil.copyfileobj(file, copy)
        yield copy


@contextmanager
def held(path: Path) -> Generator[None]:
    """Keep a second `mail` from working on a list. Raise `Failed` if there is one already."""
    is_taken = False
    with io.open_file(path) as file:
        with suppress(ModuleNotFoundError, OSError):  # Windows, and some networks, have no locks
            fcntl: Any = import_module("fcntl")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                is_taken = path != Path("-")  # others may share standard input
        if is_taken:
            working = f"{path}: another `voxsms mail` is sending to this list"
            raise Failed(f"{working}. Nothing was sent.")
        yield


def digest(*parts: object) -> str:
    """Return a short hash of these parts."""
    return sha256(orjson.dumps(parts)).hexdigest()[:8]


@attrs.define
class Look:
    """What is in a list, before anything is sent."""

    estimate: Estimate
    """For the messages that are still to be sent."""
    first: list[Composed]
    """The first of these messages."""
    closed: int = 0
    """Messages that were begun by an earlier run."""
    repeated: int = 0
    """Rows with the number and the text of an earlier one."""
    no_prices: ApiError | None = None
    """Why there are no prices."""


def look(
    listed: MessageList, rates: RateTable, notes: Notes, earlier: Mapping[str, Intent]
) -> Look:
    """Look at each message once, and report what is wrong with a row."""
    composer, first, closed = Composer(listed), list[Composed](), 0

    def pairs(people: People) -> Iterator[tuple[Message, str]]:
        nonlocal closed
        for composed in composer.read(people):
            if is_closed(earlier.get(composed.key or "")):
                closed += 1
                continue
            bad = notes.bad
            yield composed.text, composed.destination
            if bad == notes.bad and len(first) < _SHOWN:
                first.append(composed)

    with listed.open(notes) as people:
        found = estimate_many(pairs(people), rates, on_bad=people.leave_out)
    return Look(attrs.evolve(found, invalid=notes.bad), first, closed, composer.repeated)


def is_closed(intent: Intent | None) -> bool:
    """Return whether a message was begun, so that it is not added a second time."""
    if intent is None or intent.state is State.PENDING:
        return False
    return intent.state is not State.REFUSED or intent.error_code is not None
