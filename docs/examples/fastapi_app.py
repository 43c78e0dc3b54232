"""Callbacks in FastAPI: the voxsms app is mounted below a path. Starlette works the same way."""

from fastapi import FastAPI
from starlette.routing import Mount, Route

from voxsms import webhooks

opt_outs = webhooks.SqliteOptOuts("opt-outs.db")
seen = webhooks.SqliteSeen("seen.db")


async def on_callback(callback: webhooks.Callback) -> None:
    """Act on a callback, once."""
    match callback:
        case webhooks.InboundSms(source_number=number, sms_body=text):
            if webhooks.keyword(text) is webhooks.Keyword.STOP:
                await opt_outs.add(number)


secret = webhooks.CallbackSecret.from_env()
callbacks = webhooks.asgi_app(on_callback, secret=secret, seen=seen)
# Without the route, a post to `/voximplant` is redirected to `/voximplant/`.
app = FastAPI(routes=[Route("/voximplant", callbacks), Mount("/voximplant", callbacks)])
