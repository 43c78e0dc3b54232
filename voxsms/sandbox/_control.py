"""The control API: how a test in another language controls a sandbox, by HTTP, under `/sandbox/`.

    GET /sandbox/             the account, the URLs and the time of the sandbox
    GET /sandbox/ledger       what was really delivered
    GET /sandbox/callbacks    the callbacks that were posted, and their answers
    POST /sandbox/faults      `script` adds faults, `clear` removes all
    POST /sandbox/clock       `advance` by seconds, `set` it to a time and stop it, `run` it again
    POST /sandbox/receive     receive a message: `source`, `destination`, `text`
    POST /sandbox/fill        make up a history of the last two years: `kind`, `rows`
    POST /sandbox/reset       return to the initial state

`docs/howto/other-languages.md` calls each of them with curl.

It needs no credentials, as the money is not real. But it does not answer web pages, since any page
in a browser could call a server on this machine: a request with `Origin`, or under a name that is
not this machine's, is refused (CSRF, DNS rebinding).
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs
import orjson

from voxsms.sandbox._calls import Reply

if TYPE_CHECKING:
    from voxsms.sandbox._sandbox import Sandbox

Form = Mapping[str, str]
_FORBIDDEN, _BAD, _NOT_FOUND, _NOT_ALLOWED = 403, 400, 404, 405
_HOST = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:\[\]]+))(?::\d+)?")
_OWN_NAMES = ("localhost", "host.docker.internal")


class Control:
    """Answers the requests of one sandbox's control API."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._get: Mapping[str, Callable[[], object]] = {
            "": self._facts,
            "ledger": self._ledger,
            "callbacks": self._callbacks,
            "faults": self._faults,
            "clock": self._clock,
        }
        self._post: Mapping[str, tuple[frozenset[str], Callable[[Form], object]]] = {
            "faults": (frozenset({"script", "clear"}), self._change_faults),
            "clock": (frozenset({"advance", "set", "run"}), self._drive),
            "receive": (frozenset({"source", "destination", "text"}), self._receive),
            "fill": (frozenset({"kind", "rows", "seed"}), self._fill),
            "reset": (frozenset(), self._reset),
        }

    def refuse(self, headers: Mapping[str, str]) -> Reply | None:
        """Return the refusal of a request from a web page; None for all others."""
        # A browser sends "none" if a person typed the address.
        if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
            return _problem(_FORBIDDEN, "Origin: the control API does not answer web pages")
        if not is_own_name(headers.get("host", "")):
            return _problem(
                _FORBIDDEN,
                "Host: is not the name of this machine; call it by an IP address, as localhost, "
                "as host.docker.internal or by a name without a dot",
            )
        return None

    def answer(self, method: str, name: str, form: Form) -> Reply:
        """Carry a request out."""
        if name not in {**self._get, **self._post}:
            known = ", ".join(f"/sandbox/{each}" for each in sorted({**self._get, **self._post}))
            return _problem(_NOT_FOUND, f"/sandbox/{name} is not one of {known}")
        if method == "GET" and name in self._get:
            return _json(self._get[name]())
        if method != "POST" or name not in self._post:
            allowed = [
                m for m, table in (("GET", self._get), ("POST", self._post)) if name in table
            ]
            problem = f"/sandbox/{name} takes {' and '.join(allowed)} requests"
            return _problem(_NOT_ALLOWED, problem, {"allow": ", ".join(allowed)})
        fields, carry_out = self._post[name]
        if unknown := form.keys() - fields:
            there_are = ", ".join(sorted(fields)) or "none"
            return _problem(_BAD, f"{min(unknown)}: is not a field here; the fields: {there_are}")
        try:
            return _json(carry_out(form))
        except ValueError as problem:
            return _problem(_BAD, str(problem))

    def _facts(self) -> object:
        sandbox = self._sandbox
        return {
            "url": sandbox.url,
            "account_id": sandbox.api_key.account_id,
            "balance": sandbox.balance,
            "callback_url": sandbox.callback_url,
            "now": sandbox.clock.now(),
        }

    def _ledger(self) -> object:
        ledger = self._sandbox.ledger
        deliveries = ledger.deliveries
        return {
            "count": len(deliveries),
            "fragments": sum(each.fragments for each in deliveries),
            "charged": ledger.charged,
            "requests": ledger.requests,
            "deliveries": [attrs.asdict(each) for each in deliveries],
        }

    def _callbacks(self) -> object:
        return [
            {
                "at": made.at,
                "url": made.url,
                "attempt": made.attempt,
                "status": made.status,
                "problem": made.problem,
                **orjson.loads(made.body),
            }
            for made in self._sandbox.callbacks
        ]

    def _faults(self) -> object:
        script = self._sandbox.faults
        return {
            "pending": [attrs.asdict(fault) for fault in script.pending],
            "happened": [attrs.asdict(fault) for fault in script.happened],
        }

    def _change_faults(self, form: Form) -> object:
        if "clear" in form:
            self._sandbox.faults.clear()
        self._sandbox.faults.script(form.get("script", ""))
        return self._faults()

    def _clock(self) -> object:
        clock = self._sandbox.clock
        return {"now": clock.now(), "stands": clock.stands}

    def _drive(self, form: Form) -> object:
        clock = self._sandbox.clock
        if len(form) != 1:
            raise ValueError("clock: give one of advance, set and run")
        ((name, value),) = form.items()
        if name == "advance":
            seconds = _number("advance", value, float)
            if seconds < 0:
                raise ValueError(f"advance: is {value}; it must not be below 0 (`set` goes back)")
            clock.advance(seconds)
        elif name == "set":
            clock.set(_moment("set", value))
        else:
            clock.run()
        return self._clock()

    def _receive(self, form: Form) -> object:
        source, destination, text = (
            _required(form, name) for name in ("source", "destination", "text")
        )
        message_id = self._sandbox.receive(source=source, destination=destination, text=text)
        return {
            "message_id": message_id,
            "callback_url": self._sandbox.callback_url_of(destination),
        }

    def _fill(self, form: Form) -> object:
        kind, rows = _required(form, "kind"), _number("rows", _required(form, "rows"), int)
        self._sandbox.fill_history(kind, rows, seed=_number("seed", form.get("seed", "0"), int))
        return {"kind": kind, "rows": rows}

    def _reset(self, _: Form) -> object:
        self._sandbox.reset()
        return self._facts()


def is_own_name(host: str) -> bool:
    """Return whether a `Host` is a name that nobody outside can give to this machine.

    Names in the public DNS have a dot; the owner of one can point it at this machine.
    """
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = (found["v6"] or found["name"]).lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name in _OWN_NAMES or name.endswith(".localhost")
    return True


def _required(form: Form, name: str) -> str:
    if name not in form:
        raise ValueError(f"{name}: is missing")
    return form[name]


def _number(name: str, text: str, kind: Callable[[str], Any]) -> Any:  # noqa: ANN401 - of that kind
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{name}: is not a number") from None


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name}: is not a time such as 2026-01-15T12:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(orjson.dumps(body, default=str) + b"\n", status=status, headers=headers or {})


def _problem(status: int, problem: str, headers: Mapping[str, str] | None = None) -> Reply:
    return _json({"error": problem}, status, headers)
