"""Callbacks in AWS Lambda, behind a function URL or an HTTP API.

Each instance has its own files, so handled callbacks are recorded in a DynamoDB table that all
instances share, whose partition key is the number `callback_id`.
"""

import asyncio
import base64
import time
from contextlib import suppress
from typing import Any

import boto3

from voxsms import webhooks

LEASE = 600  # seconds after which an instance that took a callback is assumed dead


class DynamoSeen:
    """A store in a DynamoDB table; boto3 blocks, which is harmless if a loop serves one request."""

    def __init__(self, name: str) -> None:
        self.table = boto3.resource("dynamodb").Table(name)

    async def take(self, callback_id: int, owner: str) -> webhooks.Taken:
        """Take a callback before acting on it; a handled one is never free again."""
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
        """Record that a callback was handled."""
        self.table.put_item(Item={"callback_id": callback_id})

    async def give_back(self, callback_id: int, owner: str) -> None:
        """Free the callback to be taken again, unless another owner has taken it meanwhile."""
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
    """Answer a post from the service."""
    given = event.get("body") or ""
    body = base64.b64decode(given) if event.get("isBase64Encoded") else given.encode()
    return {"statusCode": asyncio.run(webhooks.handle(body, secret, on_callback, seen))}
