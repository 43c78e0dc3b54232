"""`sandbox`: the service as a server on this machine, for clients in any language."""

import os
import shlex
import signal
import sqlite3
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Final

import attrs
from cyclopts import Parameter
from cyclopts.validators import Number

from voxsms.cli import _io as io
from voxsms.cli._errors import Failed, Usage
from voxsms.cli._io import Json

if TYPE_CHECKING:
    from voxsms.sandbox import Sandbox, Settings

_SEVERAL: Final[Mapping[str, Any]] = {"consume_multiple": True, "negative": ()}


@attrs.frozen(kw_only=True)
class Setup:
    """What a sandbox begins with; what is left out is as `voxsms.sandbox.serve()` has it."""

    port: Annotated[
        int | None,
        Parameter(
            validator=Number(gte=0, lte=65535),
            help="Where to listen on 127.0.0.1; a free port by default.",
        ),
    ] = None
    database: Annotated[
        Path | None, Parameter(help="A file that keeps messages and money from run to run.")
    ] = None
    balance: Annotated[str | None, Parameter(help="The money to begin with.")] = None
    numbers: Annotated[
        list[str] | None, Parameter(name="--number", help="The numbers it rents.", **_SEVERAL)
    ] = None
    sender_ids: Annotated[
        list[str] | None,
        Parameter(name="--sender-id", help="The SenderIDs that are installed.", **_SEVERAL),
    ] = None
    refused: Annotated[
        list[str] | None,
        Parameter(
            name="--refuse",
            help="Refuse messages to a number with an error code, such as 14155550142=385.",
            **_SEVERAL,
        ),
    ] = None
    faults: Annotated[
        str | None,
        Parameter(
            help="What goes wrong, request after request: kind*times@Method:option=value, ...; "
            "such as commit_then_close*2@A2PSendSms,rate_limited:retry_after=1"
        ),
    ] = None
    callback_url: Annotated[
        str | None,
        Parameter(
            help="Where to post callbacks: messages that arrive (`voxsms receive`), delivery "
            "statuses, a low balance."
        ),
    ] = None
    rate_limit: Annotated[
        int | None, Parameter(help="Answer more requests a second than this with code 340.")
    ] = None
    dispatch_after: Annotated[
        float | None, Parameter(help="Seconds until a message is DISPATCHED.")
    ] = None
    deliver_after: Annotated[
        float | None, Parameter(help="Seconds from then until it is DELIVERED.")
    ] = None

    def settings(self) -> "Settings":
        """Return what was set."""
        sandbox = _import()
        given: dict[str, Any] = {
            name: value
            for name, value in attrs.asdict(self, recurse=False).items()
            if value is not None
        }
        try:
            if self.refused is not None:
                given["refused"] = dict(map(_refusal, self.refused))
            settings: Settings = sandbox.Settings(**given)
        except ValueError as problem:
            raise Usage(str(problem)) from None
        return settings


_AS_IT_COMES: Final = Setup()


def _import() -> Any:  # noqa: ANN401 - a module
    """Return the package of the sandbox, which needs an extra; so does nothing else here."""
    try:
        return import_module("voxsms.sandbox")
    except ModuleNotFoundError as missing:
        raise Usage(str(missing)) from None


def _refusal(text: str) -> tuple[str, int]:
    number, _, code = text.partition("=")
    if not (code.isascii() and code.isdigit()):
        raise ValueError(f'refuse: "{text}" is not of the form NUMBER=CODE')
    return number, int(code)


