"""Lines of people who wait, as small as they can be."""

from bookings import capacity, waiting
from bookings.models import Entry, Hold, Waiter
from cartsite.models import Message
from tests.factories import EntryFactory


def sold_out(places: int = 3, **fields: object) -> tuple[Entry, list[Hold]]:
    """An entry without a free place, and the holds (of 1 each, without end) that took them."""
    entry = EntryFactory.create(places=places, **fields)
    return entry, capacity.claim_all([(entry.pool_id, 1)] * places, None)


def ask(entry: Entry, name: str, quantity: int = 1, **more: object) -> Waiter:
    """Somebody of this name asks to join the line, and has not opened their mail yet."""
    return waiting.join(entry, quantity, email=f"{name}@example.org", **more)  # type: ignore[arg-type]


def join(entry: Entry, name: str, quantity: int = 1, **more: object) -> Waiter:
    """Somebody of this name joins the line: if they are asked to confirm their address, they do, and bin that mail."""
    waiter = ask(entry, name, quantity, **more)
    if waiter.status == Waiter.Status.ASKED:
        waiter = waiting.confirm(waiter)
        Message.objects.filter(kind="waiting_confirm", subject_uuid=waiter.uuid).delete()
    return waiter


def free(*holds: Hold) -> None:
    """These places come free."""
    capacity.give_back(hold.pk for hold in holds)


def fresh(waiter: Waiter) -> Waiter:
    """The same one as it is now."""
    return Waiter.objects.select_related("entry__calendar", "entry__pool", "hold", "price_kind").get(pk=waiter.pk)


def statuses(*waiters: Waiter) -> list[str]:
    """How it stands with each of these."""
    return [fresh(waiter).status for waiter in waiters]


def order_of(entry: Entry) -> list[str]:
    """The names of those who wait, the first in line first."""
    waiting_ones = Waiter.objects.in_turn().filter(entry__pool=entry.pool_id)
    return [waiter.email.partition("@")[0] for waiter in waiting_ones]


def offers() -> dict[str, int]:
    """How many places are held for whom."""
    offered = Waiter.objects.filter(status=Waiter.Status.OFFERED).select_related("hold").order_by("place", "pk")
    return {waiter.email.partition("@")[0]: waiter.hold.quantity if waiter.hold else 0 for waiter in offered}
