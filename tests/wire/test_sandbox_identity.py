"""Who may ask: tokens are really verified, and each way of failing has the contract's code."""

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from voxsms.calls.auth import ApiKey
from voxsms.sandbox import Sandbox, serve
from voxsms.webhooks import CallbackSecret

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
T = int(NOW.timestamp())
at_noon = pytest.mark.voxsms_sandbox(start=NOW)
Ask = Callable[..., int | None]


@pytest.fixture
def ask(voxsms_sandbox: Sandbox, http: httpx.Client) -> Ask:
    """Return a function that asks for the account and gives the error's code, or None."""

    def ask(authorization: str | None = None, **form: str) -> int | None:
        headers = {} if authorization is None else {"authorization": authorization}
        url = f"{voxsms_sandbox.url}/platform_api/GetAccountInfo/"
        answer = http.post(url, data=form, headers=headers).json()
        code: int | None = answer.get("error", {}).get("code")
        return code

    return ask


def token(sandbox: Sandbox, key: object = None, **changes: object) -> str:
    """Sign a token as the reference describes it, with changes; a claim of None is left out."""
    auth = sandbox.auth
    headers = {"kid": changes.pop("kid", auth.key_id)}
    claims = {"iss": str(auth.account_id), "iat": T - 5, "exp": T + 900} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    signed_with: Any = key or auth.private_key
    payload = json.dumps(claims).encode()  # PyJWT's own encoder refuses some of what is tried here
    return "Bearer " + jwt.PyJWS().encode(payload, signed_with, "RS256", headers)


@at_noon
def test_a_good_token(voxsms_sandbox: Sandbox, ask: Ask) -> None:
    """As the reference says, for as long as an hour; the scheme's case does not matter."""
    assert ask(token(voxsms_sandbox)) is None
    assert ask(token(voxsms_sandbox, iat=T, exp=T + 3600)) is None
    assert ask("bearer" + token(voxsms_sandbox).removeprefix("Bearer")) is None


@at_noon
def test_a_token_as_the_node_client_makes_it(voxsms_sandbox: Sandbox, ask: Ask) -> None:
    """A numeric `iss` and 64 seconds."""
    good = token(voxsms_sandbox, iss=voxsms_sandbox.auth.account_id, iat=T, exp=T + 64)
    assert ask(good) is None


@at_noon
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iat": T, "exp": T + 3601}, 454),
        ({"iat": T + 2, "exp": T + 60}, 455),
        ({"exp": T}, 456),
        ({"iss": "1"}, 115),
        ({"kid": "of-another-key"}, 100),
        ({"iat": None}, 447),
        ({"exp": None}, 447),
        ({"iss": None}, 447),
        ({"iat": "now"}, 447),
        ({"iat": True}, 447),
    ],
)  # fmt: skip
def test_a_bad_token(
    voxsms_sandbox: Sandbox, ask: Ask, changes: dict[str, object], code: int
) -> None:
    """Too long-lived, of the future, expired, of another account or key, or incomplete."""
    assert ask(token(voxsms_sandbox, **changes)) == code


@at_noon
def test_a_token_of_another_key(voxsms_sandbox: Sandbox, ask: Ask) -> None:
    """The signature is verified: code 100."""
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert ask(token(voxsms_sandbox, other)) == 100


@at_noon
def test_a_token_that_was_changed(voxsms_sandbox: Sandbox, ask: Ask) -> None:
    """A claim put in after signing is found out."""
    head, payload, signature = token(voxsms_sandbox).removeprefix("Bearer ").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "==")) | {"exp": T + 3000}
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert ask(f"Bearer {head}.{forged}.{signature}") == 100


@at_noon
def test_a_token_that_is_none(voxsms_sandbox: Sandbox, ask: Ask) -> None:
    """447 for whatever cannot be read, and for every algorithm but RS256."""
    auth = voxsms_sandbox.auth
    claims = {"iss": str(auth.account_id), "iat": T, "exp": T + 60}
    kid = {"kid": auth.key_id}
    hs256 = jwt.encode(claims, "s" * 32, algorithm="HS256", headers=kid)
    unsigned = jwt.encode(claims, "", algorithm="none", headers=kid)
    key: Any = auth.private_key
    no_object = jwt.PyJWS().encode(b"[1]", key, algorithm="RS256", headers=kid)
    no_json = jwt.PyJWS().encode(b"{", key, algorithm="RS256", headers=kid)
    bad = ["x", "not.a.token", hs256, unsigned, no_object, no_json]
    assert [ask(f"Bearer {each}") for each in bad] == [447] * len(bad)
    assert ask("Basic YTpi") == 447


