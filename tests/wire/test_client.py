"""The client as a newcomer meets it: how it is made, what it says, and what it does not send."""

import inspect
import json
import pydoc
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import attrs
import httpx
import pytest
from doubles import A2P, KEY, SMS, CountingSigner, FakeClock, Scripted, answer

import voxsms
from voxsms import Budget, Client, Clock, HttpxTransport, RateTable, ServiceAccount, Timeouts
from voxsms.api.models import DeliveryStatus, Direction
from voxsms.api.spec import AsyncWriter
from voxsms.errors import BudgetExceeded, CredentialsInvalid, InvalidRequest, InvalidText
from voxsms.text import Message


@pytest.fixture
def script() -> Scripted:
    """Give a transport that accepts everything."""
    return Scripted(answer())


@pytest.fixture
async def client(script: Scripted) -> AsyncIterator[Client]:
    """Give a client over it."""
    async with Client(KEY, transport=script, clock=FakeClock()) as made:
        yield made


FILTERS = "message_id source_number destination_number"
SPAN = "count offset from_date to_date"
# Transcribed from api.md and the contract: every method with its parameters; `!`: must be given.
SIGNATURES: dict[str, tuple[str, str]] = {
    "send_sms_message": ("source! destination! sms_body! store_body", "SendSmsMessageResult"),
    "a2p_send_sms": ("src_number! dst_numbers! text! store_body", "A2PSendSmsResult"),
    "control_sms": ("phone_number! command!", "ControlSmsResult"),
    "get_sms_history": (f"{FILTERS} direction {SPAN}", "Pager[voxsms.api.models.SmsHistory]"),
    "a2p_get_sms_history": (
        f"{FILTERS} {SPAN} delivery_status",
        "Pager[voxsms.api.models.A2PSmsHistory]",
    ),
    "download_sms_history": (f"{FILTERS} direction {SPAN} path! output!", "int"),
    "download_a2p_sms_history": (f"{FILTERS} {SPAN} delivery_status path! output!", "int"),
    "get_phone_numbers": (
        "phone_number sms_supported count offset",
        "Pager[voxsms.api.models.PhoneNumber]",
    ),
    "get_resource_price": (
        "resource_type resource_param price_group_id price_group_name",
        "tuple[voxsms.api.models.ResourcePrice, ...]",
    ),
    "get_account_info": ("return_live_balance", "AccountInfo"),
}


