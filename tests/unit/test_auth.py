"""The proof that a request carries: tokens signed, kept, replaced and forgotten in time."""

import asyncio
import copy
import math
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import examples

from voxsms.calls.auth import ApiKey, Auth, Proof, ServiceAccount, Signer
from voxsms.errors import CredentialsInvalid

NOW = 1_790_000_000.0
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> str:
    """Write a key as the service gives it out, or encrypted."""
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, encryption).decode()


PEM = pem_of(KEY)
ACCOUNT = ServiceAccount(account_id=12345, key_id="key-1", private_key=PEM)


def token_of(proof: Proof) -> str:
    """Take the token out of the header, as a server does."""
    scheme, token = proof.headers["Authorization"].split(" ")
    assert scheme == "Bearer"
    return token


def claims_of(proof: Proof) -> dict[str, Any]:
    """Verify the signature with the public key and give the claims, whatever the time."""
    return jwt.decode(
        token_of(proof),
        KEY.public_key(),
        algorithms=["RS256"],
        options={"verify_exp": False, "verify_iat": False},
    )


@pytest.fixture
def minted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the tokens signed: the thread that signed each."""
    threads: list[str] = []

    sign = jwt.encode

    def counted(*args: object, **named: object) -> str:
        threads.append(threading.current_thread().name)
        return sign(*args, **named)  # type: ignore[arg-type]  # passed on as they come

    monkeypatch.setattr(jwt, "encode", counted)
    return threads


class Gate:
    """Holds the first signing until it is opened; tells when it was reached."""

    def __init__(self, sign: Callable[..., str]) -> None:
        self.sign = sign
        self.reached, self.opened = threading.Event(), threading.Event()
        self.calls = 0

    def __call__(self, *args: object, **named: object) -> str:
        """Sign, the first time only when the gate is open."""
        self.calls += 1
        if self.calls == 1:
            self.reached.set()
            assert self.opened.wait(10)
        return self.sign(*args, **named)

    async def until_reached(self) -> None:
        """Wait until someone stands before it."""
        assert await anyio.to_thread.run_sync(self.reached.wait, 10)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Put a gate before signing."""
    gate = Gate(jwt.encode)
    monkeypatch.setattr(jwt, "encode", gate)
    yield gate
    gate.opened.set()


async def test_token_says_what_the_contract_asks_for() -> None:
    """A token is RS256 with `kid`; `iss` is a text; `iat` lies back; it lasts about 15 minutes."""
    proof = await ACCOUNT.signer().sign(NOW)
    assert jwt.get_unverified_header(token_of(proof)) == {
        "alg": "RS256",
        "kid": "key-1",
        "typ": "JWT",
    }
    claims = claims_of(proof)
    assert set(claims) == {"iss", "iat", "exp"}
    assert claims["iss"] == "12345"
    assert type(claims["iat"]) is type(claims["exp"]) is int
    assert 2 <= NOW - claims["iat"] <= 30
    assert 600 <= claims["exp"] - claims["iat"] <= 1200
    assert proof.fields == {}
    assert set(proof.headers) == {"Authorization"}


async def test_token_is_taken_by_a_server_right_now() -> None:
    """A token for this moment passes a verifier that checks the times too, without leeway."""
    proof = await ACCOUNT.signer().sign(time.time())
    claims = jwt.decode(token_of(proof), KEY.public_key(), algorithms=["RS256"], issuer="12345")
    assert claims["iss"] == "12345"


async def test_token_is_kept_until_eighty_percent(minted: list[str]) -> None:
    """The very same proof is given until 80 % of the lifetime, then a new one."""
    signer = ACCOUNT.signer()
    first = await signer.sign(NOW)
    claims = claims_of(first)
    turn = claims["iat"] + 0.8 * (claims["exp"] - claims["iat"])
    assert await signer.sign(NOW + 1) is first
    assert await signer.sign(turn - 0.001) is first
    assert len(minted) == 1
    second = await signer.sign(turn)
    assert second is not first
    assert claims_of(second)["exp"] > claims["exp"]
    assert len(minted) == 2


async def test_token_of_the_future_is_not_used(minted: list[str]) -> None:
    """When the clock is set back behind `iat`, a token for the new time is signed."""
    signer = ACCOUNT.signer()
    first = await signer.sign(NOW)
    issued = claims_of(first)["iat"]
    assert await signer.sign(issued) is first
    second = await signer.sign(issued - 0.001)
    assert claims_of(second)["iat"] <= issued - 1
    assert len(minted) == 2


async def test_outlived_token_is_not_used() -> None:
    """When the clock is set forward by an hour, the old token is not sent."""
    signer = ACCOUNT.signer()
    first = await signer.sign(NOW)
    second = await signer.sign(NOW + 3600)
    assert second is not first
    assert claims_of(second)["exp"] > NOW + 3600


