"""Each rule of the machine about places, lines and the door notices when it is broken."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import F

from bookings import waiting
from bookings.models import Booking, Entry, Hold, Pool, Waiter
from cart.models import Cart
from cartsite.models import User
from orders.models import Order
from payments import moving, settling, starting
from payments.models import Refund
from payments.simulator import Simulator
from tests.bookings.lines import join
from tests.factories import EntryFactory, UserFactory
from tests.machine.invariants import find_breaches, find_passed_over
from tests.machine.worth_of_chains import find_wrong_worth
from tests.orders.acts import place_cart
from tests.orders.door import let_in_early

pytestmark = pytest.mark.django_db

Fill = Callable[..., tuple[Cart, str]]


@pytest.fixture
def full(workshop: Entry) -> Entry:
    """The workshop, with three places: all of them for the taking."""
    Pool.objects.filter(pk=workshop.pool_id).update(wanted=3, capacity=3)
    return workshop


@pytest.fixture
def sold(sumup: Simulator, fill_cart: Fill, full: Entry) -> Order:
    """All three places, paid."""
    order = place_cart(*fill_cart((full, 3)))
    settle(order, sumup)
    return order


def settle(order: Order, sumup: Simulator) -> None:
    payment = starting.start(order)
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)


@pytest.fixture
def line(sold: Order, full: Entry, staff: User) -> list[Waiter]:
    """One place was moved to a cheaper date, somebody has the next; one was offered that place, one waits."""
    waiters = [join(full, name) for name in ("ada", "bob")]
    move(sold, EntryFactory.create(calendar=full.calendar, title=full.title, price=Decimal("25.00")))
    let_in_early(Booking.objects.filter(status="confirmed").earliest("pk"), staff)
    waiting.offer_freed(full.pool_id)
    return waiters


def move(order: Order, to: Entry) -> Order | None:
    """One place of its only line."""
    order.refresh_from_db()
    plan = moving.plan_for(order, 0, 1, to.pk)
    return moving.move_for_shopper(order, 0, 1, to.pk, agreed=plan.fingerprint, by=None)[1]


def broken_rules() -> list[str]:
    return [rule for rule, _what in find_breaches()]


def test_no_rule_is_broken_by_places_that_moved_and_were_offered(line: list[Waiter]) -> None:
    porter: User = UserFactory.create()

    wrong = [*broken_rules(), *find_passed_over([line[0].pk]), *find_wrong_worth(porter.pk)]

    assert wrong == []


def sell_too_many() -> None:
    Pool.objects.filter(taken=3).update(wanted=2, capacity=2, taken=2)


def let_in_off_the_record() -> None:
    Booking.objects.filter(status="confirmed").update(status="attended")


def miss_off_the_record() -> None:
    Booking.objects.filter(status="confirmed").update(status="no_show")


def move_to_nowhere() -> None:
    Booking.objects.filter(status="confirmed").update(status="moved")


def come_back_from_where_it_went() -> None:
    Booking.objects.filter(status="moved").update(status="cancelled")


def move_to_what_is_not_to_be_paid() -> None:
    place = Booking.objects.filter(status="confirmed").latest("pk")
    Booking.objects.filter(pk=place.pk).update(moving_to=place.order_line)


def offer_without_end() -> None:
    Hold.objects.filter(waiter__isnull=False).update(until=None)


def keep_what_was_offered() -> None:
    Waiter.objects.filter(status="offered").update(status="passed")


@pytest.mark.parametrize(
    ("breaking", "rule"),
    [
        (sell_too_many, "6 places that somebody has"),
        (let_in_off_the_record, "whoever was let in is on record once"),
        (let_in_off_the_record, "whoever was let in is on record by one scan"),
        (miss_off_the_record, "whoever was let in is on record once"),
        (move_to_nowhere, "a place that was moved is"),
        (move_to_nowhere, "every place sold is a booking"),
        (come_back_from_where_it_went, "a place that was moved is"),
        (move_to_what_is_not_to_be_paid, "a place that was moved is"),
        (offer_without_end, "what is offered is held"),
        (keep_what_was_offered, "what is offered is held"),
        (keep_what_was_offered, "6 every live hold"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_broken_rule_is_noticed(line: list[Waiter], breaking: Callable[[], None], rule: str) -> None:
    breaking()

    assert any(broken.startswith(rule) for broken in broken_rules())


def test_an_offer_that_goes_past_somebody_is_noticed(line: list[Waiter]) -> None:
    first, second = line

    Waiter.objects.filter(pk=first.pk).update(status="waiting", place=F("place"))

    assert len(find_passed_over([second.pk])) == 1
    Waiter.objects.filter(pk=first.pk).update(place=second.place + 1)
    assert find_passed_over([second.pk]) == []


def test_a_penny_too_much_for_a_cheaper_date_is_noticed(line: list[Waiter]) -> None:
    porter: User = UserFactory.create()

    Refund.objects.update(amount=F("amount") + Decimal("0.01"))

    assert len(find_wrong_worth(porter.pk)) == 1


def test_money_that_is_lost_on_the_way_to_a_dearer_date_is_noticed(sold: Order, full: Entry, sumup: Simulator) -> None:
    porter: User = UserFactory.create()
    dearer = move(sold, EntryFactory.create(calendar=full.calendar, title=full.title, price=Decimal("45.00")))
    assert dearer is not None
    settle(dearer, sumup)
    assert find_wrong_worth(porter.pk) == []

    Booking.objects.filter(order_line__order=dearer).update(given_back=Decimal("0.01"))

    assert len(find_wrong_worth(porter.pk)) == 1


def test_an_offer_lasts_as_long_as_it_was_promised(line: list[Waiter]) -> None:
    Hold.objects.filter(waiter__isnull=False).update(until=F("until") + timedelta(minutes=1))

    assert any(rule.startswith("what is offered is held") for rule in broken_rules())
