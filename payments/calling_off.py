"""The co-operative calls an entry off: claims stop at once, and then order after order is put right.

Places are moved to another entry where staff chose one and there is room; else they are called off, and all that was
paid for them is asked to go back, as one batch of refunds that somebody approves. Each order is a transaction of its
own, which leaves an event on it: so that whoever goes on after a crash, or beside somebody else, does nothing twice.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings import capacity, waiting
from bookings import services as places
from bookings.models import Booking, Entry, Waiter
from cart import services as carts
from cart.models import Cart
from cartsite.models import User
from cartsite.refusals import Refusal
from cartsite.versions import EDITED
from orders import letter_kinds, moving, replacing, worth
from orders import services as orders
from orders.models import LineFact, Order, OrderEvent, OrderLine, OrderQuerySet, in_sums
from payments import giving_back, releasing
from payments.models import Movement, Payment, Refund, RefundBatch
from payments.refunds import Wish

logger = logging.getLogger(__name__)

NOTHING = Decimal("0.00")
CALLED_OFF = "entry_called_off"
# What is over for so long is not looked through again.
LONG_OVER = timedelta(days=2)


class CannotCallOff(Refusal):
    """It cannot be called off so, or its refunds cannot be approved yet; nothing has moved. The text says why."""


# --- Beginning --------------------------------------------------------------------------------------------------------


@transaction.atomic
def begin(entry: Entry, *, by: User, reason: str, move_to: Entry | None = None) -> RefundBatch:
    """Call an entry off: from this commit on nobody can claim a place there. The batch, for `step` to go on with.

    `reason`: without personal data, it stays on the refunds. `move_to`: where places go as long as there is room.
    Raises CannotCallOff.
    """
    now = Entry.objects.select_for_update(no_key=True).get(pk=entry.pk)
    if now.cancelled_at is not None:
        raise CannotCallOff(_("It was called off already."))
    if move_to is not None and not may_move_to(now, move_to):
        raise CannotCallOff(_("Places cannot be moved there: it is over, called off, or has another price."))
    Entry.objects.filter(pk=entry.pk).update(cancelled_at=timezone.now(), version=EDITED)
    entry.refresh_from_db(fields=["cancelled_at"])
    return RefundBatch.objects.create(entry=entry, reason=reason, made_by=by, move_to=move_to)


def may_move_to(entry: Entry, other: Entry) -> bool:
    """Whether places may go there when the entry is called off: what was paid must be what it costs."""
    stands = other.cancelled_at is None and other.archived_at is None and other.starts_at > timezone.now()
    return stands and other.pk != entry.pk and other.price == entry.price


# --- Going on, order by order -----------------------------------------------------------------------------------------


def step(batch: RefundBatch, most: int = 100) -> bool:
    """Put up to `most` orders right, each on its own: one that fails delays no other. True once all are."""
    failed = False
    for key in _orders_left(batch).values_list("pk", flat=True)[:most]:
        try:
            _put_right(batch, key)
        except Exception:
            failed = True
            logger.exception("Order %s could not be put right for batch %s; others go on.", key, batch.uuid)
    return not failed and _finish(batch)


def _orders_left(batch: RefundBatch) -> OrderQuerySet:
    """Orders with places there, or that wait to be paid for some, which were not put right yet; the oldest first."""
    done = OrderEvent.objects.filter(order=OuterRef("pk"), kind=CALLED_OFF, data__batch=str(batch.uuid))
    confirmed = Booking.Status.CONFIRMED
    has_places = Booking.objects.filter(order_line__order=OuterRef("pk"), entry=batch.entry_id, status=confirmed)
    wants_some = OrderLine.objects.filter(order=OuterRef("pk"), entry=batch.entry_id)
    sold = Q(Exists(has_places), status=Order.Status.CONFIRMED)
    waits = Q(Exists(wants_some), status=Order.Status.AWAITING_PAYMENT)
    return Order.objects.filter(sold | waits).exclude(Exists(done)).order_by("pk")


def _finish(batch: RefundBatch) -> bool:
    """Write down that nothing comes on top, if that is so."""
    if _orders_left(batch).exists():
        return False
    RefundBatch.objects.filter(pk=batch.pk, prepared_at=None).update(prepared_at=timezone.now())
    batch.refresh_from_db(fields=["prepared_at"])
    return True


@transaction.atomic
def _put_right(batch: RefundBatch, key: int) -> None:
    """One order (by primary key), unless somebody else was faster."""
    cart = _cart_for(Order.objects.select_related("user").get(pk=key))
    order = orders.lock(key)
    replacing.lock_before(order)  # some of its places may have been paid with these; all orders come before all holds
    if not _orders_left(batch).filter(pk=key).exists():
        return
    if order.is_awaiting_payment:
        _let_go(batch, order, cart)
    elif not _move(batch, order):
        _call_off(batch, order)


def sweep() -> None:
    """Go on with every batch that is not prepared; and with what was sold at the very moment of calling off."""
    for batch in _unfinished():
        step(batch)


def _unfinished() -> QuerySet[RefundBatch]:
    late = Booking.objects.filter(
        entry=OuterRef("entry"), status=Booking.Status.CONFIRMED, order_line__order__status=Order.Status.CONFIRMED
    )
    fresh = Q(Exists(late), made_at__gt=timezone.now() - LONG_OVER)
    return RefundBatch.objects.filter(Q(prepared_at=None) | fresh).select_related("entry", "move_to", "made_by")


# --- An order that is not paid ----------------------------------------------------------------------------------------


def _cart_for(order: Order) -> Cart | None:
    """Where the rest of an unpaid order goes back to: its user's basket. Guests are led on by their mail."""
    if not order.is_awaiting_payment or order.user is None or order.user.erased_at is not None:
        return None
    return carts.open_cart("", order.user)[0]


