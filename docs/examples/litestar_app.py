"""Callbacks in Litestar: the voxsms app is mounted below a path."""

from litestar import Litestar, asgi

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
app = Litestar([asgi("/voximplant", is_mount=True, copy_scope=True)(callbacks)])
