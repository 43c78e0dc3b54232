"""The pytest plugin, as a user who installs voxsms has it."""

import importlib.util
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from conftest import Post
from starlette.applications import Starlette

import voxsms
from voxsms import sandbox
from voxsms.sandbox import Sandbox
from voxsms.testing import serve_app

pytest_plugins = ["pytester"]

ALONE = ("-p", "no:asyncio", "-p", "no:anyio", "-p", "no:xdist")
"""In this process, where each of those has been loaded already."""
USE = """
import httpx, pytest

def account(sandbox):
    key = sandbox.api_key
    form = {"account_id": str(key.account_id), "api_key": key.api_key}
    return httpx.post(f"{sandbox.url}/platform_api/GetAccountInfo/", data=form).json()

def test_as_it_is(voxsms_sandbox):
    assert account(voxsms_sandbox)["result"]["balance"] == 100

@pytest.mark.voxsms_sandbox(balance=5)
@pytest.mark.voxsms_faults("error:code=340", "commit_then_close@A2PSendSms")
def test_with_settings(voxsms_sandbox):
    assert account(voxsms_sandbox)["error"]["code"] == 340
    assert account(voxsms_sandbox)["result"]["balance"] == 5
    assert voxsms_sandbox.faults.pending[0].kind == "commit_then_close"
"""


@pytest.mark.slow
def test_the_fixture_is_there_without_an_import(pytester: pytest.Pytester) -> None:
    """A running sandbox by the fixture's name; marks change what it starts with."""
    pytester.makepyfile(USE)
    result = pytester.runpytest_inprocess("--strict-markers", *ALONE)
    result.assert_outcomes(passed=2)
    markers = pytester.runpytest_inprocess("--markers", *ALONE)
    markers.stdout.fnmatch_lines(
        [
            "@pytest.mark.voxsms_sandbox(?*settings): what the sandbox*",
            "@pytest.mark.voxsms_faults(?faults): what goes wrong*",
        ]
    )


@pytest.mark.anyio
@pytest.mark.voxsms_faults("commit_then_close", "commit_then_close@GetSmsHistory")
async def test_a_lost_answer_was_not_that_of_a_price(voxsms_sandbox: Sandbox) -> None:
    """The fault of the mark waits for the send; what a budget asks for before is answered."""
    async with voxsms.Client(voxsms_sandbox.auth, voxsms_sandbox.url) as client:
        careful = await client.with_budget(max_cost="1")
        with pytest.raises(voxsms.OutcomeUnknown):
            await careful.a2p_send_sms(
                src_number="VOXSMS", dst_numbers=["447443332212"], text="Hello"
            )
        assert voxsms_sandbox.ledger.count == 1
        (left,) = voxsms_sandbox.faults.pending
        assert left.method == "GetSmsHistory"
        voxsms_sandbox.faults.clear()
        voxsms_sandbox.faults.add("rate_limited", method="sends")
        assert (await client.get_account_info()).currency == "USD"
        assert [fault.method for fault in voxsms_sandbox.faults.pending] == ["sends"]


WRONG = """
import pytest

@pytest.mark.voxsms_faults("comit_then_close")
def test_fault(voxsms_sandbox): ...

@pytest.mark.voxsms_sandbox(balanse=5)
def test_setting(voxsms_sandbox): ...

@pytest.mark.voxsms_sandbox(5)
def test_position(voxsms_sandbox): ...

@pytest.mark.voxsms_faults(kind="refuse")
def test_name(voxsms_sandbox): ...
"""


@pytest.mark.slow
def test_a_mark_that_is_misspelt_is_told(pytester: pytest.Pytester) -> None:
    """With what is known instead, and no frames of ours."""
    pytester.makepyfile(WRONG)
    result = pytester.runpytest_inprocess(*ALONE)
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(
        [
            "a mark of test_fault: kind: 'comit_then_close' is not one of ok, refuse*",
            "a mark of test_setting: *unexpected keyword argument 'balanse'*",
            "a mark of test_position: voxsms_sandbox takes its settings by name, such as balance=0",
            "a mark of test_name: voxsms_faults takes no names: write *",
        ]
    )
    result.stdout.no_fnmatch_line("*testing.py*")


