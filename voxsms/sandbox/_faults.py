"""Faults as data: all kinds, their text form, and the script of pending faults.

What each fault does on the wire is in `_wire_faults.py`, under the same names. "Commits" means that
the request is carried out before the fault, so that the ledger has a delivery.
"""

import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from voxsms.api.callbacks import CALLBACKS
from voxsms.api.spec import METHODS


@attrs.frozen
class Kind:
    """One kind of fault: its name, what it does, and its options with their defaults."""

    name: str
    doc: str
    commits: bool = False
    """Whether the request is carried out first."""
    connecting: bool = False
    """Whether it affects the connection, before there is a request."""
    options: Mapping[str, object] = attrs.field(factory=dict[str, object])


_KINDS = (
    Kind("ok", "Answers as if nothing were wrong: keeps a place in the script.", commits=True),
    Kind(
        "refuse",
        "Does not listen for some seconds of real time, so that connecting fails.",
        connecting=True,
        options={"seconds": 0.25},
    ),
    Kind("accept_then_close", "Accepts a connection and closes it.", connecting=True),
    Kind("read_then_close", "Reads the request, carries nothing out, closes without an answer."),
    Kind("read_then_reset", "Reads the request, carries nothing out, resets the connection."),
    Kind("never", "Reads the request, carries nothing out, never answers."),
    Kind(
        "http_error",
        "Answers with a status and a page of a gateway; nothing was carried out.",
        options={"status": 503, "retry_after": None},
    ),
    Kind(
        "http_429",
        "Answers HTTP 429; nothing was carried out.",
        options={"retry_after": None},
    ),
    Kind(
        "rate_limited",
        "Answers with code 340; nothing was carried out.",
        options={"retry_after": None},
    ),
    Kind(
        "error",
        "Answers with an error code; nothing was carried out.",
        options={"code": 2, "msg": "", "retry_after": None},
    ),
    Kind(
        "slow",
        "Carries the request out and answers after some seconds, real or of the driven clock.",
        commits=True,
        options={"seconds": 1.0, "driven": False},
    ),
    Kind(
        "drip",
        "Carries the request out and answers byte by byte, with a pause after each.",
        commits=True,
        options={"seconds": 0.001},
    ),
    Kind("commit_then_close", "Carries the request out and closes.", commits=True),
    Kind("commit_then_reset", "Carries the request out and resets.", commits=True),
    Kind("commit_then_half", "Carries the request out, answers half, closes.", commits=True),
    Kind("commit_then_garbage", "Carries the request out, answers no HTTP.", commits=True),
    Kind("commit_then_html", "Carries the request out, answers HTTP 502 in HTML.", commits=True),
    Kind("commit_then_500", "Carries the request out, answers HTTP 500 in text.", commits=True),
    Kind(
        "commit_then_error",
        "Carries the request out and answers with an error code.",
        commits=True,
        options={"code": 2, "msg": ""},
    ),
    Kind(
        "commit_then_answer",
        "Carries the request out and answers with a body and a status that are given.",
        commits=True,
        options={"body": "{}", "status": 200},
    ),
    Kind("commit_then_never", "Carries the request out and never answers.", commits=True),
)

_CALLBACK_KINDS = (
    Kind("callback_duplicated", "Posts the callback, and once more when that was answered."),
    Kind("callback_reordered", "Posts the callback after the one that follows it."),
    Kind(
        "callback_forged",
        "Signs the callback with another salt, as one does who does not know yours.",
    ),
    Kind("callback_nested", "Writes the callback's object one level deeper than it belongs."),
    Kind(
        "callback_late",
        "Posts the callback some seconds of the sandbox's clock later.",
        options={"seconds": 60.0},
    ),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _KINDS})
"""Every kind of fault of a request, by its name."""
CALLBACK_KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _CALLBACK_KINDS})
"""Every kind of fault of a callback."""
_ALL = {**KINDS, **CALLBACK_KINDS}
_TYPES = tuple(spec.name for spec in CALLBACKS)
SENDS = "sends"
"""Used as a method: both that charge."""
_CHARGING = frozenset(cmd for cmd, method in METHODS.items() if method.charges)


