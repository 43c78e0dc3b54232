"""Callbacks are read, verified and acted on once; everything else ends in one of our errors."""

import hashlib
import json
import pickle
import random
import sys
import traceback
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from callbacks import SECRET as BENCHMARK_SECRET
from callbacks import large_posts
from hypothesis import example, given
from hypothesis import strategies as st

from voxsms import CallbackInvalid, CredentialsInvalid, DeliveryStatus, SignatureInvalid, webhooks
from voxsms.webhooks import (
    A2PActivated,
    A2PDelivery,
    Callback,
    CallbackSecret,
    InboundSms,
    MemorySeen,
    MinBalance,
    UnknownCallback,
    handle,
    parse,
)

EXAMPLES = Path(__file__).parents[1] / "vectors" / "examples"
BODY = (EXAMPLES / "callbacks.json").read_bytes()
SECRET = CallbackSecret("pepper-of-the-tests", 1, "k-of-the-tests")
Item = dict[str, Any]
INBOUND = {"source_number": "447443332212", "destination_number": "447443332211", "sms_body": "Hi"}
DELIVERY = {"id": 12, "source_number": "ACME", "status": "DELIVERED"}


def sign(item: Item) -> Item:
    """Sign a callback as the contract says: salt, account, key and id, as hex MD5."""
    signed = f"pepper-of-the-tests1k-of-the-tests{item['callback_id']}"
    return item | {"hash": hashlib.md5(signed.encode(), usedforsecurity=False).hexdigest()}


def posted(*items: Item, signed: bool = True) -> bytes:
    """Return the body of a post."""
    made = [{"callback_id": 7 + at, "account_id": 1} | item for at, item in enumerate(items)]
    return json.dumps({"callbacks": [sign(i) if signed else i for i in made]}).encode()


DEEP = b'{"callbacks": [{"callback_id": 7, "account_id": 1, "type": []}]}'


def delivery(**fields: object) -> Item:
    """Return a delivery with some of its fields changed."""
    return {"type": "a2p_sms_delivery", "a2p_sms_delivery": DELIVERY | fields}


def parse_one(item: Item) -> Callback:
    """Read one callback."""
    (callback,) = parse(posted(item), SECRET)
    return callback


def test_the_contracts_example() -> None:
    """An inbound message, nested twice as in the type reference, and a low balance."""
    shared: Item = {"account_id": 1, "currency": "USD"}
    assert parse(BODY, None) == (
        InboundSms(
            callback_id=7001, type="sms_inbound", balance=Decimal("12.5"), sms_body="STOP",
            source_number="447443332212", destination_number="447443332211", **shared,
        ),
        MinBalance(
            callback_id=7002, type="min_balance", balance=Decimal("0.4"),
            is_min_credit=False, is_repeated=True, **shared,
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"sms_inbound": INBOUND},
        {"sms_inbound": {"sms_inbound": INBOUND}},
        {"sms_inbound": INBOUND | {"source_number": 447443332212}},
        {"sms_inbound": INBOUND | {"more": [1, {"x": None}]}, "account_name": "acme"},
    ],
)
def test_an_inbound_message_in_every_documented_form(fields: Item) -> None:
    """Nested once or twice, numbers as numbers, with fields that nobody knows yet."""
    found = parse_one({"type": "sms_inbound"} | fields)
    assert isinstance(found, InboundSms)
    assert (found.source_number, found.sms_body) == ("447443332212", "Hi")


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "a2p_sms_delivery", "a2p_sms_delivery": DELIVERY},
        {"type": "a2p_sms_delivery", "a2p_sms_delivery": {"a2p_sms_delivery": DELIVERY}},
        {"type": "a2p_sms_delivery", "sms_delivery": DELIVERY},
        {"type": "a2p_sms_delivery", "outer": {"inner": DELIVERY}},
        {"type": "a2p_sms_delivery"} | DELIVERY,
        {"type": "some_delivery", "delivery": DELIVERY},
    ],
)
def test_a_delivery_is_known_by_its_structure(fields: Item) -> None:
    """The key under which it stands is not documented."""
    found = parse_one(fields)
    assert isinstance(found, A2PDelivery)
    assert (found.id, found.source_number) == (12, "ACME")
    assert found.status is DeliveryStatus.DELIVERED
    assert found.type == fields["type"]


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ("447443332212", ("447443332212",)),
        ("447443332212;447443332213", ("447443332212", "447443332213")),
        ("447443332212, 447443332213", ("447443332212", "447443332213")),
        (" ;" + "1 ;" * 100, ("1",) * 100),
        (447443332212, ("447443332212",)),
        (["447443332212", 447443332213], ("447443332212", "447443332213")),
        ("", ()),
        (None, ()),
    ],
)
def test_the_numbers_of_a_delivery(given: object, numbers: tuple[str, ...]) -> None:
    """One string for several, or a list, or none."""
    item = {"type": "a2p_sms_delivery", "d": DELIVERY | {"destination_numbers": given}}
    found = parse_one(item)
    assert isinstance(found, A2PDelivery)
    assert found.destination_numbers == numbers


