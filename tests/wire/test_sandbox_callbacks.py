"""The sandbox posts callbacks: what, when by its clock, signed how, and again where it failed."""

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from voxsms.errors import SignatureInvalid
from voxsms.sandbox import CALLBACK_KINDS, Number, Sandbox, serve
from voxsms.testing import serve_app
from voxsms.webhooks import A2PDelivery, InboundSms, MinBalance, parse

Post = Callable[..., dict[str, Any]]
OWN, ONE, TWO = "447443332211", "447443332212", "447443332213"
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


class Receiver:
    """A user's server: notes what it is posted and answers with the statuses that it is given."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.statuses: list[int] = []
        self.hangs = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.paths.append(self.path)
                assert self.headers["content-type"] == "application/json"
                receiver.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                if receiver.hangs.is_set():
                    assert self.rfile.read(1) == b""
                    return
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    @property
    def items(self) -> list[list[dict[str, Any]]]:
        """What was posted, as JSON, a list for each post."""
        return [json.loads(body)["callbacks"] for body in self.bodies]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Run a user's server."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


@pytest.fixture
def sandbox(receiver: Receiver) -> Iterator[Sandbox]:
    """Run a sandbox that posts to it, at a time that stands."""
    numbers = [Number(number=OWN, sms_enabled=True)]
    with serve(callback_url=f"{receiver.url}/all?of=them", numbers=numbers, start=NOON) as sandbox:
        yield sandbox


@pytest.fixture
def post(sandbox: Sandbox, post_to: Callable[[Sandbox], Post]) -> Post:
    """Give a function that calls a method of that sandbox."""
    return post_to(sandbox)


def receive(sandbox: Sandbox, *texts: str) -> None:
    """Let messages arrive, one after the other."""
    for text in texts:
        sandbox.receive(source=ONE, destination=OWN, text=text)
        sandbox.flush_callbacks()


def taken(sandbox: Sandbox) -> list[Any]:
    """Return what a user reads of the posts, in order; each must carry a good signature."""
    return [
        each for made in sandbox.callbacks for each in parse(made.body, sandbox.callback_secret)
    ]


def test_a_message_that_arrives_is_posted(sandbox: Sandbox, receiver: Receiver) -> None:
    """As the contract has it: the fields, the hash, the account's balance."""
    sandbox.receive(source="+44 7443 332212", destination=f"+{OWN}", text="STOP \N{EURO SIGN}")
    sandbox.flush_callbacks()
    ((item,),) = receiver.items
    (made,) = sandbox.callbacks
    key, salt = sandbox.api_key, sandbox.callback_salt
    signed = f"{salt}{key.account_id}{key.api_key}{item['callback_id']}".encode()
    assert item == {
        "callback_id": item["callback_id"],
        "type": "sms_inbound",
        "account_id": key.account_id,
        "hash": hashlib.md5(signed, usedforsecurity=False).hexdigest(),
        "account_name": "sandbox",
        "account_email": "sandbox@voxsms.example",
        "balance": 100.0,
        "currency": "USD",
        "sms_inbound": {
            "source_number": ONE,
            "destination_number": OWN,
            "sms_body": "STOP \N{EURO SIGN}",
        },
    }
    assert receiver.paths == ["/all?of=them"]
    assert (made.url, made.attempt, made.at) == (f"{receiver.url}/all?of=them", 1, NOON)
    assert (made.status, made.is_taken, made.problem) == (200, True, "")
    assert made.callbacks == parse(made.body, sandbox.callback_secret)
    assert receiver.bodies[0] == made.body


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"source": ""}, "source: is empty"),
        ({"destination": "07443 332211"}, "destination: .*country"),
        ({"text": ""}, "text: is empty"),
        ({"text": "\ud800"}, "text: has a lone surrogate"),
        ({"destination": TWO}, "with SMS enabled"),
    ],
)
def test_a_message_that_cannot_arrive(
    sandbox: Sandbox, given: dict[str, str], problem: str
) -> None:
    """Is refused with the argument's name, and neither recorded nor posted."""
    with pytest.raises(ValueError, match=problem):
        sandbox.receive(**{"source": ONE, "destination": OWN, "text": "Hi", **given})  # type: ignore[arg-type]
    sandbox.flush_callbacks()
    assert sandbox.callbacks == ()


