"""An answer to a send is a refusal only if all of it says so; every other mixture is a doubt.

What is taken for a refusal may be sent again, by voxsms or by the person who reads "not sent".
"""

import gzip
from typing import Any

import orjson
import pytest
from doubles import A2P, A2P_SENT, KEY, NOW, SENT, SMS, FakeClock, Scripted, Turn, answer, refusal

from voxsms import (
    A2PSendSmsResult,
    AuthenticationFailed,
    Budget,
    Client,
    OutcomeUnknown,
    PartlyFailed,
    RequestRefused,
    ResponseInvalid,
    VoxSmsError,
)
from voxsms.api.codec import Answer

LATER = {"code": 340, "msg": "Rate limit exceed"}
REFUSED = {"code": 101, "msg": "Invalid arguments"}

CONTRADICTIONS: dict[str, Answer] = {
    "come back, done before": answer({"errors": [LATER, {"code": 515}]}),
    "refused, internal error": answer({"errors": [REFUSED, {"code": 2}]}),
    "error and errors disagree": answer({"error": LATER, "errors": [{"code": 515}]}),
    "a code that cannot be read": answer({"errors": [LATER, {"code": "E7"}]}),
    "an error of no kind": answer({"errors": [LATER, "broken"]}),
    "come back, and an id": answer({"error": LATER, "message_id": 7}),
    "come back, and an old id": answer({"error": LATER, "transaction_id": 7}),
    "come back, and a failure": answer({"error": LATER, "failed": [{"error_code": 1}]}),
    "come back, and no failure": answer({"error": LATER, "failed": []}),
    "come back, and fragments": answer({"error": LATER, "fragments_count": 1}),
    "come back, and a result": answer({"error": LATER, "result": 0}),
    "refused, and a result": answer(SENT | A2P_SENT | {"errors": [REFUSED]}),
    "429 and an id": answer({"message_id": 7}, 429),
    "429 and a result": answer(SENT, 429),
    "429 and a result that is cut": answer(b'{"result": 1, "message_id": 7, "fragm', 429),
    "429 and a result in a list": answer([SENT], 429),
    "429 and a result in an object": answer({"response": SENT}, 429),
    "an id inside of an error": answer({"error": LATER | {"message_id": 7}}),
    "an id, then none": answer(b'{"message_id":7,"error":{"code":340},"message_id":null}'),
    "an error, then another": answer(b'{"error":{"code":515},"error":{"code":340}}'),
    "a code, then another": answer(b'{"error":{"code":515,"code":340}}'),
    "a code, then another in a list": answer(b'{"errors":[{"code":515,"code":340}]}'),
    "a code inside of an error": answer({"error": LATER | {"cause": {"code": 515}}}),
    "an error inside of an error": answer({"error": LATER | {"error": {"code": 515}}}),
    "a refusal inside of another": answer({"error": LATER | {"error": REFUSED}}),
    "a code of a refusal inside": answer({"error": LATER | {"cause": {"code": 101}}}),
    "too many errors to read": answer({"errors": [REFUSED] * 20_000}),
    "429 and code 515": answer({"error": {"code": 515}}, 429),
    "500 and code 101": answer({"error": REFUSED}, 500),
    "500 and code 340": answer({"error": LATER}, 500),
    "come back, and a code beside it": answer({"error": LATER, "code": 515}),
    "refused, and a code beside it": answer({"errors": [REFUSED], "code": "2"}),
    "429 and code 515 in a list": answer([{"error": {"code": 515}}], 429),
    "429 and code 515 in an object": answer({"response": {"error": {"code": "515"}}}, 429),
    "429 and code 515 alone": answer({"code": 515}, 429),
    "429 and code 515 that is cut": answer(b'{"error": {"code": 515, "msg": "Sa', 429),
    "429 and code 515 behind another": answer(b'{"error":{"code":340}}{"error":{"code":515}}', 429),
    "429 and code 515, then none": answer(b'{"error": {"code": 515}, "error": null}', 429),
    "429 and a result with escapes": answer(b'{"\\u0072esult": 1, "messag\\u0065_id": 7}', 429),
    "429 and a result in UTF-16": answer(orjson.dumps(SENT).decode().encode("utf-16"), 429),
    "429 and a result in UTF-32": answer(orjson.dumps(SENT).decode().encode("utf-32-le"), 429),
    "429 and what is packed": answer(gzip.compress(orjson.dumps(SENT)), 429),
    "come back, and an id with escapes": answer(b'{"error":{"code":340},"messag\\u0065_id":7}'),
    "a code with escapes": answer(b'{"error": {"c\\u006fde": 515, "code": 340}}'),
    "an error with escapes": answer(b'{"error": {"code": 340}, "err\\u006frs": [{"code": 515}]}'),
    "sent, and an error before": answer(
        orjson.dumps(SENT)[:-1] + b',"error":{"code":515},"error":null}'
    ),
    "sent, and not sent before": answer(b'{"result": [], ' + orjson.dumps(A2P_SENT)[1:]),
    "an error of too many parts": answer({"error": LATER, "x": [{}] * 60_000}),
    "an empty error": answer({"error": {}}),
    "a false error": answer({"error": False}),
    "a text for an error": answer({"error": "Rate limit exceed"}),
    "a list for an error": answer({"error": [LATER]}),
    "a number for an error": answer({"error": 340}),
    "an empty object": answer({}),
    "an empty list": answer([]),
    "result 0": answer({"result": 0, "message_id": 7, "fragments_count": 1}),
    "result -1": answer({"result": -1, "message_id": 7, "fragments_count": 1}),
    'result "0"': answer({"result": "0", "message_id": 7, "fragments_count": 1}),
    "nobody accepted or failed": answer({"result": [], "failed": [], "fragments_count": 1}),
    "result {}": answer({"result": {}, "failed": {}, "fragments_count": 1}),
    "result null": answer({"result": None, "failed": None, "fragments_count": 1}),
    "HTML 403": answer(b"<html>", 403, {"content-type": "text/html"}),
    "HTML 404": answer(b"<html>", 404, {"content-type": "text/html"}),
    "HTML 407": answer(b"<html>", 407, {"content-type": "text/html"}),
}