@pytest.mark.parametrize("largest", [2**63 - 1, str(2**63 - 1)])
def test_ids_are_as_wide_as_those_of_databases(largest: object) -> None:
    """A number of a sequence: 64 bits with a sign, as a number or as text."""
    found = parse_one({"callback_id": largest} | delivery(id=largest))
    assert isinstance(found, A2PDelivery)
    assert (found.callback_id, found.id) == (2**63 - 1, 2**63 - 1)


def test_a_key_that_comes_twice_is_verified_as_it_is_given_out() -> None:
    """The last one counts for both, so nothing is given out under another's signature."""
    body = posted({"type": "x"})
    (callback,) = parse(body.replace(b'"callback_id"', b'"callback_id": 8, "callback_id"'), SECRET)
    assert callback.callback_id == 7
    with pytest.raises(SignatureInvalid):
        parse(body.replace(b'"type"', b'"callback_id": 8, "type"'), SECRET)


def test_a_status_that_was_added_later_arrives_as_it_is() -> None:
    """It breaks nothing."""
    found = parse_one({"type": "a2p_sms_delivery", "d": DELIVERY | {"status": "CARRIER_OK"}})
    assert isinstance(found, A2PDelivery)
    assert found.status == "CARRIER_OK"


def test_a2p_activated() -> None:
    """With the balance, where it came."""
    item = {"type": "a2p_sms_activated", "a2p_sms_activated": {"a2p_enabled": True}, "balance": 3}
    found = parse_one(item)
    assert isinstance(found, A2PActivated)
    assert (found.a2p_enabled, found.balance, found.currency) == (True, Decimal(3), None)


@pytest.mark.parametrize(
    "card",
    [
        {"whatsapp_status": {"id": "wamid.XYZ", "source_number": "1", "status": "READ"}},
        {"card": {"a2p_enabled": "perhaps"}},
    ],
)
def test_another_type_that_looks_like_one_of_ours_is_passed_through(card: Item) -> None:
    """It is no reason to refuse the messages that were posted with it."""
    message = {"type": "sms_inbound", "sms_inbound": INBOUND}
    stop, other = parse(posted(message, {"type": "of_tomorrow", **card}), SECRET)
    assert isinstance(stop, InboundSms)
    assert isinstance(other, UnknownCallback)
    assert other.type == "of_tomorrow"


def test_another_type_is_passed_through() -> None:
    """Whole, for whoever knows it; its `repr` shows nothing of it."""
    item = {
        "type": "card_expired",
        "card_expired": {"last": "4242"},
        "account_email": "a@b.example",
    }
    found = parse_one(item)
    assert isinstance(found, UnknownCallback)
    assert found.raw["card_expired"] == {"last": "4242"}
    assert "4242" not in repr(found)
    assert "example" not in repr(found)


