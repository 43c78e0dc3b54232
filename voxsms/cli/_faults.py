"""What is wrong with a request, in terms of the command line: options instead of Python names."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from cyclopts import App

from voxsms.cli._errors import Usage, name_of
from voxsms.errors import Fault, InvalidRequest

_SENDING: Final = ("send", "a2p", "mail")
"""Commands after which a user may wonder whether something was sent."""
_ALSO_CALLED: Final = {"sms_body": "text", "destinations": "to", "destination": "to"}
"""Fields whose name in a fault is not the name of the option."""
_ALSO_GIVEN: Final = {"--base-url": "--base-url or $VOXSMS_BASE_URL"}
_IN_A_LIST: Final = re.compile(r"(\w+)\[(\d+)\]")
_POSITION: Final = re.compile(r"(?<=position )\d+")
_IN_PYTHON: Final = re.compile(r"\w+=\w+ \((--[a-z-]+)\)")
"""`update=True (--update)`: for callers of the library, and for users of the command."""
_PYTHON_NAME: Final = re.compile(r"[a-z]+(?:_[a-z]+)+")


def usage_of(error: InvalidRequest, app: App, tokens: Sequence[str]) -> Usage:
    """Say which options are wrong in the command that was called with these tokens."""
    (command, *_), apps, _ = app.parse_commands(tokens)
    arguments = apps[-1].assemble_argument_collection()
    options = {argument.field_info.name: name_of(argument) for argument in arguments}
    words = "; ".join(_words(fault, options) for fault in error.faults)
    usage = Usage(f"{words}. Nothing was sent." if command in _SENDING else words)
    if "from_date" in options and any("like a date" in fault.problem for fault in error.faults):
        usage.add_note("Dates are given with --since and --until.")
    if "region" in options and any("inside one country" in fault.problem for fault in error.faults):
        usage.add_note("Or name the country, such as --region GB.")
    return usage


def _words(fault: Fault, options: Mapping[str, str]) -> str:
    listed = _IN_A_LIST.fullmatch(fault.field)
    name, index = (listed[1], int(listed[2])) if listed else (fault.field, None)
    name = name if name in options else _ALSO_CALLED.get(name, name)
    place = "" if index is None else f", value {index + 1}"
    problem = _POSITION.sub(lambda found: str(int(found[0]) + 1), fault.problem)
    problem = _IN_PYTHON.sub(r"\1", problem)
    problem = _PYTHON_NAME.sub(lambda found: options.get(found[0], found[0]), problem)
    option = options.get(name, name)
    return f"{_ALSO_GIVEN.get(option, option)}{place}: {problem}"
