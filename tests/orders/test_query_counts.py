"""Placing an order, and looking at one, costs the same few statements, however much is in it."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from bookings import capacity
from bookings.models import Hold, Pool
from cart.models import Cart
from cartsite.models import Case, User
from orders import services
from orders.models import Order
from payments import ledger
from payments.models import Payment, Refund
from payments.sumup import Event, Transaction
from tests.factories import EntryFactory, ProductFactory
from tests.orders.acts import agreed_for, holder_of, place_cart, statements

pytestmark = pytest.mark.django_db

FillCart = Callable[..., tuple[Cart, str]]
MOST = 13  # 12 where nothing is asked about a waiting list, since nothing had lapsed
MOST_TO_LOOK = 17  # 14 without late money and refunds that failed


def cost_of_placing(cart: Cart, token: str, user: User | None = None) -> list[str]:
    agreed = agreed_for(cart)
    with statements() as sent:
        place_cart(cart, token, user=user, agreed=agreed)
    return sent


def fill(fill_cart: FillCart, lines: int, user: User | None = None) -> tuple[Cart, str]:
    """A cart of so many lines: scarce products, places, and things that are not counted."""
    makers: list[Callable[[], object]] = [lambda: ProductFactory(stock=9), EntryFactory, ProductFactory]
    return fill_cart(*((makers[number % 3](), 2) for number in range(lines)), user=user)


def test_forty_lines_cost_what_two_do(fill_cart: FillCart) -> None:
    few = cost_of_placing(*fill(fill_cart, 2))
    many = cost_of_placing(*fill(fill_cart, 40))

    assert len(few) == len(many) <= MOST


def test_a_shopper_who_signed_in_costs_no_more(fill_cart: FillCart, shopper: User) -> None:
    cart, token = fill(fill_cart, 10, user=shopper)

    assert len(cost_of_placing(cart, token, shopper)) <= MOST


def test_claiming_again_all_that_had_lapsed_costs_no_more(fill_cart: FillCart) -> None:
    counts = []
    for lines in (3, 40):
        cart, token = fill(fill_cart, lines)
        capacity.give_back(list(Hold.objects.filter(cart_item__cart=cart).values_list("pk", flat=True)))
        counts.append(len(cost_of_placing(cart, token)))

    assert counts[0] == counts[1] <= MOST


def test_claiming_again_some_that_had_lapsed_costs_no_more(fill_cart: FillCart) -> None:
    counts = []
    for lines in (6, 40):
        cart, token = fill(fill_cart, lines)
        held = list(Hold.objects.filter(cart_item__cart=cart).values_list("pk", flat=True))
        capacity.give_back(held[::2])
        counts.append(len(cost_of_placing(cart, token)))

    assert counts[0] == counts[1] <= MOST


def test_taking_room_from_expired_holds_is_constant_too(fill_cart: FillCart) -> None:
    counts = []
    for lines in (3, 40):
        things = [ProductFactory(stock=2) for _line in range(lines)]
        cart, token = fill_cart(*((thing, 2) for thing in things))
        capacity.give_back(list(Hold.objects.filter(cart_item__cart=cart).values_list("pk", flat=True)))
        fill_cart(*((thing, 2) for thing in things))
        Hold.objects.filter(quantity__gt=0, until__isnull=False).update(until="2020-01-01T00:00:00Z")
        counts.append(len(cost_of_placing(cart, token)))

    assert counts[0] == counts[1]
    assert Pool.objects.exclude(taken=2).count() == 0


# --- Looking at an order's page


def move_money(order: Order, staff: User, times: int) -> None:
    """So many payments, refunds of every status, chargebacks, cancelled pieces, and cases about late money."""
    lines = list(order.lines.all())
    for turn in range(times):
        name, now = f"{order.pk}-{turn}", timezone.now()
        payment = Payment.objects.create(
            order=order,
            amount=10,
            currency="GBP",
            merchant_code="M",
            status="captured",
            valid_until=now + timedelta(minutes=30),
        )
        ledger.record_capture(payment, Transaction(name, name, "SUCCESSFUL", Decimal(10), "GBP", now))
        event = Event(f"{name}-back", name, "CHARGE_BACK", "PENDING", Decimal(1), now)
        ledger.record_money_back("chargeback", payment, event)
        for status in ("requested", "done", "failed", "external"):
            moment = now if status in ("done", "external") else None
            refund = Refund.objects.create(
                order=order, payment=payment, status=status, amount=1, currency="GBP", done_at=moment
            )
            if status == "failed":
                Case.open(Case.Kind.REFUND_FAILED, refund, "It failed.")
        Case.open(Case.Kind.LATE_PAYMENT, payment, "It came late.", Decimal(10))
        services.cancel_some(lines[turn], 1, by=staff)


def test_an_orders_page_costs_the_same_however_often_money_moved(fill_cart: FillCart, staff: User) -> None:
    few, many = (place_cart(*fill(fill_cart, 8)) for _order in range(2))
    for order, times in ((few, 1), (many, 6)):
        services.confirm(order, cause="paid")
        move_money(order, staff, times)

    counts = []
    for order in (few, many):
        client = holder_of(order)
        with statements() as sent:
            assert client.get(order.get_absolute_url()).status_code == 200
        counts.append(len(sent))

    assert counts[0] == counts[1] <= MOST_TO_LOOK