@pytest.mark.parametrize("body", [{"callbacks": []}, "text", None])
def test_the_raw_body_is_wanted(body: object) -> None:
    """What a framework has parsed already cannot be taken for it."""
    with pytest.raises(TypeError, match="pass the raw body"):
        parse(body, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[" * 5000 + b"]" * 5000, "body"),
        (b"[]", "callbacks: "),
        (b"{}", "callbacks: "),
        (b'{"callbacks": null}', "callbacks: "),
        (b'{"callbacks": {}}', "callbacks: "),
        (b'{"callbacks": [1]}', r"callbacks\[0\]: "),
        (posted({}, {"callback_id": None}, signed=False), r"callbacks\[1\].callback_id"),
        (posted({"callback_id": "7.0"}, signed=False), r"callbacks\[0\].callback_id"),
        (posted({"callback_id": 7.0}, signed=False), r"callbacks\[0\].callback_id"),
        (posted({"callback_id": True}, signed=False), r"callbacks\[0\].callback_id"),
        (posted({"callback_id": "007"}, signed=False), r"callbacks\[0\].callback_id"),
        (posted({"callback_id": "\u0667"}, signed=False), r"callbacks\[0\].callback_id"),
        (posted({"callback_id": -1}, signed=False), r"callbacks\[0\].callback_id"),
        (posted({"callback_id": 10**19}, signed=False), r"callbacks\[0\].callback_id"),
        (posted({"callback_id": 2**63}, signed=False), r"callbacks\[0\].callback_id: is above"),
        (posted({"callback_id": str(2**63)}, signed=False), r"callbacks\[0\].callback_id: is ab"),
        (posted(delivery(id=2**63), signed=False), r"callbacks\[0\].id: is not between 0 and"),
        (posted(delivery(id=-1), signed=False), r"callbacks\[0\].id: is not between 0 and"),
        (posted(delivery(id="9" * 5000), signed=False), r"callbacks\[0\].id"),
        (posted(delivery(destination_numbers="1;" * 101), signed=False), "more than 100 numbers"),
        (posted(delivery(destination_numbers=["1"] * 101), signed=False), "more than 100 numbers"),
        (posted(delivery(destination_numbers=[{}]), signed=False), "destination_numbers"),
        (posted(delivery(destination_numbers={"a": 1}), signed=False), "destination_numbers"),
        (posted(delivery(status=None), signed=False), r"callbacks\[0\].status"),
        (posted({"type": "x", "balance": float("nan")}, signed=False), "body"),
        (posted({"type": "x", "balance": "NaN"}, signed=False), r"callbacks\[0\].balance"),
        (posted({"type": [[]]}, signed=False), r"callbacks\[0\].type"),
        (DEEP.replace(b"[]", b"[" * 900 + b"]" * 900), r"callbacks\[0\].type"),
        (DEEP.replace(b"[]", b"[" * 2000 + b"]" * 2000), "body: is not JSON"),
        (posted({"type": "sms_inbound"}, signed=False), r"callbacks\[0\].source_number"),
        (posted({"type": "x", "account_id": "one"}, signed=False), r"callbacks\[0\].account_id"),
        (posted({"account_id": None}, signed=False), r"callbacks\[0\].account_id"),
        (posted({"type": {"a": 1}}, signed=False), r"callbacks\[0\].type"),
        (json.dumps({"callbacks": [{}] * 1001}).encode(), "1001 items; at most 1000"),
        (b" " * (2**20 + 1), "1048577 bytes; at most 1048576"),
    ],
)
def test_what_cannot_be_read_is_named(body: bytes, place: str) -> None:
    """With the place, and no more of the body than that."""
    with pytest.raises(CallbackInvalid, match=place):
        parse(body, None)


def test_an_error_holds_nothing_of_the_body() -> None:
    """Neither in its text nor in what is chained to it."""
    with pytest.raises(CallbackInvalid) as found:
        parse(b'{"callbacks": [{"sms_body": "a secret"', None)
    assert found.value.__cause__ is None
    assert found.value.__suppress_context__
    assert "secret" not in repr(found.value)


