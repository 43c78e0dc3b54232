"""The fields of a request out of its query string and its body, in every form clients send.

Voxsms and the official Python client send `application/x-www-form-urlencoded`, the official Node
client `multipart/form-data`. A field of the body counts more than one of the query string.
"""

from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import cast
from urllib.parse import parse_qsl

_MULTIPART = "multipart/form-data"


def read(query: str, content_type: str, body: bytes) -> dict[str, str]:
    """Give the fields; of a field that comes twice, the last."""
    fields = dict(_urlencoded(query))
    multipart = content_type.lower().startswith(_MULTIPART)
    return fields | dict(
        _multipart(content_type, body) if multipart else _urlencoded(body.decode(errors="replace"))
    )


def _urlencoded(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


def _multipart(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    """Read the parts of a form; the `email` package reads the same syntax (RFC 7578, RFC 2046)."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    for part in message.iter_parts():
        name = cast("Message", part).get_param("name", header="content-disposition")
        if isinstance(name, str):
            content = cast("bytes", part.get_payload(decode=True))
            yield name, content.decode(errors="replace")
