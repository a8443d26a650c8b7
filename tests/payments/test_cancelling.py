"""Calling off what was sold, and the money that goes back for it: both or neither."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bookings.models import Booking, Entry, Pool
from cart.models import Product
from cartsite.models import Case, User
from orders import services as orders
from orders.models import LineFact, Order
from payments import cancelling, casework, ledger, refunds, releasing, starting
from payments.cancelling import CannotCancel, Part
from payments.models import Payment, Refund
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.concurrency import run_at_once
from tests.factories import EntryFactory, ProductFactory
from tests.payments.money import (
    ask_back,
    balances,
    case,
    pay,
    pay_a_part,
    posts,
    pounds,
    show_all,
    sweep_money,
    went_back,
)
from tests.payments.records import Later, fresh, open_cases, taken
from tests.payments.wire import Wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once

PlaceOrder = Callable[..., Order]


@pytest.fixture
def jars(db: None) -> Product:
    """Ten jars, and no more."""
    return ProductFactory(title="Jam", price=Decimal("4.00"), stock=10)


@pytest.fixture
def paid(place_order: PlaceOrder, jars: Product, workshop: Entry, sumup: Simulator) -> Payment:
    """Three jars and two places, paid: £82."""
    return pay(starting.start(place_order((jars, 3), (workshop, 2))), sumup)


def stock(product: Product) -> int:
    """How many of it are taken."""
    return Pool.objects.get(pk=product.pool_id).taken


def part(payment: Payment, kind: str, quantity: int) -> Part:
    return Part(payment.order.lines.get(kind=kind), quantity)


def standing(order: Order) -> tuple[Any, ...]:
    """All that calling off may move."""
    facts = LineFact.objects.filter(line__order=order).count()
    pools = list(Pool.objects.order_by("pk").values_list("taken", flat=True))
    bookings = list(Booking.objects.order_by("pk").values_list("status", flat=True))
    return fresh(order).status, facts, pools, bookings, Refund.objects.count(), order.events.count(), open_cases()


# --- A whole order ----------------------------------------------------------------------------------------------------


def test_a_whole_order_called_off_frees_everything_and_asks_for_its_money(
    paid: Payment, staff: User, jars: Product, workshop: Entry, sumup: Simulator
) -> None:
    (refund,) = cancelling.cancel_order(paid.order, by=staff, reason="The stall is ill")

    assert fresh(paid.order).status == "cancelled"
    assert (stock(jars), taken(workshop)) == (0, 0)
    assert set(Booking.objects.values_list("status", flat=True)) == {"cancelled"}
    assert (refund.amount, refund.status, refund.approved_at) == (pounds(82), "requested", None)
    assert (refund.reason, refund.requested_by) == ("The stall is ill", staff)
    assert posts(sumup) == 0

    refunds.approve(refund, by=staff)
    sweep_money()
    assert went_back(sumup, paid) == [pounds(82)]
    assert ledger.money_of(paid.order).net == 0
    assert open_cases() == []


def test_if_its_money_cannot_be_asked_for_an_order_is_not_called_off(
    paid: Payment, staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = standing(paid.order)

    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("The process dies here")

    monkeypatch.setattr(refunds, "request_from_order", fail)

    with pytest.raises(RuntimeError):
        cancelling.cancel_order(paid.order, by=staff, reason="The stall is ill")

    assert standing(paid.order) == before


def test_what_is_left_goes_back_when_a_part_has_gone_before(paid: Payment, staff: User) -> None:
    ask_back(paid, "12.00", staff)
    sweep_money()

    (refund,) = cancelling.cancel_order(paid.order, by=staff, reason="The stall is ill")

    assert refund.amount == pounds(70)


def test_cash_goes_back_by_hand_and_a_case_says_so(
    place_order: PlaceOrder, jars: Product, staff: User, sumup: Simulator
) -> None:
    order = place_order((jars, 3))
    casework.take_cash(order, Decimal(12), by=staff, note="At the stall")

    assert cancelling.cancel_order(order, by=staff, reason="The stall is ill") == []

    told = case(Case.Kind.OVERPAID)
    assert (told.subject_uuid, told.at_stake) == (order.uuid, pounds(12))
    casework.give_by_hand(told, Decimal(12), by=staff, note="At the stall")
    assert open_cases() == []
    assert ledger.money_of(order).net == 0


def test_giving_the_cash_of_a_cancelled_order_back_ends_the_case_about_it(
    place_order: PlaceOrder, jars: Product, staff: User
) -> None:
    """Not through the case, but as any money is given back by hand."""
    order = place_order((jars, 3))
    casework.take_cash(order, Decimal(12), by=staff, note="At the stall")
    cancelling.cancel_order(order, by=staff, reason="The stall is ill")

    refunds.give_by_hand(order, Wish(Decimal(12), "At the stall", staff))

    assert open_cases() == []


def test_an_order_of_nothing_is_called_off_without_any_refund(place_order: PlaceOrder, staff: User) -> None:
    order = place_order((EntryFactory(price=0), 1))

    assert cancelling.cancel_order(order, by=staff, reason="The stall is ill") == []

    assert fresh(order).status == "cancelled"
    assert open_cases() == []


def test_what_was_handed_out_in_part_is_not_called_off_as_a_whole(paid: Payment, staff: User) -> None:
    orders.record_fact(paid.order.lines.get(kind="product"), LineFact.Kind.COLLECTED, 1, by=staff)
    before = standing(paid.order)

    with pytest.raises(CannotCancel):
        cancelling.cancel_order(paid.order, by=staff, reason="The stall is ill")

    assert standing(paid.order) == before


def test_what_was_called_off_in_part_is_called_off_as_a_whole(paid: Payment, staff: User) -> None:
    """Nothing of it was collected or attended, so nothing speaks against it."""
    cancelling.cancel_parts([part(paid, "product", 1)], by=staff, reason="One is broken")

    (refund,) = cancelling.cancel_order(paid.order, by=staff, reason="The stall is ill")

    assert refund.amount == pounds(78)
    assert fresh(paid.order).status == "cancelled"


def test_an_unpaid_order_is_not_called_off_this_way(order: Order, staff: User) -> None:
    before = standing(order)

    with pytest.raises(CannotCancel):
        cancelling.cancel_order(order, by=staff, reason="The stall is ill")

    assert standing(order) == before


@committed
def test_of_eight_who_call_an_order_off_at_once_one_does(paid: Payment, staff: User) -> None:
    outcomes = run_at_once(*[lambda: cancelling.cancel_order(paid.order, by=staff, reason="Ill")] * 8)

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert all(isinstance(outcome.error, CannotCancel | None) for outcome in outcomes)
    assert Refund.objects.get().amount == pounds(82)


# --- Some of its lines ------------------------------------------------------------------------------------------------


def test_goods_called_off_are_on_sale_again_and_their_price_goes_back(
    paid: Payment, staff: User, jars: Product, sumup: Simulator
) -> None:
    (refund,) = cancelling.cancel_parts([part(paid, "product", 2)], by=staff, reason="Two are broken")

    line = paid.order.lines.get(kind="product")
    assert (refund.line, refund.amount, refund.status) == (line, pounds(8), "requested")
    assert stock(jars) == 1
    assert line.facts.get().kind == "cancelled"
    assert fresh(paid.order).status == "confirmed"

    refunds.approve(refund, by=staff)
    sweep_money()
    assert went_back(sumup, paid) == [pounds(8)]
    assert balances(paid)[line.stall.name] == pounds(4)


def test_places_called_off_are_free_again_and_their_bookings_cancelled(
    paid: Payment, staff: User, workshop: Entry
) -> None:
    (refund,) = cancelling.cancel_parts([part(paid, "entry", 1)], by=staff, reason="One of them is ill")

    assert refund.amount == pounds(35)
    assert taken(workshop) == 1
    assert sorted(Booking.objects.values_list("status", flat=True)) == ["cancelled", "confirmed"]


def test_once_every_line_is_called_off_the_order_is_over(
    paid: Payment, staff: User, jars: Product, workshop: Entry
) -> None:
    asked = cancelling.cancel_parts([part(paid, "product", 3), part(paid, "entry", 2)], by=staff, reason="All of it")

    assert [refund.amount for refund in asked] == [pounds(12), pounds(70)]
    assert fresh(paid.order).status == "completed"
    assert (stock(jars), taken(workshop)) == (0, 0)
    assert ledger.money_of(paid.order).net == 0


def test_more_than_there_is_cannot_be_called_off_and_nothing_moves(paid: Payment, staff: User) -> None:
    before = standing(paid.order)

    with pytest.raises(CannotCancel):
        cancelling.cancel_parts([part(paid, "entry", 1), part(paid, "product", 4)], by=staff, reason="All of it")

    assert standing(paid.order) == before


def test_what_was_handed_out_cannot_be_called_off(paid: Payment, staff: User) -> None:
    orders.record_fact(paid.order.lines.get(kind="product"), LineFact.Kind.COLLECTED, 2, by=staff)

    with pytest.raises(CannotCancel):
        cancelling.cancel_parts([part(paid, "product", 2)], by=staff, reason="Broken")

    assert not Refund.objects.exists()


def test_what_is_called_off_gives_back_no_more_than_is_left(paid: Payment, staff: User) -> None:
    """Most of the money went back before, as an amount; now the jars are called off as well."""
    ask_back(paid, "80.00", staff)

    (refund,) = cancelling.cancel_parts([part(paid, "product", 1)], by=staff, reason="Broken")

    assert refund.amount == pounds(2)


def test_what_was_paid_by_hand_is_called_off_with_a_case(order: Order, staff: User) -> None:
    casework.take_cash(order, order.total, by=staff, note="At the stall")
    line = order.lines.get(kind="product")

    asked = cancelling.cancel_parts([Part(line, 1)], by=staff, reason="Broken")

    assert (asked, open_cases()) == ([], ["overpaid"])


@committed
def test_of_eight_who_call_the_same_places_off_at_once_one_does(paid: Payment, staff: User, workshop: Entry) -> None:
    places = part(paid, "entry", 2)

    outcomes = run_at_once(*[lambda: cancelling.cancel_parts([places], by=staff, reason="Ill")] * 8)

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert Refund.objects.get().amount == pounds(70)
    assert taken(workshop) == 0


# --- A part-paid order ------------------------------------------------------------------------------------------------


def test_staff_cancel_a_part_paid_order_and_its_money_is_sent_back_with_that(
    later: Later, payment: Payment, wire: Wire, staff: User, workshop: Entry
) -> None:
    pay_a_part(payment, wire, "6.50")

    assert releasing.release(payment.order, to="cancelled", by="staff", user=staff)

    refund = Refund.objects.get()
    assert (refund.amount, refund.status, refund.approved_by) == (pounds("6.50"), "requested", staff)
    assert refund.approved_at is not None
    assert (fresh(payment.order).status, taken(workshop)) == ("cancelled", 0)
    show_all(wire)
    sweep_money()
    assert fresh(refund).status == "done"
    assert open_cases() == []


def test_a_part_paid_order_is_not_cancelled_without_its_refund(
    payment: Payment, wire: Wire, staff: User, workshop: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay_a_part(payment, wire, "6.50")

    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("The process dies here")

    monkeypatch.setattr(refunds, "approve", fail)
    with pytest.raises(RuntimeError):
        releasing.release(payment.order, to="cancelled", by="staff", user=staff)

    assert (fresh(payment.order).status, taken(workshop)) == ("awaiting_payment", 2)
    assert not Refund.objects.exists()


@pytest.mark.parametrize("by", ["shopper", "timer"])
def test_nobody_but_staff_lets_a_part_paid_order_go(payment: Payment, wire: Wire, by: str) -> None:
    pay_a_part(payment, wire, "6.50")

    with pytest.raises(releasing.CannotRelease):
        releasing.release(payment.order, to="cancelled" if by == "shopper" else "expired", by=by)

    assert not Refund.objects.exists()


def test_cash_keeps_a_part_paid_order_until_it_is_given_back(order: Order, staff: User, workshop: Entry) -> None:
    casework.take_cash(order, Decimal(20), by=staff, note="At the stall")

    assert not releasing.release(order, to="cancelled", by="staff", user=staff)

    assert (fresh(order).status, fresh(order).is_closing, taken(workshop)) == ("awaiting_payment", False, 2)


def test_staff_do_not_cancel_an_order_that_sumup_has_lost_sight_of(
    payment: Payment, wire: Wire, staff: User, workshop: Entry
) -> None:
    Case.open(Case.Kind.MISSING_AT_SUMUP, payment, "Nobody can say.")

    with pytest.raises(releasing.CannotRelease):
        releasing.release(payment.order, to="cancelled", by="staff", user=staff)

    assert taken(workshop) == 2
