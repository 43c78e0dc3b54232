"""What error trackers record: no variable of our frames shows a key, a token, a number or a text.

Sentry keeps the local variables of every frame of an error and of its causes; it opens mappings and
lists, and takes the `repr` of everything else.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any, cast
from urllib.parse import parse_qs

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from doubles import Act, always, http, json_answer, loopback, until

import voxsms
from voxsms import (
    AiohttpTransport,
    ApiKey,
    Budget,
    Client,
    Httpx2Transport,
    HttpxTransport,
    Outbox,
    RateTable,
    ServiceAccount,
    export_history,
)
from voxsms.calls.auth import from_env

TEXT = "a text that is nobody's business"
NUMBER = "447700900412"  # no example of the documentation's
SENDER = "447700900411"
SECRET_KEY = "k-3f1c9a-of-the-account"
SECRETS = (TEXT, NUMBER, SENDER, SECRET_KEY, "Bearer ey", "PRIVATE KEY", TEXT.replace(" ", "+"))
SEND: dict[str, Any] = {"source": SENDER, "destination": NUMBER, "sms_body": TEXT}
ROW = {"message_id": 1, "source_number": SENDER, "destination_number": NUMBER, "text": TEXT}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk an error's causes, and contexts that are not suppressed, as a tracker does."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def frames(error: BaseException) -> Iterator[FrameType]:
    """Walk the frames of ours in an error and those behind it."""
    for each in chain(error):
        link = each.__traceback__
        while link is not None:
            file = link.tb_frame.f_code.co_filename
            if "/voxsms/" in file.replace("\\", "/") or file.startswith("<attrs generated"):
                yield link.tb_frame
            link = link.tb_next


def shown(value: object, depth: int = 0) -> str:
    """Show a value as a tracker does."""
    if isinstance(value, Mapping) and depth < 9:
        return " ".join(shown(part, depth + 1) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple | set | frozenset) and depth < 9:
        return " ".join(shown(part, depth + 1) for part in value)
    return value.decode(errors="replace") if isinstance(value, bytes) else str(repr(value))


def assert_nothing_is_shown(error: BaseException) -> None:
    """Look at every variable of every frame of ours, and at the errors themselves."""
    walked = list(frames(error))
    assert walked, "the error came through our frames"
    for frame in walked:
        for name, value in frame.f_locals.items():
            told = shown(value)
            leaks = [secret for secret in SECRETS if secret in told]
            assert not leaks, f"{frame.f_code.co_qualname}: {name} = {told[:300]}"
    for each in chain(error):
        assert not [secret for secret in SECRETS if secret in f"{each} {each!r} {each.args!r}"
                    and not isinstance(each, voxsms.VoxSmsError)]  # fmt: skip


@pytest.fixture(params=["httpx", "httpx2", "aiohttp"])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """Give one real transport after the other."""
    made: dict[str, Any] = {
        "httpx": HttpxTransport,
        "httpx2": Httpx2Transport,
        "aiohttp": AiohttpTransport,
    }
    transport = made[request.param]()
    yield transport
    await transport.aclose()


@pytest.fixture(scope="module")
def account() -> ServiceAccount:
    """Give a service account; its key takes a while."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return ServiceAccount(1, "key-1", pem.decode())


@pytest.fixture(params=["key", "token"])
def auth(request: pytest.FixtureRequest, account: ServiceAccount) -> ApiKey | ServiceAccount:
    """Give credentials of both kinds."""
    return account if request.param == "token" else ApiKey(1, SECRET_KEY)


