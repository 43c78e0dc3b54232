"""Stores of what was seen: those of voxsms and those in the documentation, on stand-ins."""

import importlib.util
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import attrs
import django
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection
from django.utils import timezone
from doubles import FakeClock

from voxsms.webhooks import MemorySeen, Seen, SqliteSeen

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
Item = dict[str, Any]


def load_example(name: str) -> ModuleType:
    """Load an example of the documentation as it stands."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def configure_django() -> None:
    """Make a project, once a process: its database is in memory."""
    if not settings.configured:
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        settings.configure(
            ALLOWED_HOSTS=["*"], SECRET_KEY="of-the-tests", DATABASES={"default": database}
        )
        django.setup()


class TakenError(Exception):
    """What a table of DynamoDB raises where a condition is not met."""


class SeenTable:
    """A table of DynamoDB, as far as the example needs one."""

    meta = SimpleNamespace(
        client=SimpleNamespace(
            exceptions=SimpleNamespace(ConditionalCheckFailedException=TakenError)
        )
    )

    def __init__(self) -> None:
        self.items: dict[int, Item] = {}

    def get_item(self, Key: Item, ConsistentRead: bool) -> Item:  # noqa: N803 - as boto3 has it
        """Give an item where there is one."""
        assert ConsistentRead
        found = self.items.get(Key["callback_id"])
        return {} if found is None else {"Item": found}

    def put_item(
        self,
        Item: Item,  # noqa: N803
        ConditionExpression: str = "",  # noqa: N803
        ExpressionAttributeValues: Item | None = None,  # noqa: N803
    ) -> None:
        """Put an item unless there is one that another instance has or had."""
        there = self.items.get(Item["callback_id"])
        if ConditionExpression and there is not None:
            now = (ExpressionAttributeValues or {})[":now"]
            if there.get("free_at", now) >= now:
                raise TakenError
        self.items[Item["callback_id"]] = Item

    def delete_item(
        self,
        Key: Item,  # noqa: N803
        ConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: Item,  # noqa: N803
    ) -> None:
        """Delete an item if it is of this owner."""
        assert ConditionExpression == "owner_id = :owner"
        there = self.items.get(Key["callback_id"], {})
        if there.get("owner_id") != ExpressionAttributeValues[":owner"]:
            raise TakenError
        del self.items[Key["callback_id"]]


class Redis:
    """A server of Redis, as far as the example needs one: SET NX EX, GET, and its one script."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.values: dict[str, tuple[bytes, float]] = {}

    async def get(self, key: str) -> bytes | None:
        """Give a value that has not expired."""
        value, until = self.values.get(key, (None, 0))
        return value if self.clock.time() < until else None

    async def set(self, key: str, value: str, *, ex: int, nx: bool = False) -> bool | None:
        """Set a value, with `nx` only where there is none."""
        if nx and await self.get(key) is not None:
            return None
        self.values[key] = value.encode(), self.clock.time() + ex
        return True

    async def eval(self, script: str, count: int, key: str, value: str) -> None:
        """Delete a key if it has this value."""
        assert (script.count("'get'"), script.count("'del'"), count) == (1, 1, 1)
        if await self.get(key) == value.encode():
            del self.values[key]


@attrs.frozen
class Store:
    """A store to be tested, and how its time is made to pass."""

    seen: Seen
    clock: FakeClock


@asynccontextmanager
async def open_memory(_: Path, clock: FakeClock, __: pytest.MonkeyPatch) -> AsyncGenerator[Store]:
    """Open a store in memory."""
    yield Store(MemorySeen(), clock)


@asynccontextmanager
async def open_sqlite(
    place: Path, clock: FakeClock, _: pytest.MonkeyPatch
) -> AsyncGenerator[Store]:
    """Open a store in a file."""
    async with aclosing(SqliteSeen(place / "seen.db", clock=clock)) as seen:
        yield Store(seen, clock)


@asynccontextmanager
async def open_redis(_: Path, clock: FakeClock, __: pytest.MonkeyPatch) -> AsyncGenerator[Store]:
    """Open the store of the documentation."""
    yield Store(load_example("redis_seen").RedisSeen(Redis(clock)), clock)


@asynccontextmanager
async def open_dynamodb(
    _: Path, clock: FakeClock, patch: pytest.MonkeyPatch
) -> AsyncGenerator[Store]:
    """Open the store of the documentation."""
    tables = SimpleNamespace(Table=lambda _: SeenTable())
    patch.setitem(sys.modules, "boto3", SimpleNamespace(resource=lambda _: tables))
    for name, value in (("CALLBACK_SALT", "salt"), ("API_KEY", "key"), ("ACCOUNT_ID", "1")):
        patch.setenv(f"VOXIMPLANT_{name}", value)
    example = load_example("aws_lambda")
    patch.setattr(example, "time", clock)
    yield Store(example.seen, clock)


@cache
def _django_models() -> ModuleType:
    """Load the example once: Django knows a model by its name."""
    configure_django()
    return load_example("django_seen")


@asynccontextmanager
async def open_django(
    _: Path, clock: FakeClock, patch: pytest.MonkeyPatch
) -> AsyncGenerator[Store]:
    """Open the store of the documentation, on a database of its own."""
    example, start = _django_models(), timezone.now()
    now = SimpleNamespace(now=lambda: start + timedelta(seconds=clock.passed))
    patch.setattr(example, "timezone", now)

    def create() -> None:
        with connection.schema_editor() as editor:
            editor.create_model(example.SeenCallback)

    def destroy() -> None:
        connection.connection.close()  # Django keeps a database in memory open
        connection.connection = None

    await sync_to_async(create)()
    yield Store(example.DjangoSeen(), clock)
    await sync_to_async(destroy)()


STORES = {
    "memory": open_memory,
    "sqlite": open_sqlite,
    "redis": open_redis,
    "dynamodb": open_dynamodb,
    "django": open_django,
}
