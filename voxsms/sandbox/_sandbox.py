"""`Sandbox`: the account, its server and what tests inspect, from start to end."""

import json
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from voxsms.api.models import Direction
from voxsms.api.phone_numbers import read_phone_number
from voxsms.api.wire import PhoneType, SenderType, StringType, WireFault, WireType
from voxsms.calls.auth import ApiKey, ServiceAccount
from voxsms.sandbox._account import NewMessage
from voxsms.sandbox._app import make_app
from voxsms.sandbox._callbacks import CallbackPost
from voxsms.sandbox._clock import SandboxClock
from voxsms.sandbox._control import Control
from voxsms.sandbox._faults import FaultScript
from voxsms.sandbox._history import Filler
from voxsms.sandbox._ledger import Delivered, Ledger, SentMessage
from voxsms.sandbox._server import ServerThread
from voxsms.sandbox._service import Service
from voxsms.sandbox._settings import Settings
from voxsms.text import count_fragments
from voxsms.webhooks import CallbackSecret

_TWO_YEARS = timedelta(days=730)
TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
"""Variables that name a file of certificates to trust: OpenSSL, Python's requests, Node."""
_RUNNING: set["Sandbox"] = set()


def running_urls() -> frozenset[str]:
    """Return the URLs of the sandboxes that run in this process."""
    return frozenset(sandbox.url for sandbox in tuple(_RUNNING))


def _cross(name: str, type_: WireType, value: str) -> str:
    try:
        return type_.write(value)
    except WireFault as fault:
        raise ValueError(f"{name}: {fault.problem}") from None


