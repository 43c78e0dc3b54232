"""What commands read and print: texts and files, tables for people, lines of JSON for programs."""

import json
import logging
import os
import re
import sys
from collections.abc import Collection, Generator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any, BinaryIO, Final, TextIO, cast

import attrs
from cyclopts import Group, Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from voxsms.cli._errors import Failed, Usage

WITHOUT_ACCOUNT: Final = Group("Without an account", sort_key=1)
WITH_ACCOUNT: Final = Group("With an account, or a sandbox", sort_key=2)

Json = Annotated[
    bool,
    Parameter(
        negative=(), show_default=False, help="Print JSON, one object a line; money is a string."
    ),
]

ACCENT: Final = "bold cyan"
GOOD: Final = "green"
BAD: Final = "bold red"
FAINT: Final = "dim"

LINE_END: Final = "\u23ce"
"""How a line end is shown."""
_WIDE: Final = 1000
"""Columns of an output that is not a terminal: nothing is cut or wrapped there."""
_STANDARD_INPUT: Final = "-"
PLACEHOLDER: Final = re.compile(r"\{+ ?[^\W\d][\w -]{0,30}\}+")
"""Text that looks like a column's name in braces."""


# The standard streams.


class Nowhere(TextIOWrapper):
    """Replaces a closed stream: writes are dropped, and there is nothing to read."""

    def __init__(self) -> None:
        device = os.fdopen(os.open(os.devnull, os.O_RDWR), "r+b", buffering=0)
        super().__init__(device, write_through=True)


@contextmanager
def ready_streams() -> Generator[None]:
    """Make sure that all standard streams exist, can show any text, and end quietly.

    Otherwise a newly opened file would get the descriptor of a closed stream, and with it the
    output for that stream.
    """
    with ExitStack() as after:
        for name in ("stdin", "stdout", "stderr"):  # by descriptor: each gets its own back
            if getattr(sys, name) is None:
                setattr(sys, name, after.enter_context(Nowhere()))
                after.callback(setattr, sys, name, None)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # whatever a terminal cannot show
            after.callback(_flush_or_drop, cast("TextIO", stream))
        yield


def _flush_or_drop(stream: TextIO) -> None:
    """Write what is left, or drop it: Python would try again and end with status 120."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()


@contextmanager
def _standard_output() -> Generator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failed(f"standard output: {error.strerror}") from error


def flush() -> None:
    """Flush what was printed: a program that reads a pipe waits for it."""
    with _standard_output():
        sys.stdout.flush()


# Texts and files that are read.


def _refuse_option(_: object, text: str | None) -> None:
    """Refuse a text that looks like a misspelt option: it would be sent."""
    if text is not None and text.startswith("--"):
        raise ValueError("There is no such option; pass a text like this with --file, or `-`.")


@attrs.frozen
class Words:
    """The text of a message, in one of three ways."""

    text: Annotated[
        str | None,
        Parameter(
            help="The text; `-` is standard input.",
            allow_leading_hyphen=True,
            validator=_refuse_option,
        ),
    ] = None
    file: Annotated[
        Path | None,
        Parameter(
            name="--file",
            allow_leading_hyphen=True,
            help="A file with the text, in UTF-8. A line end at its end is dropped.",
        ),
    ] = attrs.field(default=None, kw_only=True)

    @property
    def given(self) -> bool:
        """Whether there is a text."""
        return (self.text, self.file) != (None, None)

    def read(self, *, before: str = "") -> str:
        """Return the text; `before` is an option that takes all words after it, even the text."""
        if (self.text is None) == (self.file is None):
            place = f" before {before}" if before else ""
            ways = f"as an argument{place}, with --file, or `-` for standard input"
            raise Usage(f"give one text: {ways}")
        if self.text is not None and self.text != _STANDARD_INPUT:
            return self.text
        path = self.file or Path(_STANDARD_INPUT)
        with open_file(path) as file:
            octets = file.read()
        try:
            text = octets.decode("utf-8-sig")  # the mark that Windows adds would force UTF-16
        except UnicodeDecodeError as error:
            raise Usage(f"{name_file(path)}: is not UTF-8 (byte {error.start + 1})") from None
        # Editors and `echo` add a line end; like the shell's $(...), drop it.
        return text.removesuffix("\n").removesuffix("\r")


OfText = Annotated[Words, Parameter(name="*")]
"""The parameters of a command that takes a text."""

NO_TEXT: Final = Words()


def warn_of_placeholders(text: str, what: str) -> None:
    """Warn of each `{name}` in a text that is not a template; `what` says what happens to it."""
    for placeholder in dict.fromkeys(PLACEHOLDER.findall(text)):
        complain(f"warning: {placeholder} {what}")


def name_file(path: Path) -> str:
    """Return what messages call a file that was named on the command line."""
    return "standard input" if str(path) == _STANDARD_INPUT else str(path)


@contextmanager
def open_file(path: Path) -> Generator[BinaryIO]:
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


@contextmanager
def replaced(path: Path, encoding: str) -> Generator[TextIO]:
    """Open a file for writing, readable by its owner only; it replaces `path` when complete."""
    writing = NamedTemporaryFile(  # noqa: SIM115 - closed before it is renamed
        "w",
        encoding=encoding,
        errors="replace",
        newline="",
        dir=path.parent,
        prefix=f".{path.name}.",
        delete=False,
    )
    unfinished = Path(writing.name)
    try:
        with writing:
            yield cast("TextIO", writing)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


# What is printed for people. No text from outside can control the terminal.


def visible(text: str) -> str:
    """Make every character visible, so that a text from outside cannot control the terminal."""
    return text if text.isprintable() else "".join(map(_show, text))


def _show(char: str) -> str:
    if char == "\n":
        return LINE_END
    return char if char.isprintable() else f"<U+{ord(char):04X}>"


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise the error again: rich would end the program here."""
        raise  # noqa: PLE0704 - rich calls this in its `except`


