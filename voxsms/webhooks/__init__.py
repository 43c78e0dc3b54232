"""What the service posts to your server: read, verified, and acted on once.

.. code-block:: python

    from voxsms import webhooks

    async def on_callback(callback):
        match callback:
            case webhooks.InboundSms(source_number=number, sms_body=text):
                print(number, "wrote", text)
            case webhooks.A2PDelivery(id=message_id, status=status):
                print(message_id, "is", status)

    secret, seen = webhooks.CallbackSecret.from_env(), webhooks.MemorySeen()
    app = webhooks.asgi_app(on_callback, secret=secret, seen=seen)  # mount it in a framework

The signature covers the account and the callback's id, but neither the rest of the body nor the
time: anyone who has seen one signed callback can post it again with another text. So each id is
acted on once (`Seen`), and before a callback makes you do something that costs money, `confirm`
asks the service whether it knows about it.
"""

from voxsms.api.callbacks import (
    A2PActivated,
    A2PDelivery,
    Callback,
    InboundSms,
    MinBalance,
    UnknownCallback,
)
from voxsms.api.statuses import advance, is_final
from voxsms.webhooks._confirm import confirm
from voxsms.webhooks._handle import Handler, asgi_app, handle
from voxsms.webhooks._keywords import Keyword, keyword
from voxsms.webhooks._parse import MAX_BODY, MAX_CALLBACKS, CallbackSecret, parse
from voxsms.webhooks._stores import (
    MemoryOptOuts,
    MemorySeen,
    OptOuts,
    Seen,
    SqliteOptOuts,
    SqliteSeen,
    Taken,
)

__all__ = [
    "MAX_BODY",
    "MAX_CALLBACKS",
    "A2PActivated",
    "A2PDelivery",
    "Callback",
    "CallbackSecret",
    "Handler",
    "InboundSms",
    "Keyword",
    "MemoryOptOuts",
    "MemorySeen",
    "MinBalance",
    "OptOuts",
    "Seen",
    "SqliteOptOuts",
    "SqliteSeen",
    "Taken",
    "UnknownCallback",
    "advance",
    "asgi_app",
    "confirm",
    "handle",
    "is_final",
    "keyword",
    "parse",
]
