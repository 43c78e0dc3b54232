"""From the raw body of a post to verified callbacks: pure.

Shared contract, section 5: `{"callbacks": [...]}`, several in one post, each with its own hash.
"""

import hashlib
import hmac
import os
import re
from collections.abc import Iterator
from itertools import islice
from typing import cast

import attrs
import orjson

from voxsms._credentials import Secret, forgetful, variable
from voxsms.api.callbacks import (
    CALLBACKS,
    A2PDelivery,
    Callback,
    CallbackSpec,
    UnknownCallback,
)
from voxsms.api.codec import parse_json
from voxsms.api.decode import Unreadable, read
from voxsms.errors import CallbackInvalid, CredentialsInvalid, SignatureInvalid

MAX_BODY = 2**20
"""Bytes of one post."""
MAX_CALLBACKS = 1000
"""Callbacks in one post."""
_MAX_SALT = 40
_MAX_CONTAINERS = 20 * MAX_CALLBACKS
"""Lists and objects in one post: creating them takes longest."""
_MAX_OBJECTS = 20
"""Objects inside a callback that are searched for its fields; it has one or two."""
_MAX_NUMBERS = 100
"""Numbers in one delivery: a send has no more."""
_MAX_ID = 2**63 - 1
"""An id comes from a sequence (contract, section 5): a signed 64-bit integer, as in databases."""
_VARIABLES = ("VOXIMPLANT_CALLBACK_SALT", "VOXIMPLANT_ACCOUNT_ID", "VOXIMPLANT_API_KEY")
_BY_TYPE = {spec.name: spec for spec in CALLBACKS}
_SHARED = ("callback_id", "account_id", "type", "balance", "currency")
_DIGITS = re.compile(r"0|[1-9][0-9]{0,18}")
_BETWEEN_NUMBERS = re.compile(r"[;,\s]+")


@forgetful
@attrs.frozen
class CallbackSecret(Secret):
    """The secret that callbacks are signed with. No part of it is ever shown.

    Args:
        callback_salt: the salt set in the account's settings, 1 to 40 characters.
        account_id: the account whose callbacks are accepted.
        api_key: the account's API key.

    Raises:
        CredentialsInvalid: names the field.
    """

    callback_salt: str = attrs.field(repr=False)
    account_id: int = attrs.field(repr=False)
    api_key: str = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        """Refuse values that no signature can be made with."""
        salt, account_id, api_key = _given(self)
        if not isinstance(salt, str) or not 0 < len(salt) <= _MAX_SALT:
            raise CredentialsInvalid(f"callback_salt: must be 1 to {_MAX_SALT} characters")
        if type(account_id) is not int or account_id < 1:
            raise CredentialsInvalid("account_id: must be a whole number above 0")
        if not isinstance(api_key, str) or not api_key:
            raise CredentialsInvalid("api_key: must be a string that is not empty")

    @classmethod
    def from_env(cls) -> "CallbackSecret":
        """Read `VOXIMPLANT_CALLBACK_SALT`, `VOXIMPLANT_ACCOUNT_ID` and `VOXIMPLANT_API_KEY`.

        Raises:
            CredentialsInvalid: names the variable or the field.
        """
        missing = [name for name in _VARIABLES if not variable(os.environ, name)]
        if missing:
            raise CredentialsInvalid(f"{' and '.join(missing)} must be set")
        salt, account_id, api_key = (variable(os.environ, name) for name in _VARIABLES)
        try:
            return cls(salt, int(account_id) if account_id.isdecimal() else 0, api_key)
        finally:
            del salt, api_key  # error trackers record the variables of frames

    def signature(self, callback_id: int) -> str:
        """Return the hash that the service puts into a callback, as lower-case hex."""
        signed = f"{self.callback_salt}{self.account_id}{self.api_key}{callback_id}"
        # MD5 is the service's choice.
        return hashlib.md5(signed.encode(), usedforsecurity=False).hexdigest()


def _given(values: object) -> tuple[object, ...]:
    """Return the values of a record, with their types hidden from the type checker."""
    return attrs.astuple(cast("attrs.AttrsInstance", values))


def parse(body: bytes, secret: CallbackSecret | None) -> tuple[Callback, ...]:
    """Read the callbacks of one post. Every signature is verified before any callback is returned.

    Args:
        body: the raw body of the post, unchanged.
        secret: what to verify with; None accepts callbacks from anybody.

    Returns:
        The callbacks in the order of the post; those of an unknown type as `UnknownCallback`.

    Raises:
        SignatureInvalid: a callback's hash is missing or wrong, or it belongs to another account.
        CallbackInvalid: the body cannot be read; the error says where.
        TypeError: `body` is not bytes.
    """
    items = _items(body)
    ids = [_whole(item, "callback_id", at) for at, item in enumerate(items)]
    if secret is not None:
        for at, (item, callback_id) in enumerate(zip(items, ids, strict=True)):
            _verify(item, callback_id, at, secret)
    return tuple(_read(item, at) for at, item in enumerate(items))


