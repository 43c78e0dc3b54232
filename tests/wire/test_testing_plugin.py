"""The pytest plugin, as a user who installs voxsms has it."""

import importlib.util
import sys
from pathlib import Path

import pytest

import voxsms
from voxsms import sandbox

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

USE = """
import httpx, pytest

def account(sandbox):
    key = sandbox.api_key
    form = {"account_id": str(key.account_id), "api_key": key.api_key}
    return httpx.post(f"{sandbox.url}/platform_api/GetAccountInfo/", data=form).json()

def test_as_it_is(voxsms_sandbox):
    assert account(voxsms_sandbox)["result"]["balance"] == 100

@pytest.mark.voxsms_sandbox(balance=5, faults="error:code=340")
def test_with_settings(voxsms_sandbox):
    assert account(voxsms_sandbox)["error"]["code"] == 340
    assert account(voxsms_sandbox)["result"]["balance"] == 5
"""
ALONE = ("-p", "no:asyncio", "-p", "no:anyio")


def test_the_fixture_is_there_without_an_import(pytester: pytest.Pytester) -> None:
    """A running sandbox by the fixture's name; the marker changes what it starts with."""
    pytester.makepyfile(USE)
    result = pytester.runpytest_inprocess("--strict-markers", *ALONE)
    result.assert_outcomes(passed=2)
    markers = pytester.runpytest_inprocess("--markers", *ALONE)
    markers.stdout.fnmatch_lines(["@pytest.mark.voxsms_sandbox(?*settings): what the sandbox*"])


NEEDS_IT = "def test_a(voxsms_sandbox): ...\ndef test_b(): ..."
WITHOUT_UVICORN = """
import sys
assert "uvicorn" not in sys.modules, "the plugin loads the sandbox before it is asked for"
sys.modules["uvicorn"] = None
"""


def test_without_the_extra(pytester: pytest.Pytester) -> None:
    """Only a test that asks for the fixture fails, and is told what to install."""
    pytester.makeconftest(WITHOUT_UVICORN)
    pytester.makepyfile(NEEDS_IT)
    result = pytester.runpytest_subprocess(*ALONE)
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
