"""Handle one post, from its body to the HTTP status of the answer; also as a small ASGI app."""

import logging
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import contextmanager
from functools import partial
from inspect import isawaitable
from traceback import walk_tb
from typing import Any
from uuid import uuid4

import anyio
import attrs

from voxsms.api.callbacks import Callback
from voxsms.errors import CallbackInvalid, SignatureInvalid
from voxsms.webhooks._parse import MAX_BODY, CallbackSecret, parse
from voxsms.webhooks._stores import Seen, Taken

Handler = Callable[[Callback], Awaitable[object]]
_Message = MutableMapping[str, Any]
_OK, _BAD, _FORBIDDEN, _NOT_ALLOWED, _TOO_LARGE = 200, 400, 403, 405, 413
_FAILED, _TRY_LATER = 500, 503
_logger = logging.getLogger("voxsms")


async def handle(body: bytes, secret: CallbackSecret | None, handler: Handler, seen: Seen) -> int:
    """Take one post: verify it, and handle each new callback once.

    Args:
        body: the raw body of the post.
        secret: what to verify with; None accepts callbacks from anybody.
        handler: awaited with each callback that was not handled before, in their order.
        seen: remembers which callbacks were handled.

    Returns:
        The HTTP status to answer with: 200 (also if all callbacks were handled before, and for an
        unknown type), 400 for a body that cannot be read, 403 for a bad signature, 413 for a body
        above 1 MiB, 500 if the handler or `seen` failed, 503 while another post of the same
        callback is being handled. Only 200 means that every callback is handled: the rest are
        handled when they are posted again, those that were handled are not.
    """
    if len(body) > MAX_BODY:
        return _TOO_LARGE
    try:
        callbacks = parse(body, secret)
    except SignatureInvalid as error:
        _logger.warning("callback refused: %s", error)
        return _FORBIDDEN
    except CallbackInvalid as error:
        _logger.warning("callback refused: %s", error)
        return _BAD
    statuses: set[int] = set()
    for callback in callbacks:
        status = await _handle_once(callback, handler, seen)
        if status is None:  # the rest would fail too, each after a wait if the file is locked
            return _FAILED
        statuses.add(status)
    return next((bad for bad in (_FAILED, _TRY_LATER) if bad in statuses), _OK)


async def _handle_once(callback: Callback, handler: Handler, seen: Seen) -> int | None:
    """Handle a callback unless it was handled; return its status, or None if it cannot be taken."""
    callback_id, owner = callback.callback_id, uuid4().hex
    taken, is_handled = None, False
    try:
        with _log_failure("taking", callback_id):
            taken = Taken(await seen.take(callback_id, owner))
        if taken is Taken.YOURS:
            with _log_failure("the handler", callback_id, is_private=True):
                made: object = handler(callback)
                if isawaitable(made):  # a plain function has already done its work
                    await made
                is_handled = True
    finally:
        # Also if cancelled: a callback must not stay taken. If `take` was interrupted, it is not
        # known whether the callback was taken.
        if is_handled:
            await _insist("keeping", callback_id, partial(seen.keep, callback_id))
        elif taken in {None, Taken.YOURS}:
            await _insist("giving back", callback_id, partial(seen.give_back, callback_id, owner))
    return {
        None: None,
        Taken.YOURS: _OK if is_handled else _FAILED,
        Taken.IN_PROGRESS: _TRY_LATER,
        Taken.HANDLED: _OK,
    }[taken]


async def _insist(what: str, callback_id: int, call: Callable[[], Awaitable[None]]) -> None:
    """Call a method of a store despite cancellation; calling it twice does the same as once."""
    with anyio.CancelScope(shield=True), _log_failure(what, callback_id):
        try:
            await call()
        except anyio.get_cancelled_exc_class():  # by `asyncio.Task.cancel`, which no shield stops
            with _log_failure(what, callback_id):
                await call()
            raise


@contextmanager
def _log_failure(what: str, callback_id: int, *, is_private: bool = False) -> Generator[None]:
    """Log an error instead of raising it; if private, only its type and where it was raised.

    A handler's error may quote a message, and `logging` has no traceback without the error's text.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the user's own code may raise anything
        told = _places(error) if is_private else f": {error}"
        name = type(error).__name__
        _logger.error("callback %d: %s failed: %s%s", callback_id, what, name, told)  # noqa: TRY400


def _places(error: Exception) -> str:
    """Return the lines of code that an error passed through, from the handler to its origin."""
    codes = [(frame.f_code, line) for frame, line in walk_tb(error.__traceback__)]
    return "".join(
        f"\n  {code.co_filename}:{line} in {code.co_qualname}"
        for code, line in codes
        if code.co_filename != __file__
    )


def asgi_app(
    handler: Handler, *, secret: CallbackSecret | None, seen: Seen
) -> Callable[..., Awaitable[None]]:
    """Return an ASGI app that takes the posts of the service at any path it is mounted on.

    Args:
        handler: awaited with each callback that was not handled before.
        secret: what to verify with; None accepts callbacks from anybody.
        seen: remembers which callbacks were handled.
    """
    return _AsgiApp(handler, secret, seen)


@attrs.frozen(eq=False)
class _AsgiApp:
    """An object, because Starlette's routes would take a function for a view."""

    handler: Handler = attrs.field(repr=False)
    secret: CallbackSecret | None
    seen: Seen = attrs.field(repr=False)

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"voxsms.webhooks takes HTTP posts, not {scope['type']}")
        if scope["method"] != "POST":
            await _answer(send, _NOT_ALLOWED, (b"allow", b"POST"))
            return
        body = await _body(receive)
        if body is not None:
            await _answer(send, await handle(body, self.secret, self.handler, self.seen))


async def _body(receive: Callable[[], Awaitable[_Message]]) -> bytes | None:
    """Read a body, only as far as needed to see that it is too large; None if it broke off."""
    body = bytearray()
    while len(body) <= MAX_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return bytes(body)


async def _answer(
    send: Callable[[_Message], Awaitable[None]], status: int, *headers: tuple[bytes, bytes]
) -> None:
    length = (b"content-length", b"0")
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": b""})