def test_a_byte_order_mark_is_dropped() -> None:
    """As before every other JSON."""
    assert len(parse(b"\xef\xbb\xbf" + BODY, None)) == 2


def test_a_text_that_was_cut_in_the_middle_of_a_character_is_read() -> None:
    """Half a surrogate pair is no character: it becomes U+FFFD, and the message is not lost."""
    body = posted({"type": "sms_inbound", "sms_inbound": INBOUND | {"sms_body": "Hi HALF"}})
    (found,) = parse(body.replace(b"HALF", b"\\ud83d"), SECRET)
    assert isinstance(found, InboundSms)
    assert found.sms_body == "Hi \ufffd"


def test_every_signature_is_verified_before_anything_is_given_out() -> None:
    """One forged callback among good ones: none of them."""
    good = {"type": "sms_inbound", "sms_inbound": INBOUND}
    assert len(parse(posted(good, good), SECRET)) == 2
    items = json.loads(posted(good, good))["callbacks"]
    items[1]["hash"] = "0" * 32
    with pytest.raises(SignatureInvalid, match=r"callbacks\[1\]: the hash is wrong"):
        parse(json.dumps({"callbacks": items}).encode(), SECRET)


@pytest.mark.parametrize("given", ["", None, 5, [], "0" * 32, "x", "ü" * 32, "0" * 100_000])
def test_a_hash_that_is_missing_or_wrong(given: object) -> None:
    """Of whatever type and length."""
    body = json.dumps({"callbacks": [{"callback_id": 7, "account_id": 1, "hash": given}]}).encode()
    with pytest.raises(SignatureInvalid):
        parse(body, SECRET)


def test_a_hash_in_capitals_is_the_same() -> None:
    """Hex is hex."""
    item = sign({"callback_id": 7, "account_id": "1", "type": "x"})
    item["hash"] = item["hash"].upper()
    assert len(parse(json.dumps({"callbacks": [item]}).encode(), SECRET)) == 1


@pytest.mark.parametrize("account", [2, "2", "11", 0])
def test_a_callback_of_another_account(account: object) -> None:
    """Is refused, with a signature that would be right for ours."""
    item = sign({"callback_id": 7, "account_id": account, "type": "x"})
    with pytest.raises(SignatureInvalid, match="another account"):
        parse(json.dumps({"callbacks": [item]}).encode(), SECRET)


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (lambda: CallbackSecret("", 1, "k"), "callback_salt"),
        (lambda: CallbackSecret("s" * 41, 1, "k"), "callback_salt"),
        (lambda: CallbackSecret(None, 1, "k"), "callback_salt"),  # type: ignore[arg-type]
        (lambda: CallbackSecret("s", "1", "k"), "account_id"),  # type: ignore[arg-type]
        (lambda: CallbackSecret("s", 0, "k"), "account_id"),
        (lambda: CallbackSecret("s", 1, ""), "api_key"),
        (lambda: CallbackSecret("s", 1, b"k"), "api_key"),  # type: ignore[arg-type]
    ],
)
def test_a_secret_that_cannot_be_right(made: Callable[[], object], field: str) -> None:
    """Is refused when it is made, without being shown."""
    with pytest.raises(CredentialsInvalid, match=field):
        made()


def test_a_secret_is_not_shown() -> None:
    """Neither salt nor key, nor is it pickled."""
    assert repr(SECRET) == "CallbackSecret()"
    with pytest.raises(TypeError, match="holds a secret"):
        pickle.dumps(SECRET)
    with pytest.raises(CredentialsInvalid) as found:
        CallbackSecret("pepper-of-the-tests", 0, "k-of-the-tests")
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(found.value.__traceback__)]
    assert "of-the-tests" not in repr(frames[1:])  # the first is this test's own


ENV = {
    "VOXIMPLANT_CALLBACK_SALT": "'pepper-of-the-tests'\n",
    "VOXIMPLANT_ACCOUNT_ID": "1",
    "VOXIMPLANT_API_KEY": "k-of-the-tests",
}


