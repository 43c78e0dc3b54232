"""A sandbox from start to end: everywhere it can run, and nothing of it left afterwards."""

import asyncio
import socket
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from inspect import signature
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trio
import uvicorn

import voxsms
from voxsms import ServiceAccount
from voxsms.sandbox import Delivery, InjectedFault, Ledger, Sandbox, SandboxClock, Settings, serve

Post = Callable[..., dict[str, Any]]
A2P = {"src_number": "VOXSMS", "dst_numbers": "447443332212", "text": "Hi"}


def form(sandbox: Sandbox) -> dict[str, str]:
    """Return an A2P request with the API key."""
    key = sandbox.api_key
    return A2P | {"account_id": str(key.account_id), "api_key": key.api_key}


async def use() -> int:
    """Send one message with an async client."""
    async with serve() as sandbox, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{sandbox.url}/platform_api/A2PSendSms/", data=form(sandbox))
        assert answer.json()["failed"] == []
        return sandbox.ledger.count


async def test_it_works_under_asyncio() -> None:
    """`async with` starts and ends it without holding up the loop."""
    assert await use() == 1


def test_it_works_under_trio() -> None:
    """The same under trio: the server has a thread and a loop of its own."""
    assert trio.run(use) == 1


def is_listening(sandbox: Sandbox) -> bool:
    """Return whether something answers at a sandbox's address."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except ConnectionRefusedError:
        return False
    return True


def test_nothing_is_left_when_the_body_raised() -> None:
    """Thread and socket go also after an exception."""
    threads = threading.active_count()
    sandbox = serve()

    def body() -> None:
        with sandbox:
            assert is_listening(sandbox)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        body()
    assert not is_listening(sandbox)
    assert threading.active_count() == threads


def servers() -> set[threading.Thread]:
    """Give the threads of the sandboxes that run."""
    return {each for each in threading.enumerate() if each.name == "voxsms-sandbox"}


async def test_nothing_is_left_when_the_body_was_cancelled() -> None:
    """The end is shielded: a cancelled test leaves no server behind."""
    sandbox, running, threads = serve(), asyncio.Event(), servers()

    async def body() -> None:
        async with sandbox:
            running.set()
            await anyio.sleep_forever()

    task = asyncio.create_task(body())
    await running.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_listening(sandbox)
    assert servers() == threads


def test_what_it_shows_of_itself() -> None:
    """Its address, and after the end what happened; before the start it says what is missing."""
    sandbox = serve()
    assert repr(sandbox) == "<Sandbox not running>"
    with pytest.raises(RuntimeError, match="use `with` or `async with`"):
        _ = sandbox.url
    with sandbox:
        assert repr(sandbox) == f"<Sandbox {sandbox.url}>"
        assert sandbox.url.startswith("http://127.0.0.1:")
        with pytest.raises(RuntimeError, match="running already"):
            sandbox.start()
        httpx.post(f"{sandbox.url}/platform_api/A2PSendSms/", data=form(sandbox))
    sandbox.stop()  # once more does no harm
    assert repr(sandbox) == "<Sandbox not running>"
    assert repr(sandbox.ledger) == "<Ledger: 1 deliveries>"
    sandbox.faults.add("never")  # nobody is there to be told


def test_it_can_run_again(post_to: Callable[[Sandbox], Post]) -> None:
    """The same settings can be served once more."""
    sandbox = serve()
    for _ in range(2):
        with sandbox:
            assert post_to(sandbox)("A2PSendSms", **A2P)["failed"] == []
    assert sandbox.ledger.count == 2


def test_a_port_of_ones_choice() -> None:
    """`port=` is taken if it is free; if not, the error is that of the socket."""
    with serve() as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(OSError, match="ddress already in use"):
            serve(port=port).start()
    with serve(port=port) as second:
        assert second.url == first.url


def test_a_start_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trouble in the server's thread comes out of `start`, and nothing is left."""

    async def fail(*_: object) -> None:
        raise OSError("no sockets left")

    monkeypatch.setattr(uvicorn.Server, "startup", fail)
    threads = servers()
    with pytest.raises(OSError, match="no sockets left"):
        serve().start()
    assert servers() == threads


def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    """A bad path is an error before anything listens."""
    with pytest.raises(Exception, match="unable to open database file"):
        serve(database=tmp_path / "missing" / "account.sqlite").start()


def test_a_file_keeps_the_account(tmp_path: Path, post_to: Callable[[Sandbox], Post]) -> None:
    """Messages, balance, enabled numbers and credentials outlive the sandbox in a file."""
    database = tmp_path / "account.sqlite"
    with serve(database=database) as sandbox:
        post = post_to(sandbox)
        post("A2PSendSms", **A2P)
        post("ControlSms", phone_number="447443332211", command="enable")
        balance, account = sandbox.balance, (sandbox.auth, sandbox.callback_secret)
    with serve(database=str(database), balance=5) as sandbox:
        post = post_to(sandbox)
        assert sandbox.balance == balance == Decimal("99.966")
        assert post("A2PGetSmsHistory")["total_count"] == 1
        assert [n["is_sms_enabled"] for n in post("GetPhoneNumbers")["result"]] == [True, False]
        assert post("A2PSendSms", **A2P)["result"][0]["message_id"] == 2
        assert sandbox.ledger.count == 1
        assert (sandbox.auth, sandbox.callback_secret) == account