def _items(body: object) -> list[dict[str, object]]:
    if not isinstance(body, bytes):
        raise TypeError(f"body is a {type(body).__name__}: pass the raw body, as bytes")
    if len(body) > MAX_BODY:
        raise CallbackInvalid(f"body: has {len(body)} bytes; at most {MAX_BODY} are read")
    if _count_containers(body) > _MAX_CONTAINERS:
        raise CallbackInvalid(
            f"body: has more than {_MAX_CONTAINERS} lists and objects, which is the limit"
        )
    try:
        data = parse_json(body)
    except orjson.JSONDecodeError as error:
        # Not chained: orjson's error holds the whole body.
        raise CallbackInvalid(f"body: is not JSON ({error})") from None
    found = cast("dict[str, object]", data).get("callbacks") if isinstance(data, dict) else None
    if not isinstance(found, list):
        raise CallbackInvalid("callbacks: a list was expected")
    items = cast("list[object]", found)
    if len(items) > MAX_CALLBACKS:
        raise CallbackInvalid(
            f"callbacks: has {len(items)} items; at most {MAX_CALLBACKS} are read"
        )
    for at, item in enumerate(items):
        if not isinstance(item, dict):
            raise CallbackInvalid(f"callbacks[{at}]: an object was expected")
    return cast("list[dict[str, object]]", items)


def _count_containers(body: bytes) -> int:
    """Return an upper bound on the lists and objects in a body."""
    if body.count(b"[") + body.count(b"{") > _MAX_CONTAINERS:  # a text may have brackets too
        without_escapes = body.replace(rb"\\", b"").replace(rb"\"", b"")
        body = b"".join(without_escapes.split(b'"')[::2])
    return body.count(b"[") + body.count(b"{")


def _whole(item: dict[str, object], field: str, at: int) -> int:
    """Return a whole number, digits only: a signed value must have only one spelling."""
    value = item.get(field)
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not _DIGITS.fullmatch(text):
        raise CallbackInvalid(f"callbacks[{at}].{field}: a whole number was expected")
    if (number := int(text)) > _MAX_ID:
        raise CallbackInvalid(f"callbacks[{at}].{field}: is above {_MAX_ID}")
    return number


def _verify(item: dict[str, object], callback_id: int, at: int, secret: CallbackSecret) -> None:
    if _whole(item, "account_id", at) != secret.account_id:
        raise SignatureInvalid(f"callbacks[{at}]: belongs to another account")
    given = item.get("hash")
    shown = given.lower() if isinstance(given, str) and given.isascii() else ""
    if not hmac.compare_digest(shown, secret.signature(callback_id)):
        raise SignatureInvalid(f"callbacks[{at}]: the hash is {'wrong' if given else 'missing'}")


def _read(item: dict[str, object], at: int) -> Callback:
    try:
        return _read_known(item) or _read_unknown(item)
    except Unreadable as error:
        raise CallbackInvalid(f"callbacks[{at}].{error.path}: {error.problem}") from None


def _read_known(item: dict[str, object]) -> Callback | None:
    """Return the callback, or None if its type is not known."""
    found = _find(item)
    if found is None:
        return None
    spec, fields = found
    try:
        return _read_by(spec, fields, item)
    except Unreadable:
        if _named(item) is not None:
            raise
        return None  # it only looked like one of ours


def _read_by(spec: CallbackSpec, fields: dict[str, object], item: dict[str, object]) -> Callback:
    if "destination_numbers" in fields:
        numbers = _split(fields["destination_numbers"])
        fields = {**fields, "destination_numbers": numbers}
    callback = read(spec.record, {**fields, **_shared(item)})
    if isinstance(callback, A2PDelivery) and not 0 <= callback.id <= _MAX_ID:
        raise Unreadable("id", f"is not between 0 and {_MAX_ID}")
    return callback


def _read_unknown(item: dict[str, object]) -> UnknownCallback:
    return UnknownCallback(**attrs.asdict(read(Callback, _shared(item))), raw=item)


def _shared(item: dict[str, object]) -> dict[str, object]:
    return {name: item.get(name) for name in _SHARED}


def _named(item: dict[str, object]) -> CallbackSpec | None:
    """Return the row of the table that a callback's type names."""
    name = item.get("type")
    return _BY_TYPE.get(name) if isinstance(name, str) else None


def _find(item: dict[str, object]) -> tuple[CallbackSpec, dict[str, object]] | None:
    """Find the type of a callback, and the object with its fields."""
    spec = _named(item)
    if spec is not None and isinstance(fields := item.get(spec.name), dict):
        return spec, _unwrap(spec, cast("dict[str, object]", fields))
    objects = list(islice(_objects(item), _MAX_OBJECTS))
    for each in (spec,) if spec is not None else CALLBACKS:
        for fields in objects if each.known_by else ():
            if fields.keys() >= each.known_by:
                return each, fields
    # Without its object, a callback of a known type lacks all its fields.
    return None if spec is None else (spec, {})


def _unwrap(spec: CallbackSpec, fields: dict[str, object]) -> dict[str, object]:
    """Return the object one level deeper, where the type reference has it, if it is there."""
    inner = fields.get(spec.name)
    return cast("dict[str, object]", inner) if isinstance(inner, dict) else fields


def _objects(item: dict[str, object]) -> Iterator[dict[str, object]]:
    yield item
    for value in item.values():
        if isinstance(value, dict):
            yield cast("dict[str, object]", value)
            for inner in cast("dict[str, object]", value).values():
                if isinstance(inner, dict):
                    yield cast("dict[str, object]", inner)


def _split(numbers: object) -> object:
    """Return the numbers of a delivery as a list, however they were written."""
    if isinstance(numbers, str | int):
        # Only as far as needed to see that there are too many.
        parts = _BETWEEN_NUMBERS.split(str(numbers), _MAX_NUMBERS + 1)
        numbers = [number for number in parts if number]
    if not isinstance(numbers, list):
        return numbers
    found = cast("list[object]", numbers)
    if len(found) > _MAX_NUMBERS:
        raise Unreadable("destination_numbers", f"has more than {_MAX_NUMBERS} numbers")
    return [str(number) if type(number) is int else number for number in found]