async def error_of(call: Awaitable[object]) -> BaseException:
    """Make a call that fails."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        await call
    return caught.value


async def hang_up(writer: asyncio.StreamWriter, _: bytes) -> None:
    """Close the connection instead of answering."""
    writer.close()


async def hang(_writer: asyncio.StreamWriter, _: bytes) -> None:
    """Never answer."""
    await asyncio.sleep(60)


async def half(writer: asyncio.StreamWriter, _: bytes) -> None:
    """Answer in two pieces, and never with the last."""
    body = orjson.dumps({"result": [ROW], "total_count": 1})
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 9999\r\n\r\n"
    writer.write(head + body)
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.close()


def echo(code: int) -> Act:
    """Make an act that refuses, and repeats all that it was sent."""

    async def act(writer: asyncio.StreamWriter, request: bytes) -> None:
        fields = parse_qs(request.partition(b"\r\n\r\n")[2].decode())
        said = f"{code}: {' '.join(value for values in fields.values() for value in values)}"
        writer.write(json_answer({"error": {"code": code, "msg": said}}))

    return act


UNREADABLE = {"result": [{**ROW, "cost": TEXT}], "total_count": 1}
ACTS: dict[str, Act] = {
    "refused": echo(423),
    "server fault": echo(1),
    "unreadable": always(json_answer(UNREADABLE)),
    "no JSON": always(http(f"{NUMBER} {TEXT}".encode(), "200 OK", "Content-Type: text/html")),
    "broken JSON": always(http(orjson.dumps(ROW)[:-1], "200 OK")),
    "damaged gzip": always(http(f"{NUMBER} {TEXT}".encode(), "200 OK", "Content-Encoding: gzip")),
    "endless line": always(http(b"{}", "200 OK", f"X: {NUMBER} {TEXT * 5000}")),
    "HTML error": always(http(f"{NUMBER} {TEXT}".encode(), "502 Bad Gateway")),
    "hung up": hang_up,
    "too late": hang,
    "half": half,
}
CALLS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "send": lambda client: client.send_sms_message(**SEND),
    "send to many": lambda client: client.a2p_send_sms(
        src_number=SENDER, dst_numbers=[NUMBER], text=TEXT
    ),
    "control": lambda client: client.control_sms(phone_number=NUMBER, command="enable"),
    "page": lambda client: _awaited(client.get_sms_history(source_number=NUMBER)),
    "rows": lambda client: _iterated(client.get_sms_history(destination_number=NUMBER)),
}


async def _awaited(pager: Any) -> object:  # noqa: ANN401 - of any rows
    return await pager


async def _iterated(pager: Any) -> object:  # noqa: ANN401 - of any rows
    return [row async for row in pager]


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
async def test_no_variable_of_a_failed_call_shows_anything(
    transport: Any,  # noqa: ANN401 - of three kinds
    auth: ApiKey | ServiceAccount,
    act: Act,
) -> None:
    """Whatever the service or the network did."""
    deadline = 0.05 if act is hang else 5
    async with loopback(act) as server:
        client = Client(auth, server.url, transport=transport, max_attempts=1, deadline=deadline)
        for call in CALLS.values():
            assert_nothing_is_shown(await error_of(call(client)))


async def test_nor_where_nobody_listens(
    transport: Any,  # noqa: ANN401 - of three kinds
    auth: ApiKey | ServiceAccount,
) -> None:
    """`NotSent` for a send."""
    client = Client(auth, "http://127.0.0.1:1", transport=transport, max_attempts=1)
    for call in CALLS.values():
        assert_nothing_is_shown(await error_of(call(client)))


@pytest.mark.parametrize("act", ["refused", "unreadable", "no JSON", "hung up", "half"])
async def test_nor_of_a_download(transport: Any, tmp_path: Path, act: str) -> None:  # noqa: ANN401 - see above
    """With its filters, and what came of the file."""
    async with loopback(ACTS[act]) as server:
        client = Client(ApiKey(1, SECRET_KEY), server.url, transport=transport, max_attempts=1)
        path = tmp_path / "history.csv"
        call = client.download_sms_history(output="csv", path=path, source_number=NUMBER)
        assert_nothing_is_shown(await error_of(call))


async def _closed(client: Client) -> object:
    await client.aclose()
    return await client.send_sms_message(**SEND)


RATES = RateTable.from_resource_prices((), currency="USD", method="a2p_send_sms")
WRONG: dict[str, Callable[[Client], Awaitable[object]]] = {
    "number": lambda client: client.send_sms_message(**SEND | {"destination": f"{NUMBER}x"}),
    "text": lambda client: client.send_sms_message(**SEND | {"sms_body": TEXT * 100}),
    "surrogate": lambda client: client.send_sms_message(**SEND | {"sms_body": TEXT + "\ud800"}),
    "twice": lambda client: client.a2p_send_sms(
        src_number=SENDER, dst_numbers=[NUMBER, NUMBER], text=TEXT
    ),
    "unknown argument": lambda client: client.send_sms_message(**SEND, to=NUMBER),  # type: ignore[call-arg]
    "missing argument": lambda client: client.send_sms_message(source=NUMBER, sms_body=TEXT),  # type: ignore[call-arg]
    "budget": lambda client: client.with_options(budget=Budget(max_fragments=0)).a2p_send_sms(
        src_number=SENDER, dst_numbers=[NUMBER], text=TEXT
    ),
    "price": lambda client: client.with_options(
        budget=Budget(max_cost=Decimal(1), rates=RATES)
    ).a2p_send_sms(src_number=SENDER, dst_numbers=[NUMBER], text=TEXT),
    "filter": lambda client: _awaited(client.get_sms_history(source_number=NUMBER, count=0)),
    "rows": lambda client: _iterated(client.get_sms_history(source_number=NUMBER, count=0)),
    "download": lambda client: client.download_sms_history(
        output=cast("Any", "json"), path="x", source_number=NUMBER
    ),
    "target": lambda client: client.download_sms_history(
        output="csv", path=".", source_number=NUMBER
    ),
    "closed": _closed,
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
async def test_nor_of_a_call_that_is_refused_here(
    call: Callable[[Client], Awaitable[object]],
) -> None:
    """Before anything left the machine."""

    async def made() -> object:
        return await call(Client(ApiKey(1, SECRET_KEY)))

    assert_nothing_is_shown(await error_of(made()))


async def test_nor_of_a_call_that_is_cancelled(transport: Any) -> None:  # noqa: ANN401 - see above
    """The doubt is raised later by whoever looks at it."""
    async with loopback(hang) as server:
        client = Client(ApiKey(1, SECRET_KEY), server.url, transport=transport)
        task = asyncio.ensure_future(client.send_sms_message(**SEND))
        await until(lambda: bool(server.requests))
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert_nothing_is_shown(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ApiKey("1", SECRET_KEY),  # type: ignore[arg-type]
        lambda: ApiKey(account_id=0, api_key=SECRET_KEY),
        lambda: ServiceAccount("1", "k", f"-----BEGIN PRIVATE KEY----- {SECRET_KEY}"),  # type: ignore[arg-type]
        lambda: from_env({"VOXIMPLANT_ACCOUNT_ID": "x", "VOXIMPLANT_API_KEY": SECRET_KEY}),
        lambda: from_env({"VOXIMPLANT_API_KEY": SECRET_KEY}),
        lambda: from_env({"VOXIMPLANT_CREDENTIALS": "gone.json", "OTHER": SECRET_KEY}),
        lambda: from_env({"VOXIMPLANT_CREDENTIALS": f"-----BEGIN PRIVATE KEY----- {SECRET_KEY}"}),
        lambda: from_env({"VOXIMPLANT_CREDENTIALS": f'{{"private_key": "{SECRET_KEY}"}}'}),
        lambda: ServiceAccount.from_file("A" * 1100 + SECRET_KEY),
    ],
)
def test_nor_of_credentials_that_are_wrong(make: Callable[[], object]) -> None:
    """The environment holds many secrets; a variable may hold the key in place of its path."""
    with pytest.raises(voxsms.CredentialsInvalid) as caught:
        make()
    assert_nothing_is_shown(caught.value)


@pytest.mark.parametrize(
    "where",
    [
        f"postgresql://user:a/{SECRET_KEY}@host/x",
        f"postgresql://user:a@{SECRET_KEY}@host/x",
        f"postgresql://user:a%{SECRET_KEY}@host/x",
        f"postgresql+psycopg://user:{SECRET_KEY}@host/x",
        f"mysql://user:{SECRET_KEY}@host/x",
        f"host=host user=user password={SECRET_KEY}",
    ],
)
def test_nor_of_an_outbox_whose_place_cannot_be_read(where: str) -> None:
    """Not a part of the password either, where a character of it should have been escaped."""
    with pytest.raises(voxsms.InvalidRequest) as caught:
        Outbox.open(where)
    assert SECRET_KEY not in repr(caught.value)
    assert_nothing_is_shown(caught.value)


async def test_nor_of_an_outbox_whose_database_breaks(tmp_path: Path) -> None:
    """While a chunk is under way, with its text and the people that it goes to."""
    path = tmp_path / "mailing.db"

    async def act(writer: asyncio.StreamWriter, _: bytes) -> None:
        with closing(sqlite3.connect(path)) as database:
            database.execute("DROP TABLE voxsms_intents")
        writer.write(json_answer({"error": {"code": 101, "msg": "no"}}))

    async with loopback(act) as server, Outbox.open(path) as outbox:
        await outbox.add([(TEXT, NUMBER)], source=SENDER)
        client = Client(ApiKey(1, SECRET_KEY), server.url, max_attempts=1, deadline=0.5)
        assert_nothing_is_shown(await error_of(outbox.run(client)))


async def test_nor_of_an_export_that_is_refused(tmp_path: Path) -> None:
    """The number that it filters by is in the caller's frame alone."""
    async with loopback(ACTS["refused"]) as server:
        client = Client(ApiKey(1, SECRET_KEY), server.url, max_attempts=1)
        call = export_history(client, "sms", tmp_path / "history.csv", source_number=NUMBER)
        assert_nothing_is_shown(await error_of(call))


def test_nor_of_an_address_with_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused, given as an argument and by the environment."""
    address = f"https://user:{SECRET_KEY}@api.example"
    with pytest.raises(voxsms.InvalidRequest, match="must not hold credentials") as caught:
        Client(ApiKey(1, SECRET_KEY), address)
    assert_nothing_is_shown(caught.value)
    monkeypatch.delenv("VOXIMPLANT_CREDENTIALS", raising=False)
    monkeypatch.setenv("VOXIMPLANT_ACCOUNT_ID", "1")
    monkeypatch.setenv("VOXIMPLANT_API_KEY", SECRET_KEY)
    monkeypatch.setenv("VOXSMS_BASE_URL", address)
    with pytest.raises(voxsms.InvalidRequest, match="must not hold credentials") as caught:
        Client.from_env()
    assert_nothing_is_shown(caught.value)
