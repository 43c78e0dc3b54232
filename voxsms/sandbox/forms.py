"""The fields of a request out of its query string and its body, in every form clients send.

Voxsms and the official Python client send `application/x-www-form-urlencoded`, the official Node
client `multipart/form-data`. A field of the body counts more than one of the query string.

Nobody has shown credentials yet when this runs (the API key is itself a field), so everything here
takes time linear in the size of the body.
"""

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl

MAX_FIELDS = 100
"""Fields of a request; the method with the most has 12."""
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(
    rb'^content-disposition:[^\r\n]*?;[ \t]*name=(?:"([^"\r\n]*)"|([^\s;"]*))',
    re.IGNORECASE | re.MULTILINE,
)


def read(query: str, content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields; of a field that comes twice, the last.

    Raises:
        ValueError: There are more than `MAX_FIELDS` in the query string or in the body.
    """
    fields = dict(_urlencoded(query))
    multipart = content_type.lower().startswith("multipart/form-data")
    return fields | dict(
        _multipart(content_type, body) if multipart else _urlencoded(body.decode(errors="replace"))
    )


def _urlencoded(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)


def _multipart(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    """Read the parts of a form (RFC 7578, RFC 2046)."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        return
    delimiter = f"\r\n--{boundary[1] or boundary[2]}".encode()
    _, *parts = (b"\r\n" + body).split(delimiter, MAX_FIELDS + 2)
    if len(parts) > MAX_FIELDS + 1:  # one is what follows the last delimiter
        raise ValueError("Max number of fields exceeded")
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if name is not None:
            field = name[1] if name[1] is not None else name[2]
            yield field.decode(errors="replace"), content.decode(errors="replace")