def test_a_token_by_real_time(voxsms_sandbox: Sandbox, ask: Ask) -> None:
    """The clock follows real time unless it is driven."""
    now = int(time.time())
    assert ask(token(voxsms_sandbox, iat=now, exp=now + 60)) is None
    voxsms_sandbox.clock.advance(120)
    assert ask(token(voxsms_sandbox, iat=now, exp=now + 60)) == 456


def test_the_api_key(voxsms_sandbox: Sandbox, ask: Ask) -> None:
    """The deprecated way in: two form fields."""
    key = voxsms_sandbox.api_key
    account = str(key.account_id)
    assert ask(account_id=account, api_key=key.api_key) is None
    assert ask(account_id="1", api_key=key.api_key) == 115
    assert ask(account_id=account, api_key="wrong") == 100
    assert ask(account_id=account, api_key="wröng") == 100
    assert ask() == 100


def test_an_account_that_is_given(tmp_path: Path, http: httpx.Client) -> None:
    """Id, API key, salt, and the service account's key: a PEM file, or a credentials file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    given: dict[str, Any] = {"account_id": 7, "api_key": "my-key", "callback_salt": "my-salt"}
    with serve(**given, key_file=tmp_path / "key.pem") as sandbox:
        assert sandbox.api_key == ApiKey(7, "my-key")
        assert sandbox.callback_secret == CallbackSecret("my-salt", 7, "my-key")
        first = sandbox.auth
        assert (first.account_id, first.private_key) == (7, pem.decode())
        credentials = sandbox.save_credentials(tmp_path / "credentials.json")
        url = f"{sandbox.url}/platform_api/GetAccountInfo/"
        now = int(time.time())
        headers = {"authorization": token(sandbox, key, iat=now, exp=now + 60)}
        assert http.post(url, headers=headers).json()["result"]["account_id"] == 7
        assert "my-" not in repr(sandbox._settings)
    for again in (tmp_path / "key.pem", credentials):
        with serve(key_file=again, account_id=None if again == credentials else 7) as sandbox:
            assert sandbox.auth == first  # its key id, too: a client's file stays good


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"nothing", "has no RSA private key in PEM form without a password"),
        (b"\xff", "is not UTF-8"),
        (b"{}", "key.pem': account_id is missing; key_id is missing"),
        (None, "key.pem: No such file or directory"),
    ],
)
def test_a_key_that_cannot_be(content: bytes | None, problem: str, tmp_path: Path) -> None:
    """Is named with the setting and what is wrong, before anything starts."""
    if content is not None:
        (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(ValueError, match=f"^key_file: .*{problem}"):
        serve(key_file=tmp_path / "key.pem")


def test_keys_of_other_kinds(tmp_path: Path) -> None:
    """An elliptic one, and one with a password: neither signs what the service takes."""
    keys: dict[str, tuple[Any, Any]] = {
        "ec": (ec.generate_private_key(ec.SECP256R1()), NoEncryption()),
        "locked": (rsa.generate_private_key(65537, 2048), BestAvailableEncryption(b"pw")),
    }
    for name, (key, encryption) in keys.items():
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        (tmp_path / name).write_bytes(pem)
        with pytest.raises(ValueError, match="has no RSA private key"):
            serve(key_file=tmp_path / name)


def test_each_sandbox_has_its_own_credentials() -> None:
    """Nothing of one opens another, and no secret stands in a repr."""
    with serve() as one, serve() as other:
        assert one.auth.key_id != other.auth.key_id
        assert one.api_key != other.api_key
        assert one.callback_salt != other.callback_salt
        shown = repr([one, one.auth, one.api_key, one.ledger])
    assert one.api_key.api_key not in shown
    assert "PRIVATE KEY" not in shown
