"""The things a shop is made of, as small as they can be."""

from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from bookings import capacity
from bookings.models import Calendar, Entry, Hold, Pool, Question, Series
from cart.models import Cart, CartItem, Product, Stall, hash_token, new_token
from cartsite.models import User
from orders.offers import CollectionSlot, DeliveryZone, Voucher


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"person{n}")
    email = factory.Sequence(lambda n: f"person{n}@example.org")
    name = "Ada Shopper"
    password = factory.django.Password("correct horse")


class StallFactory(DjangoModelFactory[Stall]):
    class Meta:
        model = Stall

    name = factory.Sequence(lambda n: f"Stall {n}")
    slug = factory.Sequence(lambda n: f"stall-{n}")


class PoolFactory(DjangoModelFactory[Pool]):
    class Meta:
        model = Pool

    name = "A pool"
    wanted = 10

    @classmethod
    def _create(cls, model_class: type[Pool], *args: Any, **kwargs: Any) -> Pool:
        return capacity.new_pool(kwargs["name"], kwargs["wanted"])


class ProductFactory(DjangoModelFactory[Product]):
    """A jar of honey, of which there is no end; give it `stock` to count it."""

    class Meta:
        model = Product

    class Params:
        stock: int | None = None

    sku = factory.Sequence(lambda n: f"HONEY-{n}")
    title = factory.Sequence(lambda n: f"Heather honey {n}")
    stall = factory.SubFactory(StallFactory)
    price = Decimal("6.50")
    tax_rate = Decimal("0.00")
    pool = factory.LazyAttribute(
        lambda o: None if o.stock is None else capacity.new_pool(o.title, o.stock)  # type: ignore[attr-defined]
    )


class CalendarFactory(DjangoModelFactory[Calendar]):
    class Meta:
        model = Calendar

    name = factory.Sequence(lambda n: f"Bakehouse {n}")
    slug = factory.Sequence(lambda n: f"bakehouse-{n}")
    stall = factory.SubFactory(StallFactory)


class EntryFactory(DjangoModelFactory[Entry]):
    """A bread workshop next week with `places` places, 10 unless told."""

    class Meta:
        model = Entry

    class Params:
        places = 10

    calendar = factory.SubFactory(CalendarFactory)
    title = factory.Sequence(lambda n: f"Bread workshop {n}")
    starts_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=7))
    ends_at = factory.LazyAttribute(lambda o: o.starts_at + timedelta(hours=3))
    price = Decimal("35.00")
    pool = factory.LazyAttribute(lambda o: capacity.new_pool(o.title, o.places))


class QuestionFactory(DjangoModelFactory[Question]):
    """What somebody eats, asked about all entries of a calendar; it may be left open."""

    class Meta:
        model = Question

    calendar = factory.SubFactory(CalendarFactory)
    text = factory.Sequence(lambda n: f"What do you eat? {n}")


class SeriesFactory(DjangoModelFactory[Series]):
    """A bread workshop on every day for four weeks, of which no entry is planned yet."""

    class Meta:
        model = Series

    calendar = factory.SubFactory(CalendarFactory)
    title = factory.Sequence(lambda n: f"Bread workshop {n}")
    starts = time(18)
    ends = time(21)
    weekdays = factory.LazyFunction(lambda: list(range(7)))
    first_day = factory.LazyFunction(timezone.localdate)
    last_day = factory.LazyAttribute(lambda o: o.first_day + timedelta(weeks=4))
    price = Decimal("35.00")
    places = 10


class CollectionSlotFactory(DjangoModelFactory[CollectionSlot]):
    """A market day next week, where as many orders as `orders` says are fetched; any number unless told."""

    class Meta:
        model = CollectionSlot

    class Params:
        orders: int | None = None

    name = "Saturday market"
    place = "Town hall"
    starts_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=6))
    ends_at = factory.LazyAttribute(lambda o: o.starts_at + timedelta(hours=3))
    orders_close_at = factory.LazyAttribute(lambda o: o.starts_at - timedelta(hours=12))
    pool = factory.LazyAttribute(
        lambda o: None if o.orders is None else capacity.new_pool(o.name, o.orders)  # type: ignore[attr-defined]
    )


class DeliveryZoneFactory(DjangoModelFactory[DeliveryZone]):
    """The middle of Bristol, for £3.50."""

    class Meta:
        model = DeliveryZone

    name = factory.Sequence(lambda n: f"Zone {n}")
    postcodes = "BS1, BS2, BA2 4"
    fee = Decimal("3.50")


class VoucherFactory(DjangoModelFactory[Voucher]):
    """Ten per cent off everything, as often as `uses` says; any number unless told."""

    class Meta:
        model = Voucher

    class Params:
        uses: int | None = None

    code = factory.Sequence(lambda n: f"FRIENDS{n}")
    title = "Friends of the market"
    kind = Voucher.Kind.PERCENT
    value = Decimal("10.00")
    pool = factory.LazyAttribute(
        lambda o: None if o.uses is None else capacity.new_pool(o.code, o.uses)  # type: ignore[attr-defined]
    )


def held_by_another(thing: Product | Entry, quantity: int, until: datetime | None = None) -> Hold:
    """Somebody else's basket holds so many of it; the hold."""
    hold = capacity.claim(thing.pool_id or 0, quantity, until=until)
    product, entry = (thing, None) if isinstance(thing, Product) else (None, thing)
    CartItem.objects.create(
        cart=Cart.objects.create(token_hash=hash_token(new_token())),
        product=product,
        entry=entry,
        quantity=quantity,
        hold=hold,
        seen_price=thing.price,
    )
    return hold
