"""What a shopper committed to: the order, its lines, and everything that ever happened to it."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Func, Q, Sum, TextField, Value
from django.db.models.functions import Cast, Coalesce, Upper
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _

from bookings.models import Entry, Hold, PriceKind
from cart.models import Cart, Product, Stall
from cartsite.models import User
from cartsite.templatetags.shop import in_words
from orders.offers import CollectionSlot, DeliveryZone, Voucher

# No vowels (so no words), and nothing that looks or sounds like another.
NUMBER_ALPHABET = "CFGHJKMPQRTVWXY2346789"
# What the numbers of test orders begin with. Two of its letters are in no number, so it is never a part of one.
TEST_PREFIX = "TEST-"
PAY_WITHIN = timedelta(minutes=45)


def orders_are_tests() -> bool:
    """Whether an order placed now is a test: in staging, and in SumUp's sandbox."""
    return bool(settings.ORDERS_ARE_TESTS)


def new_number(is_test: bool | None = None) -> str:
    """A fresh order number such as `7KQM-X4WP-2R`: 10 characters, about 44 bits. A test order's begins with `TEST-`.

    Without `is_test`, it is one for an order placed now.
    """
    code = get_random_string(10, NUMBER_ALPHABET)
    prefix = TEST_PREFIX if (orders_are_tests() if is_test is None else is_test) else ""
    return f"{prefix}{code[:4]}-{code[4:8]}-{code[8:]}"


def in_sums(path: str = "") -> Q:
    """Which rows are added up: those of real orders; where orders are tests, those of test orders. No sum mixes both.

    `path` leads from the row to its order, such as `movement__order__`.
    """
    return Q(**{f"{path}is_test": orders_are_tests()})


def new_key() -> str:
    """A fresh secret for an order's link: 143 bits."""
    return get_random_string(24)


def new_deadline() -> datetime:
    """Until when (UTC) an order placed now waits to be paid."""
    return timezone.now() + PAY_WITHIN


class OrderQuerySet(models.QuerySet["Order"]):
    def awaiting(self) -> Self:
        return self.filter(status=Order.Status.AWAITING_PAYMENT)

    def due(self) -> Self:
        """Unpaid orders whose time is over or whose closing goes on, and that no process is working on."""
        now = timezone.now()
        free = Q(leased_until=None) | Q(leased_until__lt=now)
        return self.awaiting().filter(free, next_step_at__lte=now).order_by("next_step_at")