def sandbox(
    *,
    setup: Annotated[Setup, Parameter(name="*")] = _AS_IT_COMES,
    credentials_file: Annotated[
        Path | None, Parameter(help="Write a service account's credentials file here.")
    ] = None,
    until_eof: Annotated[
        bool,
        Parameter(
            negative=(),
            help="End also when standard input does: for a program that starts this one.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Run the service on this machine, with money that is not real, until Ctrl-C."""
    settings = setup.settings()
    running: Sandbox = _import().Sandbox(settings)
    with _until_told(until_eof=until_eof) as told:
        _start(running, setup)
        try:
            if credentials_file is not None:
                running.save_credentials(credentials_file)
            facts = _facts(running, settings, credentials_file)
            io.print_json(facts) if json else _welcome(facts)
            io.flush()  # a program that reads a pipe waits for it
            told.wait()
        finally:
            running.stop()
    _sum_up(running, settings, json=json)


def _start(sandbox: "Sandbox", setup: Setup) -> None:
    try:
        sandbox.start()
    except sqlite3.Error as error:
        raise Usage(f"{setup.database}: {error}") from None
    except OSError as error:
        raise Failed(f"port {setup.port}: {error.strerror}") from None


@contextmanager
def _until_told(*, until_eof: bool) -> Generator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set and, if `until_eof`, the end of stdin."""
    told = threading.Event()

    def tell(_signal: int, _frame: FrameType | None) -> None:
        told.set()

    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(each, tell) for each in signals]
    if until_eof:
        threading.Thread(target=_wait_for_eof, args=(told,), daemon=True).start()
    try:
        yield told
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)


def _wait_for_eof(told: threading.Event) -> None:
    # Not through a buffer: a thread that holds one's lock would keep the program from ending.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    told.set()


def _facts(running: "Sandbox", settings: "Settings", file: Path | None) -> dict[str, Any]:
    return {
        "url": running.url,
        "account_id": running.api_key.account_id,
        "api_key": running.api_key.api_key,
        "callback_salt": running.callback_salt,
        "callback_url": running.callback_url,
        "credentials_file": None if file is None else str(file.absolute()),
        "numbers": [each.number for each in settings.numbers],
        "sender_ids": settings.sender_ids,
        "balance": running.balance,
        "currency": settings.currency,
    }


def _welcome(facts: Mapping[str, Any]) -> None:
    first = facts["numbers"][0] if facts["numbers"] else "NUMBER"
    io.say("The sandbox listens on ", (facts["url"], io.ACCENT), ". Ctrl-C ends it.")
    io.say("")
    io.say("numbers    ", ", ".join(facts["numbers"]), ("  (enable one first)", io.FAINT))
    io.say("SenderIDs  ", ", ".join(facts["sender_ids"]))
    io.say("balance    ", io.money(facts["balance"], facts["currency"]))
    if facts["callback_url"]:
        io.say("callbacks  ", facts["callback_url"], ", with the salt ", facts["callback_salt"])
    io.say("")
    io.say("In another terminal:")
    io.say(f"  export VOXSMS_BASE_URL={facts['url']}")
    if facts["credentials_file"]:
        io.say(f"  export VOXIMPLANT_CREDENTIALS={shlex.quote(facts['credentials_file'])}")
    io.say(f"  export VOXIMPLANT_ACCOUNT_ID={facts['account_id']}")
    io.say(f"  export VOXIMPLANT_API_KEY={facts['api_key']}")
    io.say(f"  voxsms control {first} enable")
    if facts["callback_url"]:
        io.say(f"  voxsms receive 447700900123 {first} STOP")
    io.say("")
    io.say("Any other client:")
    io.say(
        f"  curl {facts['url']}/platform_api/GetPhoneNumbers/"
        f" -d account_id={facts['account_id']} -d api_key={facts['api_key']}"
    )


def _sum_up(running: "Sandbox", settings: "Settings", *, json: bool) -> None:
    """Say what was really delivered, whatever the clients were told."""
    ledger = running.ledger
    fragments = sum(each.fragments for each in ledger.deliveries)
    if json:
        done = {"deliveries": ledger.count, "fragments": fragments, "charged": ledger.charged}
        io.print_json(done)
        return
    charged = io.money(ledger.charged, settings.currency)
    messages = io.number(ledger.count, "message")
    io.say(f"\n{messages} delivered, {io.number(fragments, 'fragment')}, {charged} charged")
