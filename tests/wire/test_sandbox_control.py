"""The control API: what a test in another language does to a sandbox, and who may not."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from voxsms.sandbox import Number, Sandbox
from voxsms.sandbox._control import is_own_name

OWN, ONE = "447443332211", "447443332212"
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
at_noon = pytest.mark.voxsms_sandbox(
    start=NOON, numbers=[Number(number=OWN, sms_enabled=True)], callback_url="http://127.0.0.1:1/"
)
Form = dict[str, Any]


class Caller:
    """Calls the control API as curl does."""

    def __init__(self, http: httpx.Client, url: str) -> None:
        self._http, self._url = http, url

    def get(self, name: str, **options: Any) -> Any:  # noqa: ANN401 - JSON
        """Return what a GET answers."""
        return self._http.get(f"{self._url}/sandbox/{name}", **options).json()

    def post(self, name: str, **form: object) -> Any:  # noqa: ANN401 - JSON
        """Return what a POST answers."""
        return self._http.post(f"{self._url}/sandbox/{name}", data=form).json()


@pytest.fixture
def control(http: httpx.Client, voxsms_sandbox: Sandbox) -> Caller:
    """Call the sandbox of the test."""
    return Caller(http, voxsms_sandbox.url)


def send(http: httpx.Client, sandbox: Sandbox) -> None:
    """Send one message."""
    key = sandbox.api_key
    form = {"account_id": key.account_id, "api_key": key.api_key, "src_number": "VOXSMS"}
    url = f"{sandbox.url}/platform_api/A2PSendSms/"
    http.post(url, data={**form, "dst_numbers": ONE, "text": "Hi"}).raise_for_status()


@at_noon
def test_a_test_in_another_language_looks_at_what_happened(
    control: Caller, http: httpx.Client, voxsms_sandbox: Sandbox
) -> None:
    """The ledger with exact money, what was posted, and that all of it can be forgotten."""
    facts = {
        "url": voxsms_sandbox.url,
        "account_id": voxsms_sandbox.api_key.account_id,
        "balance": "100.00",
        "callback_url": "http://127.0.0.1:1/",
        "now": "2026-01-15T12:00:00+00:00",
    }
    assert control.get("") == facts
    send(http, voxsms_sandbox)
    ledger = control.get("ledger")
    (delivery,) = ledger.pop("deliveries")
    assert ledger == {"count": 1, "fragments": 1, "charged": "0.034", "requests": {"A2PSendSms": 1}}
    assert delivery == {
        "method": "A2PSendSms",
        "source": "VOXSMS",
        "destination": ONE,
        "text": "Hi",
        "fragments": 1,
        "cost": "0.034",
        "message_id": 1,
        "at": "2026-01-15T12:00:00+00:00",
    }
    assert control.post("clock", advance=1) == {"now": "2026-01-15T12:00:01+00:00", "stands": True}
    voxsms_sandbox.flush_callbacks()
    (made,) = control.get("callbacks")
    assert (made["attempt"], made["status"]) == (1, None)
    assert made["problem"].startswith("ConnectionRefusedError")
    assert made["callbacks"][0]["a2p_sms_delivery"]["status"] == "DISPATCHED"
    voxsms_sandbox.faults.take("A2PSendSms")
    control.post("faults", script="never,callback_late")
    assert control.post("reset") == facts
    assert control.get("ledger")["count"] == len(control.get("callbacks")) == 0
    assert control.get("faults") == {"pending": [], "happened": []}
    voxsms_sandbox.flush_callbacks()
    assert voxsms_sandbox.callbacks == ()
    send(http, voxsms_sandbox)
    assert control.get("ledger")["deliveries"][0]["message_id"] == 1


def test_faults_are_added_and_cleared(control: Caller) -> None:
    """In the text form that the command line takes; `clear` comes first."""
    never = {"kind": "never", "times": 2, "method": "ControlSms", "options": {}}
    late = {"kind": "callback_late", "times": 1, "method": None, "options": {"seconds": 3.0}}
    assert control.post("faults", script="never*2@ControlSms")["pending"] == [never]
    script = {"script": "callback_late:seconds=3"}
    assert control.post("faults", **script)["pending"] == [never, late]
    assert control.post("faults", clear="true", **script)["pending"] == [late]
    assert control.get("faults") == {"pending": [late], "happened": []}


def test_the_clock_is_driven(control: Caller, voxsms_sandbox: Sandbox) -> None:
    """It is set, moved, and goes on."""
    noon = {"now": "2026-01-15T12:00:00+00:00", "stands": True}
    assert control.post("clock", set="2026-01-15T12:00:00") == noon
    assert control.post("clock", set="2026-01-15T13:00:00+01:00") == noon
    assert control.post("clock", advance="0.5")["now"] == "2026-01-15T12:00:00.500000+00:00"
    assert control.post("clock", run="true")["stands"] is False
    assert control.get("clock")["stands"] is False
    control.post("reset")
    assert abs(voxsms_sandbox.clock.now() - datetime.now(UTC)).total_seconds() < 60


@at_noon
def test_a_message_arrives_and_a_history_is_made_up(control: Caller) -> None:
    """As in Python."""
    assert control.post("receive", source=ONE, destination=OWN, text="Grüße") == {
        "message_id": 1,
        "callback_url": "http://127.0.0.1:1/",
    }
    assert control.get("callbacks") is not None
    assert control.post("fill", kind="sms", rows=5, seed=7) == {"kind": "sms", "rows": 5}
    assert control.post("fill", kind="a2p", rows=5) == {"kind": "a2p", "rows": 5}


@pytest.mark.parametrize(
    ("name", "form", "problem"),
    [
        ("clock", {}, "clock: give one of advance, set and run"),
        ("clock", {"advance": "1", "run": ""}, "clock: give one of advance, set and run"),
        ("clock", {"advance": "-5"}, "advance: is -5; it must not be below 0 (`set` goes back)"),
        ("clock", {"advance": "soon"}, "advance: is not a number"),
        (
            "clock",
            {"advance": "inf"},
            "the clock cannot be set to that time: it covers the years 1970 to 9998",
        ),
        ("clock", {"set": "0001-01-01T00:00:00+14:00"}, "the clock cannot be set to that time"),
        ("faults", {"script": "never*" + "9" * 20}, "times: is larger than"),
        ("clock", {"set": "noon"}, "set: is not a time such as 2026-01-15T12:00:00Z"),
        ("receive", {"source": ONE, "text": "Hi"}, "destination: is missing"),
        ("receive", {"source": ONE, "destination": "Ada", "text": "Hi"}, "destination: '***' is"),
        ("fill", {"kind": "sms", "rows": "99999999"}, "rows: a history needs 1 to 10,000,000"),
        ("fill", {"kind": "mms", "rows": "9"}, "kind: 'mms' is neither sms nor a2p"),
        ("faults", {"script": "earthquake"}, "kind: 'earthquake' is not one of"),
        ("faults", {"scrpt": "never"}, "scrpt: is not a field here; the fields: clear, script"),
        ("reset", {"all": "1"}, "all: is not a field here; the fields: none"),
    ],
)
def test_a_mistake_is_named(
    name: str, form: Form, problem: str, http: httpx.Client, voxsms_sandbox: Sandbox
) -> None:
    """With HTTP 400, and the field."""
    answer = http.post(f"{voxsms_sandbox.url}/sandbox/{name}", data=form)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(problem)


@pytest.mark.parametrize(
    ("method", "name", "status", "allow"),
    [
        ("GET", "nothing", 404, None),
        ("POST", "ledger", 405, "GET"),
        ("GET", "reset", 405, "POST"),
        ("DELETE", "faults/", 405, "GET, POST"),
    ],
)
def test_what_is_not_there(
    method: str,
    name: str,
    status: int,
    allow: str | None,
    http: httpx.Client,
    voxsms_sandbox: Sandbox,
) -> None:
    """A path and a method that do not exist are told from those that do."""
    answer = http.request(method, f"{voxsms_sandbox.url}/sandbox/{name}")
    assert (answer.status_code, answer.headers.get("allow")) == (status, allow)
    assert "/sandbox/" in answer.json()["error"]


def test_the_slash_at_the_end_was_forgotten(http: httpx.Client, voxsms_sandbox: Sandbox) -> None:
    """`/sandbox` says what `/sandbox/` does."""
    answer = http.get(f"{voxsms_sandbox.url}/sandbox")
    assert answer.status_code == 200
    assert answer.json()["url"] == voxsms_sandbox.url


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Host": "localhost@evil.example"},
        {"Host": ""},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_web_page_is_refused(
    headers: dict[str, str], method: str, http: httpx.Client, voxsms_sandbox: Sandbox
) -> None:
    """Whatever page a person looks at cannot drive the sandbox, nor read it by a name."""
    url = f"{voxsms_sandbox.url}/sandbox/faults"
    answer = http.request(method, url, data={"script": "never"}, headers=headers)
    assert answer.status_code == 403
    assert voxsms_sandbox.faults.pending == ()


def test_who_may_call() -> None:
    """By address, and by names that are not in the public DNS."""
    own = ["127.0.0.1:80", "[::1]:80", "10.0.0.7", "LOCALHOST:1", "a.localhost", "sandbox:8080"]
    assert all(map(is_own_name, [*own, "host.docker.internal"]))
    assert not any(map(is_own_name, ["a.b", "localhost.", "a:b", "[::1", "[a.b]", ":80"]))


def test_too_much_is_refused(http: httpx.Client, voxsms_sandbox: Sandbox) -> None:
    """By the limits of the service's own paths, before anything is looked at."""
    url = f"{voxsms_sandbox.url}/sandbox/faults"
    assert http.post(url, content=b"x" * (2 * 2**20 + 1)).status_code == 413
    assert http.post(url, data={f"f{n}": "" for n in range(101)}).status_code == 413


def test_it_meets_no_fault(control: Caller, voxsms_sandbox: Sandbox) -> None:
    """The faults of the script are for the service's methods."""
    voxsms_sandbox.faults.add("never")
    assert control.get("ledger")["requests"] == {}
    assert len(voxsms_sandbox.faults.pending) == 1
