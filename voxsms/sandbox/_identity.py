"""The credentials of a sandbox, and the check of those in a request.

Source: shared contract, section 1 "Authentication"; the codes are those of section 4.
"""

import hashlib
import secrets
from collections.abc import Mapping
from functools import cached_property
from typing import cast

import attrs
import orjson
from cryptography.hazmat.primitives import serialization
from jwt import InvalidSignatureError, InvalidTokenError, PyJWS

from voxsms.calls.auth import ApiKey, ServiceAccount
from voxsms.sandbox._account import Account, KeptIdentity
from voxsms.sandbox._calls import Refusal
from voxsms.sandbox._clock import SandboxClock
from voxsms.sandbox._keys import Key, new_private_key, public_key_of
from voxsms.sandbox._settings import Settings
from voxsms.webhooks import CallbackSecret

_AUTHORIZATION_FAILED = 100
_INVALID_ACCOUNT_ID = 115
_INVALID_TOKEN_FORMAT = 447
_INVALID_TOKEN_TTL = 454
_ISSUED_IN_FUTURE = 455
_EXPIRED = 456
_LONGEST = 3600
"""Seconds that a token may last."""
_LEEWAY = 1
"""Seconds by which a token may be from the future: `iat` has whole seconds only."""


@attrs.frozen
class _Claims:
    """The claims of a token."""

    issuer: str
    issued_at: float
    expires_at: float


class Identity:
    """An account's credentials: from the settings, else from the database, else random."""

    def __init__(self, clock: SandboxClock, settings: Settings, account: Account) -> None:
        self._clock = clock
        kept, key = account.kept_identity(), settings.key_file
        self.account_id = (
            settings.account_id
            or (key and key.account_id)
            or (kept and kept.account_id)
            or 1_000_000 + secrets.randbelow(9_000_000)
        )
        api_key = settings.api_key or (kept and kept.api_key) or secrets.token_hex(20)
        self.api_key = ApiKey(self.account_id, api_key)
        salt = settings.callback_salt or (kept and kept.callback_salt)
        self.callback_salt = salt or secrets.token_hex(20)
        self._key = key or (kept and Key(kept.private_key, kept.key_id))
        if settings.database is not None:
            auth = self.auth
            account.keep_identity(
                KeptIdentity(
                    self.account_id,
                    self.api_key.api_key,
                    self.callback_salt,
                    auth.key_id,
                    auth.private_key,
                )
            )

    @cached_property
    def auth(self) -> ServiceAccount:
        """A service account; its key is generated only when this is used."""
        key = self._key or Key(new_private_key())
        key_id = key.key_id
        if key_id is None:
            public = public_key_of(key.private_key).public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            key_id = hashlib.sha256(b"%d " % self.account_id + public).hexdigest()[:32]
        return ServiceAccount(self.account_id, key_id, key.private_key)

    @property
    def callback_secret(self) -> CallbackSecret:
        """The secret that signs callbacks."""
        return CallbackSecret(self.callback_salt, self.account_id, self.api_key.api_key)

    def check(self, authorization: str | None, form: Mapping[str, str]) -> None:
        """Accept a request with a good token or the API key, or raise `Refusal`."""
        if authorization is None:
            self._check_api_key(form)
        else:
            self._check_claims(self._claims(authorization))

    def _check_api_key(self, form: Mapping[str, str]) -> None:
        if form.get("account_id", str(self.account_id)) != str(self.account_id):
            raise Refusal(_INVALID_ACCOUNT_ID)
        given = form.get("api_key", "").encode()
        if not secrets.compare_digest(given, self.api_key.api_key.encode()):
            raise Refusal(_AUTHORIZATION_FAILED)

    def _claims(self, authorization: str) -> _Claims:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Refusal(_INVALID_TOKEN_FORMAT, "No bearer token")
        key = public_key_of(self.auth.private_key)
        try:
            decoded = PyJWS().decode_complete(token, key, ["RS256"])
        except InvalidSignatureError:
            raise Refusal(_AUTHORIZATION_FAILED) from None
        except (InvalidTokenError, RecursionError):  # the header's JSON may be nested deeply
            raise Refusal(_INVALID_TOKEN_FORMAT) from None
        if decoded["header"].get("kid") != self.auth.key_id:
            raise Refusal(_AUTHORIZATION_FAILED)
        return _read_claims(decoded["payload"])

    def _check_claims(self, claims: _Claims) -> None:
        if claims.issuer != str(self.account_id):
            raise Refusal(_INVALID_ACCOUNT_ID)
        if claims.expires_at - claims.issued_at > _LONGEST:
            raise Refusal(_INVALID_TOKEN_TTL)
        now = self._clock.time()
        if claims.issued_at > now + _LEEWAY:
            raise Refusal(_ISSUED_IN_FUTURE)
        if claims.expires_at <= now:
            raise Refusal(_EXPIRED)


def _read_claims(payload: bytes) -> _Claims:
    try:
        claims = orjson.loads(payload)
    except orjson.JSONDecodeError:
        raise Refusal(_INVALID_TOKEN_FORMAT) from None
    if not isinstance(claims, dict):
        raise Refusal(_INVALID_TOKEN_FORMAT)
    said = cast("dict[str, object]", claims)
    issued_at, expires_at = said.get("iat"), said.get("exp")
    if not (_is_time(issued_at) and _is_time(expires_at) and "iss" in said):
        raise Refusal(_INVALID_TOKEN_FORMAT)
    return _Claims(str(said["iss"]), cast("float", issued_at), cast("float", expires_at))


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
