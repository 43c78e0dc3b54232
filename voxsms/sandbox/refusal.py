"""Refusal: an error of the contract on its way to the client."""

from voxsms.api import fault_codes
from voxsms.api.codec import ParameterFault
from voxsms.api.wire import Trouble

_BY_TROUBLE = {
    Trouble.MISSING: 485,
    Trouble.OUT_OF_RANGE: 497,
    Trouble.TOO_LONG: 499,
    Trouble.REVERSED: 123,
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
    code = _BY_TROUBLE.get(found.fault.trouble, found.param.refusal)
    fault = found.for_user()
    return Refusal(code, f"Parameter '{fault.field}' {fault.problem}")
