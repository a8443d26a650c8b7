"""What the demo shop offers at the checkout: market days, a stall's own hours, two zones and two vouchers."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.utils import timezone

from bookings.capacity import new_pool
from cart.demo.loading import demo_uuid, stalls
from orders.offers import CollectionSlot, DeliveryZone, Voucher

LONDON = ZoneInfo("Europe/London")
FRIDAY, SATURDAY = 4, 5


class Window(NamedTuple):
    """Goods are fetched on one day of each week; `ahead` such days are offered at a time."""

    name: str
    stall: str | None  # by slug; None for a market day, where goods of every stall are fetched
    place: str
    weekday: int
    starts: time
    ends: time
    closes_before: timedelta
    orders: int | None
    ahead: int


WINDOWS = (
    Window(
        "Saturday market",
        None,
        "The Market Cross, Rose Ash",
        SATURDAY,
        time(10),
        time(13),
        closes_before=timedelta(hours=16),
        orders=60,
        ahead=2,
    ),
    Window(
        "At the bakery door",
        "millstone-bakery",
        "Millstone Bakery, Mill Lane, Rose Ash",
        FRIDAY,
        time(16),
        time(18),
        closes_before=timedelta(hours=24),
        orders=20,
        ahead=1,
    ),
)
# (With £3.50 a jar for £7.50 would come to £11.00, which SumUp always declines while testing.)
ZONES = (
    ("Rose Ash and South Molton", "EX36", "3.60"),
    ("North Devon", "EX16, EX31, EX32, EX37, EX39", "5.00"),
)


def load_offers() -> dict[str, int]:
    """Make what is missing of it; how many rows of each kind were made."""
    return {"windows": load_windows(), "zones": load_zones(), "vouchers": load_vouchers()}


def load_windows() -> int:
    """Make the windows of collection of the coming weeks that are missing."""
    stall_by_slug, made = stalls(), 0
    for window in WINDOWS:
        for day in coming_days(window):
            row = demo_uuid(CollectionSlot, f"{window.name}/{day}")
            if not CollectionSlot.objects.filter(uuid=row).exists():
                starts = datetime.combine(day, window.starts, LONDON)
                CollectionSlot.objects.create(
                    uuid=row,
                    stall=stall_by_slug[window.stall] if window.stall else None,
                    name=window.name,
                    place=window.place,
                    time_zone="Europe/London",
                    starts_at=starts,
                    ends_at=datetime.combine(day, window.ends, LONDON),
                    orders_close_at=starts - window.closes_before,
                    pool=new_pool(f"{window.name}, {day:%-d %b %Y}", window.orders),
                )
                made += 1
    return made


def coming_days(window: Window) -> list[date]:
    """The next days on which it may still be chosen."""
    soonest = timezone.now().astimezone(LONDON) + window.closes_before
    days = (soonest.date() + timedelta(days=n) for n in range(7 * (window.ahead + 1)))
    coming = [
        day
        for day in days
        if day.weekday() == window.weekday and datetime.combine(day, window.starts, LONDON) > soonest
    ]
    return coming[: window.ahead]


def load_zones() -> int:
    """Make the zones that are missing."""
    made = 0
    for name, postcodes, fee in ZONES:
        row = demo_uuid(DeliveryZone, name)
        if not DeliveryZone.objects.filter(Q(uuid=row) | Q(name=name)).exists():
            DeliveryZone.objects.create(uuid=row, name=name, postcodes=postcodes, fee=Decimal(fee))
            made += 1
    return made


def load_vouchers() -> int:
    """Make the vouchers that are missing: ten per cent off everything, and two pounds off what the orchard sells."""
    orchard = stalls()["bramble-orchard"]
    offers = (
        Voucher(code="WELCOME10", title="Welcome to the market", kind="percent", value=Decimal(10)),
        Voucher(code="JAM2", title="Two pounds off jam", kind="fixed", value=2, stall=orchard, minimum=Decimal(10)),
    )
    limits = {"WELCOME10": 100, "JAM2": None}
    made = 0
    for voucher in offers:
        voucher.uuid = demo_uuid(Voucher, voucher.code)
        if not Voucher.objects.filter(Q(uuid=voucher.uuid) | Q(code__iexact=voucher.code)).exists():
            voucher.pool = new_pool(voucher.code, limits[voucher.code])
            voucher.save()
            made += 1
    return made
