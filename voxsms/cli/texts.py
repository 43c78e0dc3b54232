"""Where a command takes a text from: an argument, a file, standard input."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import attrs
from cyclopts import Parameter

from voxsms.cli.endings import Usage

_STANDARD_INPUT: Final = "-"


def _no_option(_: object, text: str | None) -> None:
    """Refuse a text that is rather a misspelt option: it would be sent."""
    if text is not None and text.startswith("--"):
        raise ValueError("There is no such option; a text like this is given with --file, or `-`.")


@attrs.frozen
class Words:
    """The text of a message, in one of three ways."""

    text: Annotated[
        str | None,
        Parameter(
            help="The text; `-` is standard input.",
            allow_leading_hyphen=True,
            validator=_no_option,
        ),
    ] = None
    file: Annotated[
        Path | None,
        Parameter(
            name="--file",
            allow_leading_hyphen=True,
            help="A file with the text, in UTF-8. A line end at its end is no part of the text.",
        ),
    ] = attrs.field(default=None, kw_only=True)

    @property
    def given(self) -> bool:
        """Whether there is a text."""
        return (self.text, self.file) != (None, None)

    def read(self, *, before: str = "") -> str:
        """Give the text; `before` is an option that takes all that follows it, text or not."""
        if (self.text is None) == (self.file is None):
            place = f" before {before}" if before else ""
            ways = f"as an argument{place}, with --file, or `-` for standard input"
            raise Usage(f"give one text: {ways}")
        if self.text is not None and self.text != _STANDARD_INPUT:
            return self.text
        path = self.file or Path(_STANDARD_INPUT)
        with opened(path) as file:
            return _decoded(file.read(), name_of(path))


OfText = Annotated[Words, Parameter(name="*")]
"""The parameters of a command that takes a text."""

NONE_YET: Final = Words()


def name_of(path: Path) -> str:
    """Give a file's name for a message to a person."""
    return "standard input" if str(path) == _STANDARD_INPUT else str(path)


@contextmanager
def opened(path: Path) -> Generator[BinaryIO]:
    """Open a file that was named on the command line; `-` is standard input."""
    if str(path) == _STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise Usage(f"{path}: {error.strerror}") from None
    with file:
        yield file


def _decoded(octets: bytes, name: str) -> str:
    try:
        text = octets.decode("utf-8-sig")  # the mark that Windows puts first would force UTF-16
    except UnicodeDecodeError as error:
        raise Usage(f"{name}: is not UTF-8 (byte {error.start + 1})") from None
    # Editors and `echo` put a line end there; as with the shell's $(...), it is not meant.
    return text.removesuffix("\n").removesuffix("\r")
