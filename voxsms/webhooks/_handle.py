"""One post, from its body to the HTTP status of its answer; and the same as a small ASGI app."""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from inspect import isawaitable
from typing import Any

import anyio

from voxsms.api.callbacks import Callback
from voxsms.errors import CallbackInvalid, SignatureInvalid
from voxsms.webhooks._parse import MAX_BODY, CallbackSecret, parse
from voxsms.webhooks._stores import Seen

Handler = Callable[[Callback], Awaitable[object]]
_Message = MutableMapping[str, Any]
_OK, _BAD, _FORBIDDEN, _NOT_ALLOWED, _TOO_LARGE, _FAILED = 200, 400, 403, 405, 413, 500
_logger = logging.getLogger("voxsms")


async def handle(body: bytes, secret: CallbackSecret | None, handler: Handler, seen: Seen) -> int:
    """Take one post: verify it, and have each new callback handled once.

    Args:
        body: the raw body of the post.
        secret: what to verify with; None takes callbacks from anybody.
        handler: is awaited with each callback that was not handled before, in their order.
        seen: remembers which callbacks were handled.

    Returns:
        The HTTP status to answer with: 200 (also where all of it was handled before, and for a
        type that is not known), 400 for a body that cannot be read, 403 for a bad signature, 413
        for a body above 1 MiB, 500 if the handler failed. The callback whose handler failed is
        handled when it is posted again; those beside it are not.
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
    done = [await _handle_once(callback, handler, seen) for callback in callbacks]
    return _OK if all(done) else _FAILED


async def _handle_once(callback: Callback, handler: Handler, seen: Seen) -> bool:
    """Have a callback handled unless it was; return whether nothing failed."""
    if not await seen.take(callback.callback_id):
        return True
    handled = False
    try:
        made: object = handler(callback)
        if isawaitable(made):  # a plain function has done its work already: it must not do it again
            await made
        handled = True
    except Exception as error:  # noqa: BLE001 - the user's own code may raise anything
        # Not its text, and no traceback: both may hold what somebody wrote.
        name = type(error).__name__
        _logger.error("the handler of callback %d raised %s", callback.callback_id, name)  # noqa: TRY400
    finally:
        # Cancelled as well: what was taken must not stay taken.
        with anyio.CancelScope(shield=True):
            await (seen.keep if handled else seen.give_back)(callback.callback_id)
    return handled


def asgi_app(
    handler: Handler, *, secret: CallbackSecret | None, seen: Seen
) -> Callable[..., Awaitable[None]]:
    """Return an ASGI app that takes the posts of the service at whatever path it is mounted.

    Args:
        handler: is awaited with each callback that was not handled before.
        secret: what to verify with; None takes callbacks from anybody.
        seen: remembers which callbacks were handled.
    """

    async def app(
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
        if body is None:
            return
        await _answer(send, await handle(body, secret, handler, seen))

    return app


async def _body(receive: Callable[[], Awaitable[_Message]]) -> bytes | None:
    """Read a body, no further than is needed to see that it is too large; None if it broke off."""
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