def test_credentials_as_a_file(voxsms_sandbox: Sandbox, tmp_path: Path) -> None:
    """In the JSON form that every client of the service reads, for the user's eyes alone."""
    file = voxsms_sandbox.save_credentials(tmp_path / "credentials.json")
    assert ServiceAccount.from_file(file) == voxsms_sandbox.auth
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.slow
def test_many_threads_at_once(voxsms_sandbox: Sandbox) -> None:
    """Sends from many threads, and a look at the ledger from another, agree with the account."""

    def sender() -> None:
        with httpx.Client(trust_env=False) as client:
            for _ in range(10):
                client.post(
                    f"{voxsms_sandbox.url}/platform_api/A2PSendSms/", data=form(voxsms_sandbox)
                )

    threads = [threading.Thread(target=sender) for _ in range(5)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert voxsms_sandbox.ledger.charged % Decimal("0.0340") == 0
    for thread in threads:
        thread.join()
    ids = [delivery.message_id for delivery in voxsms_sandbox.ledger.deliveries]
    assert sorted(ids) == list(range(1, 51))
    assert voxsms_sandbox.balance == 100 - voxsms_sandbox.ledger.charged == Decimal("98.3000")


def test_help_shows_every_setting() -> None:
    """The signature of `serve` is that of its settings, and all are keyword arguments."""
    parameters = signature(serve).parameters
    assert parameters.keys() == signature(Settings).parameters.keys()
    assert {p.kind.name for p in parameters.values()} == {"KEYWORD_ONLY"}
    assert voxsms.sandbox.serve is serve


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"balance": "much"}, "balance: is not an amount"),
        ({"balance": "NaN"}, "balance: is not finite"),
        ({"balance": -1}, "balance: is -1; it must not be below 0"),
        ({"numbers": "447443332211"}, "numbers: is one string; it must be a list"),
        ({"numbers": ["12"]}, "12.* has 2 digits|has 2 digits"),
        ({"refused": {"abc": 385}}, "is not a phone number"),
        ({"outcomes": {"447443332212": "LOST"}}, "LOST"),
        ({"account_id": -1}, "account_id: must be a whole number above 0"),
        ({"api_key": " "}, "api_key: must be a string that is not empty"),
        ({"callback_salt": "s" * 41}, "callback_salt: must be 1 to 40 characters"),
        ({"rate_limit": 0}, "rate_limit: is 0; it must be above 0"),
        ({"max_rows": 0}, "max_rows: is 0"),
        ({"keep_alive": 0}, "keep_alive: is 0"),
        ({"port": -1}, "port: is -1; it must not be below 0"),
        ({"dispatch_after": -1}, "dispatch_after: is -1"),
        ({"faults": "explode"}, "'explode' is not one of"),
        ({"start": datetime(2026, 1, 1)}, "aware datetime"),  # noqa: DTZ001 - that is the mistake
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], said: str) -> None:
    """Each mistake is named with its setting before anything starts."""
    with pytest.raises(ValueError, match=said):
        serve(**settings)


def test_settings_in_their_short_forms() -> None:
    """Numbers with punctuation, amounts as text or int, outcomes by name, faults as text."""
    given = Settings(
        balance=5,
        numbers=["+44 7443 332211"],
        outcomes={"+1 415 555 0100": "FAILED"},
        refused={"7 926 333-11-22": 385},
        faults=[InjectedFault("never")],
    )
    assert given.balance == Decimal(5)
    assert [number.number for number in given.numbers] == ["447443332211"]
    assert given.outcomes == {"14155550100": "FAILED"}
    assert given.refused == {"79263331122": 385}
    assert given.faults == Settings(faults="never").faults


def test_a_clock_that_is_driven() -> None:
    """It follows real time, stands once it was set, and goes on when told to."""
    clock = SandboxClock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    clock.advance(timedelta(hours=1))
    assert timedelta(minutes=59) < clock.now() - datetime.now(UTC) < timedelta(minutes=61)
    noon = datetime(2026, 1, 15, 12, tzinfo=UTC)
    clock.set(noon)
    assert clock.now() == noon
    clock.advance(1.5)
    assert clock.now() == noon + timedelta(seconds=1.5)
    clock.run()
    assert noon < clock.now() < noon + timedelta(seconds=30)
    with pytest.raises(ValueError, match="aware datetime"):
        clock.set(datetime(2026, 1, 15))  # noqa: DTZ001 - that is the mistake


def test_a_ledger_adds_exactly() -> None:
    """Amounts of any size add up without rounding."""
    ledger = Ledger()
    costs = [Decimal("1e30"), Decimal("1e-12"), Decimal("0.1")]
    ledger.record(
        Delivery(
            method="A2PSendSms",
            source="VOXSMS",
            destination=f"44744333221{n}",
            text="Hi",
            fragments=1,
            cost=cost,
            message_id=n,
            at=datetime(2026, 1, 15, tzinfo=UTC),
        )
        for n, cost in enumerate(costs)
    )
    assert ledger.charged == Decimal("1000000000000000000000000000000.100000000001")
    assert [each.message_id for each in ledger.to("447443332211")] == [1]
    assert ledger.to("1") == ()