SHARED = """
import httpx, pytest

pytestmark = pytest.mark.voxsms_sandbox(balance=7)
seen = []

def send(sandbox):
    key = sandbox.api_key
    form = {"account_id": str(key.account_id), "api_key": key.api_key, "src_number": "VOXSMS",
            "dst_numbers": "447443332212", "text": "Hi"}
    return httpx.post(f"{sandbox.url}/platform_api/A2PSendSms/", data=form)

def note(voxsms_sandbox, voxsms_sandbox_module, voxsms_sandbox_session):
    everyone = voxsms_sandbox, voxsms_sandbox_module, voxsms_sandbox_session
    assert len({each.url for each in everyone}) == 3
    for each in everyone:
        send(each)
    seen.append([(each.api_key, each.url, each.ledger.count, each.balance) for each in everyone])

def test_one(voxsms_sandbox, voxsms_sandbox_module, voxsms_sandbox_session):
    note(voxsms_sandbox, voxsms_sandbox_module, voxsms_sandbox_session)
    voxsms_sandbox.faults.add("refuse", seconds=100)

def test_two(voxsms_sandbox, voxsms_sandbox_module, voxsms_sandbox_session):
    note(voxsms_sandbox, voxsms_sandbox_module, voxsms_sandbox_session)
    (one, module, session), (two, module_2, session_2) = seen
    assert one[0] != two[0] and one[1:] == two[1:]  # another account, on the same server
    assert (module[2], module_2[2]) == (session[2], session_2[2]) == (1, 2)
    assert module[0:2] == module_2[0:2] and session[0:2] == session_2[0:2]
    balances = [str(each[3]) for each in (two, module_2, session_2)]
    assert balances == ["6.966", "6.932", "99.932"]
"""


@pytest.mark.slow
def test_an_account_for_each_test_or_for_longer(pytester: pytest.Pytester) -> None:
    """On one server a test's account is new; those of the module and the session go on."""
    pytester.makepyfile(SHARED)
    pytester.runpytest_inprocess(*ALONE).assert_outcomes(passed=2)


async def test_a_client_of_the_environment_calls_the_sandbox(
    voxsms_env: Sandbox,
) -> None:
    """`from_env` takes what the fixture sets, whatever was set before."""
    assert "VOXIMPLANT_CREDENTIALS" not in os.environ
    async with voxsms.Client.from_env() as client:
        await client.a2p_send_sms(src_number="VOXSMS", dst_numbers=["447443332212"], text="Hi")
    assert voxsms_env.messages == [("447443332212", "Hi")]


@pytest.mark.voxsms_sandbox(tls=True)
@pytest.mark.parametrize("which", ["first", "second"])
async def test_each_test_over_tls_trusts_its_own_sandbox(voxsms_env: Sandbox, which: str) -> None:
    """Also the second one of a process: what the environment names is looked at each time."""
    assert voxsms_env.url.startswith("https://"), which
    async with voxsms.Client.from_env() as client:
        assert (await client.get_account_info()).balance == 100


REAL = voxsms.ApiKey(1, "k-of-the-tests")


@pytest.mark.usefixtures("voxsms_sandbox")
async def test_a_client_that_was_forgotten_reaches_nobody(tmp_path: Path) -> None:
    """Beside a sandbox, one with the service's own address fails the test before it sends."""
    async with voxsms.Client(REAL) as client:
        with pytest.raises(
            pytest.fail.Exception, match=r"calls https://api\.voximplant\.com, which"
        ):
            await client.get_account_info()
        with pytest.raises(pytest.fail.Exception, match=r"pass it base_url=voxsms_sandbox\.url"):
            await client.download_sms_history(output="csv", path=tmp_path / "a.csv")
    with sandbox.serve() as other:  # nor does the one in use keep a test from making another
        async with voxsms.Client(other.auth, other.url) as client:
            assert (await client.get_account_info()).balance == 100
        gone = voxsms.Client(other.auth, other.url)
    async with gone:
        with pytest.raises(pytest.fail.Exception, match="is not a sandbox of this test"):
            await gone.get_account_info()


@pytest.mark.usefixtures("voxsms_only_sandbox")
async def test_the_guard_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite can have it in every test, also where the sandbox was never loaded."""
    monkeypatch.delitem(sys.modules, "voxsms.sandbox")
    async with voxsms.Client(REAL) as client:
        with pytest.raises(pytest.fail.Exception, match="is not a sandbox of this test"):
            await client.get_account_info()


SERVED = """
import httpx, pytest, voxsms
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

