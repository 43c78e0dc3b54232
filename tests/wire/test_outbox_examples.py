"""The examples of an outbox within other programs, as they stand in the documentation."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import psycopg
import pytest
from outboxes import rows, states
from postgres import server
from temporalio import exceptions, workflow
from temporalio.exceptions import ActivityError, ApplicationError, RetryState
from temporalio.testing import ActivityEnvironment

from voxsms import Client, Outbox
from voxsms.sandbox import Sandbox

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def load(name: str) -> ModuleType:
    """Import an example."""
    place = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert place is not None
    assert place.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Give the URL of a database with a table of orders."""
    with server() as found:
        with psycopg.connect(found, autocommit=True) as connection:
            connection.execute("CREATE TABLE orders (id bigint PRIMARY KEY, phone text)")
        yield found


async def test_an_order_and_its_message_are_both_there_or_neither_is(
    url: str, voxsms_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastAPI: what rolls the order back takes the message with it, and nothing is sent."""
    monkeypatch.setenv("DATABASE_URL", url)
    example = load("fastapi_orders")
    transport = httpx.ASGITransport(example.app, raise_app_exceptions=False)
    async with (
        example.lifespan(example.app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as http,
        Client(voxsms_sandbox.auth, base_url=voxsms_sandbox.url) as client,
    ):

        async def order(number: int, phone: str) -> int:
            answer = await http.post(f"/orders/{number}", params={"phone": phone})
            return answer.status_code

        assert await order(1, "447700900001") == 201
        assert await order(1, "447700900002") == 500  # there is one with this number
        assert await order(2, "0447") == 422
        assert await order(3, "447700900003") == 201
        async with Outbox.open(url) as worker:
            assert (await worker.run(client)).total == 2
    texts = {d.destination: d.text for d in voxsms_sandbox.ledger.deliveries}
    assert texts == {
        "447700900001": "Your order 1 is on its way",
        "447700900003": "Your order 3 is on its way",
    }
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (2,)


async def test_a_mailing_in_temporal(
    tmp_path: Path, voxsms_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that died leaves a doubt; no activity is attempted twice, and nobody gets two."""
    example = load("temporal_mailing")
    environment = ActivityEnvironment()
    attempts: list[int] = []
    async with (
        Client(voxsms_sandbox.auth, base_url=voxsms_sandbox.url) as client,
        Outbox.open(tmp_path / "mailing.db") as outbox,
    ):
        await outbox.add(rows(6), source="VOXSMS", chunk_size=2)
        sending = example.Sending(outbox, client)

        async def execute(method: Any, *given: int, **options: Any) -> object:  # noqa: ANN401 - those of temporalio
            if method is example.Sending.list_chunks:
                return await environment.run(sending.list_chunks)
            assert options["retry_policy"].maximum_attempts == 1
            attempts.extend(given)
            try:
                await environment.run(sending.send_chunk, *given)
            except ApplicationError as error:
                raise _wrap(error) from error
            if len(attempts) == 1:
                died = exceptions.TimeoutError(
                    "the worker died", type=None, last_heartbeat_details=[]
                )
                raise _wrap(died) from died
            return None

        async def sleep(_: float) -> None:
            pass

        monkeypatch.setattr(workflow, "execute_activity_method", execute)
        monkeypatch.setattr(workflow, "sleep", sleep)
        voxsms_sandbox.faults.script("ok@A2PSendSms,error@A2PSendSms:code=127")
        with pytest.raises(ActivityError) as stopped:
            await example.Mailing().run()
        assert "127" in str(stopped.value.cause)
        await example.Mailing().run()
        assert await states(outbox) == ["sent"] * 6
        assert len(attempts) == len({*attempts}) + 1  # the one that was refused
        await environment.run(sending.send_chunk, attempts[0])
    assert voxsms_sandbox.ledger.count == 6


def _wrap(cause: Exception) -> ActivityError:
    """Make what a workflow meets when an activity fails."""
    error = ActivityError(
        "the activity failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="worker",
        activity_type="send_chunk",
        activity_id="1",
        retry_state=RetryState.MAXIMUM_ATTEMPTS_REACHED,
    )
    error.__cause__ = cause
    return error