def _known(_: object, attribute: "attrs.Attribute[Any]", value: str) -> None:
    if value not in _ALL:
        raise ValueError(f"{attribute.name}: {value!r} is not one of {', '.join(_ALL)}")


def _at_least_one(_: object, attribute: "attrs.Attribute[Any]", value: int) -> None:
    if value < 1:
        raise ValueError(f"{attribute.name}: is {value}; it must be at least 1")
    if value > sys.maxsize:
        raise ValueError(f"{attribute.name}: is larger than {sys.maxsize}")


def _is_utf8(value: object) -> bool:
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


_MAX_SECONDS = 10**8
_OPTIONS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "seconds": (
        f"a number from 0 to {_MAX_SECONDS:,}",
        lambda value: isinstance(value, int | float) and 0 <= value <= _MAX_SECONDS,
    ),
    "code": (
        "a whole number of at most 9 digits",
        lambda value: type(value) is int and abs(value) < 10**9,
    ),
    "status": (
        "an HTTP status from 200 to 599 that has a body",
        lambda value: type(value) is int and 200 <= value < 600 and value not in (204, 304),  # noqa: PLR2004 - HTTP's
    ),
    "retry_after": (
        "printable ASCII, such as 7",
        lambda value: value is None or (str(value).isascii() and str(value).isprintable()),
    ),
    "msg": ("text", _is_utf8),
    "body": ("text", _is_utf8),
    "driven": ("true or false", lambda value: isinstance(value, bool)),
}
"""What the value of each option may be, in words and as a test, which NaN fails."""


@attrs.frozen
class InjectedFault:
    """A fault for `times` requests of a method; None is any method, `sends` both that charge.

    A fault of callbacks is for `times` callbacks of a type, such as `sms_inbound`.
    `options` are those of the kind: `seconds`, `code`, `msg`, `body`, `status`, `retry_after`,
    `driven`.
    """

    kind: str = attrs.field(validator=_known)
    times: int = attrs.field(default=1, validator=_at_least_one)
    method: str | None = None
    options: Mapping[str, object] = attrs.field(factory=dict[str, object])

    def __attrs_post_init__(self) -> None:
        """Check the options and the method."""
        kind = _ALL[self.kind]
        if unknown := self.options.keys() - kind.options.keys():
            raise ValueError(f"{self.kind} has no option {', '.join(sorted(unknown))}")
        if kind.connecting and self.method is not None:
            raise ValueError(f"{self.kind} affects the connection: it cannot choose a method")
        known = _TYPES if self.kind in CALLBACK_KINDS else (*METHODS, SENDS)
        if self.method is not None and self.method not in known:
            raise ValueError(f"method: {self.method!r} is not one of {', '.join(known)}")
        for name, value in self.options.items():
            words, is_good = _OPTIONS[name]
            if not is_good(value):
                raise ValueError(f"{self.kind}: {name} must be {words}")

    def option(self, name: str) -> Any:  # noqa: ANN401 - a number, a text or None, by the option
        """Return the value of an option, or the kind's default."""
        return self.options.get(name, _ALL[self.kind].options[name])


OK = InjectedFault("ok")
_ENTRY = re.compile(
    r"(?P<kind>\w+)(\*(?P<times>\d+))?(@(?P<method>\w+))?(?P<options>(:\w+=[^:]*)*)"
)


def parse(script: str) -> tuple[InjectedFault, ...]:
    """Parse a script: `commit_then_close*2@A2PSendSms,rate_limited:retry_after=1`."""
    return tuple(_entry(entry.strip()) for entry in script.split(",") if entry.strip())


def _entry(text: str) -> InjectedFault:
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not a fault; write kind, kind*2, kind@Method, kind:option=value"
        )
    given = (each.partition("=") for each in found["options"].split(":")[1:])
    options = {name: _value(name, value) for name, _, value in given}
    return InjectedFault(found["kind"], int(found["times"] or 1), found["method"], options)


