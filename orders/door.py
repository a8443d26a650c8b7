"""The door: whoever comes is let in once, by their ticket's code or by name, and a mistake is taken back.

Every scan has a UUID that the phone made. Sent again, it gets the answer that it got: so a phone on a bad line may ask
until it hears.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from uuid import UUID, uuid4, uuid5

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings.models import CODE_ALPHABET, Booking, Entry, Scan
from cartsite.models import User
from cartsite.refusals import Refusal
from orders import services
from orders.models import LineFact, Order

CODE_LENGTH = 10
LONGEST_TYPED = 40
# On its day, and so long before it begins, an entry's tickets let people in without a question.
OPENS_BEFORE = timedelta(hours=3)
# Who may take things back whenever they like: whoever looks after orders.
LATE_PERMISSION = "orders.change_order"


class CannotUndo(Refusal):
    """It cannot be taken back (any more); nothing has moved. The text says why."""


class NotBegun(Refusal):
    """Nobody is missing from what has not begun."""


class NotOpen(Refusal):
    """Nobody can have come to an entry whose door is not open yet."""


def read_code(typed: str) -> str:
    """A ticket's code as somebody typed, heard or scanned it, in any case and grouping; empty if it is none."""
    code = "".join(letter for letter in typed.upper() if letter.isalnum())
    return code if len(code) == CODE_LENGTH and set(code) <= set(CODE_ALPHABET) else ""


def strange_letters(typed: str) -> str:
    """The letters and digits in it that no code has, each once: somebody misread them."""
    return "".join(
        dict.fromkeys(letter for letter in typed.upper() if letter.isalnum() and letter not in CODE_ALPHABET)
    )


# --- Letting in -------------------------------------------------------------------------------------------------------


def opens_at(entry: Entry) -> datetime:
    """When (UTC) an entry's door opens: as its day begins on its calendar's clock, or `OPENS_BEFORE` it if sooner."""
    day = datetime.combine(entry.local_start.date(), time(), entry.calendar.zone)
    return min(day.astimezone(UTC), entry.starts_at - OPENS_BEFORE)


def is_open(entry: Entry) -> bool:
    """Whether an entry's door is open, or was: a scan before that asks back first."""
    return opens_at(entry) <= timezone.now()


@transaction.atomic
def check_in(entry: Entry, typed: str, scan: UUID, *, by: User) -> Scan:
    """Try to let in whoever shows this code at an entry's door; what was answered. Of two phones, one says welcome."""
    code = read_code(typed)
    booking = Booking.objects.filter(code=code).first() if code else None
    return _answer_once(Scan(uuid=scan, entry=entry, booking=booking, typed=typed[:LONGEST_TYPED], by=by))


@transaction.atomic
def let_in(booking: Booking, scan: UUID, *, by: User, even_early: bool = False) -> Scan:
    """Let somebody in by name, without a code; what was answered, on the same record.

    With `even_early`, whoever is at the door has said that they let them in although it is not open yet.
    """
    return _answer_once(Scan(uuid=scan, entry=booking.entry, booking=booking, by=by), even_early=even_early)


def _answer_once(scan: Scan, *, even_early: bool = False) -> Scan:
    """A new scan with its answer, or the one that its UUID got before: whoever is second waits here for the first."""
    scan.outcome = Scan.Outcome.UNKNOWN
    try:
        with transaction.atomic():
            scan.save(force_insert=True)
    except IntegrityError:
        return _repeated(scan, even_early=even_early)
    if scan.booking is not None:
        scan.outcome = _try(scan, scan.booking, even_early=even_early)
        scan.save(update_fields=["outcome"])
    return scan


def _repeated(scan: Scan, *, even_early: bool) -> Scan:
    """What the scan of this UUID was answered. For another ticket it is another scan, with a UUID made of both: a page
    that the browser went back to has the old one, and nobody may be let in by the answer that somebody else got."""
    first = Scan.objects.get(uuid=scan.uuid)
    if all(getattr(first, name) == getattr(scan, name) for name in ("entry_id", "booking_id", "typed")):
        return first
    asked = uuid5(scan.uuid, f"{scan.entry_id} {scan.booking_id} {scan.typed}")
    other = Scan(uuid=asked, entry=scan.entry, booking=scan.booking, typed=scan.typed, by=scan.by)
    return _answer_once(other, even_early=even_early)


def _try(scan: Scan, booking: Booking, *, even_early: bool) -> Scan.Outcome:
    """Let in whoever has this place, if it stands, is for the scan's entry, and its door is open."""
    order = services.lock(booking.order_line.order_id)
    booking = Booking.objects.select_related("entry__calendar", "order_line").get(pk=booking.pk)
    if booking.is_lost or booking.entry.cancelled_at or not order.is_sold:
        return Scan.Outcome.GONE
    if booking.entry_id != scan.entry_id:
        return Scan.Outcome.OTHER_ENTRY
    if booking.status == Booking.Status.ATTENDED:
        return Scan.Outcome.ALREADY_IN
    if not (even_early or is_open(booking.entry)):
        return Scan.Outcome.EARLY
    came = _account_for(order, booking, Booking.Status.ATTENDED, LineFact.Kind.ATTENDED, scan.by)
    return Scan.Outcome.WELCOME if came else Scan.Outcome.GONE


