"""How money arrives and returns: one row per attempt to pay, and one per fact about money."""

import secrets
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Self
from urllib.parse import quote

from django.conf import settings
from django.db import models
from django.db.models import Q, Sum
from django.utils import formats, timezone
from django.utils.translation import gettext_lazy as _

from bookings.models import Entry
from cart.models import Stall
from cartsite.models import Case, User
from cartsite.templatetags.shop import in_words
from orders.models import Order, OrderLine, in_sums, orders_are_tests


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
    # When SumUp was first asked to make its checkout; until then, nobody need look whether there is one.
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)

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
            models.Index(fields=["transaction_code"], name="payment_by_transaction_code"),
        ]

    def __str__(self) -> str:
        return f"{in_words(self.amount, self.currency)} ({self.get_status_display()})"

    @property
    def is_live(self) -> bool:
        """Whether it may still be paid, as far as we know."""
        return self.status in self.LIVE

    @property
    def receipt_url(self) -> str:
        """SumUp's own receipt for the shopper; empty if the settings do not say where it is, or nothing was paid."""
        if not self.transaction_code:
            return ""
        url = str(settings.SUMUP_RECEIPT_URL).replace("{transaction}", quote(self.transaction_code, safe=""))
        return url.replace("{merchant}", quote(self.merchant_code, safe=""))


class RefundQuerySet(models.QuerySet["Refund"]):
    def due(self) -> Self:
        """Refunds to be sent or looked for, whose time has come and that no process works on, longest overdue first."""
        now = timezone.now()
        free = Q(leased_until=None) | Q(leased_until__lte=now)
        return self.filter(free, next_look_at__lte=now).order_by("next_look_at", "pk")

    def alive(self) -> Self:
        """Refunds whose money may still leave: it counts as gone already, wherever we decide what is left."""
        return self.filter(status__in=Refund.ALIVE)

    def promised(self) -> Decimal:
        """How much of this money is still to leave, in the shop's currency."""
        return self.alive().aggregate(sum=Sum("amount"))["sum"] or Decimal("0.00")


class RefundBatch(models.Model):
    """Refunds that were prepared together, because one entry was called off or moved: approved in one step."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    entry = models.ForeignKey(Entry, on_delete=models.PROTECT, related_name="refund_batches")
    # Where places go as long as there is room, instead of money going back.
    move_to = models.ForeignKey(
        Entry, null=True, blank=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    reason = models.CharField(max_length=300, help_text=_("Why, without personal data."))
    made_at = models.DateTimeField(default=timezone.now)
    made_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    # All orders have been gone through: nothing comes on top of it.
    prepared_at = models.DateTimeField(null=True, blank=True, editable=False)
    approved_at = models.DateTimeField(null=True, blank=True, editable=False)
    approved_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+", editable=False
    )

    class Meta:
        verbose_name_plural = "refund batches"

    def __str__(self) -> str:
        return self.reason


class Refund(models.Model):
    """Money that goes back to a shopper: asked for, approved and sent once, and done only when SumUp shows it."""

    class Status(models.TextChoices):
        REQUESTED = "requested", _("Requested")
        SENDING = "sending", _("Being sent")
        UNKNOWN = "unknown", _("In doubt")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        EXTERNAL = "external", _("Made at SumUp")

    class Method(models.TextChoices):
        SUMUP = "sumup", _("To the card, through SumUp")
        CASH = "cash", _("By hand")

    ALIVE = (Status.REQUESTED, Status.SENDING, Status.UNKNOWN)
    UNDER_WAY = (Status.SENDING, Status.UNKNOWN)

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="refunds")
    payment = models.ForeignKey(Payment, null=True, blank=True, on_delete=models.PROTECT, related_name="refunds")
    line = models.ForeignKey(OrderLine, null=True, blank=True, on_delete=models.PROTECT, related_name="refunds")
    batch = models.ForeignKey(
        RefundBatch, null=True, blank=True, on_delete=models.PROTECT, related_name="refunds", editable=False
    )
    transaction_id = models.CharField(max_length=64, blank=True, default="")
    method = models.CharField(max_length=10, choices=Method.choices, default=Method.SUMUP)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.REQUESTED)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=300, help_text=_("Why, without personal data."))
    requested_at = models.DateTimeField(default=timezone.now)
    requested_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    approved_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    # The transaction's events before we sent it: only one that is not among them can be ours.
    seen_events = models.JSONField(default=list, blank=True, editable=False)
    sent_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField(max_length=300, blank=True, default="", help_text=_("What SumUp said last."))
    note = models.TextField(blank=True, default="")
    retry_of = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="retried_as", editable=False
    )

    # The sweep's notes, as on a payment.
    next_look_at = models.DateTimeField(null=True, blank=True)
    looks = models.PositiveIntegerField(default=0)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)

    objects = RefundQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["payment"],
                condition=Q(status__in=["sending", "unknown"]),
                name="refund_one_under_way_per_payment",
            ),
            models.CheckConstraint(name="refund_amount_positive", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="refund_through_sumup_names_its_payment",
                condition=Q(method="sumup", payment__isnull=False) | Q(method="cash", payment=None, status="done"),
            ),
            models.CheckConstraint(
                name="refund_is_sent_only_when_approved",
                condition=~Q(status__in=["sending", "unknown"]) | Q(approved_at__isnull=False, sent_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["next_look_at"], condition=Q(next_look_at__isnull=False), name="refund_by_next_look"),
            models.Index(fields=["order", "id"], name="refund_by_order"),
        ]
        permissions = [("approve_refund", "Can approve refunds, so that they are sent")]

    def __str__(self) -> str:
        return f"{in_words(self.amount, self.currency)} ({self.get_status_display()})"

    @property
    def is_alive(self) -> bool:
        """Whether its money may still leave."""
        return self.status in self.ALIVE


class MovementQuerySet(models.QuerySet["Movement"]):
    def net(self) -> Decimal:
        """What came in less what went out, in the shop's currency. Fees and payouts are between SumUp and us."""
        moved = self.filter(kind__in=Movement.SHOPPERS).aggregate(sum=Sum("amount"))["sum"]
        return moved or Decimal("0.00")


