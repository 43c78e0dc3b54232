"""Callbacks that the service posts to its user: built from the spec table, signed, retried.

A thread posts what is due by the sandbox's clock, and sleeps until something changes or the next
post is due.
"""

import itertools
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime
from decimal import Decimal
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import attrs
import orjson

from voxsms.api.callbacks import CALLBACKS, A2PDelivery, Callback, InboundSms, MinBalance
from voxsms.sandbox._account import Account, Moved
from voxsms.sandbox._calls import ACCOUNT_NAMES, JSON, exact_number, shown_balance
from voxsms.sandbox._clock import SandboxClock
from voxsms.sandbox._faults import FaultScript
from voxsms.sandbox._log import log_post
from voxsms.sandbox._settings import Settings, check_url
from voxsms.webhooks import CallbackSecret

RETRY_AFTER = (1.0, 5.0, 30.0, 300.0, 3600.0)
"""Seconds of the sandbox's clock between the attempts of a post; the contract documents none."""
MAX_IN_POST = 100
"""The most callbacks that are posted together."""
_TIMEOUT = 10.0
"""Seconds of real time that the user's server may take for each step of an answer."""
_MAX_SLEEP = 3600.0
"""Seconds after which the thread wakes at the latest; not every platform can wait for years."""
_TICK = 0.01
"""Seconds between two attempts to end a post in progress."""

