"""How a phone number is shown where others may read it: `447***212`, never whole.

Errors, logs and `repr` of clients and requests use this. Records returned to a user keep their
fields, and so does the data on an error (`OutcomeUnknown.numbers`, `ApiError.msg`).
"""

import re
from collections.abc import Iterable

_LONG_RUN = r"\d{7,}"
_LONG = 10  # from this length on, showing three characters at each end still hides enough
_MEDIUM = 7
_SHORT = 3
_BETWEEN_DIGITS = r"[\s().\-]*+"
_MAX_SHOWN = 1000
_MAX_VALUE = 4096
"""Only this much of a longer value (a list of ids) is searched for: it ends past what is shown."""
_MAX_SEARCHED = _MAX_SHOWN + _MAX_VALUE


def mask_number(value: str) -> str:
    """Show the ends of a number, or of whatever was given as one, and hide the rest."""
    length = len(value)
    shown = 3 if length >= _LONG else 2 if length >= _MEDIUM else 1 if length > _SHORT else 0
    return f"{value[:shown]}***{value[length - shown :]}"


def mask_message(message: str, values: Iterable[str] = ()) -> str:
    """Return the start of a message from the service, with private parts masked.

    Masked is every run of seven or more digits, and whatever the message repeats from the request,
    numbers even if written with spaces, dots, dashes or parentheses. The time it takes depends on
    the length of the start only.

    Args:
        message: the message, unchanged.
        values: the values of the request; those of three characters or fewer are ignored.
    """
    hidden = sorted({v[:_MAX_VALUE] for v in values if len(v) > _SHORT}, key=len, reverse=True)
    private = re.compile("|".join([*map(_pattern, hidden), _LONG_RUN]))
    shown: list[str] = []
    end = 0
    for found in private.finditer(message[:_MAX_SEARCHED]):
        if found.start() >= _MAX_SHOWN:
            break
        digits = re.sub(_BETWEEN_DIGITS, "", found.group())
        is_number = found.group() not in hidden or _is_number(found.group())
        mask = mask_number(digits) if is_number and len(digits) >= _MEDIUM else "***"
        shown += [message[end : found.start()], mask]
        end = found.end()
    rest = message[end:_MAX_SHOWN]
    return "".join([*shown, rest, "..." if len(message) > max(end, _MAX_SHOWN) else ""])


def _pattern(value: str) -> str:
    return _BETWEEN_DIGITS.join(value) if _is_number(value) else re.escape(value)


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit()
