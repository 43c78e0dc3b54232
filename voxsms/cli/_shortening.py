"""The options that make a text shorter before it is counted, priced or sent."""

from typing import Annotated, Any, Final

import attrs
from cyclopts import Parameter
from cyclopts.validators import Number

from voxsms.cli import _io as io
from voxsms.text import Message

_SWITCH: Final[Any] = {"negative": (), "show_default": False}


@attrs.frozen(kw_only=True)
class Shortening:
    """What may be done to a text; nothing is done unless it saves a fragment."""

    simplify: Annotated[
        bool,
        Parameter(**_SWITCH, help="Write quotes, dashes and the like in GSM-7 characters."),
    ] = False
    accents: Annotated[
        bool,
        Parameter(**_SWITCH, help="The same, and drop accents that GSM-7 lacks: l for \u0142."),
    ] = False
    homoglyphs: Annotated[
        bool,
        Parameter(**_SWITCH, help="The same, and replace letters that look Latin with Latin ones."),
    ] = False
    greek: Annotated[
        bool,
        Parameter(
            **_SWITCH, help="The same, and write Greek capitals in GSM-7 letters of that shape."
        ),
    ] = False
    fit: Annotated[
        int | None,
        Parameter(help="Cut the text to this many fragments.", validator=Number(gte=1)),
    ] = None

    @property
    def asked(self) -> bool:
        """Whether there is anything to do."""
        return self != AS_IT_IS

    def tell_if_unchanged(self, message: Message) -> None:
        """Say that nothing was done, and why."""
        if self.asked and not message.changes:
            io.complain("the text stays as it is: changing it would save no fragment")

    def apply(self, text: str) -> Message:
        """Return the shortened text; `Message.changes` says what was done."""
        message = Message(text)
        if self.simplify or self.accents or self.homoglyphs or self.greek:
            message = message.simplified(
                accents=self.accents, homoglyphs=self.homoglyphs, greek=self.greek
            )
        return message if self.fit is None else message.fitted(max_fragments=self.fit)


AS_IT_IS: Final = Shortening()
OfShortening = Annotated[Shortening, Parameter(name="*", group="Shortening")]
"""The parameters of a command that can shorten a text."""
