"""A request and its answer or refusal, independent of HTTP."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs
import orjson

from voxsms.api import fault_codes
from voxsms.api.codec import ParameterFault
from voxsms.api.wire import Violation
from voxsms.pricing import EXACT

ACCOUNT_NAMES = {"account_name": "sandbox", "account_email": "sandbox@voxsms.example"}
_BALANCE_SHOWN = Decimal("0.0001")
JSON = "application/json"
FILE = "application/octet-stream"

Values = Mapping[str, Any]
"""The values of a request's parameters; omitted ones are absent."""

_BY_VIOLATION = {
    Violation.MISSING: 485,
    Violation.OUT_OF_RANGE: 497,
    Violation.TOO_LONG: 499,
    Violation.REVERSED: 123,
}
"""Codes for violations of any parameter; for the others each parameter has its own code."""


@attrs.frozen
class Call:
    """A request: the method it names, its form fields, its credentials."""

    method: str
    form: Mapping[str, str] = attrs.field(repr=False)
    authorization: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Reply:
    """An answer."""

    body: bytes = attrs.field(repr=False)
    content_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])

    @classmethod
    def json(cls, body: object, headers: Mapping[str, str] | None = None) -> "Reply":
        """Return an object as JSON."""
        return cls(orjson.dumps(body), headers=headers or {})

    @classmethod
    def page(cls, status: int, headers: Mapping[str, str] | None = None) -> "Reply":
        """Return the answer of a gateway in front of the service: a status, in HTML."""
        body = f"<html><head><title>{status}</title></head><body>nginx</body></html>\r\n"
        return cls(body.encode(), "text/html", status, headers or {})


class Refusal(Exception):
    """An error answer of the service; the default text is the name of its code."""

    def __init__(self, code: int, msg: str = "") -> None:
        super().__init__(code, msg)
        self.code = code
        self.msg = msg or fault_codes.look_up(code).name.replace("_", " ").capitalize()

    @classmethod
    def of_parameter(cls, found: ParameterFault) -> "Refusal":
        """Return the refusal of a bad parameter, with the contract's code for it."""
        code = _BY_VIOLATION.get(found.fault.violation, found.param.refusal)
        fault = found.for_user()
        return cls(code, f"Parameter '{fault.field}' {fault.problem}")

    def reply(self, headers: Mapping[str, str] | None = None) -> Reply:
        """Return it as an answer."""
        return Reply.json({"error": {"code": self.code, "msg": self.msg}}, headers)


def exact_number(amount: Decimal) -> orjson.Fragment:
    """Write an amount as a JSON number with all its digits."""
    return orjson.Fragment(f"{amount:f}")


def shown_balance(balance: Decimal) -> Decimal:
    """Return a balance as the service shows it, with four decimals."""
    return balance.quantize(_BALANCE_SHOWN, context=EXACT)
