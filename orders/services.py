"""What becomes of an order after it was placed: confirmed, revived, let go, completed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import OuterRef, Q, Subquery, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings import capacity
from bookings import services as bookings
from bookings.models import Booking, Entry, Hold
from cart import services as carts
from cart.basket import hold_still
from cart.models import Cart
from cartsite.models import Case, Message, User
from cartsite.refusals import Refusal
from orders import replacing
from orders.models import LineFact, Order, OrderLine
from orders.worth import worth_of


def take_over_guest_orders(user: User, emails: Iterable[str]) -> int:
    """Put the guest orders placed with one of these addresses into the user's account; how many.

    The addresses must be confirmed to be the user's. An order that has a user already stays theirs.
    """
    confirmed = {email.lower() for email in emails}
    theirs = Q(pk__in=[])
    for email in confirmed:
        theirs |= Q(contact__email__iexact=email)
    alike = Order.objects.filter(theirs, user=None).values_list("pk", "contact__email")
    # In capitals, as the database compares, a dotless i is an I: that is another mailbox.
    found = [order for order, email in alike if email.lower() in confirmed]
    return _join_account(user, found) if found else 0


@transaction.atomic
def _join_account(user: User, order_ids: list[int]) -> int:
    if not hold_still(user):
        return 0
    guests = Order.objects.select_for_update(no_key=True).filter(pk__in=order_ids, user=None).order_by("-pk")
    joined = list(guests)
    for order in joined:
        order.user = user
        order.save(update_fields=["user"])
        order.record("joined_account", cause="address confirmed", by=user)
    return len(joined)


def lock(order_id: int) -> Order:
    """The order, held still until the transaction ends."""
    return Order.objects.select_for_update(no_key=True).get(pk=order_id)


def owe_mail(order: Order, kind: str, occurrence: str = "", *, not_before: datetime | None = None) -> None:
    """Owe the order's shopper a mail of this kind, to be sent soon, or from a moment (UTC) on."""
    Message.owe(order, kind, occurrence, not_before=not_before)


def which_time(order: Order, status: str) -> str:
    """The occurrence of the mail that says the order has come to this status: after a revival it may do so again."""
    times = order.events.filter(kind=status).count()
    return f"again-{times}" if times > 1 else ""


@transaction.atomic
def confirm(order: Order, *, cause: str, by: User | None = None) -> bool:
    """The money is ours: make good on what was bought. Only the call that moves the order does anything."""
    if not order.move_to(Order.Status.CONFIRMED, cause=cause, by=by):
        return False
    _make_good(order, by=by)
    return True


# Where a line's places are to be, by its primary key, if not at the entry that was ordered.
Instead = Mapping[int, Entry]


@transaction.atomic
def revive(order: Order, *, cause: str, by: User | None = None, instead: Instead | None = None) -> bool:
    """Confirm an order that had let its capacity go, claiming all of it again first; False if there is no room.

    A machine (`by` nobody) revives expired orders only: what a person cancelled stays so until a person says otherwise.
    """
    come_from = Order.REVIVES_FROM if by else [Order.Status.EXPIRED]
    lines = list(order.lines.select_related("product", "entry__calendar", "slot", "voucher"))
    entries = _entries_of(lines, instead or {})
    if any(entry.closes_at <= timezone.now() for entry in entries.values()):
        return False
    if sum_facts(order):
        return False  # some of it was called off before all of it was: what was written down of that stays so
    try:
        with transaction.atomic():
            if not order.move_to(Order.Status.CONFIRMED, cause=cause, by=by, come_from=come_from):
                return False
            if not replacing.resume(order):  # it locks other orders, and those come before all holds and pools
                raise capacity.SoldOut([])  # what it was to replace is gone
            _claim_again(lines, entries)
            _make_good(order, by=by, instead=instead)
    except capacity.SoldOut:
        order.refresh_from_db(fields=["status"])
        return False
    return True


def _entries_of(lines: Iterable[OrderLine], instead: Instead) -> dict[int, Entry]:
    """Where the places of these lines are to be, by the lines' primary keys."""
    return {line.pk: instead.get(line.pk, line.entry) for line in lines if line.entry is not None}


