"""THE TABLE worn as command parameters: a command has its method's names, types and help from it.

A command is a function with `**given`, which stands for the parameters of its method.
"""

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, time
from functools import wraps
from inspect import Parameter as Shown
from inspect import signature
from types import GenericAlias, MappingProxyType
from typing import Annotated, Any, Final, cast

from cyclopts import Parameter, Token

from voxsms.api import spec, wire
from voxsms.api.spec import AnyMethod, Param

Command = Callable[..., Coroutine[Any, Any, None]]
Given = Any
"""The value of a parameter that the table has; the client checks it."""

_TIMES: Final = "such as 2026-09-30 or 2026-09-30T14:00+02:00; UTC where no zone is given"
_IN_PYTHON: Final = "; an aware datetime."
_WHOLE_DAY: Final = ", and a day alone counts to its end"
_A_DAY: Final = len("2026-09-30")
_LAST_SECOND: Final = time(23, 59, 59)
_annotated: Any = Annotated  # with types that are known at run time only


def mirror(
    method: AnyMethod,
    short: Mapping[str, str] = MappingProxyType({}),
    without: Collection[str] = (),
) -> Callable[[Command], Command]:
    """Put the parameters of a method in place of the `**given` of a command, and its help.

    `short` gives parameters a second name; those in `without` are left out, and the help is then
    the command's own.
    """

    def mirrored(command: Command) -> Command:
        own = [p for p in signature(command).parameters.values() if p.kind is not Shown.VAR_KEYWORD]
        given = [p for p in _mirror_parameters(method, short) if p.name not in without]
        shown = sorted([*own, *given], key=lambda parameter: parameter.kind)
        worn = signature(command).replace(parameters=shown)

        @wraps(command)
        async def called(*args: object, **given: object) -> None:
            await command(**worn.bind(*args, **given).arguments)

        vars(called)["__signature__"] = worn
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
        called.__doc__ = command.__doc__ if without else spec.request_class(method).__doc__
        return called

    return mirrored


def _mirror_parameters(method: AnyMethod, short: Mapping[str, str]) -> list[Shown]:
    """Return a method's parameters; not the text of a send, for which commands have more ways."""
    kind = spec.request_class(method)
    needed, text = spec.required(kind), method.sending and method.sending.text
    return [
        _parameter(method, name, param, short.get(name), needed=name in needed)
        for name, param in spec.parameters(kind).items()
        if name != text
    ]


def _parameter(
    method: AnyMethod, name: str, param: Param, short: str | None, *, needed: bool
) -> Shown:
    last = method.span is not None and name == method.span[1]
    hint, reading = _option(param.wire_type, last=last)
    doc = (
        _doc_of_time(param, last=last) if isinstance(param.wire_type, wire.TimeType) else param.doc
    )
    option = Parameter(help=doc, alias=short or _short_name(method, name), **reading)
    if needed:
        kind = Shown.KEYWORD_ONLY if method.charges else Shown.POSITIONAL_OR_KEYWORD
        return Shown(name, kind, annotation=_annotated[hint, option])
    return Shown(name, Shown.KEYWORD_ONLY, default=None, annotation=_annotated[hint | None, option])


def _doc_of_time(param: Param, *, last: bool) -> str:
    about = param.doc.removesuffix(_IN_PYTHON)
    return f"{about}, {_TIMES}{_WHOLE_DAY if last else ''}."


def _short_name(method: AnyMethod, name: str) -> str | None:
    """Return the sender and the destinations the same two names for every send."""
    if method.sending is None:
        return None
    return {method.sending.sender: "--from", method.sending.to: "--to"}.get(name)


def _option(form: wire.WireType, *, last: bool = False) -> tuple[Any, dict[str, Any]]:
    """Return the type of an option and how it is read, by its form on the wire."""
    if isinstance(form, wire.ListType):
        item, _ = _option(form.item)
        return GenericAlias(list, item), {"consume_multiple": True, "negative": ()}
    if isinstance(form, wire.ChoiceType):
        return cast("Any", form).choices, {"converter": _reader(form.read)}
    if isinstance(form, wire.TimeType):
        return datetime, {"converter": _reader(lambda text: moment(text, last=last))}
    if isinstance(form, wire.BoolType):
        return bool, {}
    return (int if isinstance(form, wire.IntType) else str), {}


def _reader(read: Callable[[str], object]) -> Callable[[Any, Sequence[Token]], object]:
    def convert(_: object, tokens: Sequence[Token]) -> object:
        (token,) = tokens
        try:
            return read(token.value)
        except ValueError as error:
            raise ValueError(f'"{token.value}" {error.args[0]}') from None

    return convert


def moment(text: str, *, last: bool = False) -> datetime:
    """Read a time; a day alone is its first second, or its last one where a span ends."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is not a time, such as 2026-09-30T14:00") from None
    if last and len(text) <= _A_DAY:
        found = datetime.combine(found, _LAST_SECOND)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
