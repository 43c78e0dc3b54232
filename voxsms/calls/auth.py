"""Credentials, and the proof of them that a request carries at a given time.

`ServiceAccount` and `ApiKey` are immutable values. The cached token lives in the signer that
`signer()` creates: one for each client. No clock is read here: the caller passes the time.

Nothing here shows a secret: no `repr`, no pickle, no error with its whole chain of causes, and no
local variable in an error's frames, which error trackers record. That is why a problem with a file
is returned as text and raised elsewhere, outside any `except`.

Source: shared contract, section 1 "Authentication".
"""

import json
import math
import os
import re
import textwrap
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, cast
from weakref import WeakKeyDictionary

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs

from voxsms._credentials import AROUND, Secret, forgetful, variable
from voxsms.errors import CredentialsInvalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_LIFETIME = 900
"""Seconds from `iat` to `exp`; the service allows 3600."""
_REFRESHED_AT = 0.8
"""The fraction of its lifetime after which a token is replaced."""
_BACKDATED = 5
"""Seconds that `iat` is set back: clocks differ, and a token from the future is refused."""

_MAX_FILE_SIZE = 65_536  # a credentials file has 2 to 4 kB; anything larger is something else
_MAX_PATH_LENGTH = 1_024  # longer than any path, shorter than any file that holds an RSA key
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----([^:]+)-----END \1-----")
"""A key in PEM form; a colon occurs in the headers of the old encrypted form."""


def _read_only(mapping: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(mapping))


@attrs.frozen(eq=False)  # `Signer.renew` compares by identity
class Proof(Secret):
    """The headers or fields that prove a request's sender; shared by requests, so read-only."""

    headers: Mapping[str, str] = attrs.field(repr=False, converter=_read_only)
    fields: Mapping[str, str] = attrs.field(repr=False, converter=_read_only)


class Signer(Protocol):
    """Creates proofs; belongs to one client, which may serve several event loops."""

    async def sign(self, now: float) -> Proof:
        """Return a proof valid at `now`, in seconds since 1970 by the service's clock."""
        ...

    def renew(self, stale: Proof) -> bool:
        """Drop `stale`, which the service refused as outdated, if it is still the cached one.

        Return whether another proof will follow.
        """
        ...


class Auth(Protocol):
    """Credentials: anything that creates a signer."""

    def signer(self) -> Signer:
        """Create a signer for one client."""
        ...


def _problem_of(name: str, value: object) -> str | None:
    """Return what is wrong with the value of a field, without the value."""
    if name == "account_id":
        is_good = type(value) is int and value > 0
        return None if is_good else "must be a whole number above 0"
    if name == "key_id" and isinstance(value, str) and "PRIVATE KEY" in value:
        return "must be the id of the key, not the key"  # the id is shown in reprs and errors
    is_text = isinstance(value, str) and value.strip()
    return None if is_text else "must be a text that is not empty"


