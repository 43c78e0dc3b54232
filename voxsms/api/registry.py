"""The table indexed: by wire name, and each request class by its parameters."""

from collections.abc import Iterator, Mapping
from inspect import Signature, getdoc, signature
from types import MappingProxyType
from typing import get_args, get_type_hints

import attrs

from voxsms.api.spec import TABLE, Method, Param

RequestClass = type[attrs.AttrsInstance]
Row = Method[..., object]

METHODS: Mapping[str, Row] = MappingProxyType({row.cmd: row for row in TABLE})
"""Every method by its name on the wire."""


def parameters(request: RequestClass) -> Mapping[str, Param]:
    """Give the parameters of a request class that cross the wire, in their order."""
    hints = get_type_hints(request, include_extras=True)
    return MappingProxyType({name: _param(hint) for name, hint in hints.items() if _crosses(hint)})


def _crosses(hint: object) -> bool:
    return any(isinstance(a, Param) for a in get_args(hint))


def _param(hint: object) -> Param:
    return next(a for a in get_args(hint) if isinstance(a, Param))


def required(request: RequestClass) -> frozenset[str]:
    """Name the parameters that have no default."""
    fields = attrs.fields_dict(request)
    return frozenset(n for n in parameters(request) if fields[n].default is attrs.NOTHING)


def widest(row: Row) -> RequestClass:
    """Give the request class with every parameter a row's method can take on the wire."""
    return row.download or request_class(row)


def request_class(row: Row) -> RequestClass:
    """Give a row's request class as the class that it is (the row types it as a signature)."""
    if not isinstance(row.request, type):
        raise TypeError(f"{row.cmd}: the request of a row is a class")
    return row.request


def call_signature(request: RequestClass, returns: object) -> Signature:
    """Give the signature a call shows: that of the request class, and what the call returns."""
    shown = signature(request)
    plain = get_type_hints(request)  # without what `Annotated` adds for the wire
    named = [p.replace(annotation=plain[p.name]) for p in shown.parameters.values()]
    return shown.replace(parameters=named, return_annotation=returns)


def documentation(row: Row, request: RequestClass) -> str:
    """Write what `help()` shows of a call."""
    about = [f"    {name}: {param.doc}" for name, param in parameters(request).items()]
    roles = f"\n\nRoles: {', '.join(row.roles)}." if row.roles else ""
    return "\n".join([f"{getdoc(request)}\n\nArgs:", *about]) + roles


def python_name(cmd: str) -> str:
    """Give the client's name for a method: `A2PSendSms` is `a2p_send_sms`."""
    words = cmd.replace("A2P", "A2p")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in words).removeprefix("_")


def lint(table: tuple[Row, ...] = TABLE) -> list[str]:
    """List what is wrong with a table; nothing, for the one that is shipped."""
    found = [
        f"{row.cmd}: named twice" for row in table if [r.cmd for r in table].count(row.cmd) > 1
    ]
    for row in table:
        found += [f"{row.cmd}: {problem}" for problem in _problems(row)]
    return found


def _problems(row: Row) -> Iterator[str]:
    if not row.summary or row.summary.endswith("."):
        yield "the summary is missing or ends with a full stop"
    known, fields = parameters(widest(row)), attrs.fields_dict(widest(row)).keys()
    yield from (f"{name} has no documentation" for name, param in known.items() if not param.doc)
    for name in sorted(fields - known.keys() - _STAYS_HERE):
        yield f"{name} has no form, so it would never be sent"
    for part, name in _names_of_parameters(row):
        if name not in known:
            yield f"{name} is named by `{part}` but is no parameter"
    if row.paged and not {"count", "offset"} <= known.keys():
        yield "a paged method needs count and offset"
    if row.paged and row.row_id not in attrs.fields_dict(get_args(row.reply)[0]):
        yield f"{row.row_id} is named by `row_id` but is no field of a row"
    if row.download is not None and not {"output", "path"} <= fields:
        yield "a download needs output and path"


_STAYS_HERE = {"path"}
"""The parameter that says where a download goes."""


def _names_of_parameters(row: Row) -> Iterator[tuple[str, str]]:
    """Give each name by which a row refers to one of its parameters, and what it is named by."""
    if row.sending is not None:
        yield from (("sending", name) for name in attrs.astuple(row.sending))
    yield from (("span", name) for name in row.span or ())


def method_table() -> str:
    """Render the table for the README."""
    head = "| call | on the wire | what it does | charges | pages |"
    return "\n".join([head, "| --- | --- | --- | --- | --- |", *map(_table_row, TABLE)])


def _table_row(row: Row) -> str:
    needed = required(request_class(row))
    names = [f"{n}=" if n in needed else f"[{n}=]" for n in parameters(request_class(row))]
    cells = (
        f"`{python_name(row.cmd)}({', '.join(names)})`",
        f"`{row.cmd}`",
        row.summary,
        "yes" if row.charges else "no",
        "yes" if row.paged else "no",
    )
    return f"| {' | '.join(cells)} |"