@pytest.mark.parametrize("name", SIGNATURES)
async def test_every_method_shows_its_parameters(name: str, client: Client) -> None:
    """All are keyword arguments named as on the wire; `!` marks those that must be given."""
    parameters, returns = SIGNATURES[name]
    shown = inspect.signature(getattr(client, name))
    assert {p.kind for p in shown.parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    written = [
        p.name + ("!" if p.default is inspect.Parameter.empty else "")
        for p in shown.parameters.values()
    ]
    assert written == parameters.split()
    assert str(shown.return_annotation).rstrip("'>").endswith(returns)
    assert all(p.default in (inspect.Parameter.empty, None) for p in shown.parameters.values())


async def test_the_types_shown_are_those_a_person_writes(client: Client) -> None:
    """Nothing of how a value crosses the wire."""
    methods = (client.a2p_send_sms, client.get_sms_history, client.a2p_get_sms_history)
    shown = {
        parameter.name: parameter.annotation
        for method in methods
        for parameter in inspect.signature(method).parameters.values()
    }
    assert shown["text"] == str | Message
    assert shown["direction"] == Direction | Literal["IN", "OUT", "in", "out"] | None
    assert shown["delivery_status"] == DeliveryStatus | int | None
    assert shown["from_date"] == datetime | None
    download = inspect.signature(client.download_sms_history).parameters
    assert AsyncWriter in download["path"].annotation.__args__


@pytest.mark.parametrize("name", SIGNATURES)
async def test_help_tells_what_a_method_does(name: str, client: Client) -> None:
    """`help()` of a client's method, and of the class: what it does and each parameter."""
    method = getattr(client, name)
    assert method.__name__ == name
    assert method.__qualname__ == f"Client.{name}"
    for shown in (pydoc.render_doc(method), pydoc.render_doc(getattr(Client, name))):
        text = pydoc.plain(shown)
        for parameter in SIGNATURES[name][0].split():
            plain = parameter.rstrip("!")
            assert plain == "path" or f"{plain}: " in text
        assert (method.__doc__ or "").splitlines()[0] in text
    assert name in pydoc.plain(pydoc.render_doc(Client))


async def test_what_is_awaited_is_a_coroutine(client: Client, script: Scripted) -> None:
    """So `asyncio.create_task(client.send_sms_message(...))` works; a pager is none."""
    call = client.send_sms_message(**SMS)
    assert isinstance(call, Coroutine)
    await call
    assert isinstance(client.get_sms_history(), voxsms.Pager)
    assert len(script.requests) == 1


async def test_the_class_has_the_methods_too(client: Client) -> None:
    """`Client.send_sms_message(client, ...)` is the same call."""
    send: Any = Client.send_sms_message
    assert (await send(client, **SMS)).message_id == 1861


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"source": "1", "destination": "2", "body": "x"}, "body"),
        ({"source": "44744333221", "destination": "44744333222"}, "sms_body"),
    ],
)
async def test_a_misspelt_or_missing_argument_is_named(
    arguments: dict[str, Any], named: str, client: Client, script: Scripted
) -> None:
    """As Python does for any function."""
    with pytest.raises(TypeError, match=named):
        await client.send_sms_message(**arguments)
    assert script.requests == []


TOO_MANY = [f"4474433{n:05d}" for n in range(101)]
Bad = tuple[str, dict[str, Any], list[str]]
BAD: list[Bad] = [
    ("a2p_send_sms", A2P | {"dst_numbers": TOO_MANY},
     ["dst_numbers: has 101 items; at most 100 are allowed"]),
    ("a2p_send_sms", A2P | {"text": "x" * 1599 + "😀"},
     ["text: has 1601 UTF-16 code units; at most 1600 are allowed"]),
    ("send_sms_message", SMS | {"sms_body": "ж" * 766},
     ["sms_body: has 766 UTF-16 code units; at most 765 are allowed"]),
    ("get_sms_history", {"count": 1001}, ["count: is 1001; it must be at most 1000"]),
    ("get_sms_history", {"from_date": datetime(2026, 11, 22)},  # noqa: DTZ001 - the point
     ["from_date: is a naive datetime; give it a time zone, such as datetime.UTC"]),
    ("control_sms", {"phone_number": "447443332212", "command": "on"},
     ["command: is not one of enable, disable"]),
    ("send_sms_message", SMS | {"destination": "ACME Ltd"},
     ["destination: 'AC***td' is not a phone number: only digits may remain"]),
    ("send_sms_message", SMS | {"destination": "+44"},
     ["destination: *** has 2 digits; a phone number has 5 to 15"]),
    ("send_sms_message", SMS | {"destination": "00447443332212"},
     ["destination: 004***212 starts with 00; write the country code without a prefix"]),
    ("a2p_send_sms", A2P | {"dst_numbers": ["447443332212", "1415", "+44 7443 332-212"]},
     ["dst_numbers[1]: 1***5 has 4 digits", "dst_numbers[2]: 447***212 stands at position 0"]),
    ("a2p_send_sms", A2P | {"dst_numbers": "447443332212"},
     ["dst_numbers: is a value of type str; it must be a list"]),
    ("a2p_send_sms", A2P | {"dst_numbers": []}, ["dst_numbers: is an empty list"]),
    ("a2p_send_sms", A2P | {"text": ""}, ["text: is empty"]),
    ("send_sms_message", SMS | {"source": ""}, ["source: is empty"]),
    ("send_sms_message", SMS | {"sms_body": None}, ["sms_body: is None; it must be a str"]),
    ("send_sms_message", SMS | {"sms_body": b"bytes"}, ["sms_body: is a value of type bytes"]),
    ("send_sms_message", SMS | {"store_body": "yes"}, ["store_body: is a value of type str"]),
    ("get_phone_numbers", {"count": True}, ["count: is a value of type bool; it must be an int"]),
    ("a2p_get_sms_history", {"delivery_status": 9}, ["delivery_status: is not one of QUEUED (1)"]),
    ("get_sms_history", {"from_date": datetime(2026, 2, 1, tzinfo=UTC),
                         "to_date": datetime(2026, 1, 1, tzinfo=UTC)},
     ["from_date: is later than to_date"]),
    ("send_sms_message", {"source": "", "destination": "x", "sms_body": ""},
     ["source: is empty", "destination: '***' is not a phone number", "sms_body: is empty"]),
]  # fmt: skip