def _let_go(batch: RefundBatch, order: Order, cart: Cart | None) -> None:
    """Begin its safe release; the timers go on with it. If it is paid all the same, its refund joins the batch."""
    try:
        releasing.begin(
            order,
            to=Order.Status.CANCELLED,
            by=Order.Closer.ENTRY,
            user=batch.made_by,
            cart=cart,
            reason=batch.reason,
        )
    except releasing.CannotRelease:
        logger.warning("Order %s is not let go: its money is in doubt, and a case says so.", order.number)
    goods = list(order.lines.filter(kind__in=OrderLine.GOODS))
    quantity = sum(line.quantity for line in goods if line.entry_id == batch.entry_id)
    rest = ("basket" if cart else "order") if any(line.entry_id != batch.entry_id for line in goods) else ""
    _record(batch, order, quantity, ends=True, was_paid=False, rest=rest)


# --- An order that was paid: moved ------------------------------------------------------------------------------------


def _standing(batch: RefundBatch, *keys: int) -> list[Booking]:
    """The places there of these orders (by primary keys) that nobody has used, line by line; however they came."""
    there = Booking.objects.filter(order_line__order__in=keys, entry=batch.entry_id, status=Booking.Status.CONFIRMED)
    loaded = there.select_related("order_line__order", "entry__calendar").prefetch_related("order_line__discounts")
    return list(loaded.order_by("order_line", "-pk"))


def _hold_still(standing: Iterable[Booking], *more: int) -> None:
    """All holds, then all pools: what follows goes line by line."""
    holds = capacity.lock(booking.hold_id for booking in standing)
    capacity.lock_pools({*(hold.pool_id for hold in holds.values()), *more})


def _move(batch: RefundBatch, order: Order) -> bool:
    """Move all of its places there if staff chose where to, and there is room for all of them that nobody waits for."""
    to, standing = batch.move_to, _standing(batch, order.pk)
    if to is None:
        return False
    _hold_still(standing, to.pool_id)
    try:
        with transaction.atomic():
            for _line, group in groupby(standing, key=lambda booking: booking.order_line_id):
                moving.move_in_place(
                    list(group), to, by=batch.made_by, cause=Order.Closer.STAFF, free_until=to.starts_at
                )
            if to.pool_id != batch.entry.pool_id:
                waiting.refuse_if_queued([to.pool_id])
    except (moving.CannotMove, capacity.SoldOut):
        return False
    _record(batch, order, len(standing), moved=True)
    return True


# --- An order that was paid: called off -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """What goes back of one line, in its order's currency: to the card, and what did not come by card."""

    line: OrderLine
    by_card: Decimal
    by_hand: Decimal

    @property
    def all(self) -> Decimal:
        return self.by_card + self.by_hand


