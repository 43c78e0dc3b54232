"""Your own store of handled callbacks: a Django model, in the project's database."""

from datetime import timedelta

from django.db import models
from django.utils import timezone

from voxsms import webhooks

LEASE = timedelta(minutes=10)
"""After this time, a process that took a callback is assumed dead."""


class SeenCallback(models.Model):
    """A callback that was handled, or is being handled by its owner."""

    callback_id = models.BigIntegerField(primary_key=True)
    owner = models.CharField(max_length=32, null=True)  # noqa: DJ001 - null: it was handled
    taken_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """The app that the model belongs to."""

        app_label = "sms"  # your app's label

    def __str__(self) -> str:
        """Return the callback's id."""
        return str(self.callback_id)


class DjangoSeen:
    """A store in the project's database."""

    async def take(self, callback_id: int, owner: str) -> webhooks.Taken:
        """Take a callback before acting on it; the primary key lets only one owner do so."""
        now = timezone.now()
        _, is_new = await SeenCallback.objects.aget_or_create(
            callback_id=callback_id, defaults={"owner": owner, "taken_at": now}
        )
        this = SeenCallback.objects.filter(callback_id=callback_id)
        left = this.filter(owner__isnull=False, taken_at__lt=now - LEASE)
        if is_new or await left.aupdate(owner=owner, taken_at=now):
            return webhooks.Taken.YOURS
        is_handled = await this.filter(owner__isnull=True).aexists()
        return webhooks.Taken.HANDLED if is_handled else webhooks.Taken.IN_PROGRESS

    async def keep(self, callback_id: int) -> None:
        """Record that a callback was handled."""
        await SeenCallback.objects.aupdate_or_create(
            callback_id=callback_id, defaults={"owner": None}
        )

    async def give_back(self, callback_id: int, owner: str) -> None:
        """Free the callback to be taken again, unless another owner has taken it meanwhile."""
        await SeenCallback.objects.filter(callback_id=callback_id, owner=owner).adelete()