def client_of(*turns: Turn, **options: Any) -> Client:  # noqa: ANN401 - those of Client
    """Return a client over a script, in driven time."""
    return Client(KEY, transport=Scripted(*turns), clock=FakeClock(), **options)


def requests_of(client: Client) -> int:
    """Return how many requests were made."""
    carrier: Any = client.session.transport
    return len(carrier.requests)


async def end_of(client: Client, method: str) -> object:
    """Return what a send ends with."""
    try:
        if method == "a2p_send_sms":
            return await client.a2p_send_sms(**A2P)
        return await client.send_sms_message(**SMS)
    except VoxSmsError as error:
        return error


@pytest.mark.parametrize("method", ["send_sms_message", "a2p_send_sms"])
@pytest.mark.parametrize("name", CONTRADICTIONS)
async def test_an_answer_that_contradicts_itself_leaves_a_send_in_doubt(
    name: str, method: str
) -> None:
    """One request, `OutcomeUnknown`, and what was wrong with the answer as its cause."""
    client = client_of(CONTRADICTIONS[name])
    ended = await end_of(client, method)
    assert isinstance(ended, OutcomeUnknown), ended
    assert ended.sent == "maybe"
    assert ended.__cause__ is not None
    assert requests_of(client) == 1


async def test_a_name_that_stands_twice_is_not_quoted() -> None:
    """An answer may have anything there."""
    twice = orjson.dumps(SENT)[:-1] + b',"447443332212 See you":1,"447443332212 See you":2}'
    ended = await end_of(client_of(answer(twice)), "send_sms_message")
    assert isinstance(ended, OutcomeUnknown)
    assert "a name twice" in str(ended)
    assert "See you" not in str(ended)