def _valid(credentials: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if problem := _problem_of(attribute.name, value):
        raise CredentialsInvalid(f"{type(credentials).__name__}: {attribute.name} {problem}")


def _strip(value: Any) -> Any:  # noqa: ANN401 - validated afterwards
    """Strip white space around a text, such as the final newline of a key file."""
    return value.strip() if isinstance(value, str) else value


@forgetful
@attrs.frozen
class ServiceAccount(Secret):
    """The credentials of a service account: each request carries a token signed with its key."""

    account_id: int = attrs.field(validator=_valid)
    key_id: str = attrs.field(validator=_valid, converter=_strip)
    private_key: str = attrs.field(validator=_valid, repr=False)
    """An RSA key in PEM form, parsed when the first token is signed; line ends may be written as
    `\\n`, as in environment variables and JSON."""
    path: Path | None = attrs.field(default=None, kw_only=True, eq=False, repr=False)
    """The file that the credentials came from, named in errors."""

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "ServiceAccount":
        """Read the JSON file that the service issues for a service account.

        Raises:
            CredentialsInvalid: the file cannot be read, or a field is missing or wrong.
        """
        if not _is_path(os.fspath(path)):
            del path  # error trackers record the variables of frames
            raise CredentialsInvalid("must be the path of a credentials file, not its contents")
        found = _read(Path(path))
        problems = found.problems()
        if problems:
            raise CredentialsInvalid(f"{_name_file(found.path)}: {'; '.join(problems)}")
        return cls(**found.fields, path=found.path)

    def signer(self) -> Signer:
        """Create a signer that keeps one token for its lifetime."""
        return _TokenSigner(self)


@forgetful
@attrs.frozen
class ApiKey(Secret):
    """An account's API key: the older credentials, with every right, and still supported."""

    account_id: int = attrs.field(validator=_valid)
    api_key: str = attrs.field(validator=_valid, converter=_strip, repr=False)

    def signer(self) -> Signer:
        """Create a signer that uses the key itself."""
        return _KeySigner(self)


def from_env(environ: Mapping[str, str]) -> ServiceAccount | ApiKey:
    """Read the file in `VOXIMPLANT_CREDENTIALS`, else `VOXIMPLANT_ACCOUNT_ID` and `..._API_KEY`.

    Raises:
        CredentialsInvalid: names the variable, file and field at fault.
    """
    path = variable(environ, "VOXIMPLANT_CREDENTIALS")
    key = None if path else _api_key_in(environ)
    del environ  # it holds many secrets, and error trackers record the variables of frames
    if isinstance(key, str):
        raise CredentialsInvalid(key)
    if key is not None:
        return key
    try:
        return ServiceAccount.from_file(path)
    except CredentialsInvalid as problem:
        raise CredentialsInvalid(f"VOXIMPLANT_CREDENTIALS: {problem}") from problem
    finally:
        del path  # it may be the file's contents by mistake


def _api_key_in(environ: Mapping[str, str]) -> ApiKey | str:
    """Return the API key in the environment, or what is wrong with it."""
    names = ("VOXIMPLANT_ACCOUNT_ID", "VOXIMPLANT_API_KEY")
    missing = [name for name in names if not variable(environ, name)]
    if len(missing) == len(names):
        either = "VOXIMPLANT_CREDENTIALS (the path of a credentials file)"
        return f"no credentials: set {either} or {' and '.join(names)}"
    if missing:
        return f"{missing[0]} is not set (nor is VOXIMPLANT_CREDENTIALS)"
    account_id = _number(variable(environ, names[0]))
    if account_id is None:
        return f"{names[0]} {_problem_of('account_id', account_id)}"
    return ApiKey(account_id, variable(environ, names[1]))


def _number(text: str) -> int | None:
    """Read an account id that is written as text."""
    digits = re.fullmatch(r"\s*([0-9]{1,18})\s*", text)
    return int(digits[1]) or None if digits else None


@attrs.frozen
class _Found:
    """The contents of a credentials file, hidden from tools that show a frame's variables."""

    path: Path
    fields: Mapping[str, Any] = attrs.field(repr=False)

    def problems(self) -> list[str]:
        """Return what is wrong with each field that is wrong."""
        checked = {
            name: "is missing" if value is None else _problem_of(name, value)
            for name, value in self.fields.items()
        }
        return [f"{name} {problem}" for name, problem in checked.items() if problem]


def _name_file(path: Path) -> str:
    return f"credentials file {str(path)!r}"


def _is_path(name: str) -> bool:
    """Return whether this is a path; setting a variable to the file's contents is a common slip.

    Errors show a path.
    """
    is_content = "PRIVATE KEY" in name or name.lstrip(AROUND).startswith("{")
    return not is_content and len(name) <= _MAX_PATH_LENGTH and {"\0", "\n"}.isdisjoint(name)


def _read(file: Path) -> _Found:
    found = _parse_object(_content(file))
    if isinstance(found, str):
        raise CredentialsInvalid(f"{_name_file(file)}: {found}")
    account_id = found.get("account_id")
    if isinstance(account_id, str):
        account_id = _number(account_id) or account_id
    texts = {name: found.get(name) for name in ("key_id", "private_key")}
    return _Found(file, {"account_id": account_id, **texts})


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_SIZE + 1)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise CredentialsInvalid(f"{_name_file(path)}: {reason}") from error


def _parse_object(content: bytes) -> dict[str, Any] | str:
    """Return the JSON object in a file, or why it cannot be read, without quoting it."""
    if len(content) > _MAX_FILE_SIZE:
        return f"is larger than {_MAX_FILE_SIZE} bytes, which no credentials file is"
    try:
        found: object = json.loads(content)
    except json.JSONDecodeError as error:
        return f"is not JSON (line {error.lineno}, column {error.colno})"
    except (ValueError, RecursionError):  # not Unicode, a number of 5,000 digits, 5,000 brackets
        return "is not JSON"
    if not isinstance(found, dict):
        return "must hold a JSON object"
    return cast("dict[str, Any]", found)