@pytest.mark.parametrize(("method", "arguments", "problems"), BAD)
async def test_bad_input_is_told_before_anything_is_sent(
    method: str,
    arguments: dict[str, Any],
    problems: list[str],
    client: Client,
    script: Scripted,
) -> None:
    """Every fault at once: where it is, what is wrong, what the limit is; numbers masked."""
    with pytest.raises(InvalidRequest) as caught:
        await getattr(client, method)(**arguments)
    text = str(caught.value)
    assert [problem for problem in problems if problem not in text] == []
    assert len(caught.value.faults) == len(problems)
    assert text.endswith("Nothing was sent.")
    assert not any(number in text for number in ("447443332212", *TOO_MANY))
    assert isinstance(caught.value, ValueError)
    assert caught.value.sent == "no"
    assert script.requests == []


@pytest.mark.parametrize("text", ["half \ud83d", "bare \x1b escape"])
async def test_a_text_that_no_message_can_carry(
    text: str, client: Client, script: Scripted
) -> None:
    """Is refused by name, with its position and without the text."""
    with pytest.raises(InvalidText) as caught:
        await client.send_sms_message(**(SMS | {"sms_body": text}))
    assert "at index 5" in str(caught.value)
    assert script.requests == []


async def test_a_message_is_taken_wherever_a_text_is(client: Client, script: Scripted) -> None:
    """Its text is what goes out."""
    await client.send_sms_message(**(SMS | {"sms_body": Message("See you")}))
    assert script.forms[0]["sms_body"] == "See you"


class AsyncCallable:
    """An object that is called like an async function."""

    async def __call__(self, event: object) -> None:
        """Be called in vain."""


PATHLIKE = Path("credentials.json")
BAD_PARTS: list[tuple[dict[str, Any], str]] = [
    ({"auth": "credentials.json"}, "auth: is a value of type str; it must be a ServiceAccount"),
    ({"auth": PATHLIKE}, "auth: is a value of type PosixPath"),
    ({"auth": None}, "auth: is None; it must be a ServiceAccount or an ApiKey"),
    ({"auth": ServiceAccount}, "auth: is a value of type"),
    *[({"base_url": url}, "base_url: must be like https://api.voximplant.com") for url in (
        "api.voximplant.com", "ftp://svc.test", "https://", "https://svc.test?a=1", None, 7,
        "https://svc.test#x", "https://[::1", "https://svc.test:99999", "https://svc.test:x",
        "https://svc.test:0", "https://svc .test", "https://svc.test\n", "", b"https://svc.test",
    )],
    ({"base_url": "https://me:secret@svc.test"}, "base_url: must not hold credentials"),
    ({"timeout": 0}, "timeout.connect: must be a number of seconds above 0"),
    ({"timeout": "5"}, "timeout.read: must be a number of seconds above 0"),
    ({"timeout": None}, "timeout.pool: must be a number of seconds above 0"),
    ({"timeout": Timeouts(write=-1)}, "timeout.write: must be a number of seconds above 0"),
    ({"timeout": float("nan")}, "timeout.write: must be a number of seconds above 0"),
    ({"deadline": 0}, "deadline: must be a number of seconds above 0"),
    ({"deadline": True}, "deadline: must be a number of seconds above 0"),
    ({"max_attempts": 0}, "max_attempts: must be a whole number of at least 1"),
    ({"max_attempts": 2.5}, "max_attempts: must be a whole number of at least 1"),
    ({"budget": 25}, "budget: is a value of type int; it must be a Budget"),
    ({"transport": "httpx"}, "transport: is a value of type str; it must be an httpx.AsyncClient"),
    ({"transport": httpx.Client}, "transport: is a value of type type"),
    ({"transport": HttpxTransport}, "transport: is a value of type type"),
    ({"clock": SimpleNamespace(time=int, sleep=int, roll=int)}, "clock: is a value of type"),
    ({"clock": Clock}, "clock: is a value of type type; it must be a Clock"),
    ({"on_outcome": AsyncCallable()}, "on_outcome: must be a plain function"),
    ({"on_attempt": "print"}, "on_attempt: must be a plain function"),
    ({"on_outcome": CountingSigner().sign}, "on_outcome: must be a plain function"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "problem"), BAD_PARTS)