@pytest.mark.parametrize("status", [403, 404, 407])
async def test_the_status_of_a_gateways_page_is_in_the_words(status: int) -> None:
    """A person reads what was met, and of 404 and 407 what helps."""
    client = client_of(answer(b"<html>", status, {"content-type": "text/html; secret=1"}))
    ended = await end_of(client, "send_sms_message")
    assert f"HTTP {status}, text/html, not JSON" in str(ended)
    hint = {404: "the base URL is probably wrong", 407: "a proxy asks for credentials"}
    assert hint.get(status, "") in str(ended)
    assert "secret" not in str(ended)


@pytest.mark.parametrize("code", [101, 340])
async def test_what_a_refusal_quotes_is_no_part_of_it(code: int) -> None:
    """The text of an error may quote an answer; a refusal is one still."""
    quoted = refusal(code, '{"result": 1, "message_id": 7, "error": {"code": 515}}')
    ended = await end_of(client_of(quoted, max_attempts=1), "send_sms_message")
    assert isinstance(ended, VoxSmsError)
    assert ended.sent == "no"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", "\u041f".encode("cp1251"), b"{}", b"[]", b"[1]", b"slow",
     b'{"code": 429, "message": "API rate limit exceeded"}', b'{"message_id": null}',
     b'{"error": "Too many requests", "code": 429}'],
)  # fmt: skip
async def test_a_gateway_that_asks_to_come_back_is_believed(body: bytes) -> None:
    """A 429 of which no part says otherwise is waited out: sent once."""
    client = client_of(answer(body, 429), answer())
    assert not isinstance(await end_of(client, "send_sms_message"), BaseException)
    assert requests_of(client) == 2


async def test_an_unknown_part_of_a_success_changes_nothing() -> None:
    """However deep it is, and however it is written: fields appear over time."""
    deep = b"[" * 1000 + b"]" * 1000
    for more in (b',"new": ' + deep, b',"new" : {"error": "a \\" : b", "of" : []}'):
        client = client_of(answer(orjson.dumps(SENT)[:-1] + more + b"}"))
        assert not isinstance(await end_of(client, "send_sms_message"), BaseException)


@pytest.mark.parametrize("beside", ["result", "message_id", "failed", "fragments_count", "errors"])
async def test_null_beside_an_error_is_the_same_as_absent(beside: str) -> None:
    """A refusal is one, and what can be waited out is: sent once."""
    client = client_of(answer({"error": REFUSED, beside: None}))
    ended = await end_of(client, "send_sms_message")
    assert isinstance(ended, RequestRefused)
    assert ended.sent == "no"
    client = client_of(answer({"error": LATER, beside: None}), answer())
    assert not isinstance(await end_of(client, "send_sms_message"), BaseException)
    assert requests_of(client) == 2


@pytest.mark.parametrize(("code", "sent"), [(506, "no"), (385, "no"), (9999, "no"), (2, "maybe"),
    (14, "maybe"), (484, "maybe"), (515, "maybe"), (0, "maybe")])  # fmt: skip
async def test_a_number_is_refused_only_if_its_code_says_so(code: int, sent: str) -> None:
    """What is an error of a number may be a doubt as much as one of the whole send."""
    refused = {"destination_number": "447443332212", "error_description": "", "error_code": code}
    client = client_of(answer(A2P_SENT | {"result": [], "failed": [refused]}))
    ended = await end_of(client, "a2p_send_sms")
    if isinstance(ended, A2PSendSmsResult):
        with pytest.raises(PartlyFailed) as caught:
            ended.raise_if_failed()
        ended = caught.value
    assert isinstance(ended, PartlyFailed if sent == "no" else OutcomeUnknown)
    assert ended.sent == sent
    assert requests_of(client) == 1


