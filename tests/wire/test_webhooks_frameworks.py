"""The examples for web frameworks, as they stand in the documentation: all take the same posts."""

import hashlib
import json
import logging
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest
from aiohttp.test_utils import TestServer
from anyio import to_thread
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from seen_stores import EXAMPLES, SeenTable, configure_django, load_example

from voxsms.sandbox import Sandbox

ONE, OTHER = "447443332212", "447443332213"
Item = dict[str, Any]
Posting = Callable[[bytes], Awaitable[int]]
"""Posts a body and gives the status."""


class Noted:
    """The opt-outs of an example: notes what it is given, and fails when it is told to."""

    def __init__(self) -> None:
        self.numbers: list[str] = []
        self.fails = False

    async def add(self, number: str) -> None:
        """Note a number."""
        self.put_item({"number": number})

    def put_item(self, Item: Item) -> None:  # noqa: N803 - as boto3 has it
        """Note a number, as a table of DynamoDB."""
        if self.fails:
            raise OSError("the disk is full")
        self.numbers.append(Item["number"])


@asynccontextmanager
async def _asgi(app: Any, *others: str) -> AsyncIterator[Posting]:  # noqa: ANN401
    transport = httpx.ASGITransport(app)
    path = "/voximplant/"
    async with httpx.AsyncClient(transport=transport, base_url="http://svc.test") as http:
        for each in (path, *others):
            assert (await http.get(each)).status_code == 405
            assert (await http.post(each, content=b'{"callbacks": []}')).status_code == 200

        async def post(body: bytes) -> int:
            return (await http.post(path, content=body)).status_code

        yield post


@asynccontextmanager
async def _wsgi(app: Any, path: str = "/voximplant/") -> AsyncIterator[Posting]:  # noqa: ANN401
    transport = httpx.WSGITransport(app)
    with httpx.Client(transport=transport, base_url="http://svc.test") as http:

        async def request(method: str, body: bytes = b"") -> int:  # in a thread, as its servers do
            answer = await to_thread.run_sync(partial(http.request, method, path, content=body))
            return answer.status_code

        assert await request("GET") == 405
        yield partial(request, "POST")


@asynccontextmanager
async def _aiohttp(example: ModuleType) -> AsyncIterator[Posting]:
    async with TestServer(example.app) as server, httpx.AsyncClient(trust_env=False) as http:
        url = str(server.make_url("/voximplant/"))
        assert (await http.get(url)).status_code == 405

        async def post(body: bytes) -> int:
            return (await http.post(url, content=body)).status_code

        yield post


@asynccontextmanager
async def _aws_lambda(example: ModuleType) -> AsyncIterator[Posting]:
    async def call(event: Item) -> int:  # in a thread, as it makes a loop of its own
        answer = await to_thread.run_sync(example.lambda_handler, event, None)
        status: int = answer["statusCode"]
        return status

    async def post(body: bytes) -> int:
        if len(body) > 1000:  # either way of passing a body
            return await call({"body": b64encode(body).decode(), "isBase64Encoded": True})
        return await call({"body": body.decode(), "isBase64Encoded": False})

    assert await call({}) == 400
    yield post


def _django(example: ModuleType) -> None:
    configure_django()
    settings.ROOT_URLCONF = example


def _django_async(example: ModuleType) -> AbstractAsyncContextManager[Posting]:
    _django(example)
    return _asgi(get_asgi_application())


def _django_sync(example: ModuleType) -> AbstractAsyncContextManager[Posting]:
    _django(example)
    return _wsgi(get_wsgi_application(), "/voximplant-sync/")


SERVERS: dict[str, tuple[str, Callable[[ModuleType], AbstractAsyncContextManager[Posting]]]] = {
    "fastapi": ("fastapi_app", lambda example: _asgi(example.app, "/voximplant")),
    "litestar": ("litestar_app", lambda example: _asgi(example.app, "/voximplant")),
    "django, async": ("django_views", _django_async),
    "django, sync": ("django_views", _django_sync),
    "flask": ("flask_app", lambda example: _wsgi(example.app)),
    "aiohttp": ("aiohttp_app", _aiohttp),
    "aws lambda": ("aws_lambda", _aws_lambda),
}


@pytest.fixture
def noted() -> Noted:
    """Give the opt-outs."""
    return Noted()


@pytest.fixture
def example(
    request: pytest.FixtureRequest,
    voxsms_env: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    noted: Noted,
) -> Iterator[ModuleType]:
    """Load an example as its server does, with the account of a sandbox in the environment."""
    assert voxsms_env.url
    level, handlers = logging.root.level, [*logging.root.handlers]
    monkeypatch.chdir(tmp_path)
    tables = {"voxsms-seen": SeenTable(), "opt-outs": noted}
    dynamodb = SimpleNamespace(Table=tables.__getitem__)
    monkeypatch.setitem(sys.modules, "boto3", SimpleNamespace(resource=lambda _: dynamodb))
    module = load_example(request.param)
    module.opt_outs.add = noted.add
    yield module
    logging.root.setLevel(level)  # Litestar has its own
    logging.root.handlers[:] = handlers


def test_every_example_is_tested() -> None:
    """One that is added to the documentation is added here."""
    stores = {"redis_seen", "django_seen"}  # tests/wire/test_webhooks_seen.py
    outboxes = {"fastapi_orders", "temporal_mailing"}  # tests/wire/test_outbox_examples.py
    servers = {name for name, _ in SERVERS.values()}
    assert {path.stem for path in EXAMPLES.glob("*.py")} == servers | stores | outboxes


@pytest.mark.parametrize(
    ("example", "serve"), SERVERS.values(), ids=SERVERS.keys(), indirect=["example"]
)
async def test_an_example_takes_what_the_service_posts(
    example: ModuleType,
    serve: Callable[[ModuleType], AbstractAsyncContextManager[Posting]],
    voxsms_env: Sandbox,
    noted: Noted,
) -> None:
    """Forged, cut, too large: refused; the rest is handled once, and again where that failed."""
    key, salt = voxsms_env.api_key, voxsms_env.callback_salt

    def stop(callback_id: int, number: str = ONE) -> Item:
        signed = f"{salt}{key.account_id}{key.api_key}{callback_id}".encode()
        message = {"source_number": number, "destination_number": "447443332211"}
        return {
            "callback_id": callback_id,
            "account_id": key.account_id,
            "type": "sms_inbound",
            "hash": hashlib.md5(signed, usedforsecurity=False).hexdigest(),
            "sms_inbound": {"sms_inbound": message | {"sms_body": "Stop!"}},
        }

    def body(*items: Item) -> bytes:
        return json.dumps({"callbacks": items}).encode()

    async with serve(example) as post:
        assert await post(body(stop(1), stop(2) | {"callback_id": 3})) == 403
        assert await post(body(stop(1))[:-3]) == 400
        assert await post(body(stop(1)) + b" " * 2**20) == 413
        assert await post(body(stop(9) | {"type": "of_tomorrow", "sms_inbound": {}})) == 200
        assert noted.numbers == []

        noted.fails = True
        assert await post(body(stop(1))) == 500
        noted.fails = False
        assert await post(body(stop(1))) == 200
        assert await post(body(stop(1, OTHER))) == 200  # replayed with another number
        assert await post(body(stop(2, OTHER), stop(1), stop(2, OTHER))) == 200
        assert noted.numbers == [ONE, OTHER]
        assert await post(body(stop(4)).ljust(2**20)) == 200  # as large as one may be
        assert noted.numbers == [ONE, OTHER, ONE]
    if hasattr(example.seen, "aclose"):
        await example.seen.aclose()