class Order(models.Model):
    """What a shopper agreed to buy, at the prices they saw. Only its status, and the way it is closing, change."""

    class Status(models.TextChoices):
        AWAITING_PAYMENT = "awaiting_payment", _("Awaiting payment")
        CONFIRMED = "confirmed", _("Confirmed")
        EXPIRED = "expired", _("Expired unpaid")
        CANCELLED = "cancelled", _("Cancelled")
        COMPLETED = "completed", _("Completed")

    class Closer(models.TextChoices):
        SHOPPER = "shopper", _("Shopper")
        STAFF = "staff", _("Staff")
        TIMER = "timer", _("Timer")
        ENTRY = "entry", _("Cancelled entry")

    # Where an order may come from on its way to each status.
    COMES_FROM: dict[str, Sequence[str]] = {
        Status.CONFIRMED: [Status.AWAITING_PAYMENT],
        Status.EXPIRED: [Status.AWAITING_PAYMENT],
        Status.CANCELLED: [Status.AWAITING_PAYMENT, Status.CONFIRMED],
        Status.COMPLETED: [Status.CONFIRMED],
    }
    # Late money: only after all capacity was claimed again, in the same transaction.
    REVIVES_FROM: Sequence[str] = [Status.EXPIRED, Status.CANCELLED]
    # Somebody was let in by mistake: what was over with it is not (docs/adr/0010). Nothing is issued or mailed again.
    REOPENS_FROM: Sequence[str] = [Status.COMPLETED]
    REOPENED = "taken back at the door"  # why, in the event

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    number = models.CharField(max_length=17, unique=True, default=new_number, editable=False)
    # Placed for trying things out, without real money: in no sum, and never paid in a shop that takes real money.
    is_test = models.BooleanField(
        _("is a test"),
        default=orders_are_tests,
        db_default=Value(False),
        editable=False,
    )
    # Whoever holds the link with this key may see the order. It is mailed, so it is kept readable.
    key = models.CharField(max_length=24, default=new_key, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="orders"
    )
    cart = models.OneToOneField(Cart, on_delete=models.PROTECT, related_name="order", editable=False)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.AWAITING_PAYMENT)
    total = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    placed_at = models.DateTimeField(default=timezone.now)
    # Which wording of the terms the shopper accepted by placing it (settings.TERMS_VERSION at that time).
    terms_version = models.CharField(max_length=20, blank=True, default="", editable=False)
    deadline = models.DateTimeField(default=new_deadline)

    # While an unpaid order is being let go, no new attempt to pay starts; a sweep finishes what a dead process began.
    closing_since = models.DateTimeField(null=True, blank=True, editable=False)
    closing_to = models.CharField(max_length=20, blank=True, default="", choices=Status.choices, editable=False)
    closing_by = models.CharField(max_length=10, blank=True, default="", choices=Closer.choices, editable=False)
    closing_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    # Why, in the words of whoever cancelled it: without personal data.
    closing_reason = models.CharField(max_length=300, blank=True, default="", db_default="", editable=False)
    closing_cart = models.ForeignKey(
        Cart, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    next_step_at = models.DateTimeField(default=new_deadline, editable=False)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)

    objects = OrderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="order_number_says_whether_it_is_a_test",
                condition=Q(is_test=True, number__startswith=TEST_PREFIX)
                | (Q(is_test=False) & ~Q(number__startswith=TEST_PREFIX)),
            ),
            models.CheckConstraint(name="order_total_not_negative", condition=Q(total__gte=0)),
            models.CheckConstraint(
                name="order_closing_names_where_to",
                condition=Q(closing_since=None, closing_to="")
                | Q(closing_since__isnull=False, closing_to__in=["expired", "cancelled"]),
            ),
            models.CheckConstraint(
                name="order_closing_only_while_awaiting_payment",
                condition=Q(closing_since=None) | Q(status="awaiting_payment"),
            ),
        ]
        indexes = [
            models.Index(fields=["next_step_at"], condition=Q(status="awaiting_payment"), name="order_unpaid_by_step"),
            models.Index(fields=["user", "-placed_at", "-id"], name="order_by_user_newest_first"),
            models.Index(fields=["user", "status", "-placed_at", "-id"], name="order_by_user_and_status"),
            models.Index(fields=["-placed_at", "-id"], name="order_newest_first"),
            models.Index(fields=["status", "-placed_at", "-id"], name="order_by_status_newest_first"),
        ]

    def __str__(self) -> str:
        return self.number

    def get_absolute_url(self) -> str:
        return reverse("orders:detail", args=[self.number])

    @property
    def secret_link(self) -> str:
        """The address (with host) that shows the order to whoever has it."""
        return f"{settings.PUBLIC_URL}{self.get_absolute_url()}?key={self.key}"

    @property
    def tickets_link(self) -> str:
        """The address (with host) that shows the order's tickets to whoever has it."""
        return f"{settings.PUBLIC_URL}{reverse('orders:tickets', args=[self.number])}?key={self.key}"

    @property
    def is_awaiting_payment(self) -> bool:
        return self.status == self.Status.AWAITING_PAYMENT

    @property
    def is_sold(self) -> bool:
        """Whether it stands as bought: confirmed, or everything of it accounted for."""
        return self.status in (self.Status.CONFIRMED, self.Status.COMPLETED)

    @property
    def is_closing(self) -> bool:
        """Whether the order is being let go, and no new attempt to pay may start."""
        return self.closing_since is not None

    @property
    def is_cancelled_by_staff(self) -> bool:
        """Whether staff are cancelling it: it ends so even if it is paid meanwhile (docs/adr/0014)."""
        return self.is_closing and self.closing_by == self.Closer.STAFF

    @transaction.atomic
    def move_to(
        self, status: str, *, cause: str, by: User | None = None, come_from: Sequence[str] = (), **data: Any
    ) -> bool:
        """Take the next step of the order's life and write it down with `data`; False if that step is not open.

        Check and change are one UPDATE, so of two workers racing exactly one is told True. A closing ends with it.
        """
        here = Order.objects.filter(pk=self.pk, status__in=come_from or self.COMES_FROM[status])
        ended = {"closing_since": None, "closing_to": "", "closing_by": "", "closing_user": None, "closing_reason": ""}
        moved = here.update(status=status, leased_until=None, **ended)
        if moved:
            self.record(status, cause=cause, by=by, **data)
        self.refresh_from_db(fields=["status", *ended])
        return bool(moved)

    def record(self, kind: str, *, cause: str = "", by: User | None = None, **data: Any) -> None:
        """Write down something that happened to the order: for good, and without personal data."""
        OrderEvent.objects.create(order=self, kind=kind, cause=cause, by=by, data=data)