def _claim_again(lines: Iterable[OrderLine], entries: Mapping[int, Entry]) -> None:
    """Fresh holds without end for every scarce line; SoldOut if there is no room for all of them."""
    pools = {line: entries[line.pk].pool_id if line.pk in entries else line.pool_id for line in lines}
    scarce = [(line, pool) for line, pool in pools.items() if pool is not None]
    holds = capacity.claim_all([(pool, line.quantity) for line, pool in scarce], until=None)
    for (line, _pool), hold in zip(scarce, holds, strict=True):
        line.hold = hold
    OrderLine.objects.bulk_update([line for line, _pool in scarce], ["hold"])


def _make_good(order: Order, *, by: User | None, instead: Instead | None = None) -> None:
    """Issue places, let those go that they replace, and owe the confirmation.

    A place at an entry that was called off is a case, not a booking; and so is one that was to replace another which
    does not stand any more.
    """
    places = list(order.lines.filter(kind=OrderLine.Kind.ENTRY, hold__isnull=False).select_related("entry"))
    entries = _entries_of(places, instead or {})
    called_off = [line for line in places if entries[line.pk].cancelled_at]
    for line in called_off:
        _open_called_off(
            line, _("%(title)s was paid for in order %(number)s, but it is cancelled: the money must go back.")
        )
    wanted = [line for line in places if line not in called_off]
    in_vain, left = replacing.take_over(order, wanted, by=by)
    for line in in_vain:
        _open_called_off(
            line, _("%(title)s was paid for in order %(number)s, but what it replaces is gone: the money must go back.")
        )
    bookings.issue(
        bookings.Sale(order_line=line.pk, entry=entries[line.pk].pk, hold=line.hold_id or 0)
        for line in wanted
        if line not in in_vain
    )
    # Its entry may share its pool with others, which still have a use for the room.
    capacity.give_back(line.hold_id for line in called_off if line.hold_id)
    _free_where_rescheduled(order)
    owe_mail(order, "confirmation", which_time(order, Order.Status.CONFIRMED))
    for before in left:
        _tell_left(before, order)
        _complete_if_accounted_for(before)


def _tell_left(before: Order, order: Order) -> None:
    """Owe an order the mail about its places that have moved on to another one: its calendar files let go of them."""
    for event in before.events.filter(kind="place_moved", data__order=order.number):
        owe_mail(before, "moved", f"moved-{event.pk}")


def _free_where_rescheduled(order: Order) -> None:
    """What was to be at another time when it was ordered may be given back at no loss until it begins."""
    issued = Booking.objects.filter(order_line__order=order, status=Booking.Status.CONFIRMED)
    changed = issued.filter(entry__rescheduled_at__gt=order.placed_at)
    changed.update(free_until=Subquery(Entry.objects.filter(pk=OuterRef("entry")).values("starts_at")))


def _open_called_off(line: OrderLine, what_happened: str) -> None:
    """A case for a line that was paid for in vain; `what_happened` has room for its title and the order's number."""
    facts = {"title": line.title, "number": line.order.number}
    Case.open(Case.Kind.ENTRY_CANCELLED, line, what_happened % facts, at_stake=worth_of(line))


@transaction.atomic
def let_go(order: Order, cart: Cart | None) -> bool:
    """End an unpaid order the way its closing says, moving its holds into the cart, or giving them back without one.

    Call it with both locked, and only when none of the order's payments can be paid any more.
    """
    closer = order.closing_by
    why = {"reason": order.closing_reason} if order.closing_reason else {}
    if not order.move_to(order.closing_to, cause=closer, by=order.closing_user, **why):
        return False
    lines = list(order.lines.select_related("entry"))
    is_move = replacing.is_move(order)
    if cart is None or is_move:  # what was only to be moved goes into no basket
        capacity.give_back(line.hold_id for line in lines if line.hold_id)
    else:
        _put_back(cart, lines)
    if is_move:
        replacing.let_stand(order)
    _tell_of_end(order, closer)
    return True