class Movement(models.Model):
    """One fact about money. Append-only: what came in is positive, what went out is negative."""

    class Kind(models.TextChoices):
        CAPTURE = "capture", _("Payment")
        REFUND = "refund", _("Refund")
        CHARGEBACK = "chargeback", _("Chargeback")
        FEE = "fee", _("Fee")
        CASH = "cash", _("Cash")
        PAYOUT = "payout", _("Payout")

        @property
        def sign(self) -> int:
            """What SumUp's amounts of this kind, which have no sign, are multiplied by to be as our books have them."""
            return -1 if self in (Movement.Kind.REFUND, Movement.Kind.CHARGEBACK) else 1

    # Between the shopper and us; the others are between SumUp and us.
    SHOPPERS = (Kind.CAPTURE, Kind.REFUND, Kind.CHARGEBACK, Kind.CASH)

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="movements")
    payment = models.ForeignKey(Payment, null=True, blank=True, on_delete=models.PROTECT, related_name="movements")
    refund = models.OneToOneField(
        Refund, null=True, blank=True, on_delete=models.PROTECT, related_name="movement", editable=False
    )
    merchant_code = models.CharField(max_length=20)
    # The transaction's id for captures and fees, the event's id for refunds and chargebacks, the record's for payouts;
    # none for cash.
    sumup_id = models.CharField(max_length=64, null=True, blank=True)
    # SumUp's transaction that it belongs to; nothing for cash.
    transaction_id = models.CharField(max_length=64, blank=True, default="")
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
        indexes = [
            models.Index(fields=["happened_at", "id"], name="movement_by_day"),
            models.Index(fields=["transaction_id", "kind"], name="movement_by_transaction"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {in_words(self.amount, self.currency)}"


class MovementShare(models.Model):
    """How much of a movement is one stall's: written with it, adding up to it, append-only."""

    movement = models.ForeignKey(Movement, on_delete=models.PROTECT, related_name="shares")
    stall = models.ForeignKey(Stall, on_delete=models.PROTECT, related_name="movement_shares")
    amount = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["movement", "stall"], name="movementshare_once_per_movement_and_stall")
        ]

    def __str__(self) -> str:
        return f"{in_words(self.amount)} to {self.stall}"


