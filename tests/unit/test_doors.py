"""The doors of `voxsms.text` and `voxsms.pricing`: what they have, and what opening them costs."""

import subprocess
import sys
from importlib import import_module

import pytest

# Results that a user meets and never makes; `voxsms` itself has the rest.
MET = {
    "voxsms.text": {
        "Bounds",
        "Change",
        "ForcedBy",
        "ForcedByField",
        "Homoglyph",
        "RenderedMessage",
        "Room",
        "WorstCase",
    },
    "voxsms.pricing": {"Compared", "Comparison", "PriceGroup", "PriceGroupParams", "Tally"},
}


@pytest.mark.parametrize("door", MET)
def test_a_door_names_what_it_has(door: str) -> None:
    """Sorted as everywhere, each with a docstring, and the results that are met among them."""
    room = import_module(door)
    names: list[str] = room.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name))
    assert set(names) >= MET[door]
    values = [getattr(room, name) for name in names]
    assert all(value.__doc__ for value in values if callable(value))


@pytest.mark.parametrize("door", MET)
def test_a_door_is_cheap_to_open(door: str) -> None:
    """No HTTP library, no extra, and `regex` only where a text needs it."""
    unwanted = ["regex", "httpx", "anyio", "orjson", "cattrs", "msgspec", "pyarrow", "rich"]
    code = f"import sys, {door}; print(sorted(sys.modules.keys() & {unwanted!r}))"
    done = subprocess.run(  # noqa: S603 - this Python, our code
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
