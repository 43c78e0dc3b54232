"""What each fault does on the wire, by its name in `faults.py`."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from voxsms.sandbox.calls import Reply
from voxsms.sandbox.exchange import Exchange
from voxsms.sandbox.faults import Fault
from voxsms.sandbox.refusal import Refusal

Act = Callable[[Exchange, Fault], Awaitable[None]]

_GARBAGE = b"\x16\x03\x01\x02\x00\xff\xfe no HTTP at all\r\n\r\n"
_PAGE = b"<html><head><title>%d</title></head><body><center>nginx</center></body></html>\r\n"


def _page(status: int, fault_headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(_PAGE % status, "text/html", status, fault_headers or {})


def _waiting(fault: Fault) -> Mapping[str, str]:
    wait = fault.option("retry_after")
    return {} if wait is None else {"retry-after": str(wait)}


async def _ok(exchange: Exchange, _: Fault) -> None:
    await exchange.answer(exchange.commit())


async def _read_then_close(exchange: Exchange, _: Fault) -> None:
    await exchange.close()


async def _read_then_reset(exchange: Exchange, _: Fault) -> None:
    await exchange.reset()


async def _never(exchange: Exchange, _: Fault) -> None:
    await exchange.is_left()


async def _http_error(exchange: Exchange, fault: Fault) -> None:
    await exchange.answer(_page(fault.option("status"), _waiting(fault)))


async def _http_429(exchange: Exchange, fault: Fault) -> None:
    await exchange.answer(_page(429, _waiting(fault)))


async def _rate_limited(exchange: Exchange, fault: Fault) -> None:
    refusal = Refusal(340, "Rate limit exceed")
    await exchange.answer(Reply.json(refusal.body(), _waiting(fault)))


async def _error(exchange: Exchange, fault: Fault) -> None:
    refusal = Refusal(fault.option("code"), fault.option("msg"))
    await exchange.answer(Reply.json(refusal.body(), _waiting(fault)))


async def _slow(exchange: Exchange, fault: Fault) -> None:
    seconds = fault.option("seconds")
    due = exchange.in_driven(seconds)
    reply = exchange.commit()
    waiting = exchange.is_left_by(due) if fault.option("driven") else exchange.is_left(seconds)
    if not await waiting:
        await exchange.answer(reply)


async def _drip(exchange: Exchange, fault: Fault) -> None:
    for byte in exchange.raw(exchange.commit()):
        exchange.write(bytes([byte]))
        if await exchange.is_left(fault.option("seconds")):
            return
    await exchange.close()


async def _commit_then_close(exchange: Exchange, _: Fault) -> None:
    exchange.commit()
    await exchange.close()


async def _commit_then_reset(exchange: Exchange, _: Fault) -> None:
    exchange.commit()
    await exchange.reset()


async def _commit_then_half(exchange: Exchange, _: Fault) -> None:
    reply = exchange.commit()
    exchange.write(exchange.raw(reply)[: -(len(reply.body) + 1) // 2])
    await exchange.close()


async def _commit_then_garbage(exchange: Exchange, _: Fault) -> None:
    exchange.commit()
    exchange.write(_GARBAGE)
    await exchange.close()


async def _commit_then_html(exchange: Exchange, _: Fault) -> None:
    exchange.commit()
    await exchange.answer(_page(502))


async def _commit_then_500(exchange: Exchange, _: Fault) -> None:
    exchange.commit()
    await exchange.answer(Reply(b"Internal Server Error", "text/plain", 500))


async def _commit_then_error(exchange: Exchange, fault: Fault) -> None:
    exchange.commit()
    await exchange.answer(Reply.json(Refusal(fault.option("code"), fault.option("msg")).body()))


async def _commit_then_answer(exchange: Exchange, fault: Fault) -> None:
    exchange.commit()
    body = str(fault.option("body")).encode()
    await exchange.answer(Reply(body, "application/json", fault.option("status")))


async def _commit_then_never(exchange: Exchange, _: Fault) -> None:
    exchange.commit()
    await exchange.is_left()


ACTS: Mapping[str, Act] = MappingProxyType(
    {
        "ok": _ok,
        "read_then_close": _read_then_close,
        "read_then_reset": _read_then_reset,
        "never": _never,
        "http_error": _http_error,
        "http_429": _http_429,
        "rate_limited": _rate_limited,
        "error": _error,
        "slow": _slow,
        "drip": _drip,
        "commit_then_close": _commit_then_close,
        "commit_then_reset": _commit_then_reset,
        "commit_then_half": _commit_then_half,
        "commit_then_garbage": _commit_then_garbage,
        "commit_then_html": _commit_then_html,
        "commit_then_500": _commit_then_500,
        "commit_then_error": _commit_then_error,
        "commit_then_answer": _commit_then_answer,
        "commit_then_never": _commit_then_never,
    }
)
"""Every fault of a request; those of the connection are done by `protocol.py` and `server.py`."""
