"""`explain`: what an error code of the service means, and what to do about it."""

from typing import Annotated, Final

from cyclopts import Parameter

from voxsms.api.fault_codes import CODES, FaultCode, Outcome
from voxsms.cli import _io as io
from voxsms.cli._codes import EXPLANATIONS
from voxsms.cli._errors import Usage
from voxsms.cli._io import Json

_SENT: Final = {
    "no": "Nothing was sent, nothing is charged.",
    "maybe": "A message may have been sent and charged.",
}


def explain(
    code: Annotated[
        str | None,
        Parameter(help="A code, such as 506, or its name. Without it: all codes in a list."),
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Explain what an error code of the service means, and what to do about it."""
    found = list(CODES.values()) if code is None else [_find(code)]
    if json:
        for row in found:
            io.print_json(_describe(row))
    elif code is None:
        table = io.Rows("code", "meaning")
        for row in found:
            table.add(str(row.code), EXPLANATIONS[row.code].meaning)
        io.out().print(table)
    else:
        _print(found[0])


def _find(code: str) -> FaultCode:
    for row in CODES.values():
        if code.upper() in (str(row.code), row.name):
            return row
    raise Usage(f'"{code}" is not an error code of the SMS methods; `voxsms explain` lists them')


def _print(row: FaultCode) -> None:
    explanation = EXPLANATIONS[row.code]
    io.say((f"{row.code} {row.name}", io.ACCENT))
    for line in (explanation.meaning, _SENT[_sent(row)], explanation.advice):
        io.out().print(line)


def _sent(row: FaultCode) -> str:
    return "maybe" if row.outcome is Outcome.UNKNOWN else "no"


def _describe(row: FaultCode) -> dict[str, str | int]:
    return {
        "code": row.code,
        "name": row.name,
        **EXPLANATIONS[row.code]._asdict(),
        "sent": _sent(row),
        "error": f"voxsms.{row.error.__name__}",
    }