async def forgotten(request):
    async with voxsms.Client(voxsms.ApiKey(1, "k-of-the-tests")) as client:
        await client.get_account_info()
    return Response()

def ask():
    with voxsms.testing.serve_app(Starlette(routes=[Route("/", forgotten)])) as url:
        return httpx.get(url).status_code

def test_that_fails(voxsms_sandbox):
    assert ask() == 200

def test_that_would_pass(voxsms_sandbox):
    assert ask() == 500

def test_of_a_client_alone(voxsms_sandbox):
    with pytest.raises(pytest.fail.Exception, match="is not a sandbox of this test"):
        voxsms.Client(voxsms.ApiKey(1, "k-of-the-tests")).session.read(None, None)
"""


@pytest.mark.slow
def test_a_client_that_was_forgotten_in_an_app_is_told(pytester: pytest.Pytester) -> None:
    """Its test gets no more than a 500, and still it is told what was called, once."""
    pytester.makepyfile(SERVED)
    result = pytester.runpytest_inprocess("-p", "no:logging", *ALONE)
    result.assert_outcomes(failed=1, passed=2, errors=2)
    told = "in an app that the test serves, a client calls https://api.voximplant.com, which is not"
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_that_fails*", f"{told} a sandbox of this test: pass it*"]
    )
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_that_would_pass*", f"{told}*"])


async def test_a_test_without_fixtures_is_not_guarded() -> None:
    """Nothing changes for who does not use them."""
    async with voxsms.Client(REAL, "http://127.0.0.1:1", max_attempts=1) as client:
        with pytest.raises(voxsms.ConnectionFailed):
            await client.get_account_info()


@pytest.mark.voxsms_faults("rate_limited:retry_after=50")
async def test_retries_do_not_wait_in_a_test(voxsms_env: Sandbox) -> None:
    """Where the service asks for 50 seconds, none pass; afterwards clocks are as they were."""
    before = voxsms.Clock.sleep
    async with voxsms.Client.from_env() as client:
        with voxsms.testing.no_waiting():
            await client.get_account_info()
    assert [fault.kind for fault in voxsms_env.faults.happened] == ["rate_limited"]
    assert voxsms.Clock.sleep is before


@asynccontextmanager
async def broken_lifespan(_: Starlette) -> AsyncGenerator[None]:
    """Fail while the app starts."""
    raise OSError("the database is gone")
    yield


def test_an_app_that_does_not_start_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Its test does not wait for it, and the log has the reason."""
    app = Starlette(lifespan=broken_lifespan)
    with pytest.raises(RuntimeError, match="could not be started"), serve_app(app):
        pass
    assert "the database is gone" in caplog.text


def send_three(post: Post) -> None:
    """Send two messages to one number and one to another."""
    for number, text in (("447443332212", "Hi"), ("447443332213", "Hi"), ("447443332212", "Bye")):
        post("A2PSendSms", src_number="VOXSMS", dst_numbers=number, text=text)


def test_what_was_delivered_reads_well(voxsms_sandbox: Sandbox, post: Post) -> None:
    """As lists: of pairs, and of the texts for a number in whatever form."""
    assert not voxsms_sandbox.messages
    send_three(post)
    assert voxsms_sandbox.delivered_to("+44 7443 332212") == ["Hi", "Bye"]
    assert voxsms_sandbox.delivered_to("447443332214") == []
    assert voxsms_sandbox.messages == [
        ("447443332212", "Hi"), ("447443332213", "Hi"), ("447443332212", "Bye"),
    ]  # fmt: skip
    assert voxsms_sandbox.messages[2].text == "Bye"
    assert [each.text for each in voxsms_sandbox.ledger.deliveries] == ["Hi", "Hi", "Bye"]


def test_a_number_that_nothing_can_be_delivered_to(voxsms_sandbox: Sandbox) -> None:
    """A test that asks for it would always find that nothing was sent."""
    for number in ("07443 332212", "+44 (0)7443 332212", "447443332212.0"):
        with pytest.raises(ValueError, match=r"starts with 0|cannot be guessed|decimal"):
            voxsms_sandbox.delivered_to(number)