def _account_for(order: Order, booking: Booking, status: Booking.Status, kind: LineFact.Kind, by: User) -> bool:
    """Write down what became of a locked order's place; False if something else did before."""
    if order.status != Order.Status.CONFIRMED or services.count_open(booking.order_line) == 0:
        return False
    if not Booking.objects.filter(pk=booking.pk, status=Booking.Status.CONFIRMED).update(status=status):
        return False
    services.record_fact(booking.order_line, kind, 1, by=by)
    order.refresh_from_db(fields=["status"])
    return True


# --- Taking back ------------------------------------------------------------------------------------------------------


@transaction.atomic
def undo(scan: Scan, *, by: User) -> bool:
    """Somebody was let in by mistake: their place is as it was. False if that was taken back before.

    Raises CannotUndo if nobody was let in by it, or the entry's day is over and `by` does not look after orders.
    """
    if scan.booking is None or scan.outcome != Scan.Outcome.WELCOME:
        raise CannotUndo(_("Nobody was let in by this."))
    _check_time(scan.entry, by)
    order = services.lock(scan.booking.order_line.order_id)
    standing = Scan.objects.filter(pk=scan.pk, outcome=Scan.Outcome.WELCOME, undone_at=None)
    if not standing.update(undone_at=timezone.now(), undone_by=by):
        return False
    return _take_back(order, scan.booking, Booking.Status.ATTENDED, LineFact.Kind.ATTENDED, by)


@transaction.atomic
def undo_missed(booking: Booking, *, by: User) -> bool:
    """Somebody whom we marked as not come is there after all: they can be let in. False if they were not marked.

    Raises CannotUndo as `undo` does.
    """
    _check_time(booking.entry, by)
    order = services.lock(booking.order_line.order_id)
    return _take_back(order, booking, Booking.Status.NO_SHOW, LineFact.Kind.MISSED, by)


def _check_time(entry: Entry, by: User) -> None:
    if timezone.now() >= _day_after(entry) and not by.has_perm(LATE_PERMISSION):
        raise CannotUndo(_("That day is over. Somebody in the office can still take it back."))


def _day_after(entry: Entry) -> datetime:
    """When (UTC) the day ends on which the entry ends, on its calendar's clock."""
    day = entry.local_end.date() + timedelta(days=1)
    return datetime.combine(day, time(), entry.calendar.zone).astimezone(UTC)


def _take_back(order: Order, booking: Booking, was: Booking.Status, kind: LineFact.Kind, by: User) -> bool:
    """A locked order's place is expected again, and an order that was over with it is not."""
    if not Booking.objects.filter(pk=booking.pk, status=was).update(status=Booking.Status.CONFIRMED):
        return False
    line = booking.order_line
    fact = LineFact.objects.filter(line=line, kind=kind, quantity=1, undone_by=None).latest("pk")
    LineFact.objects.create(line=line, kind=kind, quantity=-1, undoes=fact, by=by)
    order.record("line_undone", by=by, line=str(line.uuid), quantity=1, what=str(kind))
    order.move_to(Order.Status.CONFIRMED, cause=Order.REOPENED, by=by, come_from=Order.REOPENS_FROM)
    return True


# --- The rest ---------------------------------------------------------------------------------------------------------


def mark_rest_missed(entry: Entry, *, by: User) -> int:
    """Whoever was not let in did not come; how many. Raises NotBegun before the entry begins."""
    if entry.starts_at > timezone.now():
        raise NotBegun(_("It has not begun: somebody may still come."))
    return sum(_mark_rest_missed(order, entry, by) for order in _orders_expected(entry))


def mark_rest_attended(entry: Entry, *, by: User) -> int:
    """Everybody is there; how many were not let in before. Each can be taken back as if scanned.

    Raises NotOpen before the entry's door opens.
    """
    if not is_open(entry):
        raise NotOpen(_("The door is not open yet: nobody can have come."))
    return sum(_let_rest_in(order, entry, by) for order in _orders_expected(entry))


def _orders_expected(entry: Entry) -> list[int]:
    """The orders, by primary key, with places at the entry that nothing became of yet."""
    expected = Booking.objects.filter(entry=entry, status=Booking.Status.CONFIRMED)
    orders = expected.order_by("order_line__order").values_list("order_line__order", flat=True)
    return list(orders.distinct())


def _expected_of(order: Order, entry: Entry) -> Iterable[Booking]:
    expected = Booking.objects.filter(order_line__order=order, entry=entry, status=Booking.Status.CONFIRMED)
    return expected.select_related("entry", "order_line").order_by("pk")


@transaction.atomic
def _mark_rest_missed(order_id: int, entry: Entry, by: User) -> int:
    order = services.lock(order_id)
    fate = (Booking.Status.NO_SHOW, LineFact.Kind.MISSED)
    return sum(_account_for(order, booking, *fate, by) for booking in list(_expected_of(order, entry)))


@transaction.atomic
def _let_rest_in(order_id: int, entry: Entry, by: User) -> int:
    order = services.lock(order_id)
    scans = [let_in(booking, uuid4(), by=by) for booking in list(_expected_of(order, entry))]
    return sum(scan.outcome == Scan.Outcome.WELCOME for scan in scans)
