"""How money arrives and returns: one row per attempt to pay, and one per fact about money."""

import secrets
import uuid
from decimal import Decimal
from typing import Self

from django.db import models
from django.db.models import Q, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from orders.models import Order


def new_reference() -> str:
    """A reference SumUp has never seen: at most 64 ASCII characters, no personal data (contract, section 2.1)."""
    return f"ra-{uuid.uuid4().hex}"


def new_secret() -> str:
    """A fresh token for an address that only SumUp, or the shopper's browser, is told: 192 bits."""
    return secrets.token_urlsafe(24)


class PaymentQuerySet(models.QuerySet["Payment"]):
    def live(self) -> Self:
        """Attempts that may still be paid, as far as we know."""
        return self.filter(status__in=Payment.LIVE)

    def due(self) -> Self:
        """Attempts whose next look has come, the longest overdue first."""
        return self.filter(next_look_at__lte=timezone.now()).order_by("next_look_at")


class Payment(models.Model):
    """One attempt to collect what an order still owes: exactly one SumUp checkout, never deleted."""

    class Status(models.TextChoices):
        CREATED = "created", _("Created")
        UNKNOWN = "unknown", _("In doubt")
        OPEN = "open", _("Open")
        DECLINED = "declined", _("Declined, may be tried again")
        CLOSED = "closed", _("Closed")
        CAPTURED = "captured", _("Captured")

    LIVE = (Status.CREATED, Status.UNKNOWN, Status.OPEN, Status.DECLINED)
    UNSENT = (Status.CREATED, Status.UNKNOWN)
    AT_SUMUP = (Status.OPEN, Status.DECLINED)

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="payments")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.CREATED)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    merchant_code = models.CharField(max_length=20)
    reference = models.CharField(max_length=64, unique=True, default=new_reference)
    valid_until = models.DateTimeField()
    checkout_id = models.CharField(max_length=64, null=True, blank=True, unique=True)
    checkout_url = models.URLField(max_length=500, blank=True, default="")
    transaction_code = models.CharField(max_length=40, blank=True, default="")
    # SumUp is told both, again if the first sending is in doubt; so they are kept readable, but shown nowhere.
    webhook_token = models.CharField(max_length=40, unique=True, default=new_secret, editable=False)
    return_token = models.CharField(max_length=40, default=new_secret, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)

    # The sweep's notes: when to look next, how often it has since the last change, and who is looking now.
    next_look_at = models.DateTimeField(null=True, blank=True)
    looks = models.PositiveIntegerField(default=0)
    last_look_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    # When SumUp first called it EXPIRED; a second such answer a minute later closes it.
    expired_since = models.DateTimeField(null=True, blank=True)

    objects = PaymentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["order"],
                condition=Q(status__in=["created", "unknown", "open", "declined"]),
                name="payment_one_live_per_order",
            ),
            models.CheckConstraint(name="payment_amount_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="payment_at_sumup_has_its_checkout",
                condition=~Q(status__in=["open", "declined"]) | Q(checkout_id__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["next_look_at"], condition=Q(next_look_at__isnull=False), name="payment_by_next_look"),
            models.Index(fields=["order", "created_at"], name="payment_by_order"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} ({self.get_status_display()})"

    @property
    def is_live(self) -> bool:
        """Whether it may still be paid, as far as we know."""
        return self.status in self.LIVE


class MovementQuerySet(models.QuerySet["Movement"]):
    def net(self) -> Decimal:
        """What came in less what went out, fees aside, in the shop's currency."""
        moved = self.exclude(kind=Movement.Kind.FEE).aggregate(sum=Sum("amount"))["sum"]
        return moved or Decimal("0.00")


class Movement(models.Model):
    """One fact about money. Append-only: what came in is positive, what went out is negative."""

    class Kind(models.TextChoices):
        CAPTURE = "capture", _("Payment")
        REFUND = "refund", _("Refund")
        CHARGEBACK = "chargeback", _("Chargeback")
        FEE = "fee", _("Fee")
        CASH = "cash", _("Cash")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="movements")
    payment = models.ForeignKey(Payment, null=True, blank=True, on_delete=models.PROTECT, related_name="movements")
    merchant_code = models.CharField(max_length=20)
    # The transaction's id for captures and fees, the event's id for refunds and chargebacks; none for cash.
    sumup_id = models.CharField(max_length=64, null=True, blank=True)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    happened_at = models.DateTimeField()
    recorded_at = models.DateTimeField(auto_now_add=True)

    objects = MovementQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant_code", "kind", "sumup_id"], name="movement_once_per_merchant_kind_and_sumup_id"
            ),
            models.CheckConstraint(
                name="movement_only_cash_has_no_sumup_id", condition=Q(kind="cash") | Q(sumup_id__isnull=False)
            ),
            models.CheckConstraint(
                name="movement_captures_are_positive", condition=~Q(kind="capture") | Q(amount__gt=0)
            ),
        ]
        indexes = [models.Index(fields=["happened_at", "id"], name="movement_by_day")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount} {self.currency}"