@settings(max_examples=examples(25))  # each signs tokens in a thread
@given(st.lists(st.floats(0, 4e9, allow_nan=False), min_size=1, max_size=6))
def test_every_token_is_good_at_its_time(times: list[float]) -> None:
    """However the clock jumps, a token is never of the future, outlived or longer than an hour."""

    async def sign_all() -> None:
        signer = ACCOUNT.signer()
        for now in times:
            claims = claims_of(await signer.sign(now))
            assert claims["iat"] <= now < claims["exp"]
            assert now - claims["iat"] <= 0.8 * (claims["exp"] - claims["iat"])
            assert claims["exp"] - claims["iat"] <= 3600

    anyio.run(sign_all)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_hundred_calls_at_once_mint_once(minted: list[str], backend: str) -> None:
    """One refresh is in flight however many calls wait, and it is not done in the event loop."""

    async def sign_many() -> None:
        signer = ACCOUNT.signer()
        proofs: list[Proof] = []

        async def sign() -> None:
            proofs.append(await signer.sign(NOW))

        for mints in (1, 2):
            async with anyio.create_task_group() as tasks:
                for _ in range(100):
                    tasks.start_soon(sign)
            assert len(proofs) == 100
            assert {id(proof) for proof in proofs} == {id(proofs[0])}
            assert len(minted) == mints
            signer.renew(proofs[0])
            proofs.clear()

    anyio.run(sign_many, backend=backend)
    assert threading.main_thread().name not in minted


async def test_key_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The PEM is parsed for the first token only, and not before."""
    parsed: list[bytes] = []

    def counted(data: bytes, password: None) -> object:
        parsed.append(data)
        return KEY if password is None else None

    monkeypatch.setattr(serialization, "load_pem_private_key", counted)
    signer = ACCOUNT.signer()
    assert parsed == []
    for hour in range(3):
        claims_of(await signer.sign(NOW + 3600 * hour))
    assert parsed == [PEM.encode()]


async def test_renew_forgets_only_the_proof_that_is_cached(minted: list[str]) -> None:
    """Many calls may report the same outdated proof; one new token comes of it."""
    signer = ACCOUNT.signer()
    stale = await signer.sign(NOW)
    signer.renew(stale)
    signer.renew(stale)
    fresh = await signer.sign(NOW + 1)
    assert fresh is not stale
    for _ in range(100):
        signer.renew(stale)
        assert await signer.sign(NOW + 2) is fresh
    assert len(minted) == 2
    assert claims_of(fresh)["iat"] == claims_of(stale)["iat"] + 1


async def test_signers_share_nothing() -> None:
    """Each client has its own token: renewing one leaves the other's alone."""
    one, other = ACCOUNT.signer(), ACCOUNT.signer()
    of_one, of_other = await one.sign(NOW), await other.sign(NOW)
    one.renew(of_one)
    other.renew(of_one)
    assert await other.sign(NOW) is of_other
    assert await one.sign(NOW) is not of_one


async def test_cancelled_task_leaves_others_going(gate: Gate) -> None:
    """When the task that mints is cancelled the asyncio way, the ones waiting get their token."""
    signer = ACCOUNT.signer()
    minting = asyncio.create_task(signer.sign(NOW))
    await gate.until_reached()
    waiting = [asyncio.create_task(signer.sign(NOW)) for _ in range(10)]
    await asyncio.sleep(0)
    minting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await minting
    gate.opened.set()
    async with asyncio.timeout(10):
        proofs = await asyncio.gather(*waiting)
    assert {id(proof) for proof in proofs} == {id(await signer.sign(NOW))}
    assert gate.calls == 1


async def test_cancelled_waiter_leaves_others_going(gate: Gate) -> None:
    """A task cancelled while it waits for a token in the making takes nothing with it."""
    signer = ACCOUNT.signer()
    tasks = [asyncio.create_task(signer.sign(NOW)) for _ in range(3)]
    await gate.until_reached()
    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    gate.opened.set()
    async with asyncio.timeout(10):
        assert await tasks[0] is await tasks[2]
    assert gate.calls == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_deadline_leaves_others_going(gate: Gate, backend: str) -> None:
    """When the scope of the one that mints is cancelled, its token still serves the others."""

    async def sign_all() -> None:
        signer = ACCOUNT.signer()
        proofs: list[Proof] = []

        async def sign_and_wait(scope: anyio.CancelScope) -> None:
            with scope:
                await signer.sign(NOW)
                await anyio.sleep_forever()

        async def sign() -> None:
            proofs.append(await signer.sign(NOW))

        async with anyio.create_task_group() as tasks:
            given_up = anyio.CancelScope()
            tasks.start_soon(sign_and_wait, given_up)
            await gate.until_reached()
            for _ in range(10):
                tasks.start_soon(sign)
            given_up.cancel()
            gate.opened.set()
        assert len(proofs) == 10
        assert {id(proof) for proof in proofs} == {id(await signer.sign(NOW))}

    anyio.run(sign_all, backend=backend)
    assert gate.calls == 1


