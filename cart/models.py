"""What a shopper is about to buy: the stalls, their products, and the open cart."""

import hashlib
import secrets
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bookings.models import Entry, Hold, Pool, PriceKind, Question
from cartsite.constraints import ErrorsBesideFields
from cartsite.versions import Versioned


class StallManager(models.Manager["Stall"]):
    def house(self) -> "Stall":
        """The co-operative's own stall; made if the shop has none yet."""
        stall, _is_new = self.get_or_create(
            is_house=True, defaults={"name": "Rose Ash (house)", "slug": "rose-ash-house"}
        )
        return stall


class Stall(ErrorsBesideFields, Versioned):
    """A member seller. The one house stall is the co-operative's own: it gets delivery fees and overpayments."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=120, unique=True)
    slug = models.SlugField(max_length=80, unique=True)
    description = models.TextField(blank=True)
    is_house = models.BooleanField(_("house stall"), default=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = StallManager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_house"],
                condition=Q(is_house=True),
                name="stall_only_one_house",
                violation_error_code="is_house",
                violation_error_message=_("There is a house stall already: the shop has one only."),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ProductQuerySet(models.QuerySet["Product"]):
    def on_sale(self) -> Self:
        """What the market shows, stall by stall, with all that a page says of it loaded."""
        listed = self.filter(archived_at=None, stall__archived_at=None).select_related("stall", "pool")
        return listed.order_by("stall__name", "title", "pk")

    def matching(self, words: str) -> Self:
        """Products whose title, description or stall has every word."""
        found = self
        for word in words.split()[:8]:
            found = found.filter(
                Q(title__icontains=word) | Q(description__icontains=word) | Q(stall__name__icontains=word)
            )
        return found


class Product(ErrorsBesideFields, Versioned):
    """This service's copy of what the market sells; without a pool its stock is not counted."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    sku = models.CharField("SKU", max_length=60, unique=True)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    stall = models.ForeignKey(Stall, on_delete=models.PROTECT, related_name="products")
    price = models.DecimalField(max_digits=10, decimal_places=2, help_text=_("For one, tax included."))
    tax_rate = models.DecimalField(max_digits=5, decimal_places=2, default=Decimal("20.00"), help_text=_("Per cent."))
    pool = models.OneToOneField(Pool, null=True, blank=True, on_delete=models.PROTECT, related_name="product")
    picture = models.CharField(max_length=200, blank=True, help_text=_("A path among the static files."))
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = ProductQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="product_price_not_negative",
                condition=Q(price__gte=0),
                violation_error_code="price",
                violation_error_message=_("Please give a price of 0 or more."),
            ),
            models.CheckConstraint(
                name="product_tax_rate_is_a_percentage",
                condition=Q(tax_rate__gte=0, tax_rate__lt=100),
                violation_error_code="tax_rate",
                violation_error_message=_("Please give a rate from 0 to 99.99 per cent."),
            ),
        ]
        indexes = [models.Index(fields=["stall", "title", "id"], name="product_by_stall_and_title")]

    def __str__(self) -> str:
        return self.title

    @property
    def is_on_sale(self) -> bool:
        """Whether it can be bought at this moment, if any is left."""
        return self.archived_at is None and self.stall.archived_at is None


def new_token() -> str:
    """A fresh secret for a cart's cookie: 192 random bits."""
    return secrets.token_urlsafe(24)


def hash_token(token: str) -> str:
    """What the database keeps of a token. (Random 192 bits need no slow hash.)"""
    return hashlib.sha256(token.encode()).hexdigest()


class CartQuerySet(models.QuerySet["Cart"]):
    def open(self) -> Self:
        """Carts that no order was made of, and that were not merged into another."""
        return self.filter(ordered_at=None, merged_into=None)


class Cart(models.Model):
    """The open basket. Whoever presents its token may use it; placing an order ends it."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True)
    ordered_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Where it was last changed from (`cartsite.limits.network_key`), while it is open.
    network = models.CharField(max_length=41, default="", db_default="", editable=False)
    merged_into = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="+", editable=False
    )
    # How it last met another cart, so that its page can say so and offer to undo it.
    last_merge = models.ForeignKey(
        "CartMerge", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )

    objects = CartQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(ordered_at=None, merged_into=None), name="cart_one_open_per_user"
            ),
        ]
        indexes = [models.Index(fields=["created_at"], condition=Q(ordered_at=None), name="cart_open_by_age")]

    def __str__(self) -> str:
        return str(self.uuid)[:8]


class CartMerge(models.Model):
    """A user's cart met the one they had filled before they signed in: what both held, so that it can be undone."""

    class How(models.TextChoices):
        MERGED = "merged", _("Put together")
        SET_ASIDE = "set_aside", _("The other one was saved")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="merges")
    how = models.CharField(max_length=10, choices=How.choices)
    # The lines of both as they were: product or entry and its price_kind (primary keys), quantity, seen_price, saved.
    own_lines = models.JSONField(default=list)
    presented_lines = models.JSONField(default=list)
    # What changed, in sentences for the shopper.
    news = models.JSONField(default=list)
    made_at = models.DateTimeField(default=timezone.now)
    # Undone, or its message was put away: nothing is said of it any more.
    ended_at = models.DateTimeField(null=True, blank=True)

    UNDO_WITHIN = timedelta(hours=24)

    def __str__(self) -> str:
        return self.get_how_display()

    @property
    def can_be_undone(self) -> bool:
        """Whether its message is still shown, and what it did can be taken back."""
        return self.ended_at is None and self.made_at + self.UNDO_WITHIN > timezone.now()


class BurntToken(models.Model):
    """A token that stopped working when a user adopted its cart; only that user may present it again."""

    token_hash = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    burnt_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.token_hash[:8]


