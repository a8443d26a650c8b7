"""What an order may have besides goods and places: a way to be handed over, and a voucher. Staff look after them."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Self
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bookings.models import Pool
from cart.models import Stall
from cartsite.constraints import ErrorsBesideFields
from cartsite.versions import Versioned


class CollectionSlotQuerySet(models.QuerySet["CollectionSlot"]):
    def open(self) -> Self:
        """Slots that may still be chosen, soonest first, with all that a page says of them loaded."""
        standing = self.filter(archived_at=None, orders_close_at__gt=timezone.now())
        return standing.select_related("stall", "pool").order_by("starts_at", "pk")


class CollectionSlot(ErrorsBesideFields, Versioned):
    """A window of time at a place where goods are fetched: at one stall, or (without a stall) for all of an order."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    stall = models.ForeignKey(
        Stall,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="collection_slots",
        help_text=_("Empty for a market day, where goods of every stall are fetched."),
    )
    name = models.CharField(max_length=200, help_text=_("Such as: Saturday market."))
    place = models.CharField(max_length=300)
    time_zone = models.CharField(max_length=60, default="Europe/London")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    orders_close_at = models.DateTimeField(help_text=_("Until when it may be chosen at the checkout."))
    # So many orders may be fetched in it; without a pool, any number.
    pool = models.OneToOneField(Pool, null=True, blank=True, on_delete=models.PROTECT, related_name="collection_slot")
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = CollectionSlotQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="collectionslot_ends_after_it_starts",
                condition=Q(ends_at__gt=F("starts_at")),
                violation_error_code="ends_at",
                violation_error_message=_("It must end after it begins."),
            ),
            models.CheckConstraint(
                name="collectionslot_orders_close_before_it_ends",
                condition=Q(orders_close_at__lte=F("ends_at")),
                violation_error_code="orders_close_at",
                violation_error_message=_("Orders must close before it ends."),
            ),
        ]
        indexes = [models.Index(fields=["orders_close_at"], name="collectionslot_by_close")]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def local_start(self) -> datetime:
        """When it begins, in its own zone."""
        return self.starts_at.astimezone(self.zone)

    @property
    def local_end(self) -> datetime:
        """When it ends, in its own zone."""
        return self.ends_at.astimezone(self.zone)

    @property
    def is_full(self) -> bool:
        """Whether no more orders may be fetched in it."""
        return self.pool is not None and self.pool.free == 0


class DeliveryZone(ErrorsBesideFields, Versioned):
    """Postcodes that goods are brought to, and what that costs."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=200, unique=True)
    postcodes = models.TextField(
        help_text=_("Beginnings of postcodes, parted by spaces or commas, such as: BS1 BS2 BA2 4.")
    )
    fee = models.DecimalField(max_digits=10, decimal_places=2, help_text=_("Tax included."))
    tax_rate = models.DecimalField(max_digits=5, decimal_places=2, default=Decimal("20.00"), help_text=_("Per cent."))
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="deliveryzone_fee_not_negative",
                condition=Q(fee__gte=0),
                violation_error_code="fee",
                violation_error_message=_("Please give a fee of 0 or more."),
            ),
            models.CheckConstraint(
                name="deliveryzone_tax_rate_is_a_percentage",
                condition=Q(tax_rate__gte=0, tax_rate__lt=100),
                violation_error_code="tax_rate",
                violation_error_message=_("Please give a rate from 0 to 99.99 per cent."),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Voucher(ErrorsBesideFields, Versioned):
    """A code that makes an order cheaper: by an amount or a percentage, of one stall's things or of everything."""

    class Kind(models.TextChoices):
        FIXED = "fixed", _("Amount")
        PERCENT = "percent", _("Per cent")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    code = models.CharField(max_length=40, help_text=_("What shoppers type; capitals or not is the same."))
    title = models.CharField(max_length=200, help_text=_("As it stands on the order, such as: Friends of the market."))
    kind = models.CharField(max_length=10, choices=Kind.choices)
    value = models.DecimalField(max_digits=10, decimal_places=2, help_text=_("An amount, or a number of per cent."))
    stall = models.ForeignKey(
        Stall,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="vouchers",
        help_text=_("Empty means everything."),
    )
    minimum = models.DecimalField(
        _("minimum spend"),
        max_digits=10,
        decimal_places=2,
        default=Decimal("0.00"),
        help_text=_("On the things it is for, before the discount."),
    )
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    # So many orders may use it; without a pool, any number. Unpaid orders count until they are over.
    pool = models.OneToOneField(Pool, null=True, blank=True, on_delete=models.PROTECT, related_name="voucher")
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Upper("code"),
                name="voucher_code_unique_in_any_case",
                violation_error_code="code",
                violation_error_message=_("There is a voucher with this code already."),
            ),
            models.CheckConstraint(
                name="voucher_value_positive",
                condition=Q(value__gt=0),
                violation_error_code="value",
                violation_error_message=_("Please give more than 0."),
            ),
            models.CheckConstraint(
                name="voucher_percentage_at_most_everything",
                condition=~Q(kind="percent") | Q(value__lte=100),
                violation_error_code="value",
                violation_error_message=_("Please give 100 per cent at most."),
            ),
            models.CheckConstraint(
                name="voucher_minimum_not_negative",
                condition=Q(minimum__gte=0),
                violation_error_code="minimum",
                violation_error_message=_("Please give 0 or more."),
            ),
        ]

    def __str__(self) -> str:
        return self.code