class OrderContact(models.Model):
    """Who placed the order: personal data, in a row of its own that may be erased."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="contact")
    name = models.CharField(max_length=200)
    email = models.EmailField()

    class Meta:
        indexes = [
            models.Index(fields=["email"], name="ordercontact_by_email"),
            models.Index(Upper("email"), name="ordercontact_by_email_any_case"),
        ]

    def __str__(self) -> str:
        return self.name


class DeliveryAddress(models.Model):
    """Where an order is brought to: personal data, in a row of its own that may be erased."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="address")
    street = models.CharField(max_length=200)
    town = models.CharField(max_length=100)
    postcode = models.CharField(max_length=10)
    instructions = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "delivery addresses"

    def __str__(self) -> str:
        return self.postcode


class OrderLineQuerySet(models.QuerySet["OrderLine"]):
    def with_counts(self) -> "models.QuerySet[Any]":
        """Lines in their order, each with how many of it are `counted` for, and how many of those are `cancelled`."""
        cancelled = Sum("facts__quantity", filter=Q(facts__kind=LineFact.Kind.CANCELLED))
        counted = self.annotate(counted=Coalesce(Sum("facts__quantity"), 0), cancelled=Coalesce(cancelled, 0))
        return counted.order_by("position")  # by name: Django forgets a model's own order where it groups


