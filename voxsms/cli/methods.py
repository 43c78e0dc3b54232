"""`methods`: what the service can do, as far as voxsms has it: the table all of it is made from."""

from voxsms.api import spec
from voxsms.api.spec import METHODS, AnyMethod
from voxsms.cli import _io as io
from voxsms.cli._io import Json


def methods(*, json: Json = False) -> None:
    """Show the methods of the service that voxsms has: the table all of it is made from."""
    if json:
        for row in METHODS.values():
            io.print_json(_describe(row))
        return
    table = io.Rows("method", "on the wire", "what it does", "charges", "pages")
    for row in METHODS.values():
        marks = ["yes" if mark else "" for mark in (row.charges, row.paged)]
        table.add(spec.python_name(row.cmd), row.cmd, row.summary, *marks)
    io.out().print(table)


def _describe(row: AnyMethod) -> dict[str, object]:
    kind = spec.request_class(row)
    needed = spec.required(kind)
    return {
        "name": spec.python_name(row.cmd),
        "cmd": row.cmd,
        "summary": row.summary,
        "charges": row.charges,
        "paged": row.paged,
        "roles": row.roles,
        "parameters": [
            {"name": name, "required": name in needed, "doc": param.doc}
            for name, param in spec.parameters(kind).items()
        ],
    }
