"""Money that came when the order was over and its places were gone: what its shopper may ask for.

They get a page with these choices: money back, wait for staff, or where only places are gone another date that is not
dearer. After three days without a word from staff the money goes back by itself.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings import capacity, waiting
from bookings.browsing import load_price_kinds
from bookings.models import Booking, Entry
from cartsite.http import read_key
from cartsite.models import Case, User, kind_of
from cartsite.refusals import Refusal
from orders import per_person, replacing, rules
from orders import services as orders
from orders.models import Order, OrderLine
from orders.worth import paid_for, places_of
from payments import events, giving_back, ledger, moving, refunds, schedule
from payments.models import Payment
from payments.refunds import CannotRefund, Wish

logger = logging.getLogger(__name__)

BY_ITSELF_AFTER = timedelta(days=3)


def open_case(order: Order) -> Case | None:
    """The case about late money of this order that nobody has decided yet, the newest; None if there is none.

    Nor where all of the order's money goes back already: then there is nothing to decide.
    """
    late = Case.objects.unresolved().filter(kind=Case.Kind.LATE_PAYMENT).about(*order.payments.all())
    case = late.order_by("-opened_at").first()
    return case if case is not None and ledger.money_of(order).net > 0 else None


def goes_back_at(case: Case) -> datetime:
    """When (UTC) the money goes back by itself."""
    return max(case.opened_at + BY_ITSELF_AFTER, case.snoozed_until or case.opened_at)


@transaction.atomic
def send_back(case: Case, *, by: User | None, note: str) -> None:
    """All that is left of the late payment goes back to the card, and the case is resolved.

    Where the order was confirmed after all, only what it does not need. Raises CannotRefund.
    """
    payment = Payment.objects.get(uuid=case.subject_uuid)
    order, payment = ledger.lock(payment)
    if not Case.objects.unresolved().filter(pk=case.pk).exists():
        return  # somebody else has decided
    most = ledger.refundable(payment)
    if order.is_sold:
        most = min(most, ledger.money_of(order).net - order.total)
    refund = refunds.request(payment, Wish(most, note, by))
    refunds.approve(refund, by=by)
    case.resolve(by=by, note=note)


def send_back_by_itself() -> None:
    """Send back what nobody has decided about for three days (or longer, where staff put it off)."""
    now = timezone.now()
    late = Case.objects.filter(kind=Case.Kind.LATE_PAYMENT, status=Case.Status.OPEN, subject_type=kind_of(Payment))
    for case in late.filter(opened_at__lte=now - BY_ITSELF_AFTER):
        if not ledger.refundable(Payment.objects.get(uuid=case.subject_uuid)):
            continue  # it is on its way back already
        try:
            send_back(case, by=None, note=_("Nobody decided otherwise within three days."))
        except CannotRefund as refusal:
            logger.warning("Late payment %s cannot go back by itself: %s", case.subject_uuid, refusal)


# --- Another date instead ---------------------------------------------------------------------------------------------


class CannotTake(Refusal):
    """The order cannot come back with these dates; nothing has moved. The text says why, in words for the shopper."""


@dataclass(frozen=True)
class Date:
    """Another entry where a line's places could be, and what of their price would go back for that, in its currency."""

    entry: Entry
    back: Decimal

    @property
    def value(self) -> str:
        """What names it in a form, as it was shown."""
        return f"{self.entry.pk}-{self.back}"


@dataclass(frozen=True)
class Short:
    """A line whose places are gone, and where they could be instead."""

    line: OrderLine
    dates: Sequence[Date]

    @property
    def name(self) -> str:
        """The name of its choice in a form."""
        return f"entry_{self.line.position}"


def other_dates(order: Order) -> list[Short]:
    """The lines whose places are gone, each with other dates that are not dearer and have room for all of it.

    Nothing where that would not help: the order was ended by a person, or money of it ever went back, or something
    else of it is gone as well.
    """
    if order.status != Order.Status.EXPIRED or order.refunds.exists() or orders.sum_facts(order):
        return []
    if replacing.is_move(order) or ledger.money_of(order).net != order.total:
        return []
    loaded = ("product__pool", "entry__pool", "entry__calendar", "slot__pool", "price_kind")
    lines = list(order.lines.select_related(*loaded).prefetch_related("discounts"))
    gone = [line for line in lines if _is_gone(line)]
    short = [Short(line, _dates_for(line)) for line in gone if line.entry is not None]
    helps = len(short) == len(gone) and all(each.dates for each in short)
    return short if helps else []


def _is_gone(line: OrderLine) -> bool:
    """Whether there is not enough left of what a line is about, or its time is over."""
    if line.entry is not None and (line.entry.closes_at <= timezone.now() or line.entry.cancelled_at):
        return True
    source = line.product or line.entry or line.slot or line.voucher
    free = source.pool.free if source and source.pool else None
    return free is not None and free < line.quantity


