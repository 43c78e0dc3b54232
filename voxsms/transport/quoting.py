"""What a library quotes of the wire in its errors, taken out: it can be a text or a number.

An answer that breaks the rules of HTTP is shown in the error that says so, and that error stays the
cause of ours. An error tracker would keep half a page of a history.
"""

import re
from collections.abc import Iterator
from typing import Any

_QUOTED = re.compile(r"""(bytearray\(|\bb['"]).*""", re.DOTALL)


def hide_quotes(error: BaseException) -> None:
    """Take the bytes out of the texts of an error and of all those behind it."""
    for each in _chain(error):
        each.args = tuple(map(_hidden, each.args))
        if isinstance(vars(each).get("message"), str):  # aiohttp's
            vars(each)["message"] = _hidden(vars(each)["message"])


def _chain(error: BaseException) -> Iterator[BaseException]:
    found = [error]
    for each in found:
        yield each
        behind = (each.__cause__, each.__context__)
        found += [e for e in behind if e is not None and not any(e is known for known in found)]


def _hidden(value: Any) -> Any:  # noqa: ANN401 - errors are made of anything
    return _QUOTED.sub("...", value) if isinstance(value, str) else value