def _call_off(batch: RefundBatch, order: Order) -> None:
    """Call all of its places there off, as far as they are not accounted for, and ask for all that was paid for them,
    in whichever order; nothing is kept."""
    standing = _not_accounted_for(_standing(batch, order.pk))
    pieces = _pieces(standing)
    is_all = _is_all_of(order, len(standing))
    if is_all:
        orders.cancel_confirmed(order, by=batch.made_by, cause=Order.Closer.STAFF)
    elif standing:
        _call_some_off(order, standing, by=batch.made_by)
    by_hand = _ask_back(batch, order, pieces)
    _record(batch, order, len(standing), ends=is_all, by_hand=str(by_hand))
    if standing and not is_all:
        orders.owe_mail(order, "cancelled", f"{letter_kinds.CALLED_OFF}{batch.uuid}")


def _not_accounted_for(standing: list[Booking]) -> list[Booking]:
    """Without those that staff have written down as missed: they stand, but nothing of their line is open."""
    lines = OrderLine.objects.filter(pk__in={booking.order_line_id for booking in standing}).with_counts()
    open_of = {line.pk: line.quantity - line.counted for line in lines}
    left: list[Booking] = []
    for line, group in groupby(standing, key=lambda booking: booking.order_line_id):
        left += list(group)[: open_of[line]]
    return left


def _pieces(standing: list[Booking]) -> dict[int, list[worth.Piece]]:
    """What was paid for these places, in whichever orders; by the orders (primary keys) that have them."""
    pieces: dict[int, list[worth.Piece]] = {}
    for _line, group in groupby(standing, key=lambda booking: booking.order_line_id):
        bookings = list(group)
        line = bookings[0].order_line
        for place in worth.places_of(line, bookings):
            pieces.setdefault(line.order_id, []).extend(place.pieces)
    return pieces


def _is_all_of(order: Order, places: int) -> bool:
    """Whether nothing of the order would be left, here or with another order, and nothing of it was used."""
    lines = order.lines.filter(kind__in=OrderLine.GOODS).with_counts()
    unused = not orders.sum_facts(order).keys() - {LineFact.Kind.CANCELLED}
    is_rest = places > 0 and sum(line.quantity - line.counted for line in lines) == places
    return unused and is_rest and not worth.carried_by(order)


def _call_some_off(order: Order, standing: list[Booking], *, by: User) -> None:
    for _line, group in groupby(standing, key=lambda booking: booking.order_line_id):
        bookings = list(group)
        orders.record_fact(bookings[0].order_line, LineFact.Kind.CANCELLED, len(bookings), by=by)
    capacity.give_back(places.call_off(standing))


def _ask_back(batch: RefundBatch, order: Order, pieces: Mapping[int, list[worth.Piece]]) -> Decimal:
    """Ask for these pieces to go back, each from the locked order that it was paid with; how much must go back by
    hand."""
    wishes = [Wish(share.all, batch.reason, batch.made_by, share.line, batch) for share in _shares(pieces)]
    asked = giving_back.send_back(order, wishes)
    return sum((wish.amount for wish in wishes), NOTHING) - sum((refund.amount for refund in asked), NOTHING)


def _shares(pieces: Mapping[int, list[worth.Piece]]) -> list[Share]:
    """What of these pieces can go back to the card and what by hand: of no order more than it has left, nor for its
    own places what it keeps for those that moved on."""
    left, by_card = _purses({piece.line.order_id for of_order in pieces.values() for piece in of_order})
    carried = _carried(pieces)
    shares = []
    for own, of_order in pieces.items():
        for piece in giving_back.by_line(of_order):
            key = piece.line.order_id
            kept = carried.get(key, NOTHING) if key == own else NOTHING
            wanted = max(min(piece.amount, left[key] - kept), NOTHING)
            to_card, by_hand = giving_back.split(wanted, by_card[key])
            left[key], by_card[key] = left[key] - wanted, by_card[key] - to_card
            shares.append(Share(piece.line, to_card, by_hand))
    return shares


