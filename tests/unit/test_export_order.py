"""Calls are made a few at a time, and windows are saved in their order."""

import threading
from functools import partial
from pathlib import Path

import anyio
import pytest
from doubles import until
from histories import FakeHistory, lines, small_pages, spread
from hypothesis import given
from hypothesis import strategies as st

from voxsms.api.codec import Answer
from voxsms.export import export_history
from voxsms.export._checkpoint import Checkpoint, EncodedWindow
from voxsms.export._source import gather
from voxsms.transport import Evidence, Request


class Uneven(FakeHistory):
    """Answers some requests much later than others."""

    async def send(self, request: Request, evidence: Evidence) -> Answer:
        """Answer, after some turns of the loop."""
        for _ in range(len(self.forms) * 17 % 40):
            await anyio.lowlevel.checkpoint()
        return await super().send(request, evidence)


async def test_windows_are_saved_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever order they were read in: so the file is written once, and only given its name."""
    saved: list[int] = []
    save = Checkpoint.save

    def note(checkpoint: Checkpoint, window: EncodedWindow) -> None:
        saved.append(window.index)
        save(checkpoint, window)

    monkeypatch.setattr(Checkpoint, "save", note)
    with small_pages(10, 30):
        async with Uneven(spread(900)).client() as client:
            await export_history(client, "sms", tmp_path / "all.jsonl", windows_in_flight=8)
    assert len(saved) > 25
    assert saved == sorted(saved)


@pytest.mark.parametrize("in_flight", [1, 3])
async def test_reading_goes_on_while_a_window_is_saved_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_flight: int
) -> None:
    """A slow disk neither stops the reading at once nor lets a whole history into memory."""
    go_on = threading.Event()
    save = Checkpoint.save

    def wait(checkpoint: Checkpoint, window: EncodedWindow) -> None:
        assert go_on.wait(30)
        save(checkpoint, window)

    monkeypatch.setattr(Checkpoint, "save", wait)
    history = FakeHistory(spread(900))

    def windows() -> int:
        forms = [form for form in history.forms if form.get("count", "1") != "1"]
        return len({form.get("from_date") for form in forms})

    path = tmp_path / "all.jsonl"
    with small_pages(10, 30):
        async with history.client() as client, anyio.create_task_group() as group:
            export = partial(export_history, windows_in_flight=in_flight)
            group.start_soon(export, client, "sms", path)
            await until(lambda: windows() == in_flight + 1)
            for _ in range(500):
                await anyio.lowlevel.checkpoint()
            assert windows() == in_flight + 1
            go_on.set()
    assert windows() > 25
    assert len(lines(path)) == 900


@given(st.integers(0, 20), st.integers(1, 9))
def test_calls_are_made_once_and_a_few_at_a_time(many: int, few: int) -> None:
    """Each result is there, and no more are under way than may be."""
    under_way = most = 0

    async def call(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(number % 3):
            await anyio.lowlevel.checkpoint()
        under_way -= 1
        return number

    calls = [partial(call, number) for number in range(many)]
    assert anyio.run(gather, calls, few) == list(range(many))
    assert most <= min(few, many)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_first_call_that_fails_ends_the_others(backend: str) -> None:
    """Its error comes as itself, and what was not begun is not."""
    begun: list[int] = []

    async def call(number: int) -> int:
        begun.append(number)
        await anyio.lowlevel.checkpoint()
        if number == 2:
            raise ZeroDivisionError(number)
        return number

    calls = [partial(call, number) for number in range(20)]
    with pytest.raises(ZeroDivisionError):
        anyio.run(gather, calls, 4, backend=backend)
    assert 3 <= len(begun) < 10
