"""`count`: how long a text is, where it is cut, and which characters make it expensive."""

from typing import Any, Final

from rich.table import Table
from rich.text import Text

from voxsms.cli import _io as io
from voxsms.cli._io import NO_TEXT, Json, OfText
from voxsms.cli._shortening import AS_IT_IS, OfShortening
from voxsms.text import FOREIGN, Encoding, ForcedBy, Message, Segmentation

_UNITS: Final = {Encoding.GSM7: "septet", Encoding.UTF16: "code unit"}
_MARK: Final = "bold white on red"
_MAX_NAMED: Final = 12
_MAX_INDICES: Final = 3
_MAX_SHOWN: Final = 20  # characters of a change
_WAYS: Final[tuple[tuple[dict[str, Any], str], ...]] = (
    ({}, "With --simplify it says the same in"),
    ({"accents": True}, "With --accents it loses some accents and takes"),
    ({"homoglyphs": True}, "With --homoglyphs it looks the same and takes"),
    ({"greek": True}, "With --greek its capitals look the same and it takes"),
    ({"greek": "capitals"}, "In Greek capitals without accents it takes"),
)
"""Ways of writing a text, the smallest changes first; each also does what `{}` does."""
_SAID: Final = {"": "nothing: it is not seen", " ": "a space", "\n": "a line end"}


def count(
    words: OfText = NO_TEXT, *, shortening: OfShortening = AS_IT_IS, json: Json = False
) -> None:
    """Show the fragments that a text is cut into; each is charged as a message."""
    message = shortening.apply(words.read())
    io.warn_of_placeholders(message.text, "is counted as written: a value may take more")
    if json:
        io.print_json(_describe(message))
    elif message.segmentation.fragments_count:
        _print(message)
    else:
        io.say("0 fragments: an empty text cannot be sent")


def _describe(message: Message) -> dict[str, Any]:
    cut = message.segmentation
    return {
        "text": cut.text,
        "changes": [change._asdict() for change in message.changes],
        "encoding": cut.encoding,
        "fragments_count": cut.fragments_count,
        "units": cut.units,
        "units_left": cut.units_left,
        "bounds": cut.bounds._asdict(),
        "fragments": cut.fragments,
        "forced_by": [found._asdict() for found in cut.forced_by],
        "homoglyphs": [found._asdict() for found in message.homoglyphs],
        "simplified": _describe_simplified(message),
    }


def _describe_simplified(message: Message) -> dict[str, Any] | None:
    simple = message.simplified()
    if simple is message:
        return None
    return {
        "text": simple.text,
        "fragments_count": simple.segmentation.fragments_count,
        "changes": [change._asdict() for change in simple.changes],
    }


def _print(message: Message) -> None:
    cut = message.segmentation
    io.say(
        (f"{cut.encoding}, {io.number(cut.fragments_count, 'fragment')}", io.ACCENT),
        f": {io.number(cut.units, _UNITS[cut.encoding])}, {cut.units_left} left in the last",
    )
    _print_fragments(cut)
    least, most = cut.bounds
    if least != most:
        io.say(
            (f"The service may count {least} to {most} fragments", io.BAD),
            ": it does not document whether it cuts inside what a reader sees as one character.",
        )
    if message.changes:
        was = io.number(Message(message.original).segmentation.fragments_count, "fragment")
        io.say(f"It was {was}; {io.number(len(message.changes), 'change')}:")
        _print_changes(message)
    if cut.forced_by:
        _print_forcing(message)
    _print_saving(message)


def _print_changes(message: Message) -> None:
    table = io.Rows("at", "written", "now", "why")
    for change in message.changes[:_MAX_NAMED]:
        before, after = io.visible(change.before), io.visible(change.after)
        if len(before) > _MAX_SHOWN:  # what was cut off
            before = f"{before[:_MAX_SHOWN]}..."
        table.add(str(change.index), Text(before, _MARK), after, change.reason)
    io.out().print(table)
    if (more := len(message.changes) - _MAX_NAMED) > 0:
        io.say(f"and {io.number(more, 'other change')}")


def _print_fragments(cut: Segmentation) -> None:
    table = Table.grid(padding=(0, 1))
    for position, fragment in enumerate(cut.fragments, 1):
        number, rule = Text(f"{position:>3}", io.FAINT), Text("\u2502", io.FAINT)
        table.add_row(number, rule, marked(fragment))
    io.out().print(table)


def marked(text: str) -> Text:
    """Show every character of a text, with those that GSM-7 cannot carry in colour."""
    line, done = Text(), 0
    for found in FOREIGN.finditer(text):
        line.append(_seen(text[done : found.start()]))
        line.append(_seen(found.group()), _MARK)
        done = found.end()
    return line.append(_seen(text[done:]))


def _seen(text: str) -> str:
    """Show line ends and invisible characters."""
    return io.visible(text).replace(io.LINE_END, f"{io.LINE_END}\n")


def _print_forcing(message: Message) -> None:
    cut = message.segmentation
    if _in_another_script(cut.text):
        io.say("Most of its characters are of a script that GSM-7 cannot carry.")
        return
    io.say("It needs UTF-16, with 70 units in a message instead of 160, because of:")
    table = io.Rows("", "code", "name", "at", "instead")
    kinds = _by_character(cut.forced_by)
    saves = message.simplified(accents=True) is not message
    for places in kinds[:_MAX_NAMED]:
        first = places[0]
        shown, code = Text(io.visible(first.char), _MARK), f"U+{ord(first.char):04X}"
        at = ", ".join(str(found.index) for found in places[:_MAX_INDICES])
        more = ", ..." if len(places) > _MAX_INDICES else ""
        table.add(shown, code, first.name, at + more, _instead(message, places, saves=saves))
    io.out().print(table)
    if len(kinds) > _MAX_NAMED:
        io.say(f"and {len(kinds) - _MAX_NAMED} other characters")


def _in_another_script(text: str) -> bool:
    """Return whether most characters are not ASCII: naming single ones would be useless."""
    return 2 * len(text.encode("ascii", "ignore")) < len(text)


def _by_character(forced_by: tuple[ForcedBy, ...]) -> list[list[ForcedBy]]:
    places: dict[str, list[ForcedBy]] = {}
    for found in forced_by:
        places.setdefault(found.char, []).append(found)
    return list(places.values())


def _instead(message: Message, places: list[ForcedBy], *, saves: bool) -> str:
    """Return a replacement for a character, or the Latin letter that it looks like.

    `saves` is whether the message is shorter without accents.
    """
    indices = {found.index for found in places}
    alike = [found.looks_like for found in message.homoglyphs if found.index in indices]
    if alike:
        return f"passes for the Latin {alike[0]}"
    suggestion, char = places[0].suggestion, places[0].char
    if suggestion is not None:
        return _SAID.get(suggestion, suggestion)
    plain = Message(char).simplified(accents=True, always=True).text
    if plain == char:
        return ""
    return f"{plain}, {'with --accents' if saves else 'without its accent'}"


def _print_saving(message: Message) -> None:
    """Show the way of writing the text that saves a fragment and changes least."""
    for options, how in _WAYS:
        simple = message.simplified(**options)
        if simple is not message:
            fragments = io.number(simple.segmentation.fragments_count, "fragment")
            io.say(f"{how} ", (fragments, io.GOOD), ":")
            io.out().print(marked(simple.text), soft_wrap=True)
            return
    if message.segmentation.forced_by:
        io.say("No other way of writing it saves a fragment.")