class OrderLine(models.Model):
    """A snapshot of one thing as it was when the order was placed."""

    class Kind(models.TextChoices):
        PRODUCT = "product", _("Product")
        ENTRY = "entry", _("Place")
        FEE = "fee", _("Fee")
        DISCOUNT = "discount", _("Discount")

    # What shoppers put into their baskets, and may call off.
    GOODS = (Kind.PRODUCT, Kind.ENTRY)

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    product = models.ForeignKey(Product, null=True, blank=True, on_delete=models.PROTECT, related_name="order_lines")
    entry = models.ForeignKey(Entry, null=True, blank=True, on_delete=models.PROTECT, related_name="order_lines")
    price_kind = models.ForeignKey(PriceKind, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    # How goods are handed over (a fee, of nothing where they are fetched), or what made the order cheaper (a discount).
    slot = models.ForeignKey(
        CollectionSlot, null=True, blank=True, on_delete=models.PROTECT, related_name="order_lines"
    )
    zone = models.ForeignKey(DeliveryZone, null=True, blank=True, on_delete=models.PROTECT, related_name="order_lines")
    voucher = models.ForeignKey(Voucher, null=True, blank=True, on_delete=models.PROTECT, related_name="order_lines")
    stall = models.ForeignKey(Stall, on_delete=models.PROTECT, related_name="order_lines")
    title = models.CharField(max_length=200)
    unit_price = models.DecimalField(max_digits=10, decimal_places=2)
    quantity = models.PositiveIntegerField()
    tax_rate = models.DecimalField(max_digits=5, decimal_places=2)
    total = models.DecimalField(max_digits=12, decimal_places=2)
    hold = models.OneToOneField(
        Hold, null=True, blank=True, on_delete=models.PROTECT, related_name="order_line", editable=False
    )
    # Until when (UTC) the shopper may call it off by themselves (never, if empty), and what of its price is kept then.
    cancel_until = models.DateTimeField(null=True, blank=True, editable=False)
    kept_percent = models.DecimalField(max_digits=5, decimal_places=2, default=Decimal("0.00"), editable=False)

    objects = OrderLineQuerySet.as_manager()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["order", "position"], name="orderline_one_per_position"),
            models.CheckConstraint(name="orderline_quantity_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(
                name="orderline_total_is_price_times_quantity", condition=Q(total=F("unit_price") * F("quantity"))
            ),
            models.CheckConstraint(
                name="orderline_kind_fits_its_thing",
                condition=Q(kind="product", product__isnull=False, entry=None, slot=None, zone=None, voucher=None)
                | Q(kind="entry", product=None, entry__isnull=False, slot=None, zone=None, voucher=None)
                | Q(kind="fee", product=None, entry=None, voucher=None) & (Q(slot=None) | Q(zone=None))
                | Q(kind="discount", product=None, entry=None, slot=None, zone=None),
            ),
            models.CheckConstraint(
                name="orderline_only_discounts_are_negative",
                condition=Q(kind="discount", total__lte=0) | Q(~Q(kind="discount"), total__gte=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.title}"

    @property
    def pool_id(self) -> int | None:
        """The pool that the line takes from, if what it is about is counted."""
        source = self.product or self.entry or self.slot or self.voucher
        return source.pool_id if source else None


class LineAllocation(models.Model):
    """Which stall, at which tax rate, gets how much of a line: fixed when the order is placed, and adding up to it."""

    line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="allocations")
    # Of a discount: the line that this part of it makes cheaper.
    about = models.ForeignKey(
        OrderLine, null=True, blank=True, on_delete=models.PROTECT, related_name="discounts", editable=False
    )
    stall = models.ForeignKey(Stall, on_delete=models.PROTECT, related_name="+")
    tax_rate = models.DecimalField(max_digits=5, decimal_places=2)
    amount = models.DecimalField(max_digits=12, decimal_places=2, help_text=_("Tax included."))
    tax = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["line", "about", "stall", "tax_rate"],
                nulls_distinct=False,
                name="lineallocation_once_per_line_stall_and_rate",
            )
        ]

    def __str__(self) -> str:
        return f"{in_words(self.amount)} to {self.stall}"


class LineFact(models.Model):
    """So many of a line were collected, attended, missed or cancelled. Append-only."""

    class Kind(models.TextChoices):
        COLLECTED = "collected", _("Collected")
        ATTENDED = "attended", _("Attended")
        MISSED = "missed", _("Missed")
        CANCELLED = "cancelled", _("Cancelled")

    line = models.ForeignKey(OrderLine, on_delete=models.PROTECT, related_name="facts")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    # Negative where it takes another fact back: a scan at the door may be undone.
    quantity = models.IntegerField()
    undoes = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="undone_by", editable=False
    )
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="linefact_is_positive_unless_it_undoes_another",
                condition=Q(quantity__gt=0, undoes=None) | Q(quantity__lt=0, undoes__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.kind}"


# The id of the transaction that writes a row, so that a reader of the feed can stay below the oldest one still running.
CURRENT_TRANSACTION = Cast(Cast(Func(function="pg_current_xact_id"), TextField()), models.BigIntegerField())


class OrderEvent(models.Model):
    """Something that happened to an order, and why. Append-only, without personal data."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="events")
    kind = models.CharField(max_length=40)
    cause = models.CharField(max_length=60, blank=True, default="")
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    data = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(auto_now_add=True)
    transaction_id = models.BigIntegerField(db_default=CURRENT_TRANSACTION, editable=False)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["transaction_id", "id"], name="orderevent_feed")]

    def __str__(self) -> str:
        return self.kind
