"""Three projects of users, each with another plugin for async tests, on voxsms from its wheel."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]

SCOPE = "asyncio_default_fixture_loop_scope = function"

CODE = """
import os, voxsms
assert voxsms.__file__.startswith(os.environ["VOXSMS_WHEEL"])

async def send_code(client, number):
    sent = await client.a2p_send_sms(src_number="VOXSMS", dst_numbers=[number], text="Code 4711")
    sent.raise_if_failed()
"""

STRICT = """
import pytest, pytest_asyncio, voxsms
from app import send_code

@pytest_asyncio.fixture
async def client(voxsms_sandbox):
    async with voxsms.Client(voxsms_sandbox.auth, voxsms_sandbox.url) as client:
        yield client

@pytest.mark.asyncio
@pytest.mark.parametrize("number", ["447443332212", "447443332213"])
async def test_a_code_is_sent(client, voxsms_sandbox, number):
    await send_code(client, number)
    assert voxsms_sandbox.messages == [(number, "Code 4711")]
"""

AUTO = """
import pytest, voxsms
from app import send_code

@pytest.fixture
async def client(voxsms_env):
    async with voxsms.Client.from_env() as client:
        yield client

@pytest.mark.voxsms_faults("commit_then_close")
async def test_a_doubt_is_one(client, voxsms_env):
    with pytest.raises(voxsms.OutcomeUnknown):
        await send_code(client, "447443332212")
    assert voxsms_env.delivered_to("447443332212")

async def test_the_next_test_has_an_account_of_its_own(client, voxsms_env):
    assert voxsms_env.messages == []
    voxsms_env.clock.advance(60)
    await client.get_account_info()
"""

ANYIO = """
import pytest, voxsms
from app import send_code

pytestmark = pytest.mark.anyio

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param

@pytest.fixture
async def client(voxsms_env):
    async with voxsms.Client.from_env() as client:
        yield client

@pytest.mark.voxsms_faults("rate_limited:retry_after=50")
async def test_it_waits_for_nothing(client, voxsms_env):
    with voxsms.testing.no_waiting():
        await send_code(client, "447443332212")
    assert voxsms_env.delivered_to("447443332212") == ["Code 4711"]

async def test_it_calls_nobody_else(voxsms_sandbox):
    async with voxsms.Client(voxsms_sandbox.auth) as forgotten:
        with pytest.raises(pytest.fail.Exception, match="api.voximplant.com"):
            await send_code(forgotten, "447443332212")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the directory of voxsms as its wheel installs it."""
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - ours
    (built,) = place.glob("*.whl")
    ZipFile(built).extractall(place / "installed")  # all that installing pure Python does
    return str(place / "installed")


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("code", "plugin", "settings", "workers", "shown"),
    [
        (
            STRICT,
            "asyncio",
            f"asyncio_mode = strict\n{SCOPE}",
            2,
            ["2 workers [2 items]", "= 2 passed"],
        ),
        (AUTO, "asyncio", f"asyncio_mode = auto\n{SCOPE}", 0, ["collected 2 items", "= 2 passed"]),
        (ANYIO, "anyio", "", 0, ["collected 4 items", "= 4 passed"]),
    ],
    ids=["pytest-asyncio strict", "pytest-asyncio auto", "anyio, asyncio and trio"],
)
def test_each_project_passes(
    tmp_path: Path,
    wheel: str,
    code: str,
    plugin: str,
    settings: str,
    workers: int,
    shown: list[str],
) -> None:
    """Every fixture is sync, so any plugin can use it; workers have a server each."""
    (tmp_path / "app.py").write_text(CODE)
    (tmp_path / "test_app.py").write_text(code)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{settings}\n")
    # The dependencies are those installed here; other plugins stay out of it.
    environment = os.environ | {
        "COVERAGE_PROCESS_START": "",  # what is measured is the checkout, not the wheel
        "PYTHONPATH": wheel,
        "VOXSMS_WHEEL": wheel,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    plugins = [word for name in ("voxsms", "xdist", plugin) for word in ("-p", name)]
    ran = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-m", "pytest", "-n", str(workers), *plugins],
        cwd=tmp_path, env=environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert all(each in ran.stdout for each in shown), ran.stdout + ran.stderr