def test_the_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a client, with quotes and blanks around it; what is missing is named."""
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    assert CallbackSecret.from_env() == SECRET
    monkeypatch.setenv("VOXIMPLANT_ACCOUNT_ID", "one")
    with pytest.raises(CredentialsInvalid, match="account_id: must be a whole number") as found:
        CallbackSecret.from_env()
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(found.value.__traceback__)]
    assert "of-the-tests" not in repr(frames[1:])
    monkeypatch.setenv("VOXIMPLANT_API_KEY", " ")
    monkeypatch.delenv("VOXIMPLANT_CALLBACK_SALT")
    missing = "VOXIMPLANT_CALLBACK_SALT and VOXIMPLANT_API_KEY must be set"
    with pytest.raises(CredentialsInvalid, match=f"^{missing}$"):
        CallbackSecret.from_env()


def mutated(chance: random.Random) -> bytes:
    """Return a post with a few bytes changed, cut out, doubled or put in."""
    body = bytearray(chance.choice((BODY, posted({"type": "a2p_sms_delivery", "d": DELIVERY}))))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(body) or 1)
        match chance.randrange(5):
            case 0:
                body[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del body[at : at + chance.randrange(20)]
            case 2:
                body[at:at] = body[at : at + chance.randrange(50)]
            case 3:
                body[at:at] = chance.choice((b"null", b"[]", b"{}", b"1e400", b'"', b"\\ud800"))
            case _:
                body = body[: at + 1]
    return bytes(body)


class Work:
    """What reading a post takes: 50 ms are a million calls, or 40 MiB of new objects."""

    def __init__(self, body: bytes, secret: CallbackSecret | None) -> None:
        self.calls = 0
        sys.setprofile(self._note)
        try:
            self._read(body, secret)
        finally:
            sys.setprofile(None)
        tracemalloc.start()
        try:
            self._read(body, secret)
            self.memory = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def _note(self, *_: object) -> None:
        self.calls += 1

    def _read(self, body: bytes, secret: CallbackSecret | None) -> None:
        with suppress(CallbackInvalid, SignatureInvalid):
            parse(body, secret)


@pytest.mark.slow
@pytest.mark.unmeasured
def test_twenty_thousand_mutated_posts_end_only_in_our_errors() -> None:
    """Or in callbacks; and none takes long."""
    chance = random.Random(5)  # noqa: S311 - not for secrets
    ended = {True: 0, False: 0}
    for _ in range(20_000):
        body = mutated(chance)
        try:
            parse(body, None)
            ended[True] += 1
        except CallbackInvalid:
            ended[False] += 1
        with pytest.raises((CallbackInvalid, SignatureInvalid)):
            parse(body.replace(b'"hash"', b'"cash"'), SECRET)
    assert min(ended.values()) > 500
    assert max(Work(mutated(chance), None).calls for _ in range(1_000)) < 1_000


@pytest.mark.slow
@pytest.mark.unmeasured
def test_a_post_as_large_as_one_may_be_takes_no_longer() -> None:
    """Whatever fills it: a megabyte is read in few steps, which make few objects."""
    for body in large_posts():
        assert len(body) <= 2**20, body[:100]
        work = Work(body, BENCHMARK_SECRET)
        assert work.calls < 500_000, (body[-200:], work.calls)
        assert work.memory < 32 * 2**20, (body[-200:], work.memory)


def test_brackets_in_a_text_are_no_lists() -> None:
    """Whoever writes them keeps no post from being read."""
    text = '[{\\"' * 20_000
    (found,) = parse(
        posted({"type": "sms_inbound", "sms_inbound": INBOUND | {"sms_body": text}}), None
    )
    assert isinstance(found, InboundSms)
    assert found.sms_body == text
    with pytest.raises(CallbackInvalid, match="body: has more than 20000 lists and objects"):
        parse(posted({"type": "x", "x": [[]] * 20_000}), None)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.slow
@pytest.mark.unmeasured
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["callback_id", "account_id", "type", "sms_inbound", "balance", "id"]),
            JSON | st.sampled_from(["sms_inbound", "min_balance", 7, INBOUND, DELIVERY]),
        )
    )
)
@example([{"callback_id": 7, "account_id": "no number", "type": DELIVERY}])
def test_any_json_in_the_place_of_a_callback(items: list[Item]) -> None:
    """Is read, or refused as what it is."""
    body = json.dumps({"callbacks": items}).encode()
    try:
        assert len(parse(body, None)) == len(items)
    except CallbackInvalid as error:
        assert str(error).startswith(("callbacks", "body"))  # noqa: PT017 - either is right


class Handled:
    """A handler that notes what it is given, and fails when it is told to."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.fail_at: set[int] = set()

    async def __call__(self, callback: Callback) -> None:
        """Take a callback."""
        await anyio.lowlevel.checkpoint()
        if callback.callback_id in self.fail_at:
            raise RuntimeError("447443332212 wrote: a secret")
        self.ids.append(callback.callback_id)


