"""Who comes: what is asked about the places of a basket or of an order, and the rows that keep what was said.

What is said is personal data: it stands in rows that may be erased, and nowhere else.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from bookings.models import Answer, Attendee, Booking, Entry, Question
from bookings.questions import questions_about
from cart.models import CartItem
from cartsite.models import User
from orders import services
from orders.models import Order, OrderLine

# Of so many places of one basket or order: a form of more would be too large to be sent.
MOST_ASKED = 100


@dataclass(frozen=True)
class Guest:
    """What was said about whoever comes to one place."""

    name: str = ""
    answers: Mapping[int, str] = field(default_factory=dict)  # by the question's primary key


NOBODY = Guest()


@dataclass(frozen=True)
class Asked:
    """One place that something is asked about."""

    key: str  # unlike that of any other place of the same form
    number: int  # the first, second... of those like it
    of: int
    title: str
    entry: Entry
    questions: Sequence[Question]
    known: Guest = NOBODY

    @property
    def wants_name(self) -> bool:
        return self.entry.calendar.ask_names

    @property
    def is_asked(self) -> bool:
        """Whether there is anything to say."""
        return self.wants_name or bool(self.questions)


# Who comes to the places asked about, by their keys: read from what a shopper typed, who may be refused.
Reader = Callable[[Sequence[Asked]], Mapping[str, Guest]]


def ask_nobody(_asked: Sequence[Asked]) -> Mapping[str, Guest]:
    """A reader for orders that no shopper typed: whoever comes can be told later, on the order's page."""
    return {}


# --- Of a basket ------------------------------------------------------------------------------------------------------


def about_basket(items: Iterable[CartItem]) -> list[Asked]:
    """The places of these lines that something is asked about; a query only where there are questions at all."""
    lines = [(item, item.entry) for item in items if item.entry is not None]
    has_questions = any(item.has_questions for item, _entry in lines)  # type: ignore[attr-defined]
    questions = questions_about(entry for _item, entry in lines) if has_questions else {}
    places = [
        Asked(_key(item.pk, number), number, item.quantity, item.title, entry, questions.get(entry.pk, []))
        for item, entry in lines
        for number in range(1, min(item.quantity, MOST_ASKED) + 1)
    ]
    return [place for place in places if place.is_asked][:MOST_ASKED]


def _key(item: int, number: int) -> str:
    """Names a place by its line in the basket (primary key) and its number there."""
    return f"{item}-{number}"


def write_down(lines: Mapping[int, OrderLine], guests: Mapping[str, Guest]) -> None:
    """Keep who comes with an order that was just written; its lines are given by those of the basket."""
    told = {
        (line, number): guests[key]
        for item, line in lines.items()
        for number in range(1, line.quantity + 1)
        if (key := _key(item, number)) in guests
    }
    rows = Attendee.objects.bulk_create(
        Attendee(order_line=line, number=number, name=guest.name) for (line, number), guest in told.items()
    )
    _write_answers(zip(rows, told.values(), strict=True))


def _write_answers(told: Iterable[tuple[Attendee, Guest]]) -> None:
    Answer.objects.bulk_create(
        Answer(attendee=row, question_id=question, text=text)
        for row, guest in told
        for question, text in guest.answers.items()
        if text
    )


# --- Of an order ------------------------------------------------------------------------------------------------------


def with_guests(bookings: QuerySet[Booking]) -> QuerySet[Booking]:
    """Bookings with their entries, whoever comes, and whether their calendars ask questions: no further queries."""
    questions = Question.objects.filter(archived_at=None, calendar=OuterRef("entry__calendar"))
    loaded = bookings.select_related("entry__calendar", "attendee")
    return loaded.annotate(has_questions=Exists(questions))


def is_told(booking: Booking) -> bool:
    """Whether something is asked about a place that stands (of a booking with its guests)."""
    return not booking.is_lost and (booking.entry.calendar.ask_names or booking.has_questions)  # type: ignore[attr-defined]


