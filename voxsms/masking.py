"""How a phone number is shown where a stranger may read it: `447***212`, never whole.

Errors, logs and `repr` of clients and requests go through here. Records that a user received keep
their fields, and so does the data on an error (`OutcomeUnknown.numbers`, `ApiError.msg`).
"""

import re
from collections.abc import Iterable

_LONG_RUN = re.compile(r"\d{7,}")
_LONG = 10  # from here on three characters at each end still hide enough
_MEDIUM = 7
_SHORT = 3
_BETWEEN_DIGITS = r"[\s().\-]*"


def mask_number(value: str) -> str:
    """Show the ends of a number, or of whatever was given for one, and hide the rest."""
    length = len(value)
    shown = 3 if length >= _LONG else 2 if length >= _MEDIUM else 1 if length > _SHORT else 0
    return f"{value[:shown]}***{value[length - shown :]}"


def mask_runs(text: str) -> str:
    """Mask every run of seven digits and more, as it stands in a message of the service."""
    return _LONG_RUN.sub(lambda run: mask_number(run.group()), text)


def mask_values(text: str, values: Iterable[str]) -> str:
    """Mask what a message of the service repeats of a request; shorter values say nothing.

    Numbers also where they are written with spaces, dots, dashes or parentheses.
    """
    for value in sorted({*values}, key=len, reverse=True):
        if len(value) > _SHORT:
            text = _pattern(value).sub(_mask(value), text)
    return text


def _pattern(value: str) -> re.Pattern[str]:
    if value.isascii() and value.isdigit():
        return re.compile(_BETWEEN_DIGITS.join(value))
    return re.compile(re.escape(value))


def _mask(value: str) -> str:
    return mask_number(value) if _LONG_RUN.fullmatch(value) else "***"