def _dates_for(line: OrderLine) -> list[Date]:
    """The soonest first."""
    if line.entry is None:
        return []
    others = list(moving.others_like(line.entry))
    load_price_kinds(others)
    entries = [entry for entry in others if _fits(line, entry)]
    queued = waiting.is_queued({entry.pool_id for entry in entries})
    return [Date(entry, sum(_back(line, entry), ledger.NOTHING)) for entry in entries if entry.pool_id not in queued]


def _fits(line: OrderLine, entry: Entry) -> bool:
    """Whether the line's places could be there, and cost no more than they did."""
    is_alike = entry.calendar.stall_id == line.stall_id and entry.tax_rate == line.tax_rate
    is_within = entry.max_per_order is None or line.quantity <= entry.max_per_order
    has_room = entry.pool.free is None or entry.pool.free >= line.quantity
    not_dearer = moving.price_at(line, entry).amount <= line.unit_price
    return entry.is_on_sale and is_alike and is_within and has_room and not_dearer


def _back(line: OrderLine, entry: Entry) -> list[Decimal]:
    """What of each place's price would go back, by their numbers."""
    price = moving.price_at(line, entry).amount
    worths = [paid_for(line, 1, number) for number in range(line.quantity)]
    return [max(worth - price, ledger.NOTHING) for worth in worths]


@transaction.atomic
def take_other_dates(case: Case, chosen: Mapping[str, str], *, by: User | None) -> bool:
    """Confirm the order of late money after all, with the places that are gone at the dates chosen for their lines (by
    the names of both in a form). What that costs less goes back; False if somebody has decided meanwhile.

    All of it is claimed first, or nothing moves: then it raises CannotTake.
    """
    payment = Payment.objects.get(uuid=case.subject_uuid)
    email = moving.email_of(payment.order)
    per_person.hold_still_at(_limited_among(chosen), payment.order.user, email)  # before all else: so does who orders
    order, _payment = ledger.lock(payment)
    if not Case.objects.unresolved().filter(pk=case.pk).exists():
        return False
    instead = _read(other_dates(order), chosen)
    _check_per_person(order, instead, email)
    if not orders.revive(order, cause="another date", by=None, instead={line.pk: to for line, to in instead.items()}):
        raise CannotTake(_("Some of it has gone to somebody else just now. Please look again."))
    try:
        waiting.refuse_if_queued({to.pool_id for to in instead.values()})
    except capacity.SoldOut:
        raise CannotTake(_("Somebody waits for these places. Please look again.")) from None
    wishes = [wish for line, to in instead.items() for wish in _settle_in(order, line, to, by=by)]
    giving_back.send_back_approved(order, wishes)
    case.resolve(by=by, note=_("The shopper took another date."))
    for other in order.payments.live():
        schedule.look_soon(other.pk)
    events.settle_what_is_over(order)
    return True


def _read(short: Sequence[Short], chosen: Mapping[str, str]) -> dict[OrderLine, Entry]:
    """The entry chosen for each line that is short. Raises CannotTake unless each has one that it may have."""
    dates = {(each.name, date.value): date.entry for each in short for date in each.dates}
    picked = {each.line: dates.get((each.name, chosen.get(each.name, ""))) for each in short}
    if not picked or None in picked.values():
        raise CannotTake(_("These dates cannot be had any more. Please look again."))
    return {line: entry for line, entry in picked.items() if entry is not None}


def _limited_among(chosen: Mapping[str, str]) -> list[int]:
    """The entries (primary keys) among these choices of a form at which one person may have only so many places."""
    named = [read_key(value.partition("-")[0]) for value in chosen.values()]
    keys = [key for key in named if key is not None]
    return list(Entry.objects.filter(pk__in=keys, max_per_person__isnull=False).values_list("pk", flat=True))


def _check_per_person(order: Order, instead: Mapping[OrderLine, Entry], email: str) -> None:
    """Raise CannotTake if whoever ordered would have more places at one of these dates than one person may."""
    wanted: Counter[Entry] = Counter()
    for line, to in instead.items():
        if to.max_per_person is not None:
            wanted[to] += line.quantity
    if reasons := per_person.find_excess_of(wanted, order.user, email):
        raise CannotTake(*reasons)


def _settle_in(order: Order, line: OrderLine, to: Entry, *, by: User | None) -> list[Wish]:
    """Give the line's new places the rule of where they are, and say what they cost less there: that goes back."""
    backs = _back(line, to)
    until = rules.for_places(to).cancel_until or timezone.now()
    bookings = list(line.bookings.filter(status=Booking.Status.CONFIRMED).order_by("pk"))
    for place in places_of(line, bookings):
        place.booking.given_back, place.booking.cancel_until = backs[place.number - 1], until
    Booking.objects.bulk_update(bookings, ["given_back", "cancel_until"])
    back = sum(backs, ledger.NOTHING)
    order.record(
        "place_moved",
        cause="late payment",
        by=by,
        line=str(line.uuid),
        quantity=line.quantity,
        back=str(back),
        **{"from": str(line.entry and line.entry.uuid), "to": str(to.uuid)},
        **replacing.when_moved(line.entry or to, to),
    )
    return [Wish(back, _("The shopper took a cheaper date."), by, line)] if back else []