class Sandbox:
    """An account with a server on loopback; create one with `serve()`.

    A context manager of both kinds: `with` starts and stops it in any program, `async with` does so
    without blocking asyncio or trio.

    Args:
        settings: how the account is set up.
        server: a running server without an account, in place of its own.
    """

    def __init__(self, settings: Settings, server: ServerThread | None = None) -> None:
        self.clock: SandboxClock = SandboxClock(settings.start)
        """The service's time."""
        self.ledger: Ledger = Ledger()
        """What was really delivered."""
        self.faults: FaultScript = FaultScript(settings.faults)
        """The script of faults."""
        self._settings = settings
        self._service: Service | None = None
        self._shared = server
        self._server: ServerThread | None = None

    def __repr__(self) -> str:
        """Show its URL."""
        return f"<Sandbox {self.url if self._server else 'not running'}>"

    def start(self) -> Self:
        """Start to listen; call `stop` afterwards."""
        if self._server is not None:
            raise RuntimeError("the sandbox is running already")
        settings = self._settings
        service = Service(settings, self.clock, self.ledger, self.faults)
        try:
            server = self._shared or ServerThread(**settings.server).start()
            service.url = server.url
            server.answer_for(make_app(service, Control(self)), self.faults)
        except BaseException:
            service.account.close()
            raise
        service.poster.start()
        self._service, self._server = service, server
        _RUNNING.add(self)
        return self

    def stop(self) -> None:
        """Stop it and close its connections, threads and files; may be called again."""
        server, self._server = self._server, None
        if server is None:
            return
        _RUNNING.discard(self)
        if server is self._shared:
            server.answer_for_nobody()
        else:
            server.stop()
        self._running.poster.stop()
        self._running.account.close()

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    async def __aenter__(self) -> Self:
        """Start it in a thread."""
        # Shielded: a cancellation between start and body would leave a server running.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.start)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it, even if the body was cancelled."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.stop)

    @property
    def _running(self) -> Service:
        if self._service is None:
            raise RuntimeError("the sandbox was not started: use `with` or `async with`")
        return self._service

    @property
    def url(self) -> str:
        """Its URL, for `Client(base_url=)`; no slash at the end."""
        return self._running.url

    @property
    def auth(self) -> ServiceAccount:
        """A service account of the sandbox's account."""
        return self._running.identity.auth

    @property
    def api_key(self) -> ApiKey:
        """The account's API key."""
        return self._running.identity.api_key

    @property
    def callback_salt(self) -> str:
        """The salt that signs callbacks."""
        return self._running.identity.callback_salt

    @property
    def env(self) -> Mapping[str, str]:
        """The environment variables for `Client.from_env` and `CallbackSecret.from_env`.

        With TLS also those that make clients in Python, Node and others trust its certificate.
        """
        key, certificate = self.api_key, self.certificate
        trusted = {} if certificate is None else dict.fromkeys(TRUST, str(certificate))
        return {
            "VOXIMPLANT_ACCOUNT_ID": str(key.account_id),
            "VOXIMPLANT_API_KEY": key.api_key,
            "VOXIMPLANT_CALLBACK_SALT": self.callback_salt,
            "VOXSMS_BASE_URL": self.url,
            **trusted,
        }

    @property
    def certificate(self) -> Path | None:
        """The file of the certificate for clients to trust, while it runs; None without TLS."""
        return None if self._server is None else self._server.certificate

    @property
    def messages(self) -> Delivered[SentMessage]:
        """All deliveries, in order: `assert sandbox.messages == [("447443332212", "Hi")]`."""
        return self.ledger.messages

    def delivered_to(self, number: str) -> Delivered[str]:
        """Return the texts that were delivered to a number, in order.

        Raises:
            ValueError: no message can go to this number, so the result would always be empty.
        """
        digits, messages = read_phone_number(number), self.messages
        found = Delivered(each.text for each in messages if each.destination == digits)
        found.elsewhere = [each for each in messages if each.destination != digits]
        return found

    @property
    def callback_secret(self) -> CallbackSecret:
        """The secret that signs callbacks, for `voxsms.webhooks`."""
        return self._running.poster.secret

    @property
    def callback_url(self) -> str | None:
        """Where callbacks are posted; may be set while it runs, such as once a server is up."""
        return self._running.poster.url

    @callback_url.setter
    def callback_url(self, url: str | None) -> None:
        self._running.poster.url = url

    def callback_url_of(self, number: str) -> str | None:
        """Return where a message to a number of the account is posted; None if nowhere."""
        return self._running.poster.url_of(_cross("number", PhoneType(), number))

    @property
    def callbacks(self) -> tuple[CallbackPost, ...]:
        """The posts of callbacks with their answers, one entry for each attempt."""
        return self._running.poster.log

    def flush_callbacks(self, seconds: float = 10) -> None:
        """Wait until all callbacks that are due now have been posted and answered.

        It does not wait for later retries. In the event loop that serves your app it would block
        the answers that it waits for: use `await sandbox.callbacks_posted()` there.

        Raises:
            TimeoutError: it takes longer than `seconds` of real time.
        """
        self._running.poster.flush(seconds)

    async def callbacks_posted(self, seconds: float = 10) -> None:
        """Do the same as `flush_callbacks` without blocking the event loop."""
        await anyio.to_thread.run_sync(self.flush_callbacks, seconds)

    @property
    def balance(self) -> Decimal:
        """The money that is left, exactly."""
        return self._running.account.balance

    def save_credentials(self, path: str | os.PathLike[str]) -> Path:
        """Write the service account's JSON file for clients, readable by its owner only.

        An existing file is replaced by a new one: a process that has the old one open, or could
        read it, does not see the key.
        """
        auth, file = self.auth, Path(path)
        credentials = {
            "account_id": auth.account_id,
            "key_id": auth.key_id,
            "private_key": auth.private_key,
        }
        target = file.resolve()
        try:
            with TemporaryDirectory(dir=target.parent) as directory:  # of mode 0700
                new = Path(directory) / target.name
                new.touch(mode=0o600)
                new.write_text(json.dumps(credentials))
                new.replace(target)
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.fspath(file)) from error
        return file

    def receive(self, *, source: str, destination: str, text: str, store_body: bool = True) -> int:
        """Receive a message at one of the account's enabled numbers; return its id.

        It is in the history, and is posted to the number's callback URL or the account's.

        Raises:
            ValueError: an argument is not valid; the message names it.
        """
        source = _cross("source", SenderType(), source)
        destination = _cross("destination", PhoneType(), destination)
        text = _cross("text", StringType(), text)
        number = self._running.account.number(destination)
        if number is None or not number.sms_enabled:
            raise ValueError(
                "destination: is not a number of the account with SMS enabled "
                "(client.control_sms, or `voxsms control NUMBER enable`, enables it)"
            )
        message = NewMessage(
            kind="sms",
            source=source,
            destination=destination,
            fragments=count_fragments(text),
            cost=Decimal(0),
            text=text if store_body else None,
            direction=Direction.IN,
        )
        (message_id,), _ = self._running.account.record([message])
        self._running.poster.tell_inbound(source, destination, text)
        return message_id

    def reset(self) -> None:
        """Reset messages, ledger, faults, callbacks, balance and time.

        The account, the URL for callbacks and the settings stay.
        """
        self._running.account.reset()
        self._running.poster.reset()
        self.ledger.reset()
        self.faults.reset()
        self.clock.reset()

    def fill_history(
        self,
        kind: str,
        rows: int,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        seed: int = 0,
    ) -> None:
        """Generate a history of `kind` (`sms` or `a2p`), by default of the last two years.

        Its messages go to several countries and cost what the prices say, but nothing is charged or
        recorded in the ledger. The same seed and times produce the same rows.
        """
        end = end or self.clock.now()
        filler = Filler(self._settings, self._running.account)
        filler.fill(kind, rows, start=start or end - _TWO_YEARS, end=end, seed=seed)
