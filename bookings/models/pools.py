"""What can run out, and who holds a part of it."""

import uuid
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cartsite.versions import Versioned


class PoolQuerySet(models.QuerySet["Pool"]):
    def unused(self) -> Self:
        """Pools, not archived, that nothing takes from yet."""
        return self.filter(
            archived_at=None, entries=None, series=None, product=None, collection_slot=None, voucher=None
        )

    def to_share(self) -> Self:
        """Pools, not archived, that entries may share: those of coming entries, and those that nothing takes from."""
        coming = self.filter(archived_at=None, entries__starts_at__gt=timezone.now())
        return self.filter(Q(pk__in=coming.values("pk")) | Q(pk__in=self.unused().values("pk")))


class Pool(Versioned):
    """So much of something, and how much of it is taken. Only `bookings.capacity` writes capacity and taken."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=200)
    # `wanted` is what staff or a sibling asked for; `capacity` follows it, but never falls below what is taken.
    wanted = models.PositiveIntegerField(null=True, blank=True, help_text=_("Empty means unlimited."))
    capacity = models.PositiveIntegerField(null=True, blank=True, editable=False)
    taken = models.PositiveIntegerField(default=0, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = PoolQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="pool_taken_within_capacity", condition=Q(capacity=None) | Q(taken__lte=F("capacity"))
            ),
            models.CheckConstraint(name="pool_taken_not_negative", condition=Q(taken__gte=0)),
            models.CheckConstraint(
                name="pool_capacity_not_below_wanted",
                # (A comparison with NULL would pass: so both are asked for by name.)
                condition=Q(capacity=None, wanted=None)
                | Q(capacity__isnull=False, wanted__isnull=False, capacity__gte=F("wanted")),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def free(self) -> int | None:
        """How many more can be taken; None if without limit. Expired holds still count as taken."""
        return None if self.capacity is None else max((self.wanted or 0) - self.taken, 0)


class HoldQuerySet(models.QuerySet["Hold"]):
    def live(self) -> Self:
        """Holds that still take up room."""
        return self.filter(quantity__gt=0)

    def expired(self) -> Self:
        """Holds that still take up room although their time is over."""
        return self.live().filter(until__lte=timezone.now())


class Hold(models.Model):
    """A quantity claimed from a pool, until a moment or (an order's) without end; given back means quantity 0."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, related_name="holds")
    quantity = models.PositiveIntegerField()
    until = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(default=timezone.now)
    # Who holds places of an entry without having paid (`cartsite.limits.network_key`), until they are paid or freed.
    network = models.CharField(max_length=41, default="", db_default="", editable=False)

    objects = HoldQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(name="hold_quantity_not_negative", condition=Q(quantity__gte=0))]
        indexes = [
            models.Index(fields=["pool", "until"], condition=Q(quantity__gt=0), name="hold_live_by_pool"),
            models.Index(fields=["until"], condition=Q(quantity__gt=0, until__isnull=False), name="hold_live_by_until"),
            models.Index(
                fields=["pool", "network"],
                opclasses=["int8_ops", "varchar_pattern_ops"],
                condition=Q(quantity__gt=0) & ~Q(network=""),
                name="hold_unpaid_by_network",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.pool_id}"

    @property
    def is_over(self) -> bool:
        """Whether its time has passed: until somebody needs the room it still takes it up."""
        return self.until is not None and self.until <= timezone.now()