@pytest.mark.parametrize("backends", [["asyncio"] * 5, ["trio"] * 5, ["asyncio", "trio"] * 3])
@pytest.mark.parametrize("is_due", [False, True])
def test_event_loops_share_a_signer(gate: Gate, backends: list[str], is_due: bool) -> None:
    """One client in several threads, each with its own loop: all are served, with one token."""
    signer = ACCOUNT.signer()
    if is_due:
        gate.opened.set()
        anyio.run(signer.sign, NOW - 3600)
        gate.opened.clear()
        gate.calls = 0
    proofs: list[Proof] = []
    beats: list[int] = []

    async def sign() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(keep)
            await anyio.lowlevel.checkpoint()
            beats.append(1)  # no loop is blocked while one of them mints
            if len(beats) == len(backends):
                gate.opened.set()

    async def keep() -> None:
        with anyio.fail_after(10):
            proofs.append(await signer.sign(NOW))

    threads = [
        threading.Thread(target=anyio.run, args=(sign,), kwargs={"backend": backend})
        for backend in backends
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(proofs) == 3 * len(backends)
    assert len({id(proof) for proof in proofs}) == 1
    assert gate.calls == 1


@pytest.mark.parametrize("cancelled", ["asyncio", "trio"])
def test_a_loop_that_gives_up_leaves_other_loops_going(gate: Gate, cancelled: str) -> None:
    """A deadline in one thread, while it mints or waits, is nothing to the others."""
    signer = ACCOUNT.signer()
    proofs: list[Proof] = []

    async def give_up() -> None:
        with anyio.move_on_after(0):
            await signer.sign(NOW)

    async def sign() -> None:
        with anyio.fail_after(10):
            proofs.append(await signer.sign(NOW))

    minting = threading.Thread(target=anyio.run, args=(sign,))
    minting.start()
    assert gate.reached.wait(10)
    leaving = threading.Thread(target=anyio.run, args=(give_up,), kwargs={"backend": cancelled})
    leaving.start()
    others = [threading.Thread(target=anyio.run, args=(sign,)) for _ in range(3)]
    for other in others:
        other.start()
    gate.opened.set()
    for thread in (minting, leaving, *others):
        thread.join(20)
    assert len(proofs) == 4
    assert len({id(proof) for proof in proofs}) == 1


async def test_the_child_of_a_fork_signs_with_a_lock_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The parent's may be held by a thread that is not there."""
    signer: Any = ACCOUNT.signer()
    held = signer._minting[1]
    with held, anyio.fail_after(10):
        monkeypatch.setattr("os.getpid", lambda: 1)
        proof = await signer.sign(NOW)
    assert claims_of(proof)["iss"] == "12345"


async def test_failed_signing_leaves_the_lock_free() -> None:
    """A bad key fails every call that waits, each with its own error, and none hangs."""
    signer = ServiceAccount(1, "key-1", "no key").signer()
    calls = [signer.sign(NOW) for _ in range(5)]
    async with asyncio.timeout(10):
        errors = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in errors] == [CredentialsInvalid] * 5
    assert len({id(error) for error in errors}) == 5


async def test_signing_needs_none_of_the_shared_threads() -> None:
    """A program that keeps all worker threads busy still gets its token."""
    shared = anyio.to_thread.current_default_thread_limiter()
    for number in range(int(shared.total_tokens)):
        shared.acquire_on_behalf_of_nowait(number)
    with anyio.fail_after(10):
        proof = await ACCOUNT.signer().sign(NOW)
    assert claims_of(proof)["iss"] == "12345"


async def test_api_key_is_sent_as_fields() -> None:
    """An API key is two form fields, the same at any time; there is nothing to renew."""
    signer = ApiKey(account_id=12345, api_key="abc").signer()
    proof = await signer.sign(NOW)
    assert proof.fields == {"account_id": "12345", "api_key": "abc"}
    assert proof.headers == {}
    signer.renew(proof)
    assert await signer.sign(math.inf) is proof


async def test_proof_can_not_be_changed() -> None:
    """One call can not put a header into the proof that other calls share."""
    headers = {"Authorization": "Bearer x"}
    proof = Proof(headers=headers, fields={})
    headers["Authorization"] = "Bearer y"
    assert proof.headers["Authorization"] == "Bearer x"
    with pytest.raises(TypeError):
        proof.headers["Authorization"] = "Bearer z"  # type: ignore[index]  # the point
    with pytest.raises(AttributeError):
        proof.fields = {}  # type: ignore[misc]  # the point
    assert len({proof, Proof(headers=proof.headers, fields={})}) == 2  # each is itself alone


