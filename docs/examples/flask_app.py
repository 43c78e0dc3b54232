"""Callbacks in Flask: each post has its own loop, so the handler may block."""

import asyncio

from flask import Flask, Response, request

from voxsms import webhooks

opt_outs = webhooks.SqliteOptOuts("opt-outs.db")
seen = webhooks.SqliteSeen("seen.db")
secret = webhooks.CallbackSecret.from_env()
app = Flask(__name__)


async def on_callback(callback: webhooks.Callback) -> None:
    """Act on a callback, once."""
    match callback:
        case webhooks.InboundSms(source_number=number, sms_body=text):
            if webhooks.keyword(text) is webhooks.Keyword.STOP:
                await opt_outs.add(number)


@app.post("/voximplant/")
def callbacks() -> Response:
    """Answer a post from the service."""
    request.max_content_length = webhooks.MAX_BODY  # Flask answers larger posts with 413
    status = asyncio.run(webhooks.handle(request.get_data(), secret, on_callback, seen))
    return Response(status=status)
