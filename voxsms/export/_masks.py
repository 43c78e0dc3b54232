"""Values that may be shown to strangers: numbers masked, texts gone.

An error of the service may name a number in any way of writing: with spaces, dashes, parentheses.
Here everything that could be one goes, that is five digits and more (the shortest number has five)
with no letter between them; a date goes with them. In a log that would cost too much of what is to
be read there, which is why `mask_message` hides less.
"""

import re
from collections.abc import Callable, Mapping

from voxsms.masking import mask_number

_maybe_numbers = re.compile(r"\d(?:[\W_]{0,3}\d){4,}")
_no_digits = re.compile(r"\D+")


def _mask_numbers(text: str) -> str:
    return _maybe_numbers.sub(lambda found: mask_number(_no_digits.sub("", found.group())), text)


_MASKS: Mapping[str, Callable[[str], str]] = {
    "source_number": mask_number,
    "destination_number": mask_number,
    "error_message": _mask_numbers,
    "text": lambda _: "***",
}


def mask_value(name: str, value: object) -> object:
    """Return the value of a field, masked if it is one that has something to hide."""
    mask = _MASKS.get(name)
    return value if mask is None or value is None else mask(str(value))
