"""Each place that must know a method, or a kind of file, knows it; one that does not is named.

Somebody who adds one is led from place to place: "A ninth method" in CONTRIBUTING.md.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import attrs
import httpx
import pytest

import voxsms
from voxsms.api import spec
from voxsms.cli import export
from voxsms.export.formats import NAMES
from voxsms.sandbox import Sandbox

CHECKOUT = Path(__file__).parents[2]
VECTORS = CHECKOUT / "tests" / "vectors" / "methods"
NOT_KNOWN = 103
_DOORS = (voxsms, voxsms.pricing)


def records(kind: object) -> Iterator[type]:
    """Yield the records that an answer is read into, and those inside of them."""
    for part in (kind, get_origin(kind)):
        if isinstance(part, type) and attrs.has(part):
            yield part
            for inside in get_type_hints(part).values():
                yield from records(inside)
    for argument in get_args(kind):
        yield from records(argument)


def test_the_client_has_a_function_for_each_method() -> None:
    """What is in the table can be called."""
    missing = [cmd for cmd in spec.METHODS if not hasattr(voxsms.Client, spec.python_name(cmd))]
    assert missing == [], "voxsms/client.py has no function for these"


def test_each_record_can_be_imported() -> None:
    """A user can name what a method returns in a type hint, and finds it in the reference."""
    returned = {kind for method in spec.TABLE for kind in records(method.reply)}
    missing = [k.__name__ for k in returned if not any(hasattr(d, k.__name__) for d in _DOORS)]
    assert missing == [], "voxsms/__init__.py does not name these (_NAMES, TYPE_CHECKING)"


@pytest.mark.parametrize("cmd", spec.METHODS)
def test_the_sandbox_carries_each_method_out(
    voxsms_sandbox: Sandbox, post: Callable[..., dict[str, Any]], cmd: str
) -> None:
    """A test of a user can call it: whatever it answers, it is not that there is no such method."""
    assert voxsms_sandbox.url
    code = post(cmd).get("error", {}).get("code")
    assert code != NOT_KNOWN, f"voxsms/sandbox/_service.py has nothing for {cmd} in _methods"


def test_each_method_has_answers_of_the_contract() -> None:
    """Client and sandbox read one table: what the service answers is told from outside."""
    files = {path.stem for path in VECTORS.glob("*.json")}
    missing = [cmd for cmd in spec.METHODS if cmd not in files]
    assert missing == [], "tests/vectors/methods has no file for these"


@pytest.mark.anyio
async def test_a_method_that_only_the_client_knows(
    voxsms_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sandbox answers as the service does to a name that it does not know: code 103."""
    cmd = "GetNothing"
    table = {**spec.METHODS, cmd: attrs.evolve(spec.GET_ACCOUNT_INFO, cmd=cmd)}
    for module in ("_service", "_app", "_faults"):
        monkeypatch.setattr(f"voxsms.sandbox.{module}.METHODS", table)
    form = {
        "account_id": voxsms_sandbox.api_key.account_id,
        "api_key": voxsms_sandbox.api_key.api_key,
    }
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{voxsms_sandbox.url}/platform_api/{cmd}/", data=form)
    assert answer.status_code == 200
    assert answer.json()["error"]["code"] == NOT_KNOWN


def test_each_kind_of_file_is_an_option_and_documented() -> None:
    """Who looks for what an export can write finds all of it, wherever they look."""
    choices = get_args(get_args(get_args(export.Format)[0])[0])
    assert set(choices) == set(NAMES), "voxsms/cli/export.py: Format"
    places = {
        "voxsms/cli/export.py: Target": get_args(export.Target)[1].help,
        "voxsms/export/__init__.py: path": voxsms.export_history.__doc__,
        "docs/howto/export.md": (CHECKOUT / "docs/howto/export.md").read_text(),
    }
    for place, text in places.items():
        missing = [name for name in NAMES if not re.search(rf"\.{re.escape(name)}\b", text or "")]
        assert missing == [], f"{place} does not name these"
