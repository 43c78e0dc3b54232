"""Message: a text and what it says of itself."""

import attrs


@attrs.frozen
class Message:
    """A text that is accepted wherever a text is."""

    text: str