def _tell_of_end(order: Order, closer: str) -> None:
    """Owe the mail about an unpaid order's end; who changes their own basket needs none."""
    if order.status == Order.Status.EXPIRED:
        owe_mail(order, "expired")
    elif closer in (Order.Closer.STAFF, Order.Closer.ENTRY):
        owe_mail(order, "cancelled", which_time(order, Order.Status.CANCELLED))


def _put_back(cart: Cart, lines: list[OrderLine]) -> None:
    """Merge what was bought, with what it holds, into a cart, without places that were called off. A window of
    collection and a voucher are let go: whoever orders again chooses again."""
    bought = [line for line in lines if line.kind in OrderLine.GOODS and not (line.entry and line.entry.cancelled_at)]
    spare = [line.hold_id for line in lines if line.hold_id and line not in bought]
    holds = capacity.lock(line.hold_id for line in lines if line.hold_id)
    if spare:
        _give_spare_back(cart, holds, spare)
    capacity.hand_back_to_cart(line.hold_id for line in bought if line.hold_id)
    OrderLine.objects.filter(pk__in=[line.pk for line in lines]).update(hold=None)
    carts.merge(cart, [_back_in_cart(line, holds.get(line.hold_id or 0)) for line in bought])


def _back_in_cart(line: OrderLine, hold: Hold | None) -> carts.Line:
    return carts.Line(
        line.product_id, line.entry_id, line.price_kind_id, line.quantity, hold=hold, seen_price=line.unit_price
    )


def _give_spare_back(cart: Cart, holds: dict[int, Hold], spare: list[int]) -> None:
    """Free what a cart cannot keep. What the merge needs after that is locked before: all holds, then pools by key."""
    kept = capacity.lock(cart.items.filter(hold__isnull=False).values_list("hold_id", flat=True))
    capacity.lock_pools({hold.pool_id for hold in [*holds.values(), *kept.values()]})
    capacity.give_back(spare)


@transaction.atomic
def cancel_confirmed(order: Order, *, by: User | None, cause: str) -> bool:
    """A confirmed order is called off: its places and stock are freed. Money goes back by a refund, not by this.

    False once anything of it was collected or attended.
    """
    order = lock(order.pk)
    if sum_facts(order).keys() - {LineFact.Kind.CANCELLED}:
        return False
    if not order.move_to(Order.Status.CANCELLED, cause=cause, by=by, come_from=[Order.Status.CONFIRMED]):
        return False
    places = bookings.call_off(Booking.objects.filter(order_line__order=order))
    goods = order.lines.filter(hold__isnull=False).values_list("hold_id", flat=True)
    capacity.give_back([*places, *goods])
    owe_mail(order, "cancelled", which_time(order, Order.Status.CANCELLED))
    return True


# What may become of things that were bought, and of places.
FATES = {
    OrderLine.Kind.PRODUCT: (LineFact.Kind.COLLECTED, LineFact.Kind.MISSED, LineFact.Kind.CANCELLED),
    OrderLine.Kind.ENTRY: (LineFact.Kind.ATTENDED, LineFact.Kind.MISSED, LineFact.Kind.CANCELLED),
}


class CannotRecord(Refusal):
    """This, or so much of it, cannot have become of what was bought; the text says why."""


@transaction.atomic
def record_fact(line: OrderLine, kind: str, quantity: int, *, by: User | None) -> None:
    """Write down that so many of a confirmed order's line were collected, attended, missed or cancelled.

    Collected goods leave their pool. Once every line is accounted for, the order is completed. Raises CannotRecord.
    """
    order = lock(line.order_id)
    if kind not in FATES.get(OrderLine.Kind(line.kind), ()):
        raise CannotRecord(_("%(title)s cannot be recorded that way.") % {"title": line.title})
    left = count_open(line)
    if order.status != Order.Status.CONFIRMED or not 0 < quantity <= left:
        raise CannotRecord(
            _("%(title)s: %(open)d of %(all)d are still to be accounted for.")
            % {"title": line.title, "open": left, "all": line.quantity}
        )
    LineFact.objects.create(line=line, kind=kind, quantity=quantity, by=by)
    order.record(f"line_{kind}", by=by, line=str(line.uuid), quantity=quantity)
    if line.hold is not None and line.kind == OrderLine.Kind.PRODUCT:
        _settle_goods(line.hold, kind, quantity)
    _complete_if_accounted_for(order)