def _carried(keys: Iterable[int]) -> dict[int, Decimal]:
    """What these orders (by primary keys) keep for places that moved on from them; those with none are left out."""
    moved_on = Booking.objects.filter(
        order_line__order__in=list(keys), status=Booking.Status.MOVED, moving_to__isnull=False
    )
    some = Order.objects.filter(pk__in=moved_on.values("order_line__order"))
    return {order.pk: worth.carried_by(order) for order in some}


def _purses(keys: Collection[int]) -> tuple[dict[int, Decimal], dict[int, Decimal]]:
    """What each of these orders (by primary keys) has left, and how much of that can go back to cards.

    The same as the ledger says of one order, in a few statements for all of them.
    """
    moved = Movement.objects.filter(order__in=keys, kind__in=Movement.SHOPPERS).order_by()
    promised = Refund.objects.alive().filter(order__in=keys).order_by()
    net = dict.fromkeys(keys, NOTHING) | dict(moved.values_list("order").annotate(Sum("amount")))
    for key, amount in promised.values_list("order").annotate(Sum("amount")):
        net[key] -= amount
    by_payment = dict(moved.filter(payment__isnull=False).values_list("payment").annotate(Sum("amount")))
    for payment, amount in promised.filter(payment__isnull=False).values_list("payment").annotate(Sum("amount")):
        by_payment[payment] = by_payment.get(payment, NOTHING) - amount
    by_card = dict.fromkeys(keys, NOTHING)
    captured = Payment.objects.filter(order__in=keys, status=Payment.Status.CAPTURED)
    for payment, key in captured.values_list("pk", "order"):
        by_card[key] += max(by_payment.get(payment, NOTHING), NOTHING)
    left = {key: max(amount, NOTHING) for key, amount in net.items()}
    return left, {key: min(amount, left[key]) for key, amount in by_card.items()}


def _record(batch: RefundBatch, order: Order, quantity: int, **more: Any) -> None:
    """Write down on the order that it was put right: with this, nobody does it again."""
    data = {
        "batch": str(batch.uuid),
        "entry": str(batch.entry.uuid),
        "title": batch.entry.title,
        "zone": batch.entry.calendar.time_zone,
        "begins": batch.entry.starts_at.isoformat(),
        "quantity": quantity,
        "moved": False,
        "ends": False,  # nothing of the order is left
        "was_paid": True,
        "by_hand": "0.00",
        "rest": "",  # of an order that was not paid: where the rest of it is found
    }
    order.record("entry_called_off", cause=Order.Closer.STAFF, by=batch.made_by, **(data | more))


# --- Approving --------------------------------------------------------------------------------------------------------


def hold_still(batch: RefundBatch) -> RefundBatch:
    """The batch as it is now, and stays until the caller's transaction ends."""
    return RefundBatch.objects.select_for_update(no_key=True).get(pk=batch.pk)


@transaction.atomic
def approve(batch: RefundBatch, *, by: User) -> int:
    """Let all of the batch's refunds be sent that nobody has approved or turned down; how many. Again is none.

    Whoever calls this sees to it that `by` may. Raises CannotCallOff before all of them are prepared.
    """
    batch = hold_still(batch)
    if batch.prepared_at is None:
        raise CannotCallOff(_("Not all of its refunds are prepared yet."))
    waiting = batch.refunds.filter(status=Refund.Status.REQUESTED, approved_at=None)
    chosen = list(waiting.select_for_update(no_key=True).order_by("pk"))
    now = timezone.now()
    Refund.objects.filter(pk__in=[refund.pk for refund in chosen]).update(
        approved_at=now, approved_by=by, next_look_at=now
    )
    OrderEvent.objects.bulk_create(
        OrderEvent(order_id=refund.order_id, kind="refund_approved", by=by, data={"refund": str(refund.uuid)})
        for refund in chosen
    )
    RefundBatch.objects.filter(pk=batch.pk, approved_at=None).update(approved_at=now, approved_by=by)
    return len(chosen)


# --- How far it is ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heap:
    """So many refunds of a batch, and their sum in the shop's currency."""

    count: int = 0
    amount: Decimal = NOTHING


