"""What a page says of an entry's places is true, whoever else wants them."""

from datetime import UTC, datetime, timedelta
from html import unescape
from re import sub
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from time_machine import travel

from bookings import capacity
from bookings.availability import FEW, State, look_at
from bookings.browsing import with_free_places
from bookings.models import Entry, Hold, Waiter
from tests.cart.queries import asked
from tests.factories import CalendarFactory, EntryFactory

pytestmark = pytest.mark.django_db

AFTERNOON = datetime(2026, 6, 1, 13, 0, tzinfo=UTC)  # 14:00 in London


def words_of(page: bytes) -> str:
    """What a reader sees of a page, in one line."""
    inline = sub(r"</?(time|span|abbr|strong)\b[^>]*>", "", page.decode())
    return " ".join(unescape(sub(r"<[^>]*>", " ", inline)).split())


def words_about(entry: Entry, **headers: str) -> str:
    return words_of(Client().get(entry.get_absolute_url(), headers=headers).content)


def hold(entry: Entry, quantity: int, *, minutes: int) -> Hold:
    """What a cart holds, until so many minutes from now."""
    return capacity.claim(entry.pool_id, quantity, until=timezone.now() + timedelta(minutes=minutes))


def sell(entry: Entry, quantity: int) -> None:
    capacity.claim(entry.pool_id, quantity, until=None)


def wait(entry: Entry, **changes: Any) -> Waiter:
    return Waiter.objects.create(entry=entry, email="grace@mail.example", quantity=1, **changes)


def test_free_places_are_counted_and_the_last_ones_are_called_so() -> None:
    many, few, one = (EntryFactory.create(places=places) for places in (FEW + 1, FEW, 1))

    assert "6 places free" in words_about(many)
    assert "5 places left." in words_about(few)
    assert "1 place left." in words_about(one)


def test_places_without_limit_are_not_counted() -> None:
    entry = EntryFactory.create(places=None)

    assert look_at([entry])[entry.pk].state == State.UNLIMITED
    assert "place left" not in words_about(entry)


def test_of_what_is_in_baskets_is_said_how_many_and_when_the_first_may_come_back() -> None:
    with travel(AFTERNOON, tick=False):
        entry = EntryFactory.create(places=4)
        sell(entry, 1)
        hold(entry, 1, minutes=50)
        hold(entry, 1, minutes=32)

        page = words_about(entry)

    assert "1 place left. 2 more are in baskets and some may come back by 14:32." in page


def test_sold_out_is_said_with_what_may_come_back_and_the_waiting_list() -> None:
    with travel(AFTERNOON, tick=False):
        entry = EntryFactory.create(places=3)
        sell(entry, 2)
        hold(entry, 1, minutes=15)

        page = Client().get(entry.get_absolute_url())

    assert "Sold out. 1 more is in a basket and may come back by 14:15." in words_of(page.content)
    assert "bookings/_join.html" in [template.name for template in page.templates]
    assert b'name="price_kind"' not in page.content
    assert b"add-e" not in page.content


def test_who_takes_the_last_places_is_not_told_that_it_is_sold_out() -> None:
    entry = EntryFactory.create(places=2)

    answer = Client(headers={"HX-Request": "true"}).post("/cart/items/", {"entry": entry.pk, "quantity": 2})

    assert "It is in your basket. View basket You have the last places." in words_of(answer.content)
    assert "Sold out" not in words_of(answer.content)


@pytest.mark.parametrize(("quantity", "said"), [(1, "1 place is in your"), (3, "3 places are in your")])
def test_what_is_in_ones_own_basket_is_said_to_be_there(
    client: Client, fill_cart: Any, quantity: int, said: str
) -> None:
    entry = EntryFactory.create(places=3)
    _cart, token = fill_cart((entry, quantity))
    client.cookies["cart"] = token

    pages = [client.get(address) for address in (entry.get_absolute_url(), entry.calendar.get_absolute_url())]

    assert all(f"{said} own basket." in words_of(page.content) for page in pages)
    assert "own basket" not in words_about(entry)


def test_an_order_that_is_not_paid_yet_is_no_basket() -> None:
    entry = EntryFactory.create(places=2)
    sell(entry, 2)

    page = words_about(entry)

    assert "Sold out." in page
    assert "basket and may" not in page


def test_an_offer_to_somebody_who_waited_is_said_to_be_one_and_on_which_day_it_ends() -> None:
    with travel(AFTERNOON, tick=False):
        entry = EntryFactory.create(places=1)
        offered = hold(entry, 1, minutes=24 * 60)
        wait(entry, status=Waiter.Status.OFFERED, hold=offered, offer_until=offered.until)

        page = words_about(entry)

    assert (
        "1 more is in a basket or offered to somebody who waited and may come back by 14:00 on Tuesday 2 June" in page
    )