TWO = posted({"type": "x"}, {"type": "y"})


async def test_a_post_is_handled_once() -> None:
    """Posted again, in another order, and twice in one body: nothing is done again."""
    handled, seen = Handled(), MemorySeen()
    assert await handle(TWO, SECRET, handled, seen) == 200
    assert await handle(TWO, SECRET, handled, seen) == 200
    items = json.loads(TWO)["callbacks"]
    again = json.dumps({"callbacks": [*reversed(items), *items]}).encode()
    assert await handle(again, SECRET, handled, seen) == 200
    assert handled.ids == [7, 8]


async def test_a_plain_function_handles_each_callback_once() -> None:
    """Its work is done when it returns: it is not done again when the service posts again."""
    handled: list[Callback] = []
    seen = MemorySeen()
    for _ in range(3):
        body = posted({"type": "sms_inbound", "sms_inbound": INBOUND})
        assert await handle(body, SECRET, handled.append, seen) == 200  # type: ignore[arg-type]
    assert len(handled) == 1


async def test_what_failed_is_handled_again(caplog: pytest.LogCaptureFixture) -> None:
    """What stood beside it is not; the log has the error's kind and place without its words."""
    handled, seen = Handled(), MemorySeen()
    handled.fail_at = {7}
    assert await handle(TWO, SECRET, handled, seen) == 500
    assert "callback 7: the handler failed: RuntimeError\n" in caplog.text
    assert [line.partition(" in ")[2] for line in caplog.text.splitlines()[1:]] == [
        "Handled.__call__",
    ]
    assert f"{__file__}:" in caplog.text
    assert "secret" not in caplog.text
    handled.fail_at = set()
    assert await handle(TWO, SECRET, handled, seen) == 200
    assert handled.ids == [8, 7]


async def test_what_was_cancelled_is_handled_again() -> None:
    """A server that stops while a handler waits loses nothing."""
    handled, seen = Handled(), MemorySeen()

    async def wait(_: Callback) -> None:
        scope.cancel()
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        await handle(TWO, SECRET, wait, seen)
    assert scope.cancelled_caught
    assert await handle(TWO, SECRET, handled, seen) == 200
    assert handled.ids == [7, 8]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (posted({"type": "x"}, signed=False), 403),
        (b"{", 400),
        (TWO[:-9], 400),
        (b" " * (2**20 + 1), 413),
        (b'{"callbacks": []}', 200),
    ],
)
async def test_what_is_answered_to_what_cannot_be_taken(body: bytes, status: int) -> None:
    """And nothing is handled."""
    handled = Handled()
    assert await handle(body, SECRET, handled, MemorySeen()) == status
    assert handled.ids == []


def test_the_package_names_what_it_has() -> None:
    """Every name of the door is there."""
    assert all(hasattr(webhooks, name) for name in webhooks.__all__)