class Stray(models.Model):
    """Money at SumUp that no attempt of ours explains, until a person says what it is."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    merchant_code = models.CharField(max_length=20)
    # Found in a shop for trying out: in no sum of one that takes real money.
    is_test = models.BooleanField(_("is a test"), default=orders_are_tests, db_default=False, editable=False)
    transaction_id = models.CharField(max_length=64)
    transaction_code = models.CharField(max_length=40, blank=True, default="")
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    happened_at = models.DateTimeField()
    found_at = models.DateTimeField(auto_now_add=True)
    # The attempt that was written down for it when a person attached it to an order.
    payment = models.OneToOneField(Payment, null=True, blank=True, on_delete=models.PROTECT, related_name="stray")

    class Meta:
        verbose_name = _("stray transaction")
        constraints = [
            models.UniqueConstraint(fields=["merchant_code", "transaction_id"], name="stray_once_per_transaction")
        ]

    def __str__(self) -> str:
        return f"{in_words(self.amount, self.currency)} ({self.transaction_code or self.transaction_id})"


class TakingsDay(models.Model):
    """One day (in the shop's time zone) on which card readers took money: what its case is about."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    merchant_code = models.CharField(max_length=20)
    # Read in a shop for trying out: in no sum of one that takes real money.
    is_test = models.BooleanField(_("is a test"), default=orders_are_tests, editable=False)
    day = models.DateField()

    class Meta:
        verbose_name = _("day of takings")
        verbose_name_plural = _("days of takings")
        constraints = [
            models.UniqueConstraint(
                fields=["merchant_code", "is_test", "day"], name="takingsday_one_per_merchant_kind_and_day"
            )
        ]

    def __str__(self) -> str:
        return formats.date_format(self.day)


class TakingQuerySet(models.QuerySet["Taking"]):
    def in_sums(self) -> Self:
        """Those that this shop adds up: of its own merchant, and of the kind of money that it takes."""
        return self.filter(in_sums("day__"), merchant_code=settings.SUMUP_MERCHANT_CODE)

    def between(self, start: datetime, end: datetime) -> Self:
        """Those from one moment (UTC) up to another."""
        return self.filter(happened_at__gte=start, happened_at__lt=end)


class Taking(models.Model):
    """One fact about money of a card reader, which is no order's. Append-only: what came in is positive."""

    day = models.ForeignKey(TakingsDay, on_delete=models.PROTECT, related_name="takings")
    kind = models.CharField(max_length=10, choices=Movement.Kind.choices)
    merchant_code = models.CharField(max_length=20)
    # As on a movement: the transaction's id for payments and fees, else that of the event or the payout's record.
    sumup_id = models.CharField(max_length=64)
    transaction_id = models.CharField(max_length=64)
    transaction_code = models.CharField(max_length=40, blank=True, default="")
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    happened_at = models.DateTimeField()
    recorded_at = models.DateTimeField(auto_now_add=True)

    objects = TakingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["merchant_code", "kind", "sumup_id"], name="taking_once_per_merchant_kind_and_sumup_id"
            ),
            models.CheckConstraint(name="taking_is_not_cash", condition=~Q(kind="cash")),
            models.CheckConstraint(name="taking_captures_are_positive", condition=~Q(kind="capture") | Q(amount__gt=0)),
        ]
        indexes = [
            models.Index(fields=["happened_at", "id"], name="taking_by_day"),
            models.Index(fields=["transaction_id"], name="taking_by_transaction"),
            models.Index(fields=["transaction_code"], name="taking_by_transaction_code"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {in_words(self.amount, self.currency)}"


class DailyClose(models.Model):
    """One comparison of our books with SumUp's for one day (in the shop's time zone). Once closed, it never changes."""

    class Status(models.TextChoices):
        READING = "reading", _("Reading SumUp's history")
        COMPARING = "comparing", _("Comparing")
        RED = "red", _("Something is unexplained")
        EARLY = "early", _("Compared before the day was over")
        CLOSED = "closed", _("Closed: everything matched or explained")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    day = models.DateField()
    round = models.PositiveSmallIntegerField(default=1)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.READING)
    # Where to go on after a crash: the query string of the next page of SumUp's history.
    cursor = models.TextField(blank=True, default="", editable=False)
    rows_read = models.PositiveIntegerField(default=0)
    figures = models.JSONField(default=dict, blank=True)
    digest = models.CharField(max_length=64, blank=True, default="", help_text=_("SHA-256 of the day's movements."))
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("daily close")
        constraints = [models.UniqueConstraint(fields=["day", "round"], name="dailyclose_one_per_day_and_round")]
        get_latest_by = ["day", "round"]

    def __str__(self) -> str:
        return f"{formats.date_format(self.day)} ({self.get_status_display()})"


class Reopening(models.Model):
    """A closed day was opened again: by whom, and why. Append-only; the next round closes it anew."""

    close = models.OneToOneField(DailyClose, on_delete=models.PROTECT, related_name="reopening")
    at = models.DateTimeField(auto_now_add=True)
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    note = models.CharField(max_length=300)

    def __str__(self) -> str:
        return f"{formats.date_format(self.close.day)}: {self.note}"


class TheirRow(models.Model):
    """One row of SumUp's history, kept while a day is being compared."""

    close = models.ForeignKey(DailyClose, on_delete=models.CASCADE, related_name="their_rows")
    kind = models.CharField(max_length=10, choices=Movement.Kind.choices)
    row_id = models.CharField(max_length=64)
    transaction_id = models.CharField(max_length=64)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    happened_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["close", "kind", "row_id"], name="theirrow_once_per_close")]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} of {self.transaction_id}"


class Finding(models.Model):
    """What a daily close had to say about one row: explained by a case, or unexplained."""

    close = models.ForeignKey(DailyClose, on_delete=models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=10, choices=Movement.Kind.choices)
    transaction_id = models.CharField(max_length=64)
    ours = models.DecimalField(max_digits=12, decimal_places=2)
    theirs = models.DecimalField(max_digits=12, decimal_places=2)
    case = models.ForeignKey(Case, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    what = models.CharField(max_length=300)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["close", "kind", "transaction_id"], name="finding_once_per_close_and_row")
        ]

    def __str__(self) -> str:
        return self.what

    @property
    def is_explained(self) -> bool:
        return self.case_id is not None

    @property
    def sign(self) -> int:
        """Its amounts are positive: multiplied by this, they are as our books have them."""
        return Movement.Kind(self.kind).sign


class Reading(models.Model):
    """How far the sweep has read SumUp's history, per merchant."""

    merchant_code = models.CharField(max_length=20, unique=True)
    read_up_to = models.DateTimeField()
    leased_until = models.DateTimeField(null=True, blank=True)
    # Since when (UTC) there is a row that cannot be taken in.
    failing_since = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.merchant_code}: {self.read_up_to}"