class _KeySigner:
    """Proves the sender with the same form fields at any time."""

    __slots__ = ("_proof", "account_id")

    def __init__(self, key: ApiKey) -> None:
        self.account_id = key.account_id
        fields = {"account_id": str(key.account_id), "api_key": key.api_key}
        self._proof = Proof(headers={}, fields=fields)

    async def sign(self, now: float) -> Proof:  # noqa: ARG002 - a key does not depend on the time
        return self._proof

    def renew(self, stale: Proof) -> bool:  # noqa: ARG002 - the key does not get older
        return False


@attrs.frozen
class _Token:
    """A proof and the time in which it is used."""

    proof: Proof
    issued_at: float
    refreshed_at: float

    def serves(self, now: float) -> bool:
        """Return whether it is fresh, and the clock was not set back to before it was issued."""
        return self.issued_at <= now < self.refreshed_at


_NO_TOKEN = _Token(Proof(headers={}, fields={}), issued_at=math.inf, refreshed_at=-math.inf)


class _TokenSigner:
    """Signs a token when there is none that is valid at the given time.

    The event loops of several threads may share it. An anyio lock belongs to one loop, so each loop
    has its own, which its calls wait for; the one call of each loop that acquires it waits in a
    worker thread for those of the other loops. No loop is blocked, and one token is signed. The
    child of a fork has its own lock: nobody there could release one held in the parent.
    """

    __slots__ = ("_account", "_key", "_locks", "_minting", "_token", "account_id")

    def __init__(self, account: ServiceAccount) -> None:
        self.account_id = account.account_id
        self._account = account
        self._key: RSAPrivateKey | None = None
        self._locks: WeakKeyDictionary[object, anyio.Lock] = WeakKeyDictionary()
        self._minting = os.getpid(), threading.Lock()
        self._token = _NO_TOKEN

    async def sign(self, now: float) -> Proof:
        token = self._token
        if token.serves(now):
            return token.proof
        async with self._lock_of_loop():
            token = self._token
            if not token.serves(now):
                # In a thread: imports and PEM take 80 ms. With its own limiter: the threads of the
                # user's program may use up the shared one.
                limiter = anyio.CapacityLimiter(1)
                token = await anyio.to_thread.run_sync(self._mint_once, now, limiter=limiter)
            return token.proof

    def renew(self, stale: Proof) -> bool:
        if stale is self._token.proof:
            self._token = _NO_TOKEN
        return True

    def _lock_of_loop(self) -> anyio.Lock:
        token: Any = anyio.lowlevel.current_token()
        loop = getattr(token, "native_token", token)  # before anyio 4.11 it was the token itself
        return self._locks.setdefault(loop, anyio.Lock())

    def _mint_once(self, now: float) -> _Token:
        if self._minting[0] != os.getpid():
            self._minting = os.getpid(), threading.Lock()
        with self._minting[1]:
            if not self._token.serves(now):
                self._token = self._mint(now)
            return self._token

    def _mint(self, now: float) -> _Token:
        import jwt  # noqa: PLC0415 - takes 50 ms; an API key does not need it

        account = self._account
        self._key = self._key or _parse(account)
        issued_at = math.floor(now) - _BACKDATED
        claims = {"iss": str(account.account_id), "iat": issued_at, "exp": issued_at + _LIFETIME}
        headers = {"kid": account.key_id}
        token = jwt.encode(claims, self._key, algorithm="RS256", headers=headers)
        proof = Proof(headers={"Authorization": f"Bearer {token}"}, fields={})
        return _Token(proof, issued_at, issued_at + _REFRESHED_AT * _LIFETIME)


def _parse(account: ServiceAccount) -> "RSAPrivateKey":
    # Imported late for the same reason as `jwt`.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    key, problem = None, "is not an RSA key"
    try:
        key = load_pem_private_key(_pem(account), password=None)
    except TypeError:
        problem = "is encrypted with a password"
    except (ValueError, UnsupportedAlgorithm):
        problem = "cannot be read as a private key in PEM form"
    if isinstance(key, RSAPrivateKey):
        return key
    place = f"{_name_file(account.path)}: " if account.path else ""
    raise CredentialsInvalid(f"{place}private_key (of key_id {account.key_id!r}) {problem}")


def _pem(account: ServiceAccount) -> bytes:
    """Return the key with its line ends restored: they may be escaped, blanks or missing."""

    def rewritten(found: re.Match[str]) -> str:
        lines = textwrap.wrap(re.sub(r"\\[nr]|\s", "", found[2]), 64)
        return "\n".join((f"-----BEGIN {found[1]}-----", *lines, f"-----END {found[1]}-----"))

    return _PEM.sub(rewritten, account.private_key).encode()