EC_PEM = pem_of(ec.generate_private_key(ec.SECP256R1()))
PUBLIC_PEM = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


@pytest.mark.parametrize(
    ("private_key", "problem"),
    [
        ("c4n4ry", "cannot be read as a private key in PEM form"),
        (PEM[:400], "cannot be read as a private key in PEM form"),
        (PEM.replace("M", "\ud800"), "cannot be read as a private key in PEM form"),
        (PUBLIC_PEM.decode(), "cannot be read as a private key in PEM form"),
        (pem_of(KEY, b"c4n4ry"), "is encrypted with a password"),
        (EC_PEM, "is not an RSA key"),
    ],
    ids=["no PEM", "cut off", "surrogate", "public", "encrypted", "elliptic curve"],
)
async def test_key_that_can_not_sign_is_named(private_key: str, problem: str) -> None:
    """A bad key is told by its id and its problem; no cause is kept that quotes it."""
    account = ServiceAccount(1, "key-7", private_key)
    with pytest.raises(CredentialsInvalid) as caught:
        await account.signer().sign(NOW)
    assert str(caught.value) == f"private_key (of key_id 'key-7') {problem}"
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    "written",
    [
        PEM.replace("\n", "\\n"),
        PEM.replace("\n", "\\r\\n"),
        PEM.replace("\n", "\r\n"),
        PEM.replace("\n", " "),
        PEM.replace("\n", ""),
        f'"{PEM}"',
        f"\n  {PEM}\n",
        PEM.strip(),
    ],
    ids=["escaped", "escaped CRLF", "CRLF", "blanks", "one line", "quotes", "around", "no end"],
)
async def test_key_is_read_however_its_line_ends_came(written: str) -> None:
    r"""Environment variables and JSON in JSON hold them as `\n` of two characters, or lose them."""
    claims_of(await ServiceAccount(1, "key-7", written).signer().sign(NOW))


async def test_an_old_encrypted_key_is_told_as_such() -> None:
    """Its headers stand among its lines."""
    old = KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.BestAvailableEncryption(b"c4n4ry"),
    ).decode()
    with pytest.raises(CredentialsInvalid, match="is encrypted with a password"):
        await ServiceAccount(1, "key-7", old).signer().sign(NOW)


def test_white_space_around_a_key_is_dropped() -> None:
    """A file that holds it ends with a line end."""
    assert ApiKey(1, " k-1\r\n") == ApiKey(1, "k-1")
    assert ServiceAccount(1, "k-1\n", PEM).key_id == "k-1"


def test_credentials_are_values() -> None:
    """Credentials compare by value, can not be changed, and a copy is the same thing."""
    assert ServiceAccount(1, "k", "p") == ServiceAccount(account_id=1, key_id="k", private_key="p")
    assert len({ApiKey(1, "a"), ApiKey(1, "a"), ApiKey(1, "b")}) == 2
    assert copy.copy(ACCOUNT) is copy.deepcopy(ACCOUNT) is ACCOUNT
    assert ACCOUNT.private_key == PEM
    with pytest.raises(AttributeError):
        ACCOUNT.key_id = "other"  # type: ignore[misc]  # the point


SECRET = "c4n4ry"
SECRETIVE = [
    ServiceAccount(1, "k", SECRET),
    ApiKey(1, SECRET),
    Proof(headers={"Authorization": SECRET}, fields={"api_key": SECRET}),
    ServiceAccount(1, "k", SECRET).signer(),
    ApiKey(1, SECRET).signer(),
]


@pytest.mark.parametrize("value", SECRETIVE, ids=lambda value: type(value).__name__)
def test_secret_is_in_no_repr_and_no_pickle(value: object) -> None:
    """Neither printing nor pickling credentials, proofs or signers shows what is secret."""
    assert SECRET not in f"{value} {value!r} {[value]}"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError) as caught:
            pickle.dumps(value, protocol)
        assert SECRET not in str(caught.value)


def test_repr_tells_which_credentials() -> None:
    """A repr says whose credentials they are."""
    assert (
        repr(ServiceAccount(1, "key-1", SECRET)) == "ServiceAccount(account_id=1, key_id='key-1')"
    )
    assert repr(ApiKey(1, SECRET)) == "ApiKey(account_id=1)"
    assert repr(Proof(headers={}, fields={})) == "Proof()"


def test_own_credentials_can_be_written() -> None:
    """Whatever makes a signer is credentials: both of ours fit the protocols."""
    every: list[Auth] = [ACCOUNT, ApiKey(1, "a")]
    signers: list[Signer] = [auth.signer() for auth in every]
    assert len({type(signer) for signer in signers}) == 2