class _Output(_Console):
    def print(self, *given: Any, **options: Any) -> None:  # noqa: ANN401 - those of rich
        """Print, and name standard output if it cannot be written."""
        with _standard_output():
            super().print(*given, **options)


class _Lossy:
    """A stream that drops what cannot be written: rich's bars write without `print`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a stream has
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, if possible."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what was written, if possible."""
        with suppress(OSError):
            self._stream.flush()


def _console(kind: type[_Console], file: TextIO) -> _Console:
    width = None if file.isatty() else _WIDE
    return kind(file=file, width=width, highlight=False, markup=False, emoji=False)


def out() -> Console:
    """Return the console for results."""
    return _console(_Output, sys.stdout)


def err() -> Console:
    """Return the console for progress and errors; output that cannot be written is dropped."""
    return _console(_Console, cast("TextIO", _Lossy(sys.stderr)))


def ask(question: str) -> None:
    """Print a question on standard error; raise if it cannot be written."""
    _console(_Console, sys.stderr).print(visible(question), "[y/N] ", end="")


def say(*parts: str | tuple[str, str]) -> None:
    """Print a line of plain and styled parts."""
    out().print(_line(*parts), soft_wrap=True)


def _line(*parts: str | tuple[str, str]) -> Text:
    styled = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((visible(text), style) for text, style in styled))


def complain(problem: str, hint: str = "") -> None:
    """Print what went wrong and what to do about it, if anything can be printed.

    At a terminal lines break between words; elsewhere they stay whole, for programs that read them.
    """
    console = err()
    lines = [
        _line(("voxsms: ", BAD), problem),
        *(_line((line, FAINT)) for line in hint.split("\n")),
    ]
    for line in lines:
        if line:
            console.print(line, soft_wrap=not console.is_terminal)


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        warning, _, hint = record.getMessage().partition("\n")
        complain(f"warning: {warning}", hint)


@contextmanager
def shown_warnings() -> Generator[None]:
    """Print the library's warnings."""
    logger, handler = logging.getLogger("voxsms"), _Warnings(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class Rows(Table):
    """A table of cells that cannot control the terminal; the columns in `right` are figures."""

    def __init__(self, *columns: str, right: Collection[str] = ()) -> None:
        super().__init__(box=None, pad_edge=False, header_style=FAINT)
        for column in columns:
            self.add_column(visible(column), justify="right" if column in right else "left")

    def add(self, *cells: str | Text, style: str | None = None) -> None:
        """Add a row."""
        shown = (Text(visible(cell)) if isinstance(cell, str) else cell for cell in cells)
        self.add_row(*shown, style=style)


def number(count: int, thing: str) -> str:
    """Write a count with its noun, in the plural unless it is 1."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def money(amount: Decimal, currency: str = "") -> str:
    """Write an amount with every digit it has, and at least the four decimals of a balance."""
    whole, _, decimals = f"{amount:,f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(4, '0')} {currency}".rstrip()


# What is printed for programs.


def print_json(value: object) -> None:
    """Print one object as a line of JSON, in ASCII: it is safe in any encoding of stdout.

    Decimals are strings, so that no reader rounds them; times are ISO 8601.
    """
    print_raw(f"{json.dumps(value, default=_plain)}\n")


def print_raw(text: str) -> None:
    """Print a text as it is."""
    with _standard_output():
        sys.stdout.write(text)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    return attrs.asdict(cast("attrs.AttrsInstance", value), recurse=False)