def test_a_client_that_can_not_work_is_not_made(options: dict[str, Any], problem: str) -> None:
    """An argument that can not be right is named when the client is made, not at its first call."""
    with pytest.raises(InvalidRequest) as caught:
        Client(**({"auth": KEY} | options))
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)


def test_all_faults_of_a_client_are_told_at_once() -> None:
    """Not one after the other."""
    with pytest.raises(InvalidRequest) as caught:
        Client(KEY, "x", max_attempts=0, deadline=-1)
    assert [fault.field for fault in caught.value.faults] == [
        "base_url",
        "deadline",
        "max_attempts",
    ]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "https://api.voximplant.com/", "https://[::1]:443/proxy/"]
)
async def test_addresses_that_are_good(url: str, script: Scripted) -> None:
    """With or without a slash at the end, a port, a path before the service's own."""
    client = Client(KEY, url, transport=script)
    await client.send_sms_message(**SMS)
    assert script.requests[0].url == f"{url.rstrip('/')}/platform_api/SendSmsMessage/"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://svc.test:8080/proxy", ["svc.test"]),
        ("https://svc.test", []),
        ("http://localhost:8080", []),
        ("http://127.0.0.1:8080", []),
        ("http://[::1]:8080", []),
    ],
)
async def test_credentials_in_clear_are_warned_of(
    url: str, said: list[str], script: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each client, not refused: it may be a mock, or a proxy of one's own."""
    client = Client(KEY, url, transport=script)
    await client.with_options(deadline=5).send_sms_message(**SMS)
    text = "credentials cross the network in the clear: {} is called without TLS"
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warnings == [text.format(host) for host in said]


async def test_a_view_has_its_own_options_and_the_same_connections(client: Client) -> None:
    """What is not given stays as it was; the client itself is not changed."""
    budget = Budget(max_fragments=1)
    view = client.with_options(timeout=3, deadline=9, budget=budget)
    further = view.with_options(max_attempts=1, timeout=Timeouts(read=1))
    assert attrs.asdict(view.session.options, recurse=False) == {
        "timeouts": Timeouts(3, 3, 3, 3),
        "max_attempts": 4,
        "deadline": 9,
        "budget": budget,
        "phone": None,
        "may_begin": None,
    }
    assert (further.session.options.deadline, further.session.options.budget) == (9, budget)
    assert (further.session.options.max_attempts, further.session.options.timeouts.read) == (1, 1)
    assert client.session.options.budget is None
    assert client.session.options.timeouts == Timeouts(connect=5, read=30, write=10, pool=10)
    assert view.session.transport is client.session.transport is further.session.transport
    with pytest.raises(InvalidRequest, match="deadline: must be"):
        client.with_options(deadline=-1)


async def test_a_view_is_asked_by_its_own_options_whoever_was_asked_first(
    client: Client, script: Scripted
) -> None:
    """A budget of a view holds for the view's sends alone."""
    long = SMS | {"sms_body": "x" * 161}
    await client.send_sms_message(**long)
    careful = client.with_options(budget=Budget(max_fragments=1))
    with pytest.raises(BudgetExceeded, match="takes 2 fragments; the budget allows 1"):
        await careful.send_sms_message(**long)
    await client.send_sms_message(**long)
    assert len(script.requests) == 2


def test_a_client_shows_where_it_calls_and_no_secret() -> None:
    """Neither it nor its class tells a key."""
    client = Client(KEY, "http://127.0.0.1:9", transport=Scripted(answer()))
    assert repr(client) == "<Client http://127.0.0.1:9 over scripted>"
    shown = f"{client!r} {client} {vars(client)} {vars(client.session)}"
    assert KEY.api_key not in shown


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give a function that sets the variables, all others of voxsms being unset."""
    for name in ("CREDENTIALS", "ACCOUNT_ID", "API_KEY"):
        monkeypatch.delenv(f"VOXIMPLANT_{name}", raising=False)
    monkeypatch.delenv("VOXSMS_BASE_URL", raising=False)

    def set_all(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


async def test_a_client_from_the_environment(
    environment: Callable[..., None], script: Scripted
) -> None:
    """Account, key and address from their variables; other options as for the class."""
    environment(VOXIMPLANT_ACCOUNT_ID="7", VOXIMPLANT_API_KEY="k", VOXSMS_BASE_URL="http://x.test")
    client = Client.from_env(transport=script, max_attempts=2)
    assert client.session.options.max_attempts == 2
    await client.send_sms_message(**SMS)
    assert script.forms[0]["account_id"] == "7"
    assert script.requests[0].url.startswith("http://x.test/platform_api/")
    environment(VOXSMS_BASE_URL="")
    assert Client.from_env().session.base_url == "https://api.voximplant.com"
    assert Client.from_env(base_url="http://y.test").session.base_url == "http://y.test"


def test_a_service_accounts_file_comes_first(
    environment: Callable[..., None], tmp_path: Path
) -> None:
    """`VOXIMPLANT_CREDENTIALS` goes before a key; what is wrong with it is named."""
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps({"account_id": 1, "key_id": "k"}))
    environment(VOXIMPLANT_CREDENTIALS=str(path), VOXIMPLANT_ACCOUNT_ID="7", VOXIMPLANT_API_KEY="k")
    with pytest.raises(CredentialsInvalid, match="private_key is missing"):
        Client.from_env()
    environment(VOXIMPLANT_CREDENTIALS="")
    assert isinstance(Client.from_env(), Client)


def test_no_credentials_at_all(environment: Callable[..., None]) -> None:
    """Says which variables are looked for."""
    environment()
    with pytest.raises(CredentialsInvalid, match="set VOXIMPLANT_CREDENTIALS"):
        Client.from_env()


PRICES = {
    "result": [
        {
            "resource_type": "A2P_SMS_E212",
            "price_groups": [
                {
                    "price_group_id": 1,
                    "price_group_name": "United Kingdom",
                    "price": 0.0385,
                    "params": {"allowed": ["44"]},
                }
            ],
        }
    ]
}
ACCOUNT = {"account_id": 1, "account_name": "n", "balance": 1.5, "currency": "EUR"}


async def test_rates_are_the_services_prices_in_the_accounts_currency() -> None:
    """One table for one of the two sends, from two readings."""
    script = Scripted(answer({"result": ACCOUNT}), answer(PRICES))
    client = Client(KEY, transport=script)
    rates = await client.rates()
    assert isinstance(rates, RateTable)
    assert rates.currency == "EUR"
    assert rates.rate_for("447443332212").cost(2) == Decimal("0.0770")
    assert script.forms[1]["resource_type"] == "A2P_SMS_E212"
    with pytest.raises(InvalidRequest, match=r"method: is not .*a2p_send_sms"):
        await client.rates("control_sms")
    assert len(script.requests) == 2
