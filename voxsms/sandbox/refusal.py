"""Refusal: an error of the contract on its way to the client."""

from voxsms.api import fault_codes
from voxsms.api.codec import ParameterFault
from voxsms.api.wire import Violation

_BY_VIOLATION = {
    Violation.MISSING: 485,
    Violation.OUT_OF_RANGE: 497,
    Violation.TOO_LONG: 499,
    Violation.REVERSED: 123,
}
"""Codes that say what is wrong with a parameter; for the rest the parameter has its own."""


class Refusal(Exception):
    """What the service answers instead of a result; without a text it says its code's name."""

    def __init__(self, code: int, msg: str = "") -> None:
        super().__init__(code, msg)
        self.code = code
        self.msg = msg or fault_codes.look_up(code).name.replace("_", " ").capitalize()

    def body(self) -> dict[str, object]:
        """Give the body of the answer."""
        return {"error": {"code": self.code, "msg": self.msg}}


def of_parameter(found: ParameterFault) -> Refusal:
    """Refuse a bad parameter with the code that the contract has for it."""
    code = _BY_VIOLATION.get(found.fault.violation, found.param.refusal)
    fault = found.for_user()
    return Refusal(code, f"Parameter '{fault.field}' {fault.problem}")
