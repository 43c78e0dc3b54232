"""What `voxsms` shows: the promised names, late, and nothing of what it stands on."""

import ast
import json
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import voxsms
from voxsms import errors

pytestmark = pytest.mark.slow

# Transcribed from api.md, as far as it is built.
PROMISED = [
    "Client",
    "ServiceAccount",
    "ApiKey",
    "Timeouts",
    "SendSmsMessageResult",
    "A2PSendSmsResult",
    "ControlSmsResult",
    "HistoryPage",
    "SmsHistory",
    "A2PSmsHistory",
    "PhoneNumber",
    "ResourcePrice",
    "AccountInfo",
    "SmsTransaction",
    "FailedSms",
    "RateTable",
    "export_history",
    "Outbox",
    "OutboxUnavailable",
    "Direction",
    "DeliveryStatus",
    "MessageStatus",
    "SmsCommand",
    "Encoding",
    "count_fragments",
    "segment",
    "Message",
    "estimate",
    "estimate_many",
    "Budget",
    "VoxSmsError",
    "InvalidRequest",
    "BudgetExceeded",
    "PriceUnknown",
    "NotSent",
    "OutcomeUnknown",
    "ConnectionFailed",
    "TimedOut",
    "ResponseInvalid",
    "ApiError",
    "AuthenticationFailed",
    "PermissionDenied",
    "RateLimited",
    "InsufficientFunds",
    "SmsNotEnabled",
    "RequestRefused",
    "ServerFault",
    "InvalidText",
    "TemplateError",
    "PartlyFailed",
    "Incomplete",
    "CheckpointMismatch",
    "SignatureInvalid",
    "CallbackInvalid",
]
EXTRAS = [
    "psycopg",
    "procrastinate",
    "aiohttp",
    "httpx2",
    "starlette",
    "uvicorn",
    "cyclopts",
    "rich",
    "pyarrow",
]
LATE = ["jwt", "cryptography", "regex", "trio", "pytest", "hypothesis"]


