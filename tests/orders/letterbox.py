"""Orders whose mail never changes: fixed numbers, keys, codes, names and times; and the letters to compare it with."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from django.core.mail import EmailMultiAlternatives

from bookings.models import Booking, Entry
from cart.models import Product
from cartsite import mail_on_request
from orders.models import DeliveryAddress, LineAllocation, Order, OrderLine
from orders.money import tax_within
from orders.offers import CollectionSlot, DeliveryZone, Voucher
from tests.factories import CalendarFactory, EntryFactory, ProductFactory, StallFactory

LETTERS = Path(__file__).parent / "letters"
# A Tuesday morning in winter, one week before the workshop.
PLACED = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
BEGINS = datetime(2026, 12, 1, 18, 0, tzinfo=UTC)
NUMBER, KEY = "7KQM-X4WP-2R", "K" * 24

Outbox = list[EmailMultiAlternatives]
PlaceOrder = Callable[..., Order]


def assert_letter(sent: EmailMultiAlternatives, name: str) -> None:
    """Text and HTML are exactly the files of that name."""
    ((html, kind),) = sent.alternatives
    assert kind == "text/html"
    stop_link = mail_on_request.stop_link(sent.to[0])
    for said, form in ((sent.body, "txt"), (html, "html")):
        always = str(said).replace(stop_link, "https://shop.example/mail/stop/")
        assert always == (LETTERS / f"{name}.{form}").read_text()


def open_market() -> tuple[Product, Entry]:
    """Honey without tax, and a workshop with VAT in its price, at stalls and a place with names."""
    honey = ProductFactory(title="Heather honey", sku="HONEY", stall=StallFactory(name="Hill Bees", slug="bees"))
    bakers = StallFactory(name="The Bakers", slug="bakers")
    bakehouse = CalendarFactory(name="Bakehouse", slug="bakehouse", stall=bakers, place="The Old Bakehouse, Mill Lane")
    workshop = EntryFactory(
        title="Bread workshop", calendar=bakehouse, starts_at=BEGINS, ends_at=BEGINS + timedelta(hours=3)
    )
    return honey, workshop


def set_in_stone(order: Order) -> Order:
    """Give it a number, a key and rules of cancelling that stay the same from run to run."""
    Order.objects.filter(pk=order.pk).update(number=NUMBER, key=KEY)
    for line in order.lines.all():
        line.uuid = UUID(int=line.position + 1)
        line.cancel_until, line.kept_percent = None, Decimal(0)
        if line.kind == OrderLine.Kind.ENTRY:
            line.cancel_until, line.kept_percent = BEGINS - timedelta(hours=48), Decimal("12.50")
        line.save()
    order.refresh_from_db()
    return order


def name_codes(order: Order) -> None:
    """Codes that stay the same, for the places of a confirmed order."""
    for number, booking in enumerate(Booking.objects.filter(order_line__order=order).order_by("pk"), start=1):
        Booking.objects.filter(pk=booking.pk).update(code=f"TICKETNR{number:02}")


def make_cheaper(order: Order) -> OrderLine:
    """A voucher of £5.00, off the places."""
    voucher = Voucher.objects.create(code="FRIENDS", title="Friends of the market", kind="fixed", value=5)
    return _add(order, "discount", "Friends of the market", Decimal("-5.00"), Decimal(20), voucher=voucher)


def bring(order: Order, **address: str) -> OrderLine:
    """Delivery for £4.00 to a house in Bristol."""
    zone = DeliveryZone.objects.create(name="Bristol", postcodes="BS1", fee=4)
    typed = {"street": "1 Quay Street", "town": "Bristol", "postcode": "BS1 3AB", "instructions": "Ring twice."}
    DeliveryAddress.objects.create(order=order, **(typed | address))
    return _add(order, "fee", "Delivery to Bristol", Decimal("4.00"), Decimal(20), zone=zone)


def fetch(order: Order) -> OrderLine:
    """Collection at a market day in summer time."""
    begins = datetime(2027, 6, 5, 9, 0, tzinfo=UTC)
    slot = CollectionSlot.objects.create(
        name="Saturday market",
        place="Town hall",
        starts_at=begins,
        ends_at=begins + timedelta(hours=3),
        orders_close_at=begins,
    )
    return _add(order, "fee", "Collection: Saturday market", Decimal("0.00"), Decimal(0), slot=slot)


def _add(order: Order, kind: str, title: str, amount: Decimal, rate: Decimal, **about: object) -> OrderLine:
    first = order.lines.all()[0]
    line = OrderLine.objects.create(
        order=order,
        position=order.lines.count(),
        kind=kind,
        stall=first.stall,
        title=title,
        unit_price=amount,
        quantity=1,
        tax_rate=rate,
        total=amount,
        **about,
    )
    LineAllocation.objects.create(
        line=line, stall=first.stall, tax_rate=rate, amount=amount, tax=tax_within(amount, rate)
    )
    order.total += amount
    order.save(update_fields=["total"])
    return line
