"""What is given for the fields of a template, checked: all that is wrong is said in one error."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from voxsms.errors import InvalidText, TemplateError
from voxsms.text.segments import find_faults

Value = str | int
_MAX_GUESSES: Final = 10  # each looks at every field


def check_names(
    fields: Collection[str],
    given: Collection[str],
    *,
    without: str = "",
    shrink: Iterable[str] = (),
) -> Iterator[str]:
    """Say which fields (but for one) are not given, and which names are no fields."""
    if missing := [name for name in fields if name not in given and name != without]:
        yield f"no value for {listed(missing)}"
    known = {*fields, ""}
    unknown = [name for name in dict.fromkeys((*given, without, *shrink)) if name not in known]
    for position, name in enumerate(unknown):
        close = get_close_matches(name, fields, n=1) if position < _MAX_GUESSES else ()
        meant = f" (did you mean {listed(close)}?)" if close else ""
        yield f"no field {listed((name,))}{meant}"
    if without in given:
        yield f"a value for {listed((without,))}, which is the field in question"


def check_values(values: Mapping[str, object]) -> Iterator[str]:
    """Say which values are neither texts nor whole numbers: how to write others is not obvious."""
    for name, value in values.items():
        if not isinstance(value, Value) or isinstance(value, bool):
            kind = type(value).__name__
            yield f"the value of {listed((name,))} is of type {kind}; it must be a str or an int"


def check_lengths(lengths: Mapping[str, object]) -> Iterator[str]:
    """Say which lengths are no lengths."""
    for name, length in lengths.items():
        if type(length) is not int or length < 0:
            yield f"the length of {listed((name,))} must be a whole number of at least 0"


def refuse(faults: Iterable[str]) -> None:
    """Raise one `TemplateError` for all of them."""
    if found := "; ".join(faults):
        raise TemplateError(f"template: {found}")


def refuse_unsendable(texts: Mapping[str, str]) -> None:
    """Refuse texts that no message can carry, by their field."""
    if faults := [fault for name, text in texts.items() for fault in find_faults(text, name)]:
        raise InvalidText("template", tuple(faults))


def listed(names: Iterable[str]) -> str:
    """Write names as they stand in a template."""
    return ", ".join(f"{{{name}}}" for name in names)