async def test_several_refusals_are_a_refusal() -> None:
    """All of the answer says that nothing was done; the one that no wait cures is raised."""
    client = client_of(answer({"errors": [LATER, REFUSED]}))
    ended = await end_of(client, "a2p_send_sms")
    assert isinstance(ended, RequestRefused)
    assert (ended.sent, requests_of(client)) == ("no", 1)
    client = client_of(answer({"error": LATER, "errors": [{"code": 456}]}))
    assert isinstance(await end_of(client, "a2p_send_sms"), AuthenticationFailed)


async def test_control_is_told_of_a_result_that_is_no_success() -> None:
    """Nobody reads that SMS is enabled."""
    for result in (0, -1, "0", 2):
        client = client_of(answer({"result": result}))
        with pytest.raises(ResponseInvalid, match="is not 1"):
            await client.control_sms(phone_number="447443332211", command="enable")


async def test_a_mark_before_the_answer_changes_nothing() -> None:
    """An accepted send is no doubt, a refusal is a refusal."""
    mark = b"\xef\xbb\xbf"
    client = client_of(answer(mark + answer().body))
    assert not isinstance(await end_of(client, "send_sms_message"), BaseException)
    client = client_of(answer(mark + refusal(101).body))
    assert isinstance(await end_of(client, "send_sms_message"), RequestRefused)


@pytest.mark.parametrize(
    ("header", "waited"),
    [("0.503", 0.503), (" 1.25 ", 1.25), ("-1", 0), ("nan", 0), ("inf", 0), ("1e9", 0),
     ("999999999", 60)],
)  # fmt: skip
async def test_a_wait_that_is_named_is_waited_within_bounds(header: str, waited: float) -> None:
    """Also of a fraction; what is no number of seconds is passed over."""
    clock = FakeClock(rolled=0.0)
    script = Scripted(answer(b"slow down", 429, {"retry-after": header}), answer())
    client = Client(KEY, transport=script, clock=clock, deadline=600)
    await client.send_sms_message(**SMS)
    assert clock.slept == [waited]


ODD_DATES = [
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 -0100",
    "Mon, 01 Jan 0001 00:00:00 +0100",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "1 Jan 1 00:00 +99999999999999",
    "Sat, 99 Foo 99999 99:99:99 GMT",
    ",",
    " ",
    "0",
]


@pytest.mark.parametrize("date", ODD_DATES)
@pytest.mark.parametrize("status", [200, 429, 502])
async def test_an_impossible_date_turns_no_ending_into_another(date: str, status: int) -> None:
    """A doubt, a refusal and a later call end as ever, whatever time an answer claims."""
    headers = {"date": date, "retry-after": date}
    odd = answer(b"<html>", status, headers)
    client = client_of(odd, max_attempts=1)
    for _ in range(3):
        ended = await end_of(client, "send_sms_message")
        assert isinstance(ended, VoxSmsError), ended
        if isinstance(ended, OutcomeUnknown):
            assert abs((ended.at - NOW).total_seconds()) < 5
    accepted = client_of(answer(headers=headers), TimeoutError(), max_attempts=1)
    await accepted.send_sms_message(**SMS)
    assert isinstance(await end_of(accepted, "send_sms_message"), OutcomeUnknown)


async def test_the_wires_word_for_the_prediction_is_not_believed() -> None:
    """What was predicted is known on this side alone."""
    client = client_of(answer(SENT | {"predicted_fragments_count": 9}))
    sent = await client.send_sms_message(**SMS)
    assert sent.predicted_fragments_count == 1


async def test_a_text_is_counted_once_a_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the call, for its result and for the budget; the check before it counts nothing."""
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return 1

    monkeypatch.setattr("voxsms.calls.loop.count_fragments", count)
    monkeypatch.setattr("voxsms.pricing._budget.count_fragments", count)
    client = client_of(answer(), budget=Budget(max_fragments=1))
    await client.send_sms_message(**SMS)
    assert counted == [SMS["sms_body"]]