def test_deliveries_are_posted_as_the_clock_moves(sandbox: Sandbox, post: Post) -> None:
    """Each status of each A2P message, in the order in which they happened, several in a post."""
    post("SendSmsMessage", source=OWN, destination=ONE, sms_body="two-way: none is documented")
    post("A2PSendSms", src_number="VOXSMS", dst_numbers=f"{ONE};{TWO}", text="Hi")
    sandbox.flush_callbacks()
    assert taken(sandbox) == []
    sandbox.clock.advance(1)
    sandbox.flush_callbacks()
    sandbox.clock.advance(3)
    sandbox.flush_callbacks()
    assert [len(made.callbacks) for made in sandbox.callbacks] == [2, 2]
    found = taken(sandbox)
    assert [(each.id, each.status, each.destination_numbers) for each in found] == [
        (2, "DISPATCHED", (ONE,)),
        (3, "DISPATCHED", (TWO,)),
        (2, "DELIVERED", (ONE,)),
        (3, "DELIVERED", (TWO,)),
    ]
    assert {(type(each), each.source_number) for each in found} == {(A2PDelivery, "VOXSMS")}
    assert [each.callback_id for each in found] == sorted(each.callback_id for each in found)


def test_nobody_has_to_look_for_a_status_to_be_posted(
    receiver: Receiver, post_to: Callable[[Sandbox], Post]
) -> None:
    """With a clock that runs they come by themselves, also to a URL that was set later."""
    with serve(dispatch_after=0.01, deliver_after=0.01) as sandbox:
        assert sandbox.callback_url is None
        sandbox.callback_url = receiver.url
        post_to(sandbox)("A2PSendSms", src_number="VOXSMS", dst_numbers=ONE, text="Hi")
        done = threading.Event()
        while not done.wait(0.005):
            statuses = [each.status for each in taken(sandbox)]
            if statuses == ["DISPATCHED", "DELIVERED"]:
                done.set()
    assert receiver.paths[0] == "/"


def test_a_low_balance_is_posted_once(
    receiver: Receiver, post_to: Callable[[Sandbox], Post]
) -> None:
    """When a charge takes the balance below the limit."""
    with serve(
        callback_url=receiver.url, balance="0.11", min_balance="0.06", start=NOON
    ) as sandbox:
        send = post_to(sandbox)
        for _ in range(3):
            send("A2PSendSms", src_number="VOXSMS", dst_numbers=ONE, text="Hi")
        sandbox.flush_callbacks()
        (low,) = taken(sandbox)
    assert isinstance(low, MinBalance)
    assert (low.is_min_credit, low.is_repeated) == (False, False)
    assert (low.balance, low.currency) == (Decimal("0.042"), "USD")


def test_a_number_with_its_own_url(
    receiver: Receiver, sandbox: Sandbox, post_to: Callable[[Sandbox], Post]
) -> None:
    """Takes its inbound messages there, with or without a URL of the account."""
    own = Number(number=OWN, sms_enabled=True, callback_url=f"{receiver.url}/own")
    for url in (None, f"{receiver.url}/all"):
        with serve(numbers=[own, TWO], start=NOON, callback_url=url) as other:
            post_to(other)("A2PSendSms", src_number="VOXSMS", dst_numbers=ONE, text="Hi")
            receive(other, "Hello")
            other.clock.advance(10)
            other.flush_callbacks()
            assert [made.url for made in other.callbacks] == [own.callback_url] + [url] * bool(url)
            assert post_to(other)("GetAccountInfo")["result"].get("callback_url") == url
    assert receiver.paths == ["/own", "/own", "/all"]
    assert sandbox.callbacks == ()


