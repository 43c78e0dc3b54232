"""An order and its message in one transaction: both are committed, or neither is."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from fastapi import FastAPI, HTTPException

import voxsms

DATABASE = os.environ["DATABASE_URL"]
outbox = voxsms.Outbox.open(DATABASE)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Keep the outbox open while the app runs."""
    async with outbox:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders/{order_id}", status_code=201)
async def order(order_id: int, phone: str) -> None:
    """Take an order, and notify the customer."""
    # The block commits when it ends; an error in it rolls back the order and the message.
    async with await psycopg.AsyncConnection.connect(DATABASE) as connection:
        await connection.execute(
            "INSERT INTO orders (id, phone) VALUES (%s, %s)", (order_id, phone)
        )
        message = (f"Your order {order_id} is on its way", phone, f"order-{order_id}")
        added = await outbox.add([message], source="VOXSMS", connection=connection)
        if added.refused:
            raise HTTPException(422, f"phone: {added.refused[0][1].problem}")
