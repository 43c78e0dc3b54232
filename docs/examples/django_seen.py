"""A store of your own for what was seen: a model of Django, in the project's database."""

from datetime import timedelta

from django.db import models
from django.utils import timezone

from voxsms import webhooks

LEASE = timedelta(minutes=10)
"""After which a process that took a callback is believed dead."""


class SeenCallback(models.Model):
    """A callback that was handled, or is being handled by its owner."""

    callback_id = models.BigIntegerField(primary_key=True)
    owner = models.CharField(max_length=32, null=True)  # noqa: DJ001 - null: it was handled
    taken_at = models.DateTimeField(default=timezone.now)

    class Meta:
        """Where the model belongs."""

        app_label = "sms"  # that of your app

    def __str__(self) -> str:
        """Return which callback it is."""
        return str(self.callback_id)


class DjangoSeen:
    """Remembers in the database of the project."""

    async def take(self, callback_id: int, owner: str) -> webhooks.Taken:
        """Take a callback before it is acted on; the primary key lets one of two through."""
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
        """Say that a callback was handled."""
        await SeenCallback.objects.aupdate_or_create(
            callback_id=callback_id, defaults={"owner": None}
        )

    async def give_back(self, callback_id: int, owner: str) -> None:
        """Say that it was not: it can be taken again, unless another has taken it meanwhile."""
        await SeenCallback.objects.filter(callback_id=callback_id, owner=owner).adelete()