@cache
def loaded_by(code: str) -> set[str]:
    """Run code in a fresh Python and name the packages that are loaded then."""
    script = f"{code}\nimport json, sys\nprint(json.dumps([*sys.modules]))"
    done = subprocess.run(  # noqa: S603 - this Python, our code
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def loaded_too_early(code: str) -> set[str]:
    """Name what is loaded beyond what the dependencies load themselves.

    httpx loads rich and httpcore loads trio where they are installed.
    """
    own = loaded_by("import httpx, httpcore, attrs, cattrs, anyio, orjson, sniffio")
    return (loaded_by(code) - own) & {*EXTRAS, *LATE}


@pytest.mark.parametrize("name", PROMISED)
def test_the_promised_names_are_there(name: str) -> None:
    """Every name of api.md can be had from `voxsms`, and is announced."""
    assert getattr(voxsms, name).__name__ == name
    assert name in voxsms.__all__
    assert name in dir(voxsms)


IN_DOORS = {
    "pricing": ["Comparison", "Estimate", "PriceGroup", "PriceGroupParams", "Rate",
                "compare_with_history"],
    "text": ["Bounds", "Change", "ForcedBy", "ForcedByField", "Homoglyph", "RenderedMessage",
             "Room", "Segmentation", "WorstCase"],
}  # fmt: skip
"""What a user meets and never makes, or needs rarely."""


def test_what_is_met_and_not_made_is_in_the_doors() -> None:
    """`voxsms.text` and `voxsms.pricing` have it, and the top level is not crowded with it."""
    for door, names in IN_DOORS.items():
        room = getattr(voxsms, door)
        assert {*names} <= {*room.__all__}
        assert not [name for name in names if hasattr(voxsms, name)]
    assert len(voxsms.__all__) <= 66, "raise this for the record of a new method, for nothing else"


def names_for_type_checkers() -> dict[str, str]:
    """Read which names type checkers know, and from where."""
    tree = ast.parse(Path(str(voxsms.__file__)).read_text())
    (block,) = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {
        str(alias.asname): f"{node.module}.{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_type_checkers_know_the_same_names() -> None:
    """Each from the module that it is loaded from, and the public packages."""
    homes = vars(voxsms)["_HOMES"]
    rooms = vars(voxsms)["_ROOMS"]
    known = names_for_type_checkers()
    assert known == {
        **{name: f"{home}.{name}" for name, home in homes.items()},
        **{room: f"voxsms.{room}" for room in rooms},
    }
    assert sorted(homes) == voxsms.__all__
    assert sorted([*homes, *rooms]) == dir(voxsms)


@pytest.mark.measured_programs
def test_what_needs_an_extra_says_so_when_it_is_used() -> None:
    """`from voxsms import *` and `help(voxsms)` work without it."""
    hide = "import sys; sys.modules['aiohttp'] = None; from voxsms import *; import voxsms, inspect"
    look = "inspect.getmembers(voxsms); inspect.signature(AiohttpTransport)"
    use = (
        "try: AiohttpTransport(connections=1)\n"
        "except ModuleNotFoundError as error: assert 'voxsms[aiohttp]' in str(error)\n"
        "else: raise AssertionError"
    )
    assert "httpx" in loaded_by(f"{hide}; {look}\n{use}\ndel sys.modules['aiohttp']")


NEEDS = [
    ("starlette", "sandbox"),
    ("uvicorn", "sandbox"),
    ("pytest", "testing"),
    ("msgspec", "export"),
]


@pytest.mark.parametrize(("missing", "room"), NEEDS)
def test_what_lacks_its_extra_is_not_announced(
    missing: str, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dir` names what can be had."""
    assert room in dir(voxsms)
    monkeypatch.setitem(sys.modules, missing, None)
    assert room not in dir(voxsms)


def test_help_works_without_the_extras() -> None:
    """`help(voxsms)` gets all that `dir` names."""
    hide = f"import sys; hidden = {dict.fromkeys(name for name, _ in NEEDS)!r}"
    look = "import voxsms, inspect; inspect.getmembers(voxsms)"
    show = "for name in hidden: del sys.modules[name]"
    assert "httpx" in loaded_by(f"{hide}; sys.modules.update(hidden); {look}\n{show}")


def test_every_error_is_public() -> None:
    """Whoever is raised can be caught by name."""
    kinds = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and not name.startswith("_")
    }
    assert kinds <= {*voxsms.__all__}
    assert all(issubclass(getattr(voxsms, name), voxsms.VoxSmsError) for name in kinds)


def test_rooms_are_reachable_as_attributes() -> None:
    """`voxsms.sandbox` and `voxsms.testing` need no import of their own."""
    assert voxsms.sandbox is import_module("voxsms.sandbox")
    assert voxsms.testing is import_module("voxsms.testing")
    late: Any = vars(voxsms)["__getattr__"]  # what answers before a room has been imported
    assert late("sandbox") is voxsms.sandbox


def test_what_needs_an_extra_is_reachable_like_the_rest() -> None:
    """Late, and under the name that it has in its own room."""
    from voxsms.export import export_history  # noqa: PLC0415 - its only use
    from voxsms.transport._aiohttp import AiohttpTransport  # noqa: PLC0415 - its only use

    assert voxsms.AiohttpTransport is AiohttpTransport
    assert voxsms.export_history is export_history


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As of any module, so that `hasattr` works; the message names it."""
    assert not hasattr(voxsms, "Klient")
    with pytest.raises(AttributeError, match="module 'voxsms' has no attribute 'nonsense'"):
        voxsms.nonsense  # type: ignore[attr-defined]  # noqa: B018 - the point
    with pytest.raises(ImportError):
        from voxsms import Nonsense  # type: ignore[attr-defined]  # noqa: F401, PLC0415


def test_importing_takes_none_of_the_extras() -> None:
    """Nor do all of its names but the one that is made of it; PyJWT and cryptography come late."""
    everything = "import voxsms\nfor name in voxsms.__all__: getattr(voxsms, name)"
    assert loaded_too_early(everything) == {"aiohttp"}
    star = "from voxsms import *\nassert Client and segment"
    assert loaded_too_early(star) == {"aiohttp"}


def test_importing_takes_next_to_nothing() -> None:
    """`import voxsms` alone loads no library; a client, those that it stands on."""
    assert loaded_by("import voxsms").isdisjoint(["httpx", "attrs", "cattrs", "anyio", "orjson"])
    made = "import voxsms\nvoxsms.Client(voxsms.ApiKey(1, 'k'))"
    assert {"httpx", "attrs", "cattrs", "anyio", "orjson"} <= loaded_by(made)
    assert loaded_too_early(made) == set()


def test_public_things_say_what_they_are() -> None:
    """Every public class and function has a docstring."""
    silent = [name for name in voxsms.__all__ if not getattr(voxsms, name).__doc__]
    assert silent == []


def test_what_is_broken_is_not_told_as_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that needs no extra fails with the module that is missing."""
    monkeypatch.delitem(vars(voxsms), "Client", raising=False)
    monkeypatch.setitem(sys.modules, "voxsms.client", None)
    with pytest.raises(ModuleNotFoundError, match=r"voxsms\.client"):
        _ = voxsms.Client
