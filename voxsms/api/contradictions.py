"""Whether an answer contradicts itself, so that the outcome of the call is unknown.

An answer is a refusal only if all of it says so: a message taken as refused may be sent again, by
voxsms or by a person who reads "not sent". Every part counts, also inside an error or a list, and
under a name that appears twice in an object.
"""

import codecs
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import attrs

from voxsms.api.fault_codes import leaves_doubt

ERRORS = ("error", "errors")
_ACCEPTED = ("result", "message_id", "transaction_id", "failed", "fragments_count", "total_count")
"""Names found only in an answer to a call that was carried out."""
_ACCEPTED_ANYWHERE = re.compile(rb'"(%s)"\s*:\s*+(?!null)' % "|".join(_ACCEPTED).encode())
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
_CODE = re.compile(r"[0-9]{1,9}")
_END_OF_NAME = re.compile(rb'"\s*+:')
_MAX_MEMBERS = 50_000
"""Each takes time; an answer to a send to a hundred numbers has some hundreds."""


def read_code(value: object) -> int:
    """Read the service's error code; one that cannot be read is 0."""
    code = _CODE.fullmatch(str(value))
    return int(code.group()) if code else 0


def find_contradiction(
    body: bytes, payload: Mapping[str, object] | None, errors: Sequence[object], *, is_429: bool
) -> str:
    """Return what in an answer contradicts the rest of it; an empty string if nothing does.

    Args:
        body: the answer as received.
        payload: the JSON object in it, if it is one.
        errors: the errors in the object.
        is_429: whether its HTTP status says that the call was not processed.
    """
    refused = bool(errors) or is_429
    if not refused and len(_END_OF_NAME.findall(body)) == _count_members(payload):
        return ""  # no name appears twice: the usual answer is read by orjson alone
    members = _members_of(body)
    if members is not None:
        return next(_contradictions(members, payload or {}, errors, is_429=is_429), "")
    if payload is not None:
        return "has too many parts, or too many inside each other"
    return _find_on_page(body) if is_429 else ""


def _count_members(payload: Mapping[str, Any] | None) -> int:
    count, left = 0, list[Any]([payload])
    while left:  # not by recursion: what orjson reads may be deeper
        value = left.pop()
        if isinstance(value, dict):
            members = cast("dict[str, object]", value)
            count += len(members)
            left += members.values()
        elif isinstance(value, list):
            left += value
    return count


@attrs.define
class _Members:
    """The members of all objects in an answer, including nested ones."""

    all: list[tuple[str, object]] = attrs.field(factory=list[tuple[str, object]])
    has_twice: bool = False
    """Whether a name appears twice in an object; a parser keeps only the last value."""

    def take(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        """Add the members of an object, and return the object."""
        found = dict(pairs)
        self.has_twice |= len(found) < len(pairs)
        self.all += pairs
        return found

    def named(self, *names: str) -> list[object]:
        """Return the values of the members with one of these names."""
        return [value for name, value in self.all if name in names]


def _members_of(body: bytes) -> _Members | None:
    """Return the members of JSON; None if it is not JSON, or has too many members or levels."""
    members = _Members()
    if max(body.count(b":"), body.count(b"{")) > _MAX_MEMBERS:
        return None
    try:
        # With numbers as text: one of 5,000 digits is no reason to fail.
        json.loads(body, object_pairs_hook=members.take, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    return members


def _contradictions(
    members: _Members, payload: Mapping[str, object], errors: Sequence[object], *, is_429: bool
) -> Iterator[str]:
    refused = "an error beside" if errors else "HTTP 429 with" if is_429 else ""
    objects = [cast("dict[str, object]", each) for each in errors if isinstance(each, dict)]
    own = [read_code(each.get("code")) for each in objects]
    codes = [read_code(value) for value in members.named("code")]
    if refused:
        there = {name for name, value in members.all if value is not None}
        yield from (f"{refused} {name}" for name in _ACCEPTED if name in there)
        for code in codes:
            if code and code not in own and leaves_doubt(code):
                yield f"{refused} code {code}"
    if members.has_twice:
        yield "has a name twice in an object"
    if errors and len(members.named(*ERRORS)) > sum(name in payload for name in ERRORS):
        yield "has another error inside or beside it"
    if errors and len(codes) > sum("code" in each for each in (payload, *objects)):
        yield "has more than one code"


def _find_on_page(body: bytes) -> str:
    """Return why a 429 without a JSON body is not believed; an empty string if it is.

    A gateway's page or a few words of text are believed. A truncated or doubled object is not, nor
    a body with a compression or encoding not asked for: the call may have been carried out.
    """
    if accepted := _ACCEPTED_ANYWHERE.search(body):
        return f"HTTP 429 with {accepted[1].decode()}"
    if _CONTROL.search(body):
        return "HTTP 429 with a body that is not text"
    is_object = body.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{")
    return "HTTP 429 with JSON that is cut or doubled" if is_object else ""