def test_what_failed_is_posted_again(sandbox: Sandbox, receiver: Receiver) -> None:
    """With backoff on the sandbox's clock, the same bytes, until it is taken."""
    receiver.statuses = [500, 302, 204]
    receive(sandbox, "Hi")
    sandbox.clock.advance(0.999)
    sandbox.flush_callbacks()
    assert [made.status for made in sandbox.callbacks] == [500]
    receive(sandbox, "meanwhile")  # meets the 302
    sandbox.clock.advance(0.001)
    sandbox.flush_callbacks()
    sandbox.clock.advance(5)
    sandbox.flush_callbacks()
    made = sandbox.callbacks
    assert [(each.attempt, each.status) for each in made] == [
        (1, 500),
        (1, 302),
        (2, 204),
        (2, 200),
    ]
    assert made[0].body == made[2].body
    assert [each.sms_body for each in taken(sandbox)] == ["Hi", "meanwhile"] * 2


def test_a_redirect_is_not_followed_but_told(
    http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as that of an app that is mounted, to the same path with a slash."""
    caplog.set_level(logging.INFO, "voxsms.sandbox")

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - of ASGI
        raise AssertionError(scope, receive, send)

    numbers = [Number(number=OWN, sms_enabled=True)]
    routes = [Mount("/voximplant", app)]
    with serve_app(Starlette(routes=routes)) as url, serve(numbers=numbers) as sandbox:
        assert http.post(f"{url}/voximplant").status_code == 307
        sandbox.callback_url = f"{url}/voximplant"
        sandbox.receive(source=ONE, destination=OWN, text="Hi")
        sandbox.flush_callbacks()
    (post,) = sandbox.callbacks
    assert (post.status, post.is_taken) == (307, False)
    assert post.problem == f"redirected to {url}/voximplant/"
    assert "(sms_inbound) -> HTTP 307, a redirect, which is not followed" in caplog.text


def test_it_is_given_up_in_the_end(sandbox: Sandbox) -> None:
    """After five more attempts; why there was no answer can be read."""
    sandbox.callback_url = "http://127.0.0.1:1/"
    receive(sandbox, "Hi")
    for _ in range(9):
        sandbox.clock.advance(3600)
        sandbox.flush_callbacks()
    assert [made.attempt for made in sandbox.callbacks] == [1, 2, 3, 4, 5, 6]
    assert {made.status for made in sandbox.callbacks} == {None}
    assert "ConnectionRefusedError" in sandbox.callbacks[0].problem


def test_faults_of_callbacks(sandbox: Sandbox, receiver: Receiver) -> None:
    """Duplicated, forged and nested, each for one callback of the type that it names."""
    sandbox.faults.script(
        "commit_then_close,callback_forged@a2p_sms_delivery,callback_duplicated@sms_inbound,"
        "callback_nested*2"
    )
    receive(sandbox, "twice", "nested", "nested", "as usual")
    assert [each.sms_body for each in taken(sandbox)] == [
        "twice",
        "twice",
        *["nested"] * 2,
        "as usual",
    ]
    assert receiver.bodies[0] == receiver.bodies[1]
    shapes = [list(item["sms_inbound"]) for (item,) in receiver.items[1:4:2]]
    assert shapes == [["source_number", "destination_number", "sms_body"], ["sms_inbound"]]
    assert [fault.kind for fault in sandbox.faults.pending] == [
        "commit_then_close",
        "callback_forged",
    ]


def test_a_forged_one_is_not_posted_again(sandbox: Sandbox, receiver: Receiver, post: Post) -> None:
    """Nor does it take those down with it that were due at the same time."""
    sandbox.faults.add("callback_forged")
    receiver.statuses = [403]
    post("A2PSendSms", src_number="VOXSMS", dst_numbers=f"{ONE};{TWO}", text="Hi")
    sandbox.clock.advance(1)
    sandbox.flush_callbacks()
    sandbox.clock.advance(2)
    sandbox.flush_callbacks()
    forged, good = sandbox.callbacks
    assert (forged.status, len(forged.callbacks), len(good.callbacks)) == (403, 1, 1)
    with pytest.raises(SignatureInvalid, match="wrong"):
        parse(forged.body, sandbox.callback_secret)


def test_out_of_order_and_late(sandbox: Sandbox) -> None:
    """A reordered one follows the next; a late one waits for the sandbox's clock."""
    sandbox.faults.script("callback_reordered*2,callback_late:seconds=7")
    receive(sandbox, "1", "2", "3", "4", "5")
    assert [each.sms_body for each in taken(sandbox)] == ["4", "1", "2", "5"]
    sandbox.clock.advance(6.9)
    sandbox.flush_callbacks()
    assert len(taken(sandbox)) == 4
    sandbox.clock.advance(0.1)
    sandbox.flush_callbacks()
    assert taken(sandbox)[-1].sms_body == "3"


def test_as_late_as_can_be(receiver: Receiver) -> None:
    """Years later, on a clock that runs: nothing else waits for it."""
    numbers = [Number(number=OWN, sms_enabled=True)]
    late = "callback_late:seconds=100000000"
    with serve(callback_url=receiver.url, numbers=numbers, faults=late) as sandbox:
        receive(sandbox, "late", "not late")
        assert [each.sms_body for each in taken(sandbox)] == ["not late"]


def test_each_kind_is_documented() -> None:
    """A test can go through every fault there is."""
    assert len(CALLBACK_KINDS) == 5
    assert all(kind.doc.endswith(".") for kind in CALLBACK_KINDS.values())


def test_many_at_once(sandbox: Sandbox, post: Post) -> None:
    """A hundred in a post, and no more."""
    numbers = ";".join(f"4477009{n:05}" for n in range(60))
    for _ in range(2):
        post("A2PSendSms", src_number="VOXSMS", dst_numbers=numbers, text="Hi")
    sandbox.clock.advance(1)
    sandbox.flush_callbacks()
    assert [len(made.callbacks) for made in sandbox.callbacks] == [100, 20]


def test_it_ends_whatever_the_server_does(receiver: Receiver) -> None:
    """One that never answers holds nothing up, and no thread stays behind."""
    receiver.hangs.set()
    with serve(
        callback_url=receiver.url, numbers=[Number(number=OWN, sms_enabled=True)]
    ) as sandbox:
        sandbox.receive(source=ONE, destination=OWN, text="Hi")
        with pytest.raises(TimeoutError, match=r"still being posted after 0\.05"):
            sandbox.flush_callbacks(0.05)
    assert "voxsms-callbacks" not in [thread.name for thread in threading.enumerate()]
    assert [made.status for made in sandbox.callbacks] == [None]


async def test_from_an_event_loop(sandbox: Sandbox) -> None:
    """The loop is free meanwhile: the app under test may run in it."""
    sandbox.receive(source=ONE, destination=OWN, text="Hi")
    await sandbox.callbacks_posted()
    (found,) = taken(sandbox)
    assert isinstance(found, InboundSms)


def test_without_a_url_nothing_is_posted(
    voxsms_sandbox: Sandbox, post_to: Callable[[Sandbox], Post]
) -> None:
    """And there is nothing to wait for."""
    post_to(voxsms_sandbox)("ControlSms", phone_number=OWN, command="enable")
    receive(voxsms_sandbox, "Hi")
    assert voxsms_sandbox.callbacks == ()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/",
        "callbacks",
        "http://",
        "http://h:x/",
        "http://h:0/",
        "http://h/a b",
        "http://h/\xe9",
    ],
)
def test_a_url_that_cannot_be(voxsms_sandbox: Sandbox, url: str) -> None:
    """Is refused with an example, wherever it is given."""
    with pytest.raises(
        ValueError, match=r"callback_url: is not a URL with http or https and a host"
    ):
        voxsms_sandbox.callback_url = url
    with pytest.raises(ValueError, match="callback_url"):
        serve(callback_url=url)
    with pytest.raises(ValueError, match="callback_url"):
        Number(number=OWN, callback_url=url)
