"""A mailing in Temporal: each chunk is an activity that is attempted once."""

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from voxsms import Client, Outbox
    from voxsms.outbox import run_chunk

LIMIT, ONCE = timedelta(minutes=5), RetryPolicy(maximum_attempts=1)


class Sending:
    """The activities: `Worker(..., activities=[sending.list_chunks, sending.send_chunk])`."""

    def __init__(self, outbox: Outbox, client: Client) -> None:
        self.outbox, self.client = outbox, client

    @activity.defn
    async def list_chunks(self) -> list[int]:
        """List the chunks that nobody has begun."""
        return [chunk async for chunk in self.outbox.chunks()]

    @activity.defn
    async def send_chunk(self, chunk: int) -> None:
        """Send a chunk, unless it was begun before."""
        outcome = await run_chunk(self.outbox, self.client, chunk)
        if outcome.stops:  # no money, no permission: a person has to act
            raise ApplicationError(str(outcome.error), non_retryable=True)


@workflow.defn
class Mailing:
    """A workflow that sends all messages in the outbox."""

    @workflow.run
    async def run(self) -> None:
        """Send chunk after chunk until none is pending."""
        list_chunks, send_chunk = Sending.list_chunks, Sending.send_chunk
        while chunks := await workflow.execute_activity_method(
            list_chunks, start_to_close_timeout=LIMIT
        ):
            for chunk in chunks:
                try:
                    await workflow.execute_activity_method(
                        send_chunk, chunk, start_to_close_timeout=LIMIT, retry_policy=ONCE
                    )
                except ActivityError as error:
                    if isinstance(error.cause, ApplicationError):
                        raise
                    # The worker died: the messages it was sending are in doubt, and not sent again.
            await workflow.sleep(1)  # messages that were put back are due later
