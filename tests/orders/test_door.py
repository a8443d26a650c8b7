"""At the door: each place lets somebody in once, and every scan is answered once and for all."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from bookings.models import Attendee, Booking, Entry, PriceKind, Scan
from bookings.tasks import forget_what_was_typed
from cart.models import Product
from cartsite.models import Message, User
from orders import door, guest_list, services
from orders.models import LineFact, Order
from tests.factories import EntryFactory
from tests.orders.acts import all_rows, assert_pools_balance
from tests.orders.door import begin, facts_of, hire, let_in_early, places_of, scan, sell, statuses_of

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


@pytest.fixture
def val(db: None) -> User:
    """A volunteer at the door."""
    return hire()


@pytest.fixture
def sold(place_order: PlaceOrder, workshop: Entry) -> Order:
    """Two places at a workshop that is about to begin."""
    order = sell(place_order, (workshop, 2))
    begin(workshop)
    return order


def as_written(outcome: str, before: dict[str, object]) -> None:
    """Nothing moved but for one scan with this outcome."""
    after = all_rows()
    (written,) = after.pop("bookings.Scan")
    before.pop("bookings.Scan")
    assert (written["outcome"], after) == (outcome, before)


# --- Welcome


def test_a_ticket_lets_somebody_in_and_that_is_written_down(sold: Order, workshop: Entry, val: User) -> None:
    first, second = places_of(sold)
    uuid = uuid4()

    told = door.check_in(workshop, first.code, uuid, by=val)

    assert (told.uuid, told.outcome, told.booking, told.entry, told.by) == (uuid, "welcome", first, workshop, val)
    assert told.typed == first.code
    assert statuses_of(sold) == ["attended", "confirmed"]
    fact = LineFact.objects.get()
    assert (fact.line, fact.kind, fact.quantity, fact.by) == (second.order_line, "attended", 1, val)
    assert sold.events.get(kind="line_attended").by == val
    assert_pools_balance()


def test_nobody_is_mailed_at_the_door(sold: Order, workshop: Entry, val: User) -> None:
    mails = Message.objects.count()

    for booking in places_of(sold):
        scan(workshop, booking.code, val)

    assert Message.objects.count() == mails


def test_an_order_is_completed_when_the_last_is_in(sold: Order, workshop: Entry, val: User) -> None:
    for booking in places_of(sold):
        scan(workshop, booking.code, val)

    sold.refresh_from_db()
    assert sold.status == "completed"


@pytest.mark.parametrize("typed", ["{a}-{b}", " {a} {b} ", "{a}\N{EN DASH}{b}", "{small}", "{a}{b}\n"])
def test_a_code_is_understood_however_it_is_typed(sold: Order, workshop: Entry, val: User, typed: str) -> None:
    code = places_of(sold)[0].code

    told = scan(workshop, typed.format(a=code[:5], b=code[5:], small=code.lower()), val)

    assert told.outcome == "welcome"


def test_somebody_without_a_ticket_is_let_in_by_name(sold: Order, workshop: Entry, val: User) -> None:
    first, _second = places_of(sold)

    told = door.let_in(first, uuid4(), by=val)

    assert (told.outcome, told.booking, told.typed) == ("welcome", first, "")
    assert facts_of(sold) == [("attended", 1)]
    assert scan(workshop, first.code, val).outcome == "already_in"


# --- Not welcome


def test_a_second_scan_is_refused(sold: Order, workshop: Entry, val: User) -> None:
    code = places_of(sold)[0].code
    scan(workshop, code, val)
    facts, events = facts_of(sold), sold.events.count()

    told = scan(workshop, code, hire("kim"))

    assert told.outcome == "already_in"
    assert (facts_of(sold), sold.events.count()) == (facts, events)


@pytest.mark.parametrize(
    "typed", ["", "   ", "HELLO", "BCDFGHJKMN", "BCDFG-HJKM1", "https://example.org/" * 9, "☃" * 10]
)
def test_what_is_no_ticket_is_unknown(sold: Order, workshop: Entry, val: User, typed: str) -> None:
    before = all_rows()

    scan(workshop, typed, val)

    as_written("unknown", before)


def test_what_was_misread_is_named() -> None:
    assert door.strange_letters("bcdfg-hjk01o1") == "01O"
    assert door.strange_letters("BCDFG-HJKMN") == ""


def test_a_ticket_for_something_else_is_refused(sold: Order, val: User) -> None:
    other = EntryFactory()
    before = all_rows()

    scan(other, places_of(sold)[0].code, val)

    as_written("other_entry", before)


@pytest.mark.parametrize("status", ["cancelled", "moved", "no_show"])
def test_a_place_that_does_not_stand_is_refused(sold: Order, workshop: Entry, val: User, status: str) -> None:
    Booking.objects.update(status=status)
    before = all_rows()

    scan(workshop, places_of(sold)[0].code, val)

    as_written("gone", before)


def test_nobody_is_let_in_to_what_was_called_off(sold: Order, workshop: Entry, val: User) -> None:
    Entry.objects.update(cancelled_at=timezone.now())
    before = all_rows()

    scan(workshop, places_of(sold)[0].code, val)

    as_written("gone", before)


def test_a_place_of_a_cancelled_order_is_refused(sold: Order, workshop: Entry, val: User, staff: User) -> None:
    code = places_of(sold)[0].code
    services.cancel_confirmed(sold, by=staff, cause="staff")
    before = all_rows()

    scan(workshop, code, val)

    as_written("gone", before)


def test_a_place_that_its_line_does_not_have_any_more_is_refused(sold: Order, workshop: Entry, val: User) -> None:
    """Somebody wrote down otherwise what became of it: never more than was bought."""
    services.record_fact(sold.lines.get(), "missed", 2, by=val)
    before = all_rows()

    scan(workshop, places_of(sold)[0].code, val)

    as_written("gone", before)


def test_what_was_typed_and_is_no_code_is_forgotten_after_30_days(sold: Order, workshop: Entry, val: User) -> None:
    """Somebody types a name into the field for codes."""
    code = places_of(sold)[0].code
    for typed in ("Ada Shopper", code):
        scan(workshop, typed, val)
    Scan.objects.update(at=timezone.now() - timedelta(days=31))
    scan(workshop, "Bob Shopper", val)

    forget_what_was_typed()

    said = Scan.objects.order_by("pk").values_list("typed", "outcome")
    assert list(said) == [("", "unknown"), (code, "welcome"), ("Bob Shopper", "unknown")]


# --- Sent again


def test_a_scan_that_is_sent_again_gets_the_same_answer(sold: Order, workshop: Entry, val: User) -> None:
    code, uuid = places_of(sold)[0].code, uuid4()
    first = door.check_in(workshop, code, uuid, by=val)
    before = all_rows()

    again = door.check_in(workshop, code, uuid, by=val)

    assert (again.pk, again.outcome) == (first.pk, "welcome")
    assert all_rows() == before


def test_another_ticket_with_the_uuid_of_a_scan_before_is_another_scan(sold: Order, workshop: Entry, val: User) -> None:
    """A page without a script, to which the browser went back, sends its old UUID."""
    (ada, bob), uuid = places_of(sold), uuid4()
    door.check_in(workshop, ada.code, uuid, by=val)

    scans = [
        door.check_in(workshop, "NOT A CODE", uuid, by=val),
        door.check_in(workshop, bob.code, uuid, by=val),
        door.check_in(workshop, bob.code, uuid, by=val),
        door.let_in(bob, uuid, by=val),
    ]

    assert [each.outcome for each in scans] == ["unknown", "welcome", "welcome", "already_in"]
    assert [each.booking for each in scans] == [None, bob, bob, bob]
    assert Scan.objects.count() == 4
    assert facts_of(sold) == [("attended", 1), ("attended", 1)]


def test_an_answer_stays_what_it_was_whatever_happened_since(sold: Order, workshop: Entry, val: User) -> None:
    booking, uuid = places_of(sold)[0], uuid4()
    Booking.objects.update(status="cancelled")
    door.check_in(workshop, booking.code, uuid, by=val)
    Booking.objects.update(status="confirmed")

    assert door.check_in(workshop, booking.code, uuid, by=val).outcome == "gone"
    assert facts_of(sold) == []


# --- The rest


def test_whoever_is_not_in_did_not_come(sold: Order, place_order: PlaceOrder, workshop: Entry, val: User) -> None:
    other = sell(place_order, (EntryFactory(), 1))
    scan(workshop, places_of(sold)[0].code, val)
    begin(workshop, hours_ago=1)

    assert door.mark_rest_missed(workshop, by=val) == 1

    assert (statuses_of(sold), statuses_of(other)) == (["attended", "no_show"], ["confirmed"])
    assert facts_of(sold) == [("attended", 1), ("missed", 1)]
    sold.refresh_from_db()
    assert sold.status == "completed"
    assert_pools_balance()


def test_marking_the_rest_again_changes_nothing(sold: Order, workshop: Entry, val: User) -> None:
    begin(workshop, hours_ago=1)
    door.mark_rest_missed(workshop, by=val)
    before = all_rows()

    assert door.mark_rest_missed(workshop, by=val) == door.mark_rest_attended(workshop, by=val) == 0
    assert all_rows() == before


def test_nobody_is_missing_before_it_begins(sold: Order, workshop: Entry, val: User) -> None:
    before = all_rows()

    with pytest.raises(door.NotBegun):
        door.mark_rest_missed(workshop, by=val)

    assert all_rows() == before


def test_everybody_is_let_in_at_once(sold: Order, place_order: PlaceOrder, workshop: Entry, val: User) -> None:
    more = sell(place_order, (workshop, 1))
    scan(workshop, places_of(sold)[0].code, val)

    assert door.mark_rest_attended(workshop, by=val) == 2

    assert statuses_of(sold) + statuses_of(more) == ["attended"] * 3
    assert Scan.objects.filter(outcome="welcome").count() == 3


# --- Who is there


def test_people_are_counted_in_all_and_by_price(
    sold: Order, place_order: PlaceOrder, workshop: Entry, val: User, honey: Product
) -> None:
    child = PriceKind.objects.create(entry=workshop, name="Child", price="10.00")
    Entry.objects.update(price_name="Adult")
    workshop.refresh_from_db()
    more = sell(place_order, (workshop, 3))
    more.lines.update(price_kind=child)
    gone, late, _here = places_of(more)
    Booking.objects.filter(pk=gone.pk).update(status="cancelled")
    Booking.objects.filter(pk=late.pk).update(status="no_show")
    scan(workshop, places_of(sold)[0].code, val)

    counts = guest_list.count_people(workshop)

    assert (counts.total.inside, counts.total.missed, counts.total.every, counts.total.expected) == (1, 1, 4, 2)
    assert {(one.name, one.inside, one.every) for one in counts.by_price} == {("Adult", 1, 2), ("Child", 0, 2)}


def test_people_are_found_by_attendee_buyer_or_code(sold: Order, workshop: Entry) -> None:
    first, second = places_of(sold)
    Attendee.objects.create(order_line=first.order_line, number=1, booking=first, name="Zoë Attendee")

    def found(said: str) -> list[Booking]:
        return list(guest_list.find_people(workshop, said))

    assert found("") == [second, first]  # Ada Shopper ordered both, and comes herself
    assert found("zoë") == [first]
    assert found("shopper") == [second, first]
    assert found(second.code[:5] + "-" + second.code[5:].lower()) == [second]
    assert found("nobody") == []
    assert [row.who for row in guest_list.find_people(workshop, "")] == ["Ada Shopper", "Zoë Attendee"]


def test_before_its_day_nobody_is_let_in_until_the_door_says_so(sold: Order, workshop: Entry, val: User) -> None:
    Entry.objects.update(starts_at=timezone.now() + timedelta(days=2), ends_at=timezone.now() + timedelta(days=3))
    first, second = places_of(sold)
    before = all_rows()

    assert scan(workshop, first.code, val).outcome == "early"
    as_written("early", before)
    assert door.let_in(second, uuid4(), by=val).outcome == "early"

    assert let_in_early(first, val).outcome == "welcome"
    assert let_in_early(first, val).outcome == "already_in"
    assert scan(workshop, first.code, val).outcome == "already_in"
    assert list(Scan.objects.order_by("pk").values_list("outcome", flat=True)[:3]) == ["early", "early", "welcome"]


def test_an_early_scan_that_is_sent_again_is_answered_the_same_when_the_door_is_open(
    sold: Order, workshop: Entry, val: User
) -> None:
    uuid, code = uuid4(), places_of(sold)[0].code
    Entry.objects.update(starts_at=timezone.now() + timedelta(days=2), ends_at=timezone.now() + timedelta(days=3))
    first = door.check_in(workshop, code, uuid, by=val)
    begin(workshop)

    assert door.check_in(workshop, code, uuid, by=val) == first
    assert scan(workshop, code, val).outcome == "welcome"


@pytest.mark.parametrize(
    ("starts_at", "opens_at"),
    [
        ("2026-12-02 06:00", "2026-12-02 00:00"),
        ("2026-12-02 20:00", "2026-12-02 00:00"),
        ("2026-12-02 00:30", "2026-12-01 21:30"),
        ("2026-07-02 12:00", "2026-07-01 23:00"),  # as the day begins in London
    ],
)
def test_the_door_opens_on_the_day_or_three_hours_before(workshop: Entry, starts_at: str, opens_at: str) -> None:
    workshop.starts_at = datetime.fromisoformat(starts_at).replace(tzinfo=UTC)

    assert door.opens_at(workshop) == datetime.fromisoformat(opens_at).replace(tzinfo=UTC)


def test_what_is_not_valid_is_not_early(sold: Order, workshop: Entry, val: User) -> None:
    other = EntryFactory.create()
    Entry.objects.update(starts_at=timezone.now() + timedelta(days=2), ends_at=timezone.now() + timedelta(days=3))
    first, second = places_of(sold)

    assert scan(other, first.code, val).outcome == "other_entry"
    Booking.objects.filter(pk=second.pk).update(status="cancelled")
    assert scan(workshop, second.code, val).outcome == "gone"
    assert door.let_in(second, uuid4(), by=val, even_early=True).outcome == "gone"


def test_nobody_can_have_come_before_the_door_opens(sold: Order, workshop: Entry, val: User) -> None:
    Entry.objects.update(starts_at=timezone.now() + timedelta(days=2), ends_at=timezone.now() + timedelta(days=3))
    workshop.refresh_from_db()

    with pytest.raises(door.NotOpen):
        door.mark_rest_attended(workshop, by=val)

    assert facts_of(sold) == []
