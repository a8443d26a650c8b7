"""Until when shoppers may call off by themselves what they bought, and what of its price is kept then."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bookings.models import Entry
from orders.offers import CollectionSlot

GOODS_BEFORE_COLLECTION = timedelta(hours=24)
GOODS_AFTER_ORDERING = timedelta(hours=24)
NOTHING_KEPT = Decimal("0.00")


@dataclass(frozen=True)
class Rule:
    """Until when (UTC) a line may be called off by its shopper (None: never), and how many per cent are kept then."""

    cancel_until: datetime | None = None
    kept_percent: Decimal = NOTHING_KEPT


def for_places(entry: Entry) -> Rule:
    """What the entry's calendar says."""
    hours = entry.calendar.cancel_hours
    if hours is None:
        return Rule()
    return Rule(entry.starts_at - timedelta(hours=hours), entry.calendar.kept_percent)


def for_goods(slot: CollectionSlot | None, ordered_at: datetime) -> Rule:
    """A day before they are fetched; what is brought, or handed over in no way we know of, a day from the order on."""
    if slot is not None:
        return Rule(slot.starts_at - GOODS_BEFORE_COLLECTION)
    return Rule(ordered_at + GOODS_AFTER_ORDERING)