def _settle_goods(hold: Hold, kind: str, quantity: int) -> None:
    """Collected goods have left; those that nobody will fetch are on the shelf for others again."""
    if kind == LineFact.Kind.COLLECTED:
        capacity.hand_over(hold, quantity)
    else:
        capacity.give_back_some(hold, quantity)


@transaction.atomic
def record_goods(order: Order, facts: Iterable[tuple[OrderLine, str, int]], *, by: User) -> None:
    """Write down what became of an order's goods: of which line, what, and of how many. Raises CannotRecord."""
    _lock_all_it_holds(lock(order.pk))
    for line, kind, quantity in facts:
        record_fact(line, kind, quantity, by=by)


@transaction.atomic
def collect_rest(line: OrderLine, *, by: User) -> bool:
    """What is still to be collected of a line was; False if nothing was, or its order is not confirmed."""
    order = lock(line.order_id)
    left = count_open(line)
    if left == 0 or order.status != Order.Status.CONFIRMED:
        return False
    record_fact(line, LineFact.Kind.COLLECTED, left, by=by)
    return True


@transaction.atomic
def cancel_some(line: OrderLine, quantity: int, *, by: User | None, places: Sequence[Booking] = ()) -> None:
    """Call off so many of a confirmed order's line: goods go back on sale, places too: those named, or the last ones.

    Money goes back by a refund, not by this. Raises CannotRecord.
    """
    _lock_all_it_holds(lock(line.order_id))
    record_fact(line, LineFact.Kind.CANCELLED, quantity, by=by)
    if line.kind == OrderLine.Kind.ENTRY:
        gone = bookings.call_off(places or last_places(line, quantity))
        # A line that was paid for after its entry was called off never had places: only the fact is written.
        if len(gone) != quantity and line.bookings.exists():
            raise CannotRecord(_("Some of these places do not stand any more, or are about to be moved."))
        capacity.give_back(gone)
    else:
        _free_handover(line.order)


def last_places(line: OrderLine, quantity: int) -> list[Booking]:
    """So many places of a line that stand, the last ones issued first."""
    return list(line.bookings.filter(status=Booking.Status.CONFIRMED, moving_to=None).order_by("-pk")[:quantity])


def _lock_all_it_holds(order: Order) -> None:
    """Hold still all holds of an order, then all their pools: so that giving back line by line blocks nobody midway."""
    of_lines = order.lines.filter(hold__isnull=False).values_list("hold_id", flat=True)
    of_places = Booking.objects.filter(order_line__order=order).values_list("hold_id", flat=True)
    holds = capacity.lock([*of_lines, *of_places])
    capacity.lock_pools({hold.pool_id for hold in holds.values()})


def _free_handover(order: Order) -> None:
    """Where nothing is left to be fetched or brought, somebody else may have the order's place at the collection."""
    goods = order.lines.filter(kind=OrderLine.Kind.PRODUCT).with_counts()
    if all(line.quantity == line.cancelled for line in goods):
        fees = order.lines.filter(kind=OrderLine.Kind.FEE, hold__isnull=False)
        capacity.give_back(fees.values_list("hold_id", flat=True))


def sum_facts(order: Order) -> dict[str, int]:
    """How many of all that an order holds were collected, attended, missed or cancelled, less what was taken back."""
    sums = LineFact.objects.filter(line__order=order).values_list("kind").annotate(sum=Sum("quantity"))
    return {kind: quantity for kind, quantity in sums if quantity}


def count_open(line: OrderLine) -> int:
    """How many of a line are still to be collected, attended, missed or cancelled."""
    return line.quantity - (line.facts.aggregate(sum=Sum("quantity"))["sum"] or 0)


def _complete_if_accounted_for(order: Order) -> None:
    lines = order.lines.filter(kind__in=[OrderLine.Kind.PRODUCT, OrderLine.Kind.ENTRY])
    counted = lines.annotate(done=Sum("facts__quantity")).values_list("quantity", "done")
    if all(quantity == done for quantity, done in counted):
        order.move_to(Order.Status.COMPLETED, cause="everything accounted for")
