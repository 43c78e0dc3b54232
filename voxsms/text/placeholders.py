"""What stands between the braces of a template, read strictly."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from voxsms.errors import TemplateError

_BRACES: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_SHOWN: Final = re.compile(r" ?[\w.!:\[\]]{0,30} ?")  # nothing that may be the message's text
_RULE: Final = (
    "A field is a plain name in braces, {name}: no spaces, no digit in front, no attribute (.), "
    "format (:) or conversion (!). Write {{ and }} for the braces themselves."
)
_TAKEN: Final = frozenset(("ellipsis", "max_fragments", "shrink"))


class Field(NamedTuple):
    """A place for a value."""

    name: str


Piece = str | Field


def parse(text: str) -> tuple[Piece, ...]:
    """Read a template; `TemplateError` names all that is wrong with it."""
    found = list(_BRACES.finditer(text))
    if faults := [fault for match in found if (fault := _fault(match))]:
        raise TemplateError(f"template: {'; '.join(faults)}. {_RULE}")
    return tuple(_pieces(text, found))


def _pieces(text: str, found: list[re.Match[str]]) -> Iterator[Piece]:
    literal: list[str] = []
    done = 0
    for match in found:
        literal.append(text[done : match.start()])
        done = match.end()
        if match[1] is None:
            literal.append(match[0][0])  # `{{` is a brace
        else:
            yield "".join(literal)
            yield Field(match[1])
            literal.clear()
    yield "".join((*literal, text[done:]))


def _fault(match: re.Match[str]) -> str | None:
    """Say what is wrong with one brace or field, without showing the text around it."""
    if match[0] in {"{{", "}}"}:
        return None
    where, name = f"at index {match.start()}", match[1]
    if name is None:
        return f"a single {match[0]} {where}"
    if name in _TAKEN:
        return f"{{{name}}} {where} is taken: render_fitted has a parameter of that name"
    if name.isidentifier():
        return None
    return f"{f'{{{name}}}' if _SHOWN.fullmatch(name) else 'a placeholder'} {where} is no field"