def can_change(booking: Booking) -> bool:
    """Whether it may still be said who comes: the place stands, and its entry has not begun."""
    return booking.status == Booking.Status.CONFIRMED and booking.entry.starts_at > timezone.now()


def about_order(order: Order) -> list[Asked]:
    """The places of an order about which something is asked and can still be said, with what is known."""
    bookings = _changeable(order)
    questions = questions_about({booking.entry for booking in bookings})
    places = []
    for _line, group in groupby(bookings, key=lambda booking: (booking.order_line_id, booking.entry_id)):
        alike = list(group)
        places += [
            _about_booking(booking, number, len(alike), questions[booking.entry_id])
            for number, booking in enumerate(alike, start=1)
        ]
    return [place for place in places if place.is_asked][:MOST_ASKED]


def _about_booking(booking: Booking, number: int, of: int, questions: Sequence[Question]) -> Asked:
    return Asked(booking.code, number, of, _title_of(booking), booking.entry, questions, _known(booking))


def _changeable(order: Order) -> list[Booking]:
    """The order's places of which it may still be said who comes, line by line."""
    bookings = with_guests(Booking.objects.filter(order_line__order=order))
    loaded = bookings.select_related("order_line__price_kind").prefetch_related("attendee__answers")
    return [booking for booking in loaded.order_by("order_line__position", "entry", "pk") if can_change(booking)]


def _title_of(booking: Booking) -> str:
    """What the place is for: a place that was moved is for another entry than its line says."""
    line = booking.order_line
    if booking.entry_id == line.entry_id:
        return line.title
    return f"{booking.entry.title} ({line.price_kind})" if line.price_kind else booking.entry.title


def _known(booking: Booking) -> Guest:
    attendee = guest_of(booking)
    if attendee is None:
        return NOBODY
    return Guest(attendee.name, {answer.question_id: answer.text for answer in attendee.answers.all()})


def guest_of(booking: Booking) -> Attendee | None:
    """Whoever comes to a place, if anything was said."""
    return getattr(booking, "attendee", None)


@transaction.atomic
def change(order: Order, guests: Mapping[str, Guest], *, by: User | None) -> int:
    """Keep who comes to an order's places (by their bookings' codes); how many of them are told anew.

    A place that cannot be changed any more stays as it is. The order's history says that it was changed, not to what.
    """
    order = services.lock(order.pk)
    changed = {
        booking: guests[booking.code]
        for booking in _changeable(order)
        if booking.code in guests and _differs(_known(booking), guests[booking.code])
    }
    if changed:
        rows = _rows_for(order, changed)
        asked = {question for guest in changed.values() for question in guest.answers}
        Answer.objects.filter(attendee__in=rows, question__in=asked).delete()
        _write_answers(zip(rows, changed.values(), strict=True))
        order.record("attendees_changed", by=by, quantity=len(changed))
    return len(changed)


def _differs(known: Guest, told: Guest) -> bool:
    """Whether anything that is told is not known so already."""
    return known.name != told.name or any(known.answers.get(asked, "") != text for asked, text in told.answers.items())


def _rows_for(order: Order, guests: Mapping[Booking, Guest]) -> list[Attendee]:
    """The row of each of these places, with the name that is told now; made where nothing was said before."""
    taken = set(Attendee.objects.filter(order_line__order=order).values_list("order_line_id", "number"))
    rows = []
    for booking, guest in guests.items():
        row = guest_of(booking) or _new_row(booking, taken)
        row.name = guest.name
        rows.append(row)
    Attendee.objects.bulk_create([row for row in rows if row.pk is None])
    Attendee.objects.bulk_update([row for row in rows if row.pk is not None], ["name"])
    return rows


def _new_row(booking: Booking, taken: set[tuple[int, int]]) -> Attendee:
    """An attendee with the first number of the place's line that is not `taken`, which it is then."""
    line = booking.order_line_id
    number = next(number for number in count(1) if (line, number) not in taken)
    taken.add((line, number))
    return Attendee(order_line_id=line, number=number, booking=booking)
