"""Your own store of handled callbacks: in Redis, for processes on many machines.

`webhooks.asgi_app(on_callback, secret=secret, seen=RedisSeen(redis.asyncio.from_url(...)))`
"""

from typing import Any

from voxsms import webhooks

HANDLED = "handled"
LEASE, MEMORY = 600, 30 * 86_400
"""Seconds: until a process that took a callback is assumed dead; to remember a handled one."""
DELETE_IF = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"


class RedisSeen:
    """A store in Redis: a key for each callback, whose value is its owner until it is handled."""

    def __init__(self, redis: Any) -> None:  # noqa: ANN401 - redis.asyncio.Redis
        self.redis = redis

    async def take(self, callback_id: int, owner: str) -> webhooks.Taken:
        """Take a callback before acting on it."""
        if await self.redis.set(f"voxsms:{callback_id}", owner, nx=True, ex=LEASE):
            return webhooks.Taken.YOURS
        is_handled = await self.redis.get(f"voxsms:{callback_id}") in {HANDLED, HANDLED.encode()}
        return webhooks.Taken.HANDLED if is_handled else webhooks.Taken.IN_PROGRESS

    async def keep(self, callback_id: int) -> None:
        """Record that a callback was handled."""
        await self.redis.set(f"voxsms:{callback_id}", HANDLED, ex=MEMORY)

    async def give_back(self, callback_id: int, owner: str) -> None:
        """Free the callback to be taken again, unless another owner has taken it meanwhile."""
        await self.redis.eval(DELETE_IF, 1, f"voxsms:{callback_id}", owner)
