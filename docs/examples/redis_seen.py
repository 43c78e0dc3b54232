"""A store of your own for what was seen: in Redis, for the processes of many machines.

`webhooks.asgi_app(on_callback, secret=secret, seen=RedisSeen(redis.asyncio.from_url(...)))`
"""

from typing import Any

from voxsms import webhooks

HANDLED = "handled"
LEASE, MEMORY = 600, 30 * 86_400
"""Seconds after which a process that took a callback is believed dead; of memory afterwards."""
DELETE_IF = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"


class RedisSeen:
    """Remembers in Redis: a key for each callback, whose value is its owner until it is handled."""

    def __init__(self, redis: Any) -> None:  # noqa: ANN401 - redis.asyncio.Redis
        self.redis = redis

    async def take(self, callback_id: int, owner: str) -> webhooks.Taken:
        """Take a callback before it is acted on."""
        if await self.redis.set(f"voxsms:{callback_id}", owner, nx=True, ex=LEASE):
            return webhooks.Taken.YOURS
        is_handled = await self.redis.get(f"voxsms:{callback_id}") in {HANDLED, HANDLED.encode()}
        return webhooks.Taken.HANDLED if is_handled else webhooks.Taken.IN_PROGRESS

    async def keep(self, callback_id: int) -> None:
        """Say that a callback was handled."""
        await self.redis.set(f"voxsms:{callback_id}", HANDLED, ex=MEMORY)

    async def give_back(self, callback_id: int, owner: str) -> None:
        """Say that it was not: it can be taken again, unless another has taken it meanwhile."""
        await self.redis.eval(DELETE_IF, 1, f"voxsms:{callback_id}", owner)
