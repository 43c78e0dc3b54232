"""`methods`: the service's methods that voxsms has, from the spec table."""

from voxsms.api import spec
from voxsms.api.spec import METHODS, AnyMethod
from voxsms.cli import _io as io
from voxsms.cli._io import Json


def methods(*, json: Json = False) -> None:
    """List the methods of the service that voxsms has."""
    if json:
        for method in METHODS.values():
            io.print_json(_describe(method))
        return
    table = io.Rows("method", "on the wire", "what it does", "charges", "pages")
    for method in METHODS.values():
        marks = ["yes" if mark else "" for mark in (method.charges, method.paged)]
        table.add(spec.python_name(method.cmd), method.cmd, method.summary, *marks)
    io.out().print(table)


def _describe(method: AnyMethod) -> dict[str, object]:
    kind = spec.request_class(method)
    needed = spec.required(kind)
    return {
        "name": spec.python_name(method.cmd),
        "cmd": method.cmd,
        "summary": method.summary,
        "charges": method.charges,
        "paged": method.paged,
        "roles": method.roles,
        "parameters": [
            {"name": name, "required": name in needed, "doc": param.doc}
            for name, param in spec.parameters(kind).items()
        ],
    }