def failed(assertion: Callable[[], None]) -> list[str]:
    """Give the lines that pytest shows of an assertion that fails."""
    with pytest.raises(AssertionError) as found:
        assertion()
    return [line.strip() for line in str(found.value).splitlines()]


def test_an_assertion_that_fails_says_what_differs(voxsms_sandbox: Sandbox, post: Post) -> None:
    """The messages that are missing, those that are too many, and who got them instead."""
    send_three(post)

    def messages() -> None:
        assert voxsms_sandbox.messages == [("447443332212", "Hi"), ("447443332213", "Hey")]

    assert failed(messages)[1:] == [
        "- expected, + delivered:",
        "('447443332212', 'Hi')",
        "- ('447443332213', 'Hey')",
        "?                    ^^",
        "+ ('447443332213', 'Hi')",
        "?                    ^",
        "+ ('447443332212', 'Bye')",
    ]

    def to_a_number() -> None:
        assert ["Hi"] == voxsms_sandbox.delivered_to("447443332214")  # noqa: SIM300 - either way

    assert failed(to_a_number)[:4] == [
        "assert ['Hi'] == []",
        "- expected, + delivered:",
        "- 'Hi'",
        "delivered to other numbers:",
    ]

    def with_no_list() -> None:
        wrong: object = "Hi"
        assert voxsms_sandbox.messages == wrong

    def with_another_question() -> None:
        assert voxsms_sandbox.messages != list(voxsms_sandbox.messages)

    for assertion in (with_no_list, with_another_question):  # pytest's own words will do
        assert "delivered" not in " ".join(failed(assertion)[1:])


OF_ONES_OWN = """
import pytest, voxsms.sandbox

@pytest.mark.voxsms_sandbox(keep_alive=1)
def test_own_server(voxsms_sandbox): ...
"""


@pytest.mark.slow
def test_what_concerns_the_server_gets_one_of_its_own(pytester: pytest.Pytester) -> None:
    """A mark may say that, too."""
    pytester.makepyfile(OF_ONES_OWN)
    pytester.runpytest_inprocess(*ALONE).assert_outcomes(passed=1)


NEEDS_IT = "def test_a(voxsms_sandbox): ...\ndef test_b(): ..."
WITHOUT_UVICORN = """
import sys
assert "voxsms.testing" in sys.modules
assert not {"httpx", "starlette", "uvicorn", "anyio", "voxsms.client"} & set(sys.modules)
sys.modules["uvicorn"] = None
"""


@pytest.mark.slow
def test_without_the_extra(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a test that asks for the fixture fails, and is told what to install.

    For those who do not, the plugin has loaded neither httpx nor the sandbox.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # others load what they want
    pytester.makeconftest(WITHOUT_UVICORN)
    pytester.makepyfile(NEEDS_IT)
    result = pytester.runpytest_subprocess("-p", "voxsms.testing")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["the sandbox needs uvicorn: pip install 'voxsms?sandbox?'"])
    result.stdout.no_fnmatch_line("*another exception*")


def test_a_sandbox_that_cannot_be_imported(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever module is missing, the failing test says which."""
    monkeypatch.setitem(sys.modules, "voxsms.sandbox", None)
    monkeypatch.delattr(voxsms, "sandbox")
    pytester.makepyfile(NEEDS_IT)
    result = pytester.runpytest_inprocess(*ALONE)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*voxsms.sandbox*"])


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("uvicorn", r"the sandbox needs uvicorn: pip install 'voxsms\[sandbox\]'"),
        ("starlette", r"the sandbox needs starlette: pip install 'voxsms\[sandbox\]'"),
        ("jwt", "import of jwt halted"),
    ],
)
def test_importing_the_sandbox_without_a_package(
    monkeypatch: pytest.MonkeyPatch, missing: str, said: str
) -> None:
    """A package of the extra is named with the command that installs it; any other as it is."""
    for name in [name for name in sys.modules if name.startswith("voxsms.sandbox.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    for name in [name for name in sys.modules if name.startswith(f"{missing}.")]:
        monkeypatch.delitem(sys.modules, name)
    spec = importlib.util.spec_from_file_location("without", Path(str(sandbox.__file__)))
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(ModuleNotFoundError, match=said):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