_SPECS = {spec.record: spec for spec in CALLBACKS}
_SHARED = frozenset(attrs.fields_dict(Callback))
# Higher in each run: a receiver that stores the ids of an earlier run must not see them again.
_IDS = itertools.count(time.time_ns() // 1_000_000)


@attrs.frozen(kw_only=True)
class CallbackPost:
    """One attempt to post callbacks, and its outcome."""

    url: str
    callbacks: tuple[Callback, ...]
    body: bytes = attrs.field(repr=False)
    """The body as it was posted."""
    attempt: int
    """1, or more after failed attempts."""
    at: datetime
    """When it was posted, by the sandbox's clock."""
    status: int | None
    """The HTTP status of the answer; None if there was none."""
    problem: str = ""
    """Why there was no answer, or where it redirects to, which is not followed."""

    @property
    def is_taken(self) -> bool:
        """Whether the answer was a 2xx; after any other the callbacks are posted again."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - HTTP's


@attrs.frozen
class _Item:
    """A callback that waits to be posted."""

    callback: Callback
    url: str
    fault: str
    """The kind of its fault; empty if none."""


@attrs.frozen
class _Post:
    """Callbacks that are posted together, until they are accepted or given up."""

    items: tuple[_Item, ...]
    body: bytes
    due: float
    attempt: int = 1


_ALONE = {"callback_forged", "callback_duplicated"}
"""Faults whose callbacks are posted alone, as others in the post would suffer, too."""


def write(callback: Callback, signature: str, *, is_nested: bool = False) -> dict[str, object]:
    """Return a callback as the service writes it (contract, section 5), from the spec table.

    Args:
        callback: the record.
        signature: its hash.
        is_nested: whether the object is one level deeper, as in the type reference.
    """
    spec = _SPECS[type(callback)]
    fields = {
        name: value
        for name, value in attrs.asdict(callback, recurse=False).items()
        if name not in _SHARED
    }
    if isinstance(callback, A2PDelivery):
        fields["destination_numbers"] = ";".join(callback.destination_numbers)
    balance = callback.balance
    return {
        "callback_id": callback.callback_id,
        "type": callback.type,
        "account_id": callback.account_id,
        "hash": signature,
        **ACCOUNT_NAMES,
        "balance": None if balance is None else exact_number(balance),
        "currency": callback.currency,
        spec.name: {spec.name: fields} if is_nested else fields,
    }


class Poster:
    """Posts the callbacks of one account, from `start` to `stop`. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        account: Account,
        clock: SandboxClock,
        faults: FaultScript,
        secret: CallbackSecret,
    ) -> None:
        self.secret = secret
        self._settings = settings
        self._account = account
        self._clock = clock
        self._faults = faults
        self._forger = attrs.evolve(secret, callback_salt=f"not {secret.callback_salt}"[:40])
        self._url = settings.callback_url
        self._is_low = False
        self._lock = threading.Lock()  # never held while the account's is taken
        self._items: deque[_Item] = deque()
        self._held: list[_Item] = []
        self._posts: list[_Post] = []
        self._log: list[CallbackPost] = []
        self._wake = threading.Event()
        self._idle = threading.Condition()
        self._asked = self._answered = 0
        self._thread: threading.Thread | None = None
        self._connection: HTTPConnection | None = None
        self._has_ended = False
        account.on_moved, account.on_charged = self._tell_moved, self._tell_charged

    @property
    def url(self) -> str | None:
        """The account's URL for callbacks; None if there is none."""
        return self._url

    @url.setter
    def url(self, url: str | None) -> None:
        self._url = check_url(url)
        self._start_thread()

    @property
    def log(self) -> tuple[CallbackPost, ...]:
        """Every attempt, in order."""
        with self._lock:
            return tuple(self._log)

    def start(self) -> None:
        """Start the thread if there is a URL to post to."""
        self._clock.on_change = self._wake.set
        if self.url or any(number.callback_url for number in self._settings.numbers):
            self._start_thread()

    def _start_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="voxsms-callbacks", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread; callbacks that were not posted yet are dropped."""
        self._clock.on_change = None
        self._has_ended = True
        self._wake.set()
        while self._thread is not None and self._thread.is_alive():
            connection: Any = self._connection
            with suppress(OSError, AttributeError):  # there is none, or it has just ended
                connection.sock.shutdown(socket.SHUT_RDWR)
            self._thread.join(_TICK)

    def reset(self) -> None:
        """Forget all posts, past and pending."""
        with self._lock:
            self._is_low = False
            for each in (self._items, self._held, self._posts, self._log):
                each.clear()

    def flush(self, seconds: float) -> None:
        """Return when all callbacks that are due have been posted, or raise `TimeoutError`."""
        with self._idle:
            self._asked += 1
            mine = self._asked
            self._wake.set()
            if self._thread is not None and not self._idle.wait_for(
                lambda: self._answered >= mine, seconds
            ):
                raise TimeoutError(f"callbacks were still being posted after {seconds} seconds")

    # What happens to the account.

    def url_of(self, destination: str) -> str | None:
        """Return the URL for messages to a number: its own, or the account's."""
        number = self._account.number(destination)
        return (number and number.callback_url) or self.url

    def tell_inbound(self, source: str, destination: str, text: str) -> None:
        """Post an inbound message."""
        fields = {"source_number": source, "destination_number": destination, "sms_body": text}
        self._add(InboundSms, fields, self.url_of(destination))

    def _tell_moved(self, moved: Sequence[Moved]) -> None:
        for each in moved:
            if each.kind == "a2p":
                fields = {
                    "id": each.message_id,
                    "source_number": each.source,
                    "status": each.status,
                    "destination_numbers": (each.destination,),
                }
                self._add(A2PDelivery, fields, self.url)

    def _tell_charged(self, balance: Decimal) -> None:
        was_low, self._is_low = self._is_low, balance < self._settings.min_balance
        if self._is_low and not was_low:
            self._add(MinBalance, {"is_min_credit": False, "is_repeated": False}, self.url)
        self._wake.set()  # messages are due for status changes

    def _add(self, record: type[Callback], fields: Mapping[str, Any], url: str | None) -> None:
        if url is None:
            return
        type_ = _SPECS[record].name
        callback = record(
            callback_id=next(_IDS),
            account_id=self.secret.account_id,
            type=type_,
            balance=shown_balance(self._account.balance),
            currency=self._settings.currency,
            **fields,
        )
        fault = self._faults.take_of_callback(type_)
        item = _Item(callback, url, "" if fault is None else fault.kind)
        with self._lock:
            if fault is not None and fault.kind == "callback_late":
                due = self._clock.time() + fault.option("seconds")
                self._posts.append(self._make_post([item], due))
            elif item.fault == "callback_reordered":
                self._held.append(item)
            else:
                self._items += [item, *self._held]
                self._held.clear()
        self._wake.set()

    # The thread.

    def _run(self) -> None:
        while not self._has_ended:
            self._wake.clear()
            asked = self._asked
            self._account.move_statuses()
            post = self._take_due()
            if post is not None:
                self._carry_out(post)
                continue
            with self._idle:
                self._answered = asked
                self._idle.notify_all()
            self._wake.wait(self._seconds_to_sleep())

    def _seconds_to_sleep(self) -> float | None:
        if self._clock.stands:
            return None
        with self._lock:
            dues = [post.due for post in self._posts]
        moves = self._account.next_due()
        due = min(dues if moves is None else [*dues, moves], default=None)
        return None if due is None else min(max(0.0, due - self._clock.time()), _MAX_SLEEP)

    def _take_due(self) -> _Post | None:
        now = self._clock.time()
        with self._lock:
            first = min(self._posts, key=lambda post: post.due, default=None)
            if first is not None and first.due <= now:
                self._posts.remove(first)
                return first
            if not self._items:
                return None
            post = self._make_post(self._take_batch(), now)
            if post.items[0].fault == "callback_duplicated":
                self._posts.append(post)
            return post

    def _take_batch(self) -> list[_Item]:
        batch = [self._items.popleft()]
        while (
            self._items
            and self._items[0].url == batch[0].url
            and not {self._items[0].fault, batch[0].fault} & _ALONE
            and len(batch) < MAX_IN_POST
        ):
            batch.append(self._items.popleft())
        return batch

    def _make_post(self, items: Sequence[_Item], due: float) -> _Post:
        written = [
            write(
                item.callback,
                (self._forger if item.fault == "callback_forged" else self.secret).signature(
                    item.callback.callback_id
                ),
                is_nested=item.fault == "callback_nested",
            )
            for item in items
        ]
        return _Post(tuple(items), orjson.dumps({"callbacks": written}), due)

    def _carry_out(self, post: _Post) -> None:
        url, at = post.items[0].url, self._clock.now()
        status, problem = self._exchange(url, post.body)
        made = CallbackPost(
            url=url,
            callbacks=tuple(item.callback for item in post.items),
            body=post.body,
            attempt=post.attempt,
            at=at,
            status=status,
            problem=problem,
        )
        answer = f"HTTP {status}" if status else f"no answer ({problem.partition(':')[0]})"
        if status and problem:
            answer += ", a redirect, which is not followed"
        log_post((item.callback.type for item in post.items), answer, post.attempt)
        with self._lock:
            self._log.append(made)
            is_forged = post.items[0].fault == "callback_forged"
            if not made.is_taken and not is_forged and post.attempt <= len(RETRY_AFTER):
                due = self._clock.time() + RETRY_AFTER[post.attempt - 1]
                self._posts.append(attrs.evolve(post, due=due, attempt=post.attempt + 1))

    def _exchange(self, url: str, body: bytes) -> tuple[int | None, str]:
        """Post once; return the status of the answer, and the problem if there is one."""
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(str(parts.hostname), parts.port, timeout=_TIMEOUT)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with closing(self._connection) as connection:
            try:
                connection.request("POST", target, body, {"content-type": JSON})
                answer = connection.getresponse()
            except (OSError, HTTPException) as error:
                return None, f"{type(error).__name__}: {error}"
            location = answer.getheader("location")
            return answer.status, f"redirected to {location}" if location else ""