# What a line is about: a product, an entry, one of the entry's other prices (primary keys).
Key = tuple[int | None, int | None, int | None]


class CartItemQuerySet(models.QuerySet["CartItem"]):
    def loaded(self) -> Self:
        """Items in the order they were added, with everything that a page or an order says of them."""
        questions = Question.objects.filter(archived_at=None, calendar=OuterRef("entry__calendar"))
        return (
            self.annotate(has_questions=Exists(questions))
            .select_related(
                "cart__last_merge",
                "hold",
                "product__stall",
                "product__pool",
                "entry__calendar__stall",
                "entry__pool",
                "price_kind",
            )
            .order_by("pk")
        )


class CartItem(models.Model):
    """One line of a cart: a product or an entry, how many, and what it holds if that is scarce."""

    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="items")
    product = models.ForeignKey(Product, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    entry = models.ForeignKey(Entry, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    # Of places: at which of the entry's other prices; empty means at its own.
    price_kind = models.ForeignKey(PriceKind, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    quantity = models.PositiveIntegerField()
    hold = models.OneToOneField(
        Hold, null=True, blank=True, on_delete=models.PROTECT, related_name="cart_item", editable=False
    )
    # What one cost when the shopper put it in, or last agreed to a higher price.
    seen_price = models.DecimalField(max_digits=10, decimal_places=2)
    # Saved for later: it stays with the cart, but holds nothing, costs nothing and is not ordered.
    saved_at = models.DateTimeField(null=True, blank=True, editable=False)
    changed_at = models.DateTimeField(auto_now=True)

    # How many of it the change that is being made claimed, and why it could not be made; not kept.
    newly_held = 0
    error = ""
    # How many of it there are left for the line, if these are too few (`cart.shortages`); not kept.
    left: int | None = None

    objects = CartItemQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="cartitem_either_product_or_entry",
                condition=Q(product=None, entry__isnull=False) | Q(product__isnull=False, entry=None),
            ),
            models.CheckConstraint(name="cartitem_quantity_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(name="cartitem_saved_ones_hold_nothing", condition=Q(saved_at=None) | Q(hold=None)),
            models.UniqueConstraint(
                fields=["cart", "product"], condition=Q(saved_at=None), name="cartitem_one_line_per_product"
            ),
            models.UniqueConstraint(
                fields=["cart", "entry", "price_kind"],
                condition=Q(saved_at=None, entry__isnull=False),
                nulls_distinct=False,
                name="cartitem_one_line_per_entry_and_price",
            ),
            models.UniqueConstraint(
                fields=["cart", "product"],
                condition=Q(saved_at__isnull=False),
                name="cartitem_one_saved_line_per_product",
            ),
            models.UniqueConstraint(
                fields=["cart", "entry", "price_kind"],
                condition=Q(saved_at__isnull=False, entry__isnull=False),
                nulls_distinct=False,
                name="cartitem_one_saved_line_per_entry_and_price",
            ),
            models.CheckConstraint(
                name="cartitem_only_places_have_a_price_kind", condition=Q(price_kind=None) | Q(product=None)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.thing}"

    @property
    def thing(self) -> Product | Entry:
        """The product or the entry that this line is about."""
        thing = self.product or self.entry
        assert thing is not None  # noqa: S101 - the database's check constraint says so
        return thing

    @property
    def key(self) -> Key:
        """Equal for two lines about the same thing at the same price."""
        return self.product_id, self.entry_id, self.price_kind_id

    @property
    def title(self) -> str:
        """What it is, with the name of its price where there are several."""
        if self.price_kind is None:
            return self.thing.title
        return f"{self.thing.title} ({self.price_kind.name})"

    @property
    def price_name(self) -> str:
        """Which of an entry's prices it is, in the organiser's words; empty if there is but one."""
        if self.price_kind is not None:
            return self.price_kind.name
        return self.entry.price_name if self.entry else ""

    @property
    def unit_price(self) -> Decimal:
        """What one costs now, in the shop's currency."""
        return self.price_kind.price if self.price_kind else self.thing.price

    @property
    def stall(self) -> Stall:
        """The seller of it."""
        return self.product.stall if self.product else self.thing.calendar.stall  # type: ignore[union-attr]

    @property
    def total(self) -> Decimal:
        """What the line costs now, in the shop's currency."""
        return self.unit_price * self.quantity

    @property
    def is_at_its_price(self) -> bool:
        """Whether its price is still one of the entry's."""
        return self.price_kind is None or (self.entry is not None and self.price_kind.is_price_of(self.entry))

    @property
    def is_on_sale(self) -> bool:
        """Whether it can be bought at this moment, at its price, if there is enough of it."""
        return self.thing.is_on_sale and self.is_at_its_price

    @property
    def price_rose(self) -> bool:
        """Whether it costs more than the shopper has agreed to."""
        return self.unit_price > self.seen_price

    @property
    def is_held(self) -> bool:
        """Whether nobody else can take what the line asks for (always so where nothing is counted)."""
        return self.thing.pool_id is None or (self.hold is not None and self.hold.quantity >= self.quantity)

    @property
    def hold_expired(self) -> bool:
        """Whether the line's hold has run out: it may still be there, but nobody promises it."""
        if self.thing.pool_id is None:
            return False
        return not self.is_held or bool(self.hold and self.hold.is_over)

    @property
    def can_be_had(self) -> bool:
        """Whether there seems to be enough of it: what it holds, over or not, and what is free."""
        pool = self.thing.pool
        if pool is None or pool.free is None:
            return True
        return (self.hold.quantity if self.hold else 0) + pool.free >= self.quantity
