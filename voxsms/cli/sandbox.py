"""`sandbox`: the service as a server on this machine, for clients in any language."""

import logging
import os
import shlex
import signal
import sqlite3
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from ipaddress import ip_address
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

ACCOUNT_ID: Final = 1000001
API_KEY: Final = "sandbox-api-key"
_SALT: Final = "sandbox-callback-salt"
"""The default account: the same in each run."""
_SEVERAL: Final[Mapping[str, Any]] = {"consume_multiple": True, "negative": ()}


def _kinds() -> str:
    """Name the kinds of faults, which the help does not know without the extra."""
    try:
        from voxsms.sandbox import CALLBACK_KINDS, KINDS  # noqa: PLC0415 - an extra of its own
    except ModuleNotFoundError:
        return "those of voxsms.sandbox"
    return ", ".join((*KINDS, *CALLBACK_KINDS))


@attrs.frozen(kw_only=True)
class Setup:
    """How a sandbox is set up; the defaults are those of `voxsms.sandbox.serve()`."""

    port: Annotated[
        int | None,
        Parameter(
            validator=Number(gte=0, lte=65535),
            help="Where to listen; a free port by default.",
        ),
    ] = None
    host: Annotated[
        str | None,
        Parameter(
            help="The address to listen on, 127.0.0.1 by default; with 0.0.0.0, for containers, "
            "other machines can reach it, too."
        ),
    ] = None
    host_names: Annotated[
        list[str] | None,
        Parameter(
            name="--host-name",
            help="Its host names, such as that of its container: for --tls.",
            **_SEVERAL,
        ),
    ] = None
    tls: Annotated[
        bool | None,
        Parameter(
            negative=(),
            help="Serve HTTPS with its own certificate; prints how to make clients trust it.",
        ),
    ] = None
    account_id: Annotated[
        int | None, Parameter(help=f"The account's id, {ACCOUNT_ID} by default.")
    ] = None
    api_key: Annotated[
        str | None, Parameter(help=f"The account's API key, {API_KEY} by default.")
    ] = None
    key_file: Annotated[
        Path | None,
        Parameter(
            help="The service account's private key (RSA, PEM), or its credentials file; without "
            "it each run makes a new key."
        ),
    ] = None
    database: Annotated[
        Path | None,
        Parameter(help="A file that keeps account, messages and money from run to run."),
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
    prices: Annotated[
        list[str] | None,
        Parameter(
            name="--price",
            help="The price of a fragment to numbers with a prefix, such as 48=0.03, in addition "
            "to those for 1, 44 and 7.",
            **_SEVERAL,
        ),
    ] = None
    faults: Annotated[
        str | None,
        Parameter(
            help="Faults to inject, in order: `kind*times@Method:option=value`, "
            "such as `commit_then_close*2@A2PSendSms,rate_limited:retry_after=1`. "
            f"The kinds: {_kinds()}."
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
        int | None, Parameter(help="Requests a second; those above it are answered with code 340.")
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
            if self.prices is not None:
                given["prices"] = dict(map(_price, self.prices))
            settings: Settings = sandbox.Settings(**given)
            if self.is_new:
                key = settings.key_file
                account_id = (key and key.account_id) or ACCOUNT_ID
                usual = {"account_id": account_id, "api_key": API_KEY, "callback_salt": _SALT}
                settings = sandbox.Settings(**usual | given)
        except ValueError as problem:
            raise Usage(_by_option(str(problem))) from None
        return settings

    @property
    def is_new(self) -> bool:
        """Whether there is no database with an account yet."""
        return self.database is None or not self.database.exists()


_AS_IT_COMES: Final = Setup()


_OPTIONS: Final = {
    "numbers": "--number",
    "sender_ids": "--sender-id",
    "refused": "--refuse",
    "prices": "--price",
}


def _by_option(problem: str) -> str:
    """Name the option that a setting came from; a problem without a setting is of `--faults`."""
    name, colon, rest = problem.partition(": ")
    if not colon or name not in attrs.fields_dict(Setup):
        return f"--faults: {problem}"
    return f"{_OPTIONS.get(name, '--' + name.replace('_', '-'))}: {rest}"


def _import() -> Any:  # noqa: ANN401 - a module
    """Return the sandbox package, the only import here that needs an extra."""
    try:
        return import_module("voxsms.sandbox")
    except ModuleNotFoundError as missing:
        raise Usage(str(missing)) from None


def _refusal(text: str) -> tuple[str, int]:
    number, _, code = text.partition("=")
    if not (code.isascii() and code.isdigit()):
        raise Usage(f'--refuse: "{text}" is not of the form NUMBER=CODE')
    return number, int(code)


def _price(text: str) -> tuple[str, str]:
    prefix, equals, price = text.partition("=")
    if not equals:
        raise Usage(f'--price: "{text}" is not of the form PREFIX=PRICE, such as 48=0.03')
    return prefix, price


def _filling(text: str) -> tuple[str, int]:
    kind, _, rows = text.partition("=")
    if kind not in ("sms", "a2p") or not (rows.isascii() and rows.isdigit()):
        raise Usage(f'--fill: "{text}" is not of the form a2p=ROWS or sms=ROWS')
    return kind, int(rows)


def sandbox(
    *,
    setup: Annotated[Setup, Parameter(name="*")] = _AS_IT_COMES,
    fill: Annotated[
        list[str] | None,
        Parameter(
            help="Make up a history of the last two years, such as a2p=300000; a --database is "
            "filled only when it is new.",
            **_SEVERAL,
        ),
    ] = None,
    credentials_file: Annotated[
        Path | None, Parameter(help="Write a service account's credentials file here.")
    ] = None,
    certificate_file: Annotated[
        Path | None, Parameter(help="Write the certificate to trust here, with --tls.")
    ] = None,
    quiet: Annotated[bool, Parameter(negative=(), help="Do not print the requests.")] = False,
    until_eof: Annotated[
        bool,
        Parameter(
            negative=(),
            help="Also end when standard input does: for programs that start the sandbox.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Run the service as a sandbox on this machine, with play money, until Ctrl-C."""
    histories = [_filling(each) for each in fill or () if setup.is_new]
    settings = setup.settings()
    if certificate_file is not None and not setup.tls:
        raise Usage("--certificate-file: needs --tls")
    running: Sandbox = _import().Sandbox(settings)
    with _until_told(until_eof=until_eof) as told:
        _start(running, setup)
        try:
            for kind, rows in histories:
                _fill(running, kind, rows)
            if credentials_file is not None:
                running.save_credentials(credentials_file)
            certificate = _certificate(running, certificate_file)
            facts = _facts(running, settings, credentials_file, certificate)
            io.print_json(facts) if json else _welcome(facts)
            io.flush()  # a program that reads a pipe waits for it
            _warn_of_host(settings.host)
            with _requests_shown(running, shown=not (quiet or json)):
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
        port = "port" if setup.port is None else f"port {setup.port}"
        where = port if setup.host is None else f"{setup.host}, {port}"
        raise Failed(f"{where}: {error.strerror}") from None


def _fill(sandbox: "Sandbox", kind: str, rows: int) -> None:
    try:
        sandbox.fill_history(kind, rows)
    except ValueError as problem:
        raise Usage(f"--fill: {problem}") from None


def _certificate(sandbox: "Sandbox", file: Path | None) -> Path | None:
    """Return the path of the certificate that clients must trust, if there is one."""
    made = sandbox.certificate
    if file is None or made is None:
        return made
    file.write_bytes(made.read_bytes())
    return file.absolute()


def _warn_of_host(host: str) -> None:
    if not ip_address(host).is_loopback:
        io.complain(
            f"warning: other machines can reach {host}, and so can call the sandbox",
            "Its credentials are not secret, and its control API asks for none.",
        )


class _Lines(logging.Handler):
    """Prints a line for each request, with the time in the sandbox."""

    def __init__(self, sandbox: "Sandbox") -> None:
        super().__init__(logging.INFO)
        self._clock = sandbox.clock

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, Failed):  # a closed output must not fail a request
            io.say((f"{self._clock.now():%H:%M:%S} ", io.FAINT), record.getMessage())
            io.flush()


@contextmanager
def _requests_shown(sandbox: "Sandbox", *, shown: bool) -> Generator[None]:
    if not shown:
        yield
        return
    logger, handler = logging.getLogger("voxsms.sandbox"), _Lines(sandbox)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@contextmanager
def _until_told(*, until_eof: bool) -> Generator[threading.Event]:
    """Yield an event that is set by Ctrl-C, SIGTERM and, with `until_eof`, the end of stdin."""
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
    # Unbuffered: a thread that holds the buffer's lock would keep the program from ending.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    told.set()


def _facts(
    running: "Sandbox", settings: "Settings", file: Path | None, certificate: Path | None
) -> dict[str, Any]:
    made = str(running.certificate)
    return {
        "url": running.url,
        "account_id": running.api_key.account_id,
        "api_key": running.api_key.api_key,
        "callback_salt": running.callback_salt,
        "callback_url": running.callback_url,
        "credentials_file": None if file is None else str(file.absolute()),
        "certificate_file": None if certificate is None else str(certificate),
        "numbers": [each.number for each in settings.numbers],
        "sender_ids": settings.sender_ids,
        "balance": running.balance,
        "currency": settings.currency,
        "env": {n: str(certificate) if v == made else v for n, v in running.env.items()},
    }


def _welcome(facts: Mapping[str, Any]) -> None:
    first = facts["numbers"][0] if facts["numbers"] else "NUMBER"
    io.say("The sandbox listens on ", (facts["url"], io.ACCENT), ". Ctrl-C ends it.")
    io.say("")
    io.say("numbers    ", ", ".join(facts["numbers"]), ("  (enable one first)", io.FAINT))
    io.say("SenderIDs  ", ", ".join(facts["sender_ids"]))
    io.say("balance    ", io.money(facts["balance"], facts["currency"]))
    if facts["callback_url"]:
        io.say("callbacks  ", facts["callback_url"])
    io.say("")
    io.say("In another terminal:")
    if facts["credentials_file"]:
        io.say(f"  export VOXIMPLANT_CREDENTIALS={shlex.quote(facts['credentials_file'])}")
    for name, value in facts["env"].items():
        io.say(f"  export {name}={shlex.quote(value)}")
    io.say(f"  voxsms control {first} enable")
    if facts["callback_url"]:
        io.say(f"  voxsms receive 447700900123 {first} STOP")
    io.say("")
    io.say("Any other client:")
    certificate = facts["certificate_file"]
    trust = f" --cacert {shlex.quote(certificate)}" if certificate else ""
    io.say(
        f"  curl{trust} {facts['url']}/platform_api/GetPhoneNumbers/"
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
    io.say("")
    io.say(f"{messages} delivered, {io.number(fragments, 'fragment')}, {charged} charged")