@dataclass(frozen=True)
class Progress:
    """What has become of a batch's refunds; of one that was sent again, only the newer one counts."""

    waiting: Heap  # for somebody to approve them
    sending: Heap  # approved, and not yet known to have happened
    doubt: Heap
    done: Heap
    failed: Heap
    orders_left: int
    unpaid_left: int  # unpaid orders that are still being closed at SumUp

    @property
    def all(self) -> Heap:
        heaps = (self.waiting, self.sending, self.doubt, self.done, self.failed)
        return Heap(sum(heap.count for heap in heaps), sum((heap.amount for heap in heaps), NOTHING))

    @property
    def is_moving(self) -> bool:
        """Whether it changes by itself: worth looking again soon."""
        return bool(self.orders_left or self.sending.count or self.doubt.count)


def progress_of(batch: RefundBatch) -> Progress:
    """How far a batch is, in a few statements for any number of refunds."""
    heaps: dict[str, list[Decimal]] = {}
    for status, approved_at, amount in (
        _newest_of(batch).filter(in_sums("order__")).values_list("status", "approved_at", "amount")
    ):
        heaps.setdefault(_heap_of(status, is_approved=approved_at is not None), []).append(amount)
    counted = {name: Heap(len(amounts), sum(amounts, NOTHING)) for name, amounts in heaps.items()}
    named = {name: counted.get(name, Heap()) for name in ("waiting", "sending", "doubt", "done", "failed")}
    closing = Order.objects.awaiting().filter(closing_since__isnull=False, lines__entry=batch.entry_id)
    return Progress(**named, orders_left=_orders_left(batch).count(), unpaid_left=closing.distinct().count())


def by_hand(batch: RefundBatch) -> Decimal:
    """What must go back by hand, in the shop's currency: cases say whose it is."""
    return sum(
        (Decimal(event.data["by_hand"]) for event in _put_right_so_far(batch).filter(in_sums("order__"))), NOTHING
    )


def places_moved(batch: RefundBatch) -> int:
    """How many places went to the other entry: they are what no money goes back for."""
    counted = _put_right_so_far(batch).filter(in_sums("order__"))
    return sum(event.data["quantity"] for event in counted if event.data["moved"])


def _put_right_so_far(batch: RefundBatch) -> QuerySet[OrderEvent]:
    """What was written down about each order that had places there."""
    had_places = Booking.objects.filter(entry=batch.entry_id).values("order_line__order")
    return OrderEvent.objects.filter(order__in=had_places, kind=CALLED_OFF, data__batch=str(batch.uuid))


def _newest_of(batch: RefundBatch) -> QuerySet[Refund]:
    """Its refunds, without those that were sent again as another."""
    return batch.refunds.filter(retried_as=None)


def _heap_of(status: str, *, is_approved: bool) -> str:
    if status == Refund.Status.REQUESTED:
        return "sending" if is_approved else "waiting"
    names = {Refund.Status.SENDING: "sending", Refund.Status.UNKNOWN: "doubt", Refund.Status.FAILED: "failed"}
    return names.get(Refund.Status(status), "done")


# --- What it would come to --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outlook:
    """What calling an entry off would touch now."""

    orders: int
    places: int
    by_card: Decimal  # what goes back for the places, in the shop's currency
    by_hand: Decimal
    unpaid: int  # orders that wait to be paid
    baskets: int
    waiting: int  # people on the waiting list

    @property
    def back(self) -> Decimal:
        return self.by_card + self.by_hand


def look_ahead(entry: Entry) -> Outlook:
    """What calling the entry off would come to, if nothing is moved: to the penny, as it stands now.

    Only orders that sums count are told of. Calling off puts the others right as well.
    """
    pretended = RefundBatch(entry=entry)
    found = _orders_left(pretended).filter(in_sums())
    sold = list(found.filter(status=Order.Status.CONFIRMED).values_list("pk", flat=True))
    standing = _not_accounted_for(_standing(pretended, *sold))
    shares = _shares(_pieces(standing))
    return Outlook(
        orders=len(sold),
        places=len(standing),
        by_card=sum((share.by_card for share in shares), NOTHING),
        by_hand=sum((share.by_hand for share in shares), NOTHING),
        unpaid=found.awaiting().count(),
        baskets=Cart.objects.open().filter(items__entry=entry).distinct().count(),
        waiting=entry.waiters.filter(status__in=[Waiter.Status.WAITING, Waiter.Status.OFFERED]).count(),
    )
