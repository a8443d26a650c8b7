"""The waiting list: who joins, who is first, and what becomes of offers."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from time_machine import Traveller, travel

from bookings import capacity, waiting
from bookings.models import Entry, Pool, PriceKind, Waiter
from bookings.tasks import forget_who_waited, sweep_waiting_lists
from bookings.waiting import CannotJoin
from cart import services as carts
from cart.models import Cart
from cart.offers import take_offer
from cart.services import Unavailable
from cartsite.models import Message, User
from orders import personal_data, privacy
from orders.models import Order
from tests.bookings.lines import free, fresh, join, offers, order_of, sold_out, statuses
from tests.factories import CalendarFactory, EntryFactory
from tests.orders.acts import all_rows, place_cart
from tests.orders.people import connect

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]


@pytest.fixture
def clock() -> Iterator[Traveller]:
    with travel(timezone.now(), tick=False) as traveller:
        yield traveller


def owed(kind: str) -> list[str]:
    """To whom such a mail is owed, in the order in which it became so."""
    uuids = Message.objects.filter(kind=kind, status="owed").order_by("pk").values_list("subject_uuid", flat=True)
    emails = dict(Waiter.objects.values_list("uuid", "email"))
    return [emails[uuid].partition("@")[0] for uuid in uuids]


# --- Joining


def test_whoever_joins_is_behind_all_others_of_the_pool() -> None:
    entry, _holds = sold_out()
    other = EntryFactory.create(pool=entry.pool)

    join(entry, "ada")
    join(other, "bob")
    join(entry, "cleo", 2)

    assert order_of(entry) == ["ada", "bob", "cleo"]
    assert owed("waiting_joined") == ["ada", "bob", "cleo"]
    assert [waiting.turn_of(waiter) for waiter in Waiter.objects.order_by("pk")] == [1, 2, 3]


def test_the_same_address_stands_in_a_line_once_and_is_told_once_an_hour(clock: Traveller) -> None:
    entry, _holds = sold_out()
    first = join(entry, "ada", 2)

    again = waiting.join(entry, 1, email="ADA@Example.org")
    clock.shift(timedelta(hours=1))
    later = waiting.join(entry, 3, email="ada@example.org")

    assert (again, later, Waiter.objects.get().quantity) == (first, first, 2)
    assert Message.objects.filter(kind="waiting_joined").count() == 1
    assert Message.objects.filter(kind="waiting_again").count() == 2


def test_somebody_with_an_offer_does_not_join_once_more() -> None:
    entry, holds = sold_out()
    first = join(entry, "ada")
    free(holds[0])
    waiting.sweep()

    assert join(entry, "ada") == first

    assert Waiter.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cancelled_at": timezone.now()}, "was called off"),
        ({"archived_at": timezone.now()}, "is closed"),
        ({"booking_closes_at": timezone.now() - timedelta(minutes=1)}, "is closed"),
        ({"starts_at": timezone.now() - timedelta(minutes=1)}, "is closed"),
        ({"booking_closes_at": timezone.now() + timedelta(minutes=14)}, "closes in a few minutes"),
        ({"booking_opens_at": timezone.now() + timedelta(days=1)}, "not on sale yet"),
    ],
)
def test_nobody_waits_for_what_cannot_be_had(changes: dict[str, Any], reason: str) -> None:
    entry, _holds = sold_out()
    Entry.objects.filter(pk=entry.pk).update(**changes)
    before = all_rows()

    with pytest.raises(CannotJoin, match=reason):
        join(Entry.objects.get(pk=entry.pk), "ada")

    assert all_rows() == before


@pytest.mark.parametrize("places", [1, None])
def test_nobody_waits_where_places_are_free(places: int | None) -> None:
    entry = EntryFactory.create(places=places)

    with pytest.raises(CannotJoin, match="you can book now"):
        join(entry, "ada")

    assert not Waiter.objects.exists()


def test_where_others_wait_for_what_is_free_one_joins_behind_them() -> None:
    entry, holds = sold_out()
    join(entry, "ada", 3)
    free(holds[0])

    join(entry, "bob")

    assert order_of(entry) == ["ada", "bob"]


@pytest.mark.parametrize(
    ("caps", "most"), [({}, 10), ({"max_per_order": 4}, 4), ({"max_per_order": 4, "max_per_person": 2}, 2)]
)
def test_one_waits_for_no_more_places_than_one_may_have(caps: dict[str, int], most: int) -> None:
    entry, _holds = sold_out(**caps)

    for quantity in (0, most + 1):
        with pytest.raises(CannotJoin):
            join(entry, "ada", quantity)
    join(entry, "ada", most)

    assert Waiter.objects.get().quantity == most


def test_one_waits_for_no_more_places_than_may_be_in_one_basket() -> None:
    entry, _holds = sold_out(calendar__most_held=3)

    with pytest.raises(CannotJoin, match="You can ask for 1 to 3 places"):
        join(entry, "ada", 4)

    assert not Waiter.objects.exists()


# --- Offers


def test_freed_places_are_offered_in_order_until_none_is_left() -> None:
    entry, holds = sold_out()
    line = [join(entry, name) for name in ("ada", "bob", "cleo")]
    free(*holds[:2])

    offered = waiting.offer_freed(entry.pool_id)

    assert offered == line[:2]
    assert offers() == {"ada": 1, "bob": 1}
    assert statuses(*line) == ["offered", "offered", "waiting"]
    assert owed("waiting_offer") == ["ada", "bob"]


def test_whoever_asked_for_more_than_is_free_is_offered_what_there_is_and_not_passed_over() -> None:
    entry, holds = sold_out()
    join(entry, "ada", 3)
    join(entry, "bob", 1)
    free(*holds[:2])

    waiting.sweep()

    assert offers() == {"ada": 2}


def test_the_line_is_one_for_all_entries_of_a_pool() -> None:
    entry, holds = sold_out()
    other = EntryFactory.create(pool=entry.pool)
    join(other, "ada")
    join(entry, "bob")
    free(holds[0])

    waiting.sweep()

    assert offers() == {"ada": 1}


def test_without_limit_everybody_is_offered_what_they_asked_for() -> None:
    entry, _holds = sold_out()
    join(entry, "ada", 3)
    join(entry, "bob", 2)
    capacity.set_capacity(entry.pool, None)

    waiting.sweep()

    assert offers() == {"ada": 3, "bob": 2}


def test_what_expired_carts_hold_is_offered_too(clock: Traveller) -> None:
    entry, holds = sold_out()
    join(entry, "ada", 3)
    free(*holds)
    capacity.claim(entry.pool_id, 2, capacity.cart_hold_ends())
    clock.shift(timedelta(minutes=16))

    sweep_waiting_lists()

    assert offers() == {"ada": 3}


@pytest.mark.parametrize(
    ("closes_in", "lasts"),
    [(timedelta(days=5), timedelta(hours=24)), (timedelta(hours=3), timedelta(hours=3))],
)
def test_an_offer_lasts_as_the_calendar_says_but_never_beyond_the_end_of_booking(
    clock: Traveller, closes_in: timedelta, lasts: timedelta
) -> None:
    entry, holds = sold_out(booking_closes_at=timezone.now() + closes_in)
    waiter = join(entry, "ada")
    free(holds[0])

    waiting.sweep()

    offered = fresh(waiter)
    assert offered.offer_until == timezone.now() + lasts
    assert offered.hold is not None
    assert offered.hold.until == offered.offer_until


def test_so_shortly_before_booking_closes_nothing_is_offered_and_the_public_may_have_it(
    clock: Traveller, fill_cart: Fill
) -> None:
    entry, holds = sold_out(booking_closes_at=timezone.now() + timedelta(minutes=20))
    waiter = join(entry, "ada")
    clock.shift(timedelta(minutes=6))
    free(holds[0])

    waiting.sweep()
    fill_cart((entry, 1))

    assert statuses(waiter) == ["waiting"]
    clock.shift(timedelta(minutes=15))
    waiting.sweep()
    assert statuses(waiter) == ["closed"]
    assert owed("waiting_closed") == ["ada"]


def test_an_entry_that_nobody_can_book_now_does_not_hold_up_the_others_of_its_pool() -> None:
    entry, holds = sold_out()
    other = EntryFactory.create(pool=entry.pool)
    first = join(entry, "ada")
    join(other, "bob")
    Entry.objects.filter(pk=entry.pk).update(booking_opens_at=timezone.now() + timedelta(days=1))
    free(holds[0])

    waiting.sweep()

    assert offers() == {"bob": 1}
    assert statuses(first) == ["waiting"]


def test_an_offer_that_nobody_takes_goes_to_the_next_and_both_are_told(clock: Traveller) -> None:
    entry, holds = sold_out()
    ada, bob = join(entry, "ada"), join(entry, "bob")
    free(holds[0])
    waiting.sweep()
    clock.shift(timedelta(hours=24))

    waiting.sweep()

    assert statuses(ada, bob) == ["passed", "offered"]
    assert (owed("waiting_passed"), owed("waiting_offer")) == (["ada"], ["ada", "bob"])
    assert fresh(ada).ended_at == timezone.now()


def test_an_offer_whose_hold_was_given_back_by_somebody_else_has_lapsed(clock: Traveller) -> None:
    entry, holds = sold_out()
    ada, bob = join(entry, "ada"), join(entry, "bob")
    free(holds[0])
    waiting.sweep()
    clock.shift(timedelta(hours=24))
    capacity.give_expired_back()

    waiting.sweep()

    assert statuses(ada, bob) == ["passed", "offered"]


def test_looking_again_changes_nothing(clock: Traveller) -> None:
    entry, holds = sold_out()
    join(entry, "ada")
    free(*holds[:2])
    waiting.sweep()
    before = all_rows()

    waiting.sweep()

    assert waiting.offer_freed(entry.pool_id) == []
    assert all_rows() == before


def test_a_line_that_fails_delays_no_other(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    (one, one_holds), (two, two_holds) = sold_out(), sold_out()
    join(one, "ada")
    join(two, "bob")
    free(one_holds[0], two_holds[0])
    real = waiting.offer_ends

    def fail_for_one(entry: Entry) -> Any:
        if entry == one:
            raise RuntimeError("broken")
        return real(entry)

    monkeypatch.setattr(waiting, "offer_ends", fail_for_one)

    waiting.sweep()

    assert offers() == {"bob": 1}
    assert f"pool {one.pool_id}" in caplog.text


def test_who_waits_for_something_called_off_is_told_once_and_what_was_offered_is_free_for_the_pool() -> None:
    entry, holds = sold_out()
    other = EntryFactory.create(pool=entry.pool)
    ada, bob, cleo = join(entry, "ada"), join(entry, "bob"), join(other, "cleo")
    free(holds[0])
    waiting.sweep()
    Entry.objects.filter(pk=entry.pk).update(cancelled_at=timezone.now())

    waiting.sweep()
    waiting.sweep()

    assert statuses(ada, bob, cleo) == ["closed", "closed", "offered"]
    assert owed("waiting_closed") == ["ada", "bob"]


# --- The public


def test_while_somebody_waits_the_public_gets_nothing(fill_cart: Fill) -> None:
    entry, holds = sold_out()
    cart, _token = fill_cart()
    join(entry, "ada")
    free(holds[0])
    before = all_rows()

    with pytest.raises(Unavailable, match="waiting list"):
        carts.add(cart, entry, 1)

    assert all_rows() == before
    assert waiting.is_queued([entry.pool_id]) == {entry.pool_id}


def test_a_line_of_a_basket_does_not_grow_while_somebody_waits_but_it_may_shrink(fill_cart: Fill) -> None:
    entry = EntryFactory.create(places=3)
    cart, _token = fill_cart((entry, 2))
    hold = capacity.claim(entry.pool_id, 1, None)
    join(entry, "ada")
    free(hold)
    item = cart.items.get()

    with pytest.raises(Unavailable):
        carts.set_quantity(cart, item.pk, 3)
    assert cart.items.get().quantity == 2
    carts.set_quantity(cart, item.pk, 1)

    assert cart.items.get().quantity == 1


@pytest.mark.parametrize("given_back", [True, False])
def test_a_basket_whose_hold_lapsed_is_not_ordered_past_those_who_wait(
    fill_cart: Fill, clock: Traveller, *, given_back: bool
) -> None:
    entry = EntryFactory.create(places=1)
    cart, token = fill_cart((entry, 1))
    join(entry, "ada")
    clock.shift(timedelta(minutes=16))
    if given_back:
        capacity.give_expired_back()
    before = all_rows()

    with pytest.raises(Exception, match="not enough left"):
        place_cart(cart, token)

    assert all_rows() == before
    waiting.sweep()
    assert offers() == {"ada": 1}


def test_once_everybody_has_an_offer_the_public_may_have_the_rest(fill_cart: Fill) -> None:
    entry, holds = sold_out()
    join(entry, "ada")
    free(*holds[:2])
    waiting.sweep()

    fill_cart((entry, 1))

    assert waiting.is_queued([entry.pool_id]) == set()


def test_where_no_pools_are_named_nothing_is_asked(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert waiting.is_queued([]) == set()


# --- Taking what is offered


@pytest.fixture
def offered(clock: Traveller) -> Waiter:
    """Ada has an offer of two places, and Bob waits behind her."""
    entry, holds = sold_out()
    waiter = join(entry, "ada", 2)
    join(entry, "bob")
    free(*holds[:2])
    waiting.sweep()
    return fresh(waiter)


def test_an_offer_goes_into_the_basket_with_its_hold(offered: Waiter, fill_cart: Fill) -> None:
    cart, _token = fill_cart()

    basket = take_offer(cart, offered)

    (item,) = basket.items
    assert (item.entry, item.quantity, item.is_held, item.seen_price) == (offered.entry, 2, True, offered.entry.price)
    assert item.hold is not None
    assert item.hold.until == timezone.now() + timedelta(hours=1)
    assert (fresh(offered).status, fresh(offered).hold) == ("taken", None)


@pytest.mark.parametrize(
    ("left", "lasts"), [(timedelta(minutes=5), 15), (timedelta(minutes=40), 40), (timedelta(hours=20), 60)]
)
def test_what_was_taken_is_held_for_what_was_left_of_the_offer(
    offered: Waiter, fill_cart: Fill, clock: Traveller, left: timedelta, lasts: int
) -> None:
    cart, _token = fill_cart()
    clock.shift(timedelta(hours=24) - left)

    basket = take_offer(cart, offered)

    hold = basket.items[0].hold
    assert hold is not None
    assert (hold.until, hold.claimed_at) == (timezone.now() + timedelta(minutes=lasts), timezone.now())


def test_taking_it_twice_is_taking_it_once(offered: Waiter, fill_cart: Fill) -> None:
    cart, _token = fill_cart()
    take_offer(cart, offered)
    before = all_rows()

    basket = take_offer(cart, offered)

    assert [item.quantity for item in basket.items] == [2]
    assert all_rows() == before


def test_it_joins_the_line_that_the_basket_has_already(fill_cart: Fill, clock: Traveller) -> None:
    entry = EntryFactory.create(places=3)
    cart, _token = fill_cart((entry, 1))
    rest = capacity.claim(entry.pool_id, 2, None)
    waiter = join(entry, "ada", 2)
    free(rest)
    waiting.sweep()
    clock.shift(timedelta(minutes=10))

    basket = take_offer(cart, waiter)

    (item,) = basket.items
    assert (item.quantity, item.is_held, item.hold_expired) == (3, True, False)
    assert Pool.objects.get(pk=entry.pool_id).taken == 3


@pytest.mark.parametrize("given_back", [False, True])
def test_a_line_that_lapsed_is_as_many_as_were_offered(fill_cart: Fill, clock: Traveller, *, given_back: bool) -> None:
    entry = EntryFactory.create(places=4)
    cart, _token = fill_cart((entry, 3))
    sold = capacity.claim(entry.pool_id, 1, None)
    waiter = join(entry, "ada", 1)
    free(sold)
    waiting.offer_freed(entry.pool_id)
    clock.shift(timedelta(minutes=20))
    if given_back:
        capacity.give_expired_back()

    basket = take_offer(cart, waiter)

    (item,) = basket.items
    assert (item.quantity, item.is_held, item.hold_expired) == (1, True, False)
    assert Pool.objects.get(pk=entry.pool_id).taken == 1


def test_an_offer_of_one_of_the_other_prices_is_put_in_at_that_price(fill_cart: Fill) -> None:
    entry, holds = sold_out()
    child = PriceKind.objects.create(entry=entry, name="Child", price=10)
    waiter = join(entry, "ada", price_kind=child)
    free(holds[0])
    waiting.sweep()
    cart, _token = fill_cart()

    basket = take_offer(cart, waiter)

    assert (basket.items[0].price_kind, basket.total) == (child, 10)


def test_where_that_price_is_no_more_it_costs_what_the_entry_costs(fill_cart: Fill) -> None:
    entry, holds = sold_out()
    child = PriceKind.objects.create(entry=entry, name="Child", price=10)
    waiter = join(entry, "ada", price_kind=child)
    free(holds[0])
    waiting.sweep()
    PriceKind.objects.update(archived_at=timezone.now())
    cart, _token = fill_cart()

    basket = take_offer(cart, waiter)

    assert (basket.items[0].price_kind, basket.total) == (None, entry.price)


@pytest.mark.parametrize("how", ["lapsed", "given_back", "called_off", "waiting"])
def test_what_is_not_offered_any_more_cannot_be_taken(
    offered: Waiter, fill_cart: Fill, clock: Traveller, how: str
) -> None:
    cart, _token = fill_cart()
    waiter = offered
    if how == "lapsed":
        clock.shift(timedelta(hours=24))
    elif how == "given_back":
        capacity.give_back([offered.hold_id or 0])
    elif how == "called_off":
        Entry.objects.update(cancelled_at=timezone.now())
    else:
        waiter = Waiter.objects.get(status="waiting")
    before = all_rows()

    with pytest.raises(Unavailable):
        take_offer(cart, waiter)

    assert all_rows() == before


def test_what_was_taken_and_then_lapsed_in_the_basket_is_offered_to_the_next(
    offered: Waiter, fill_cart: Fill, clock: Traveller
) -> None:
    cart, _token = fill_cart()
    take_offer(cart, offered)
    clock.shift(timedelta(minutes=61))

    waiting.sweep()

    assert offers() == {"bob": 1}


# --- Saying no, and leaving


@pytest.mark.parametrize(("step", "status"), [(waiting.decline, "passed"), (waiting.leave, "left")])
def test_what_somebody_does_not_want_goes_to_the_next_at_once(
    offered: Waiter, step: Callable[[Waiter], bool], status: str
) -> None:
    assert step(offered)

    assert fresh(offered).status == status
    assert offers() == {"bob": 1}
    assert owed("waiting_passed") == []
    assert not step(offered)


def test_without_an_offer_there_is_nothing_to_decline_but_one_may_leave(offered: Waiter) -> None:
    bob = Waiter.objects.get(status="waiting")

    assert not waiting.decline(bob)
    assert waiting.leave(bob)

    assert statuses(bob) == ["left"]
    assert offers() == {"ada": 2}


def test_whoever_left_may_join_again_at_the_end() -> None:
    entry, _holds = sold_out()
    ada = join(entry, "ada")
    join(entry, "bob")
    waiting.leave(ada)

    assert join(entry, "ada") != ada

    assert order_of(entry) == ["bob", "ada"]


# --- Staff


@pytest.mark.parametrize(
    ("who", "step", "line"),
    [
        ("cleo", "first", ["cleo", "ada", "bob"]),
        ("cleo", "up", ["ada", "cleo", "bob"]),
        ("ada", "down", ["bob", "ada", "cleo"]),
        ("ada", "last", ["bob", "cleo", "ada"]),
        ("ada", "up", ["ada", "bob", "cleo"]),
        ("cleo", "down", ["ada", "bob", "cleo"]),
    ],
)
@pytest.mark.parametrize("are_equal", [True, False])
def test_staff_may_change_the_order(who: str, step: waiting.Step, line: list[str], are_equal: bool) -> None:
    entry, _holds = sold_out()
    people = {name: join(entry, name) for name in ("ada", "bob", "cleo")}
    if are_equal:
        Waiter.objects.update(place=0)

    moved = waiting.move(people[who], step)
    join(entry, "dora")

    assert order_of(entry) == [*line, "dora"]
    assert moved == (line != ["ada", "bob", "cleo"])


def test_whoever_does_not_wait_any_more_is_not_moved(offered: Waiter) -> None:
    assert not waiting.move(offered, "last")


# --- Personal data


@pytest.fixture
def person(shopper: User) -> User:
    """Ada, who has an account with a confirmed address."""
    connect(shopper)
    return shopper


def test_erasing_a_person_takes_them_off_every_line_and_frees_what_was_offered(
    offered: Waiter, person: User, staff: User
) -> None:
    privacy.erase_person(person, by=staff)
    waiting.sweep()

    gone = fresh(offered)
    assert (gone.status, gone.email, gone.name, gone.user) == ("left", "", "", None)
    assert offers() == {"bob": 1}
    assert not Message.objects.filter(subject_uuid=offered.uuid, status="owed").exists()


def test_erasing_a_guest_forgets_that_they_waited(offered: Waiter, order: Order, staff: User) -> None:
    Order.objects.update(status="expired")

    privacy.erase_contact(order, by=staff)

    assert fresh(offered).email == ""
    assert Waiter.objects.get(status="waiting").email == "bob@example.org"


def test_a_person_is_told_what_they_wait_for(offered: Waiter, person: User) -> None:
    told = "".join(personal_data.export(person))

    assert '"waiting_lists"' in told
    assert offered.entry.title in told
    assert "bob@" not in told
    assert personal_data.count(person)["waiting"] == 1


def test_who_somebody_was_is_forgotten_30_days_after_they_left(offered: Waiter, clock: Traveller) -> None:
    waiting.leave(offered)
    clock.shift(timedelta(days=30))
    forget_who_waited()
    assert fresh(offered).email == "ada@example.org"
    clock.shift(timedelta(seconds=1))

    forget_who_waited()

    assert fresh(offered).email == ""
    assert Waiter.objects.exclude(pk=offered.pk).get().email == "bob@example.org"


def test_archived_calendars_close_their_lines() -> None:
    entry, _holds = sold_out(calendar=CalendarFactory.create())
    waiter = join(entry, "ada")
    entry.calendar.archived_at = timezone.now()
    entry.calendar.save()

    waiting.sweep()

    assert statuses(waiter) == ["closed"]
