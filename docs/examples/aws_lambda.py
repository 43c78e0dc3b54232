"""Callbacks in AWS Lambda, behind a function URL or an HTTP API.

Each instance has files of its own, so what was seen is kept where all of them find it: in a table
of DynamoDB whose partition key is the number `callback_id`.
"""

import asyncio
import base64
import time
from contextlib import suppress
from typing import Any

import boto3

from voxsms import webhooks

LEASE = 600  # seconds after which an instance that took a callback is believed to be dead


class DynamoSeen:
    """Remembers in a table; boto3 blocks, which harms nobody where a loop serves one request."""

    def __init__(self, name: str) -> None:
        self.table = boto3.resource("dynamodb").Table(name)

    async def take(self, callback_id: int, owner: str) -> webhooks.Taken:
        """Take a callback before it is acted on; what was handled is never free again."""
        now = int(time.time())
        try:
            self.table.put_item(
                Item={"callback_id": callback_id, "owner_id": owner, "free_at": now + LEASE},
                ConditionExpression="attribute_not_exists(callback_id) OR free_at < :now",
                ExpressionAttributeValues={":now": now},
            )
        except self.table.meta.client.exceptions.ConditionalCheckFailedException:
            found = self.table.get_item(Key={"callback_id": callback_id}, ConsistentRead=True)
            is_handled = "Item" in found and "owner_id" not in found["Item"]
            return webhooks.Taken.HANDLED if is_handled else webhooks.Taken.IN_PROGRESS
        return webhooks.Taken.YOURS

    async def keep(self, callback_id: int) -> None:
        """Say that a callback was handled."""
        self.table.put_item(Item={"callback_id": callback_id})

    async def give_back(self, callback_id: int, owner: str) -> None:
        """Say that it was not: it can be taken again, unless another has taken it meanwhile."""
        with suppress(self.table.meta.client.exceptions.ConditionalCheckFailedException):
            self.table.delete_item(
                Key={"callback_id": callback_id},
                ConditionExpression="owner_id = :owner",
                ExpressionAttributeValues={":owner": owner},
            )


secret = webhooks.CallbackSecret.from_env()
seen = DynamoSeen("voxsms-seen")
opt_outs = boto3.resource("dynamodb").Table("opt-outs")


async def on_callback(callback: webhooks.Callback) -> None:
    """Act on a callback, once."""
    match callback:
        case webhooks.InboundSms(source_number=number, sms_body=text):
            if webhooks.keyword(text) is webhooks.Keyword.STOP:
                opt_outs.put_item(Item={"number": number})


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Answer a post of the service."""
    given = event.get("body") or ""
    body = base64.b64decode(given) if event.get("isBase64Encoded") else given.encode()
    return {"statusCode": asyncio.run(webhooks.handle(body, secret, on_callback, seen))}
