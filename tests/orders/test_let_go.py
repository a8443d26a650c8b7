"""An unpaid order's end: its holds go back to the pools, or into a cart."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from bookings.models import Booking, Entry, Hold, Pool
from cart.models import Cart, CartItem, Product
from cartsite.models import Case, User
from orders import services
from orders.models import LineFact, Order
from tests.factories import EntryFactory, ProductFactory
from tests.orders.acts import all_rows, assert_pools_balance

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
FillCart = Callable[..., tuple[Cart, str]]


def close(order: Order, to: str = "cancelled", by: str = "shopper", user: User | None = None) -> Order:
    """Begin to let an order go."""
    Order.objects.filter(pk=order.pk).update(
        closing_since=timezone.now(), closing_to=to, closing_by=by, closing_user=user
    )
    order.refresh_from_db()
    return order


@pytest.mark.parametrize(("to", "by"), [("expired", "timer"), ("cancelled", "staff")])
def test_an_order_let_go_gives_everything_back(order: Order, to: str, by: str) -> None:
    close(order, to, by)

    assert services.let_go(order, None)

    order.refresh_from_db()
    assert (order.status, order.closing_since, order.closing_to) == (to, None, "")
    assert (order.events.last().kind, order.events.last().cause) == (to, by)  # type: ignore[union-attr]
    assert Pool.objects.get().taken == 0
    assert_pools_balance()


def test_who_let_an_order_go_is_written_down(order: Order, staff: User) -> None:
    close(order, "cancelled", "staff", staff)

    services.let_go(order, None)

    assert order.events.get(kind="cancelled").by == staff


def test_a_changed_basket_comes_back_with_what_it_held(
    order: Order, fill_cart: FillCart, honey: Product, workshop: Entry
) -> None:
    cart, _token = fill_cart()

    assert services.let_go(close(order), cart)

    items = {item.thing: item for item in cart.items.all()}
    assert {thing: item.quantity for thing, item in items.items()} == {honey: 1, workshop: 2}
    assert items[workshop].seen_price == Decimal("35.00")
    hold = items[workshop].hold
    assert hold is not None
    assert hold.quantity == 2
    assert hold.until is not None
    assert timedelta(minutes=14) < hold.until - timezone.now() <= timedelta(minutes=15)
    assert Pool.objects.get().taken == 2
    assert not order.lines.exclude(hold=None).exists()


def test_a_basket_that_comes_back_joins_what_was_bought_since(
    order: Order, fill_cart: FillCart, honey: Product, workshop: Entry
) -> None:
    tea = ProductFactory()
    cart, _token = fill_cart((workshop, 1), (honey, 5), (tea, 1))

    services.let_go(close(order), cart)

    quantities = {item.thing: item.quantity for item in CartItem.objects.filter(cart=cart)}
    assert quantities == {workshop: 2, honey: 5, tea: 1}
    assert Pool.objects.get().taken == 2
    assert sum(Hold.objects.values_list("quantity", flat=True)) == 2


def test_an_order_that_does_not_wait_is_not_let_go(order: Order) -> None:
    close(order)
    stale = Order.objects.get()
    services.confirm(order, cause="paid")
    before = all_rows()
    Order.objects.filter(pk=order.pk).update(status="completed")

    assert not services.let_go(stale, None)

    Order.objects.filter(pk=order.pk).update(status="confirmed")
    assert all_rows() == before


# --- Cancelling what was paid


def test_a_confirmed_order_called_off_frees_places_and_goods(
    place_order: PlaceOrder, workshop: Entry, staff: User
) -> None:
    order = place_order((workshop, 2), (ProductFactory(stock=5), 3))
    services.confirm(order, cause="paid")

    assert services.cancel_confirmed(order, by=staff, cause="staff")

    assert set(Pool.objects.values_list("taken", flat=True)) == {0}
    assert set(Booking.objects.values_list("status", flat=True)) == {"cancelled"}
    assert order.events.filter(kind="cancelled", by=staff).exists()
    assert_pools_balance()


def test_calling_an_order_off_says_nothing_of_its_money(order: Order, staff: User) -> None:
    """That is for `payments.cancelling`, which calls this and asks for the money to go back in one transaction."""
    services.confirm(order, cause="paid")

    services.cancel_confirmed(order, by=staff, cause="staff")

    assert not Case.objects.exists()


def test_an_order_of_nothing_leaves_no_money_to_return(place_order: PlaceOrder, staff: User) -> None:
    order = place_order((EntryFactory(price=0), 1))

    assert services.cancel_confirmed(order, by=staff, cause="staff")

    assert not Case.objects.exists()


@pytest.mark.parametrize("status", ["awaiting_payment", "expired", "cancelled", "completed"])
def test_only_confirmed_orders_are_called_off_this_way(order: Order, staff: User, status: str) -> None:
    Order.objects.update(status=status)
    before = all_rows()

    assert not services.cancel_confirmed(order, by=staff, cause="staff")

    assert all_rows() == before


def test_an_order_partly_handed_out_is_not_called_off(order: Order, staff: User) -> None:
    services.confirm(order, cause="paid")
    services.record_fact(order.lines.get(kind="product"), LineFact.Kind.COLLECTED, 1, by=staff)
    before = all_rows()

    assert not services.cancel_confirmed(order, by=staff, cause="staff")

    assert all_rows() == before


def test_a_cancelled_order_revived_by_staff_has_new_places_only(order: Order, staff: User) -> None:
    services.confirm(order, cause="paid")
    services.cancel_confirmed(order, by=staff, cause="staff")

    assert services.revive(order, cause="staff", by=staff)

    assert sorted(Booking.objects.values_list("status", flat=True)) == ["cancelled"] * 2 + ["confirmed"] * 2
    assert Pool.objects.get().taken == 2