_READERS: Mapping[str, Callable[[str], object]] = {
    "seconds": float,
    "code": int,
    "status": int,
    "driven": lambda text: text.lower() in ("1", "true", "yes"),
}


def _value(name: str, text: str) -> object:
    try:
        return _READERS.get(name, str)(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not a number") from None


class FaultScript:
    """The pending faults, in order; may be changed from any thread.

    A request with good credentials uses the first fault that fits its method; a request without is
    refused and uses none. A fault of the connection takes effect when it is first in the script;
    until then requests are answered as usual. Callbacks use the first fault that fits their type.
    """

    def __init__(self, faults: Iterable[InjectedFault] = ()) -> None:
        self._lock = threading.RLock()
        # Each is a copy: the sandbox tells faults apart by identity.
        self._entries: deque[InjectedFault] = deque(map(attrs.evolve, faults))
        self._happened: list[InjectedFault] = []
        self.on_change: Callable[[], None] | None = None
        """Called after each change, while a sandbox is running; for the sandbox."""

    def add(
        self, kind: str, *, times: int = 1, method: str | None = None, **options: object
    ) -> InjectedFault:
        """Append a fault to the script."""
        fault = InjectedFault(kind, times, method, options)
        self.script([fault])
        return fault

    def script(self, faults: str | Iterable[InjectedFault | str]) -> None:
        """Append several faults, as `InjectedFault`s, names, or in the text form of `parse`."""
        given = parse(faults) if isinstance(faults, str) else faults
        entries = [f for each in given for f in (parse(each) if isinstance(each, str) else [each])]
        with self._lock:
            self._entries += map(attrs.evolve, entries)
        self._changed()

    def clear(self) -> None:
        """Remove all pending faults; a listener that was closed opens again."""
        with self._lock:
            self._entries.clear()
        self._changed()

    def reset(self) -> None:
        """Remove all faults, pending and happened."""
        with self._lock:
            self._happened.clear()
        self.clear()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()

    @property
    def pending(self) -> tuple[InjectedFault, ...]:
        """The faults still to come."""
        with self._lock:
            return tuple(self._entries)

    @property
    def happened(self) -> tuple[InjectedFault, ...]:
        """The faults that happened, one entry for each request, connection or callback."""
        with self._lock:
            return tuple(self._happened)

    def connecting(self) -> InjectedFault | None:
        """Return the fault of the next connection, if it is first; for the sandbox."""
        with self._lock:
            of_requests = (f for f in self._entries if f.kind not in CALLBACK_KINDS)
            first = next(of_requests, OK)
            return first if KINDS[first.kind].connecting else None

    def take(self, method: str) -> InjectedFault:
        """Take the fault for a request, `OK` if none; for the sandbox."""
        with self._lock:
            position = self._position(method)
            if position is None:
                return OK
            fault = self._use(position)
        self._changed()
        return fault

    def _position(self, method: str) -> int | None:
        for position, fault in enumerate(self._entries):
            if fault.kind in CALLBACK_KINDS:
                continue
            if KINDS[fault.kind].connecting:
                return None
            if fault.method in (None, method) or (fault.method == SENDS and method in _CHARGING):
                return position
        return None

    def take_of_callback(self, type_: str) -> InjectedFault | None:
        """Take the fault for a callback, None if none; for the sandbox."""
        with self._lock:
            for position, fault in enumerate(self._entries):
                if fault.kind in CALLBACK_KINDS and fault.method in (None, type_):
                    return self._use(position)
        return None

    def take_connecting(self, fault: InjectedFault) -> bool:
        """Use a fault of the connection once if it is still first; for the sandbox."""
        with self._lock:
            if self.connecting() is not fault:
                return False
            self._use(self._entries.index(fault))
        self._changed()
        return True

    def _use(self, position: int) -> InjectedFault:
        fault = self._entries[position]
        if fault.times == 1:
            del self._entries[position]
        else:
            self._entries[position] = attrs.evolve(fault, times=fault.times - 1)
        self._happened.append(fault)
        return fault
