"""Callbacks in aiohttp: a handler passes on the raw body."""

from aiohttp import web

from voxsms import webhooks

opt_outs = webhooks.SqliteOptOuts("opt-outs.db")
seen = webhooks.SqliteSeen("seen.db")
secret = webhooks.CallbackSecret.from_env()


async def on_callback(callback: webhooks.Callback) -> None:
    """Act on a callback, once."""
    match callback:
        case webhooks.InboundSms(source_number=number, sms_body=text):
            if webhooks.keyword(text) is webhooks.Keyword.STOP:
                await opt_outs.add(number)


async def callbacks(request: web.Request) -> web.Response:
    """Answer a post from the service."""
    body = await request.read()  # at most the `client_max_size` below
    return web.Response(status=await webhooks.handle(body, secret, on_callback, seen))


app = web.Application(client_max_size=webhooks.MAX_BODY + 1)  # aiohttp refuses that size and more
app.add_routes([web.post("/voximplant/", callbacks)])
