"""What an estimate sees in one text: its fragments, how sure they are, what made them more.

A character made a message longer if the message would take fewer fragments with every character of
its kind taking one septet, as nearly all do: in a UTF-16 message those outside GSM-7, in a GSM-7
message those of the extension table. Where most of a text is outside ASCII it is written in another
script, and no single character is to blame.

A field made a message longer if the message takes fewer fragments without the field's value.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple, Protocol

import attrs

from voxsms.errors import Fault, InvalidRequest
from voxsms.text.gsm7 import EXTENSION, FOREIGN
from voxsms.text.message import Message
from voxsms.text.segments import Encoding, Segmentation, count_fragments, segment

Kind = Literal["character", "field"]
_EXTENDED: Final = re.compile(f"[{re.escape(''.join(EXTENSION))}]")


class Cause(NamedTuple):
    """What made a message longer."""

    kind: Kind
    name: str
    """The character, or the field's name."""
    without: int
    """How many fragments the message would take but for it."""


@attrs.frozen
class Look:
    """What an estimate needs to know of one text."""

    fragments: int
    least: int
    most: int
    causes: tuple[Cause, ...] = ()


class TemplateLike(Protocol):
    """What is asked of a `voxsms.Template`."""

    @property
    def fields(self) -> Iterable[str]:
        """The names of its fields."""
        ...

    def render(self, **values: str) -> str | Message:
        """Fill it in."""
        ...


_ONE: Final = Look(1, 1, 1)  # most texts: nothing can have made them longer, nothing is in doubt


def look_at(given: object) -> Look:
    """Look at a text; `InvalidRequest` if it can not be sent."""
    text = given if isinstance(given, str) else _text_of(given)
    fragments = count_fragments(text)
    if fragments == 1:
        return _ONE
    if not fragments:
        raise InvalidRequest("estimate", (Fault("text", "is empty"),))
    cut = segment(text)
    return Look(fragments, *cut.bounds, tuple(_characters(cut, fragments)))


def look_at_filled(template: TemplateLike, values: Mapping[str, str]) -> Look:
    """Look at a template filled in; values that it has no field for are passed over."""
    wanted = {field: values[field] for field in template.fields if field in values}
    look = look_at(template.render(**wanted))
    if look is _ONE:
        return look
    return attrs.evolve(look, causes=(*look.causes, *_fields(template, wanted, look.fragments)))


def _text_of(given: object) -> str:
    if isinstance(given, Message):
        return given.text
    problem = f"is a value of type {type(given).__name__}; it must be a str"
    raise InvalidRequest("estimate", (Fault("text", problem),))


def _characters(cut: Segmentation, fragments: int) -> Iterator[Cause]:
    text = cut.text
    if 2 * len(text.encode("ascii", "ignore")) < len(text):
        return
    dear = FOREIGN if cut.encoding is Encoding.UTF16 else _EXTENDED
    without = count_fragments(dear.sub("x", text))
    if without < fragments:
        for character in sorted(set(dear.findall(text))):
            yield Cause("character", character, without)


def _fields(template: TemplateLike, values: Mapping[str, str], fragments: int) -> Iterator[Cause]:
    for field in values:
        emptied = template.render(**{**values, field: ""})
        without = count_fragments(emptied if isinstance(emptied, str) else emptied.text)
        if without < fragments:
            yield Cause("field", field, without)
