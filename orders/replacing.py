"""Orders that take the place of places sold before, at a dearer entry: what becomes of those as the order goes on.

The old places stand until the new order is paid. If they do not all stand by then, the new ones are not issued, and
what was paid for them goes back. Orders are locked the newest first: an order here always comes after those it
replaces places of.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from bookings import capacity
from bookings.models import Answer, Attendee, Booking, Entry
from cartsite.models import User
from orders.models import LineFact, Order, OrderLine

# The event that says which places an order is to replace, for when it comes back after its end.
BEGUN = "move_begun"


def is_move(order: Order) -> bool:
    """Whether the order was made to move places to a dearer entry."""
    return order.events.filter(kind=BEGUN).exists()


def begin(order: Order, line: OrderLine, old: Sequence[Booking]) -> bool:
    """Say that a line of the order is to replace these places once it is paid; False if they do not all stand free."""
    free = Booking.objects.filter(pk__in=[booking.pk for booking in old], status=Booking.Status.CONFIRMED)
    return free.filter(moving_to=None).update(moving_to=line) == len(old)


def pending_for(order: Order) -> Order | None:
    """An unpaid order that is to replace some of this one's places; None if there is none."""
    awaited = Booking.objects.filter(order_line__order=order, status=Booking.Status.CONFIRMED, moving_to__isnull=False)
    waiting = awaited.select_related("moving_to__order").order_by("pk").first()
    return waiting.moving_to.order if waiting and waiting.moving_to else None


def lock_before(order: Order) -> list[Order]:
    """Hold still all orders that places of this locked one have come from, the newest first."""
    locked: list[Order] = []
    later = [order.pk]
    while later:
        before = Order.objects.filter(lines__bookings__moving_to__order__in=later).values("pk")
        found = list(Order.objects.select_for_update(no_key=True).filter(pk__in=before).order_by("-pk"))
        locked += found
        later = [order.pk for order in found]
    return locked


def let_stand(order: Order) -> None:
    """What the order did not replace may be moved or called off again."""
    _replaced_by(order).exclude(status=Booking.Status.MOVED).update(moving_to=None)


def resume(order: Order) -> bool:
    """The locked order comes back: say once more what it is to replace; False if that does not all stand as it did.

    All orders that those places came from are held still with that: call it before anything is claimed.
    """
    begun = list(order.events.filter(kind=BEGUN))
    places = Booking.objects.filter(uuid__in=[uuid for event in begun for uuid in event.data["places"]])
    before = Order.objects.filter(pk__in=places.values("order_line__order")).order_by("-pk")
    list(before.select_for_update(no_key=True))
    for event in begun:
        line = order.lines.get(uuid=event.data["line"])
        old = list(Booking.objects.filter(uuid__in=event.data["places"]))
        if not begin(order, line, old):
            return False
    lock_before(order)
    return True


def _replaced_by(order: Order) -> QuerySet[Booking]:
    return Booking.objects.filter(moving_to__order=order)


def take_over(order: Order, lines: Sequence[OrderLine], *, by: User | None) -> tuple[list[OrderLine], list[Order]]:
    """A locked order is paid: the places that these lines of it replace have moved there, with whoever comes.

    What they held is free. Lines whose old places do not all stand any more come back, and so do all orders that
    places left. The money of those stays with them: what was paid there is a part of what the new places are worth.
    """
    old = list(_replaced_by(order))
    if not old:
        return [], []
    left = lock_before(order)
    capacity.lock([booking.hold_id for booking in old] + [line.hold_id for line in lines if line.hold_id])
    standing = (
        _replaced_by(order)
        .filter(status=Booking.Status.CONFIRMED)
        .select_related("order_line__order", "entry__calendar")
    )
    rows = list(standing.order_by("pk").select_for_update(no_key=True, of=("self",)))
    freed: list[int] = []
    failed = []
    for line in lines:
        moving = [booking for booking in rows if booking.moving_to_id == line.pk]
        if len(moving) == line.quantity:
            _move(moving, line, by=by)
            freed += [booking.hold_id for booking in moving]
        elif any(booking.moving_to_id == line.pk for booking in old):
            failed.append(line)
            freed += [line.hold_id] if line.hold_id else []
    let_stand(order)
    capacity.give_back(freed)
    return failed, left


def _move(old: Sequence[Booking], line: OrderLine, *, by: User | None) -> None:
    """End these places, all of one line, as moved to the new line; their own order says where to."""
    Booking.objects.filter(pk__in=[booking.pk for booking in old]).update(status=Booking.Status.MOVED)
    _copy_attendees(old, line)
    for before, quantity in Counter(booking.order_line for booking in old).items():
        LineFact.objects.create(line=before, kind=LineFact.Kind.CANCELLED, quantity=quantity, by=by)
        there: dict[str, Any] = {"from": str(old[0].entry.uuid), "to": str(line.entry and line.entry.uuid)}
        before.order.record(
            "place_moved",
            cause="paid",
            by=by,
            line=str(before.uuid),
            quantity=quantity,
            order=line.order.number,
            **there,
            **when_moved(old[0].entry, line.entry),
        )


def when_moved(left: Entry, there: Entry | None) -> dict[str, Any]:
    """What an event about moved places says of the entries' times (UTC), and of the clock to tell them by."""
    begins = (there or left).starts_at.isoformat()
    return {"left": left.starts_at.isoformat(), "there": begins, "clock": left.calendar.time_zone}


def _copy_attendees(old: Sequence[Booking], line: OrderLine) -> None:
    """Whoever was to come to the old places comes to the new ones, in their order: known by number until issued."""
    for number, booking in enumerate(old, start=1):
        for attendee in Attendee.objects.filter(booking=booking).prefetch_related("answers"):
            copied = Attendee.objects.create(order_line=line, number=number, name=attendee.name)
            Answer.objects.bulk_create(
                Answer(attendee=copied, question_id=answer.question_id, text=answer.text)
                for answer in attendee.answers.all()
            )
