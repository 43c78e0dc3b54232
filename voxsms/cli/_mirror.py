"""Command parameters from the spec table: their names, types and help.

A command is a function with `**given`, which stands for the parameters of its method.
"""

import re
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import wraps
from inspect import Parameter as Shown
from inspect import signature
from types import GenericAlias
from typing import Annotated, Any, Final, cast

from cyclopts import Parameter, Token

from voxsms.api import spec, wire
from voxsms.api.phone_numbers import may_be_sender_id, to_digits
from voxsms.api.spec import AnyMethod, Param
from voxsms.errors import Fault, InvalidRequest

Command = Callable[..., Coroutine[Any, Any, None]]
Given = Any
"""The value of a parameter from the table; the client checks it."""

_TIMES: Final = "2026-11-25, 2026-11-25T14:00, today, yesterday or -7d (7 days ago)"
_IN_PYTHON: Final = "; an aware datetime."
_IN_UTC: Final = "in UTC unless a zone is given"
_WHOLE_DAY: Final = "; a day counts to its end"
_DAYS_AGO: Final = re.compile(r"-([0-9]{1,5})d")
_LAST_SECOND: Final = time(23, 59, 59)
_SHORT_NAMES: Final = {
    "from_date": "--since",
    "to_date": "--until",
    "source_number": "--from",
    "destination_number": "--to",
    "delivery_status": "--status",
}
"""Short names of parameters: the same for a thing in all methods."""
_annotated: Any = Annotated  # with types that are known at run time only


def mirror(method: AnyMethod, without: Collection[str] = ()) -> Callable[[Command], Command]:
    """Replace `**given` by the parameters of a method, except those in `without`."""

    def mirrored(command: Command) -> Command:
        own = [p for p in signature(command).parameters.values() if p.kind is not Shown.VAR_KEYWORD]
        given = [p for p in _mirror_parameters(method) if p.name not in without]
        shown = sorted([*own, *given], key=lambda parameter: parameter.kind)
        worn = signature(command).replace(parameters=shown)

        @wraps(command)
        async def called(*args: object, **given: object) -> None:
            arguments = worn.bind(*args, **given).arguments
            if method.span is not None:
                _refuse_odd_senders(method, arguments)
            await command(**arguments)

        vars(called)["__signature__"] = worn
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
        return called

    return mirrored


def _refuse_odd_senders(method: AnyMethod, given: Mapping[str, object]) -> None:
    """Refuse to search a history for a value that is neither a number nor a SenderID.

    It would silently find nothing, and the user might send the message again.
    """
    for name, param in spec.parameters(spec.request_class(method)).items():
        text = given.get(name)
        if not isinstance(param.wire_type, wire.SenderType) or not isinstance(text, str):
            continue
        try:
            if not may_be_sender_id(text):
                to_digits(text)
        except ValueError as error:
            raise InvalidRequest(method.cmd, (Fault(name, str(error)),)) from None


def _mirror_parameters(method: AnyMethod) -> list[Shown]:
    """Return a method's parameters without the text of a send, which commands take themselves."""
    kind = spec.request_class(method)
    needed, text = spec.required(kind), method.sending and method.sending.text
    return [
        _parameter(method, name, param, needed=name in needed)
        for name, param in spec.parameters(kind).items()
        if name != text
    ]


def _parameter(method: AnyMethod, name: str, param: Param, *, needed: bool) -> Shown:
    last = method.span is not None and name == method.span[1]
    hint, reading = _option(param.wire_type, last=last)
    doc = (
        _doc_of_time(param, last=last) if isinstance(param.wire_type, wire.TimeType) else param.doc
    )
    short, of_the_wire = _short_name(method, name), f"--{name.replace('_', '-')}"
    option = Parameter(name=(short, of_the_wire) if short else None, help=doc, **reading)
    if needed:
        kind = Shown.KEYWORD_ONLY if method.charges else Shown.POSITIONAL_OR_KEYWORD
        return Shown(name, kind, annotation=_annotated[hint, option])
    return Shown(name, Shown.KEYWORD_ONLY, default=None, annotation=_annotated[hint | None, option])


def _doc_of_time(param: Param, *, last: bool) -> str:
    about = param.doc.removesuffix(_IN_PYTHON)
    return f"{about}: {_TIMES}; {_IN_UTC}{_WHOLE_DAY if last else ''}."


def _short_name(method: AnyMethod, name: str) -> str | None:
    if method.sending is None:
        return _SHORT_NAMES.get(name)
    return {method.sending.sender: "--from", method.sending.to: "--to"}.get(name)


def _option(form: wire.WireType, *, last: bool = False) -> tuple[Any, dict[str, Any]]:
    """Return the type of an option and how it is read, by its wire type."""
    if isinstance(form, wire.ListType):
        item, _ = _option(form.item)
        return GenericAlias(list, item), {"consume_multiple": True, "negative": ()}
    if isinstance(form, wire.ChoiceType):
        return cast("Any", form).choices, {"converter": reader(form.read)}
    if isinstance(form, wire.TimeType):
        read = reader(lambda text: moment(text, last=last))
        return datetime, {"converter": read, "allow_leading_hyphen": True}
    if isinstance(form, wire.BoolType):
        return bool, {}
    return (int if isinstance(form, wire.IntType) else str), {}


def reader(read: Callable[[str], object]) -> Callable[[Any, Sequence[Token]], object]:
    """Make a converter for one word; in an error message the problem follows the word."""

    def convert(_: object, tokens: Sequence[Token]) -> object:
        (token,) = tokens
        try:
            return read(token.value)
        except ValueError as error:
            raise ValueError(f'"{token.value}" {error.args[0]}') from None

    return convert


def moment(text: str, *, last: bool = False) -> datetime:
    """Read a time; a day means its first second, or its last one at the end of a span.

    "Days ago" are whole days, too: an export that was stopped is resumed if the same command is
    run again on the same day.
    """
    day = _day(text)
    if day is not None:
        return datetime.combine(day, _LAST_SECOND if last else time(), UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"is not a time: write {_TIMES}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _day(text: str) -> date | None:
    ago = _DAYS_AGO.fullmatch(text)
    days = int(ago[1]) if ago else {"today": 0, "yesterday": 1}.get(text)
    if days is not None:
        return datetime.now(UTC).date() - timedelta(days)
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
