"""What the README says is so: its tables are up to date, its examples run as shown."""

import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

import voxsms
from voxsms.api import spec
from voxsms.sandbox import Sandbox

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def method_table() -> str:
    """Return the table of the README as it should be."""
    head = "| call | on the wire | what it does | charges | pages |"
    return "\n".join([head, "| --- | --- | --- | --- | --- |", *map(_table_row, spec.TABLE)])


def _table_row(method: spec.AnyMethod) -> str:
    needed = spec.required(spec.request_class(method))
    names = [
        f"{n}=" if n in needed else f"[{n}=]" for n in spec.parameters(spec.request_class(method))
    ]
    cells = (
        f"`{spec.python_name(method.cmd)}({', '.join(names)})`",
        f"`{method.cmd}`",
        method.summary,
        "yes" if method.charges else "no",
        "yes" if method.paged else "no",
    )
    return f"| {' | '.join(cells)} |"


def between(start: str, end: str = "<!-- end -->") -> str:
    """Give what stands between two marks."""
    return README.partition(f"<!-- {start} -->\n")[2].partition(end)[0]


def test_the_method_table_is_that_of_the_spec() -> None:
    """A row that changes in `spec.py` changes here, or this says so."""
    assert between("method table").strip() == method_table()


async def test_the_users_case_prints_what_it_shows(voxsms_sandbox: Sandbox) -> None:
    """One curly apostrophe, 10,000 numbers: named, priced, and put right."""
    case = between("a user's case")
    code, shown = case.split("<!-- prints -->")
    async with voxsms.Client(voxsms_sandbox.auth, voxsms_sandbox.url) as client:
        prices = await client.get_resource_price()
    numbers = [f"4478{n:08d}" for n in range(10_000)]
    printed = StringIO()
    with redirect_stdout(printed):
        exec(CODE.findall(code)[0], {"voxsms": voxsms, "prices": prices, "numbers": numbers})  # noqa: S102
    assert printed.getvalue() == shown.strip().strip("`").lstrip("\n")
    assert len("".join(re.findall(r'text \+?= "(.*)"', code))) == 158


@pytest.mark.parametrize("variables", [("credentials",), ("id", "key")])
def test_the_ten_lines_run_against_a_sandbox_as_it_comes(
    voxsms_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    variables: tuple[str, ...],
) -> None:
    """A newcomer who sets what the sandbox prints sees them work, with either kind of proof."""
    key = voxsms_sandbox.api_key
    known = {
        "credentials": (
            "VOXIMPLANT_CREDENTIALS",
            str(voxsms_sandbox.save_credentials(tmp_path / "a")),
        ),
        "id": ("VOXIMPLANT_ACCOUNT_ID", str(key.account_id)),
        "key": ("VOXIMPLANT_API_KEY", key.api_key),
    }
    for name, _ in known.values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VOXSMS_BASE_URL", voxsms_sandbox.url)
    for variable in variables:
        monkeypatch.setenv(*known[variable])
    (ten_lines,) = [code for code in CODE.findall(README) if "Client.from_env" in code]
    exec(ten_lines, {})  # noqa: S102
    forced, sent, row = capsys.readouterr().out.splitlines()
    assert "RIGHT SINGLE QUOTATION MARK" in forced
    assert sent == "1 ()"
    assert row.endswith("447443332212 QUEUED 0.034")
    assert voxsms_sandbox.ledger.count == 1


async def test_the_example_of_receiving_puts_a_number_on_the_list(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A STOP that is posted twice; another secret's post is refused."""
    monkeypatch.chdir(tmp_path)
    (code,) = [code for code in CODE.findall(README) if "webhooks.asgi_app" in code]
    named: dict[str, Any] = {"callback_salt": "pepper", "account_id": 1, "api_key": "a-key"}
    exec(code, named)  # noqa: S102
    fields = {"source_number": "447443332212", "destination_number": "1", "sms_body": "Stop!"}
    item = {"callback_id": 7, "account_id": 1, "type": "sms_inbound", "sms_inbound": fields}
    good = item | {"hash": named["secret"].signature(7)}
    carrier = httpx.ASGITransport(named["app"])
    async with httpx.AsyncClient(transport=carrier, base_url="http://svc.test") as http:
        answers = [
            await http.post("/voximplant/", json={"callbacks": [each]})
            for each in (item | {"hash": "0" * 32}, good, good)
        ]
    assert [answer.status_code for answer in answers] == [403, 200, 200]
    assert await named["opt_outs"].contains("447443332212")
    for store in ("opt_outs", "seen"):
        await named[store].aclose()


async def test_the_fixtures_example_passes(voxsms_sandbox: Sandbox) -> None:
    """A user who copies it has a test that passes."""
    (example,) = [code for code in CODE.findall(README) if "def test_my_service" in code]
    names: dict[str, Callable[[Sandbox], object]] = {}
    exec(example, names)  # noqa: S102
    run = names["test_my_service"](voxsms_sandbox)
    assert hasattr(run, "__await__")
    await run


@pytest.mark.parametrize("code", CODE.findall(README))
def test_every_example_is_python(code: str) -> None:
    """Nothing in the README has a slip that a compiler finds."""
    wrapped = "async def example():\n" + "".join(f"    {line}\n" for line in code.splitlines())
    compile(wrapped, "README.md", "exec")


def test_the_method_table_has_a_line_for_each_row() -> None:
    """What stands in the README names every call, its parameters and whether it charges."""
    lines = method_table().splitlines()
    assert lines[0] == "| call | on the wire | what it does | charges | pages |"
    assert lines[1] == "| --- | --- | --- | --- | --- |"
    assert len(lines[2:]) == 8
    assert lines[2] == (
        "| `send_sms_message(source=, destination=, sms_body=, [store_body=])` "
        "| `SendSmsMessage` | Send one SMS between two numbers | yes | no |"
    )
    assert [line.split(" | ")[1].strip("`") for line in lines[2:]] == list(spec.METHODS)
    assert [line.split(" | ")[3:] for line in lines[2:]] == [
        ["yes", "no |"],
        ["yes", "no |"],
        ["no", "no |"],
        ["no", "yes |"],
        ["no", "yes |"],
        ["no", "yes |"],
        ["no", "no |"],
        ["no", "no |"],
    ]
