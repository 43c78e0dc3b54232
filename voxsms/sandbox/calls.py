"""A request taken out of HTTP, and an answer before it is put into it."""

from collections.abc import Mapping
from typing import Any

import attrs
import orjson

JSON = "application/json"
FILE = "application/octet-stream"

Values = Mapping[str, Any]
"""The values of a request's parameters, those left out absent."""


@attrs.frozen
class Call:
    """A request: the method it names, its fields, its credentials."""

    method: str
    form: Mapping[str, str] = attrs.field(repr=False)
    authorization: str | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Reply:
    """An answer."""

    body: bytes = attrs.field(repr=False)
    content_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])

    @classmethod
    def json(cls, body: object, headers: Mapping[str, str] | None = None) -> "Reply":
        """Give an object as JSON."""
        return cls(orjson.dumps(body), headers=headers or {})
