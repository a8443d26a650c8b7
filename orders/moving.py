"""Moving places that were sold to another entry, within their order or by way of another one that pays for more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings import capacity
from bookings.models import Attendee, Booking, Entry, Hold, PriceKind
from cart.models import Cart, hash_token, new_token
from cartsite.models import User
from cartsite.refusals import Refusal
from orders import replacing, rules, services
from orders.models import LineAllocation, Order, OrderContact, OrderLine, new_number
from orders.money import tax_within
from orders.quoting import LONGEST_TITLE
from orders.rules import Rule

NOTHING = Decimal("0.00")


class CannotMove(Refusal):
    """These places cannot be moved there; nothing has moved. The text says why."""


# --- Within an order --------------------------------------------------------------------------------------------------


@transaction.atomic
def move_in_place(
    bookings: Sequence[Booking],
    to: Entry,
    *,
    by: User | None,
    cause: str,
    free_until: datetime | None = None,
    back: Sequence[Decimal] = (),
) -> list[Booking]:
    """Move places of one line, all at one entry, to another entry; the new ones, in the order of the old ones.

    Order and line stay. `free_until` (UTC): until then all that was paid for them comes back if their shopper likes.
    `back`: what of each one's price goes back with this, in the order's currency; it is only written down here.
    Locks the order, its holds, then the pools. Raises CannotMove or SoldOut, with nothing moved.
    """
    order = services.lock(bookings[0].order_line.order_id)
    holds = capacity.lock(booking.hold_id for booking in bookings)
    capacity.lock_pools({hold.pool_id for hold in holds.values()} | {to.pool_id})
    to = _as_it_is(to)
    old = _end_as_moved(bookings, to)
    new = Booking.objects.bulk_create(
        Booking(
            entry=to,
            order_line_id=booking.order_line_id,
            hold=hold,
            moved_from=booking,
            given_back=booking.given_back + part,
            cancel_until=_cancel_until(booking, to),
            free_until=free_until,
        )
        for booking, hold, part in zip(old, _hold_there(old, holds, to), back or [NOTHING] * len(old), strict=True)
    )
    _take_attendees_along(new)
    _tell(order, old, to, by=by, cause=cause, back=sum(back, NOTHING))
    return new


def _as_it_is(entry: Entry) -> Entry:
    """The entry as it is now. Raises CannotMove if it was called off.

    (It may be at the next moment: whoever calls it off looks once more for what came there meanwhile.)
    """
    now = Entry.objects.select_related("calendar").get(pk=entry.pk)
    if now.cancelled_at is not None:
        raise CannotMove(_("%(title)s was called off.") % {"title": now.title})
    return now


def _end_as_moved(bookings: Sequence[Booking], to: Entry) -> list[Booking]:
    """Let these places be over, in the order given. Raises CannotMove unless each is free to go there."""
    free = Booking.objects.filter(pk__in=[booking.pk for booking in bookings], status=Booking.Status.CONFIRMED)
    rows = free.filter(moving_to=None).exclude(entry=to).select_related("entry__calendar", "order_line")
    found = {row.pk: row for row in rows.select_for_update(no_key=True, of=("self",)).order_by("pk")}
    if len(found) != len(bookings):
        raise CannotMove(_("Some of these places cannot be moved any more."))
    Booking.objects.filter(pk__in=found).update(status=Booking.Status.MOVED)
    return [found[booking.pk] for booking in bookings]


def _hold_there(old: Sequence[Booking], holds: dict[int, Hold], to: Entry) -> list[Hold]:
    """A hold of 1 at the entry for each old place, in their order, whose own are given back. Raises SoldOut.

    Where both entries share a pool, what is held goes along: a full one never blocks a move within itself.
    """
    leaving = [booking for booking in old if holds[booking.hold_id].pool_id != to.pool_id]
    claimed = iter(capacity.claim_all([(to.pool_id, 1)] * len(leaving), until=None))
    there = [next(claimed) if booking in leaving else capacity.divide(holds[booking.hold_id], 1) for booking in old]
    capacity.give_back(booking.hold_id for booking in leaving)
    return there


def _cancel_until(booking: Booking, to: Entry) -> datetime:
    """Until when (UTC) a place may be cancelled at its new entry: as is the rule there, but not at all (any more) if
    it could not be before. A moment that is over says never."""
    until = rules.for_places(to).cancel_until if _may_be_cancelled(booking) else None
    return until or timezone.now()


def rule_there(places: Sequence[Booking], to: Entry, *, is_dearer: bool) -> Rule:
    """How places of one line, moved to this entry, may be cancelled by their shopper: not at all if they could not be
    before. What is kept stays as they were sold; of a dearer place never less: a penny more buys no better rule."""
    rule, sold = rules.for_places(to), places[0].order_line
    until = rule.cancel_until if all(_may_be_cancelled(booking) for booking in places) else None
    return Rule(until, max(rule.kept_percent, sold.kept_percent) if is_dearer else sold.kept_percent)


def _may_be_cancelled(booking: Booking) -> bool:
    """Whether its shopper still may by themselves."""
    untils = [booking.cancel_until or booking.order_line.cancel_until, booking.free_until]
    return any(until is not None and until > timezone.now() for until in untils)


def _take_attendees_along(new: Sequence[Booking]) -> None:
    """Whoever was to come to the old places comes to the new ones."""
    for booking in new:
        Attendee.objects.filter(booking=booking.moved_from).update(booking=booking)


def _tell(order: Order, old: Sequence[Booking], to: Entry, *, by: User | None, cause: str, back: Decimal) -> None:
    """Write down that the places were moved, and owe the mail about it."""
    order.record(
        "place_moved",
        cause=cause,
        by=by,
        line=str(old[0].order_line.uuid),
        quantity=len(old),
        back=str(back),
        **{"from": str(old[0].entry.uuid), "to": str(to.uuid)},
        **replacing.when_moved(old[0].entry, to),
    )
    services.owe_mail(order, "moved", f"moved-{order.events.latest('pk').pk}")


# --- To a dearer entry: by way of a new order -------------------------------------------------------------------------


@dataclass(frozen=True)
class Dearer:
    """Places of one line that are to be moved to an entry that costs more, and what was paid for them so far."""

    places: Sequence[Booking]
    to: Entry
    price: Decimal  # for one place there, in the order's currency
    price_kind: PriceKind | None
    paid: Decimal  # for all of them, less what went back


@transaction.atomic
def place_move(wish: Dearer, *, by: User | None) -> Order:
    """An unpaid order for the new places, less what was paid for the old ones; it holds the new ones at once.

    The old ones stand until it is paid (orders.replacing), and can meanwhile be neither moved nor called off by their
    shopper. Raises CannotMove or SoldOut, with nothing moved.
    """
    line = wish.places[0].order_line
    before = services.lock(line.order_id)
    hold = capacity.claim(wish.to.pool_id, len(wish.places), until=None)
    _as_it_is(wish.to)
    order = _write_order(before, wish)
    bought = _write_line(order, wish, line, hold)
    _write_discount(order, bought, before, wish.paid)
    if not replacing.begin(order, bought, wish.places):
        raise CannotMove(_("Some of these places cannot be moved any more."))
    places = [str(booking.uuid) for booking in wish.places]
    order.record("placed", cause="move", by=by, total=str(order.total))
    order.record("move_begun", by=by, line=str(bought.uuid), places=places, order=before.number)
    return order


def _write_order(before: Order, wish: Dearer) -> Order:
    """An order of its own for whoever placed the one before. Its cart was never filled: it stands for its one order."""
    now = timezone.now()
    order = Order.objects.create(
        is_test=before.is_test,
        number=new_number(before.is_test),
        cart=Cart.objects.create(token_hash=hash_token(new_token()), user=before.user, ordered_at=now),
        user=before.user,
        total=wish.price * len(wish.places) - wish.paid,
        currency=before.currency,
        placed_at=now,
        terms_version=settings.TERMS_VERSION,
    )
    if contact := OrderContact.objects.filter(order=before).first():
        OrderContact.objects.create(order=order, name=contact.name, email=contact.email)
    return order


def _write_line(order: Order, wish: Dearer, line: OrderLine, hold: Hold) -> OrderLine:
    rule = rule_there(wish.places, wish.to, is_dearer=True)
    quantity = len(wish.places)
    kind = f" ({wish.price_kind.name})" if wish.price_kind else ""
    bought = OrderLine.objects.create(
        order=order,
        position=0,
        kind=OrderLine.Kind.ENTRY,
        entry=wish.to,
        price_kind=wish.price_kind,
        stall=line.stall,
        title=f"{wish.to.title}{kind}"[:LONGEST_TITLE],
        unit_price=wish.price,
        quantity=quantity,
        tax_rate=wish.to.tax_rate,
        total=wish.price * quantity,
        hold=hold,
        cancel_until=rule.cancel_until,
        kept_percent=rule.kept_percent,
    )
    _allocate(bought, bought.total)
    return bought


def _write_discount(order: Order, bought: OrderLine, before: Order, paid: Decimal) -> None:
    """What was paid before makes it cheaper: that money stays where it is."""
    if not paid:
        return
    discount = OrderLine.objects.create(
        order=order,
        position=1,
        kind=OrderLine.Kind.DISCOUNT,
        stall=bought.stall,
        title=_("Paid in order %(number)s") % {"number": before.number},
        unit_price=-paid,
        quantity=1,
        tax_rate=bought.tax_rate,
        total=-paid,
    )
    _allocate(discount, -paid, about=bought)


def _allocate(line: OrderLine, amount: Decimal, about: OrderLine | None = None) -> None:
    tax = tax_within(amount, line.tax_rate)
    LineAllocation.objects.create(
        line=line, about=about, stall=line.stall, tax_rate=line.tax_rate, amount=amount, tax=tax
    )