def test_a_hold_whose_time_is_over_is_free_since_whoever_asks_gets_it() -> None:
    entry = EntryFactory.create(places=3)
    hold(entry, 2, minutes=-1)
    kept = hold(entry, 1, minutes=15)

    places = look_at([Entry.objects.get(pk=entry.pk)])[entry.pk]

    assert (places.state, places.free, places.held) == (State.FEW_LEFT, 2, 1)
    assert places.returns_at == kept.until
    assert "2 places left. 1 more is in a basket" in words_about(entry)


def test_what_is_free_while_somebody_waits_is_not_offered_to_the_public() -> None:
    calendar = CalendarFactory.create()
    entry = EntryFactory.create(calendar=calendar, places=2)
    sibling = EntryFactory.create(calendar=calendar, pool=entry.pool)
    wait(entry)

    pages = [Client().get(address) for address in (entry.get_absolute_url(), sibling.get_absolute_url())]

    for page in pages:
        assert "2 places are free, but they go to those on the waiting list first." in words_of(page.content)
        assert b"add-e" not in page.content
        assert "bookings/_join.html" in [template.name for template in page.templates]


def test_what_nobody_could_be_offered_any_more_is_for_whoever_comes_and_is_found_as_free() -> None:
    """One waits for an entry of the room whose booking ends in a moment; the room's other entry is still on sale."""
    closing = EntryFactory.create(places=2, booking_closes_at=timezone.now() + timedelta(minutes=5))
    sibling = EntryFactory.create(calendar=closing.calendar, pool=closing.pool)
    wait(closing)

    assert look_at([sibling])[sibling.pk].can_be_added
    assert sibling in with_free_places(Entry.objects.all())


@pytest.mark.parametrize("status", [status for status in Waiter.Status if status != Waiter.Status.WAITING])
def test_whoever_waits_no_longer_stands_in_nobodys_way(status: Waiter.Status) -> None:
    entry = EntryFactory.create(places=2)
    offered = hold(entry, 1, minutes=30)
    wait(entry, status=status, hold=offered, offer_until=offered.until)

    assert look_at([entry])[entry.pk].state != State.QUEUED


@pytest.mark.parametrize(
    ("changes", "state", "said"),
    [
        ({"starts_at": timedelta(hours=-4)}, State.OVER, "It is over."),
        ({"starts_at": timedelta(hours=-1)}, State.BEGUN, "It has begun."),
        ({"cancelled_at": timedelta(0)}, State.CALLED_OFF, "This was called off."),
        ({"booking_closes_at": timedelta(seconds=-1)}, State.CLOSED, "Booking is closed."),
        ({"booking_opens_at": timedelta(hours=1)}, State.NOT_YET, "on sale on Monday 1 June 2026, 15:00"),
    ],
)
def test_why_nothing_can_be_booked_is_said(changes: dict[str, timedelta], state: State, said: str) -> None:
    with travel(AFTERNOON, tick=False):
        entry = EntryFactory.create(**{name: timezone.now() + shift for name, shift in changes.items()})

        places, page = look_at([entry])[entry.pk], Client().get(entry.get_absolute_url())

    assert places.state == state
    assert said in words_of(page.content)
    assert b"add-e" not in page.content


def test_the_calendars_notice_and_horizon_are_said() -> None:
    with travel(AFTERNOON, tick=False):
        calendar = CalendarFactory.create(notice_hours=48, horizon_days=5)
        near = EntryFactory.create(calendar=calendar, starts_at=AFTERNOON + timedelta(days=1))
        far = EntryFactory.create(calendar=calendar, starts_at=AFTERNOON + timedelta(days=6))

        seen = [words_about(entry) for entry in (near, far)]

    assert "Booking is closed." in seen[0]
    assert "Places go on sale on Tuesday 2 June 2026, 14:00" in seen[1]


def test_two_questions_are_enough_for_any_number_of_entries() -> None:
    entries = [EntryFactory.create(places=2) for _ in range(12)]
    for entry in entries:
        hold(entry, 1, minutes=10)
        wait(entry)
    rows = list(Entry.objects.listed())

    with asked() as few:
        look_at(rows[:2])
    with asked() as many:
        look_at(rows)
    with asked() as none:
        look_at([])

    assert (len(few), len(many), len(none)) == (2, 2, 0)
