"""The order's page says in plain words what was paid, what went back and what is on its way."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client

from bookings.models import Booking
from cart.models import Product
from cartsite.models import Case, User
from orders import services
from orders.models import Order
from payments import cancelling, casework, events, ledger, refunds, settling
from payments.cancelling import Part
from payments.models import Payment, Refund
from payments.refunds import Wish
from payments.simulator import Simulator
from payments.sumup import Event, FullTransaction, Transaction
from tests.orders.acts import HTMX, holder_of

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
THIRD = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)


def pay(order: Order, amount: str, moment: datetime) -> None:
    """One payment of so much more for the order, at a moment."""
    payment = Payment.objects.create(
        order=order, amount=amount, currency="GBP", merchant_code="M", status="captured", valid_until=moment
    )
    ledger.record_capture(payment, Transaction("t1", "T1", "SUCCESSFUL", Decimal(amount), "GBP", moment))


@pytest.fixture
def paid(payment: Payment, sumup: Simulator) -> Payment:
    """£76.50 for one jar of honey and two places, paid."""
    sumup.pay(payment.checkout_id)
    settling.settle(payment)
    payment.refresh_from_db()
    return payment


def ask(payment: Payment, amount: str, by: User | None = None) -> Refund:
    """A refund of so much that is not approved yet."""
    return refunds.request(payment, Wish(Decimal(amount), "A jar was broken.", by))


def tell(payment: Payment, kind: str, amount: str, name: str = "e1") -> None:
    """SumUp tells of an event of the payment's transaction, on 3 March."""
    capture = payment.movements.get(kind="capture")
    paid = Transaction(capture.sumup_id, "T", "SUCCESSFUL", capture.amount, "GBP", capture.happened_at)
    event = Event(name, capture.sumup_id, kind, "SUCCESSFUL", Decimal(amount), THIRD)
    events.take_in(payment, FullTransaction(paid, (event,)))


def page_of(order: Order, **headers: Any) -> str:
    """The order's page, each run of white space as one blank."""
    response = holder_of(order).get(order.get_absolute_url(), **headers)
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.content.decode())


def money_of(order: Order) -> str:
    """The section about money, without its tags."""
    section = page_of(order).split('aria-labelledby="money"')[1].split("</section>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", section))


# --- What was paid


def test_an_order_nobody_paid_says_nothing_about_money(order: Order) -> None:
    assert 'id="money"' not in page_of(order)


def test_what_was_paid_is_said_with_its_day(order: Order) -> None:
    pay(order, "76.50", THIRD)
    services.confirm(order, cause="paid")

    said = money_of(order)

    assert "Money Paid £76.50 was paid on Tuesday 3 March 2026." in said
    assert "The order's total £76.50 You paid £76.50" in said
    assert "Left of what you paid" not in said


def test_the_day_is_the_shops_own(order: Order) -> None:
    pay(order, "76.50", datetime(2026, 7, 1, 23, 30, tzinfo=UTC))

    assert "£76.50 was paid on Thursday 2 July 2026." in money_of(order)


def test_what_was_paid_by_hand_is_said_so(order: Order, staff: User) -> None:
    casework.take_cash(order, Decimal("76.50"), by=staff)

    assert "£76.50 was paid by hand on" in money_of(order)


def test_a_part_that_was_paid_leaves_the_rest_to_pay(order: Order, staff: User) -> None:
    casework.take_cash(order, Decimal("30.00"), by=staff)

    said = money_of(order)

    assert "You paid £30.00 Still to pay £46.50" in said
    assert "Partly paid" in said


def test_more_than_it_costs_is_said_to_be_put_right(paid: Payment) -> None:
    pay(paid.order, "5.00", THIRD)

    said = money_of(paid.order)

    assert "More paid than due" in said
    assert "£5.00 more was paid than the order costs. Somebody at the co-operative puts that right." in said


def test_what_is_between_sumup_and_us_is_not_shown(paid: Payment) -> None:
    capture = paid.movements.get(kind="capture")
    before = money_of(paid.order)

    ledger.record_fee(capture, Decimal("1.30"), THIRD)

    assert money_of(paid.order) == before
    assert "1.30" not in page_of(paid.order)


# --- What goes back


def test_a_refund_nobody_has_approved_is_being_looked_at(paid: Payment, staff: User) -> None:
    ask(paid, "12.00", staff)

    said = money_of(paid.order)

    assert "A refund of £12.00 is being looked at." in said
    assert "Set aside to go back £12.00 Left of what you paid £64.50" in said
    assert "on its way" not in said


@pytest.mark.parametrize("status", ["requested", "sending", "unknown"])
def test_an_approved_refund_is_on_its_way(paid: Payment, staff: User, status: str) -> None:
    refund = ask(paid, "12.00", staff)
    refunds.approve(refund, by=staff)
    Refund.objects.update(status=status, sent_at=None if status == "requested" else THIRD)

    said = money_of(paid.order)

    assert "£12.00 is on its way back to you. Banks take 2 to 10 days." in said
    assert "Set aside to go back £12.00 Left of what you paid £64.50" in said


def test_a_refund_that_is_done_went_back_on_its_day(paid: Payment, staff: User) -> None:
    refund = ask(paid, "12.00", staff)
    refunds.approve(refund, by=staff)
    Refund.objects.update(status="sending", sent_at=THIRD)
    tell(paid, "REFUND", "12.00")

    said = money_of(paid.order)

    assert "£12.00 went back to your card on Tuesday 3 March 2026." in said
    assert "You paid £76.50 Went back to you £12.00 Left of what you paid £64.50" in said
    assert "Partly refunded" in said


def test_a_refund_made_at_sumup_went_back_too(paid: Payment) -> None:
    tell(paid, "REFUND", "76.50")

    said = money_of(paid.order)

    assert "£76.50 went back to your card on Tuesday 3 March 2026." in said
    assert "Refunded" in said
    assert "Left of what you paid £0.00" in said


def test_what_was_given_back_by_hand_is_said_so(paid: Payment, staff: User) -> None:
    refunds.give_by_hand(paid.order, Wish(Decimal("6.50"), "A jar was broken.", staff))

    said = money_of(paid.order)

    assert "£6.50 was given back by hand on" in said
    assert "card" not in said
    assert "Went back to you £6.50 Left of what you paid £70.00" in said


def test_a_failed_refund_is_being_looked_into_and_not_called_failed(paid: Payment, staff: User) -> None:
    refund = ask(paid, "12.00", staff)
    events.mark_failed(paid.order, refund, "SumUp said no.")

    said = money_of(paid.order)

    assert "We are looking into a refund of £12.00." in said
    assert "fail" not in said.lower()
    assert "SumUp said no" not in page_of(paid.order)
    assert "Left of what you paid £76.50" not in said


def test_a_failed_refund_that_somebody_dealt_with_is_not_mentioned_again(paid: Payment, staff: User) -> None:
    refund = ask(paid, "12.00", staff)
    events.mark_failed(paid.order, refund, "SumUp said no.")
    casework.give_by_hand(Case.objects.get(kind="refund_failed"), Decimal("12.00"), by=staff, note="At the stall.")

    said = money_of(paid.order)

    assert "looking into" not in said
    assert "£12.00 was given back by hand" in said


def test_a_refund_that_was_turned_down_is_not_promised(paid: Payment, staff: User) -> None:
    refunds.turn_down(ask(paid, "12.00", staff), by=staff, note="It was not broken.")

    said = page_of(paid.order)

    assert "£12.00" not in said
    assert "It was not broken" not in said


def test_refunds_are_told_in_the_order_they_were_asked_for(paid: Payment, staff: User) -> None:
    for amount in ("1.00", "2.00", "3.00"):
        ask(paid, amount, staff)

    assert re.findall(r"A refund of (£\d)", money_of(paid.order)) == ["£1", "£2", "£3"]


def test_why_staff_send_money_back_stays_with_them(paid: Payment, staff: User) -> None:
    ask(paid, "12.00", staff)

    assert "A jar was broken" not in page_of(paid.order)


# --- What the bank took back


def test_a_chargeback_is_said_in_plain_words(paid: Payment) -> None:
    tell(paid, "CHARGE_BACK", "76.50")

    said = money_of(paid.order)

    assert "Your bank took £76.50 back from us on Tuesday 3 March 2026, because the payment was disputed there." in said
    assert "Disputed" in said
    assert "Taken back by your bank £76.50 Left of what you paid £0.00" in said


def test_what_came_back_twice_is_no_negative_sum(paid: Payment) -> None:
    tell(paid, "REFUND", "76.50")
    tell(paid, "CHARGE_BACK", "76.50", "e2")

    assert "Left of what you paid £0.00" in money_of(paid.order)


# --- What was called off


def test_a_line_of_which_some_were_cancelled_says_so(place_order: PlaceOrder, honey: Product, staff: User) -> None:
    order = place_order((honey, 3))
    services.confirm(order, cause="paid")
    services.cancel_some(order.lines.get(), 1, by=staff)
    services.cancel_some(order.lines.get(), 1, by=staff)

    assert "2 of 3 cancelled" in page_of(order)


def test_what_was_collected_is_not_called_cancelled(paid: Payment, staff: User) -> None:
    services.record_fact(paid.order.lines.get(kind="product"), "collected", 1, by=staff)

    assert "cancelled" not in page_of(paid.order)


def test_cancelled_places_are_struck_out_and_named_so(paid: Payment, staff: User) -> None:
    line = paid.order.lines.get(kind="entry")
    cancelling.cancel_parts([Part(line, 1)], by=staff, reason="They cannot come.")

    said = page_of(paid.order)

    cancelled = Booking.objects.get(status="cancelled").code
    kept = Booking.objects.get(status="confirmed").code
    assert f'<s class="code text-ash-600">{cancelled}</s> <span class="muted">Cancelled</span>' in said
    assert f">{kept}</a> </li>" in said
    assert "1 of 2 cancelled" in said
    assert "A refund of <strong>£35.00</strong> is being looked at." in said


def test_an_order_that_was_cancelled_says_what_goes_back(paid: Payment, staff: User) -> None:
    cancelling.cancel_order(paid.order, by=staff, reason="They asked.")
    paid.order.refresh_from_db()

    said = page_of(paid.order)

    assert "What was paid and what went back is listed below." in said
    assert "A refund of <strong>£76.50</strong> is being looked at." in said
    assert said.count('<s class="code') == 2


# --- How it is built


def test_headings_come_in_order(paid: Payment, staff: User) -> None:
    ask(paid, "12.00", staff)

    levels = [int(level) for level in re.findall(r"<h(\d)", page_of(paid.order))]

    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_htmx_hears_of_news_about_money(paid: Payment, staff: User) -> None:
    def news() -> list[str]:
        return re.findall('data-news="([^"]*)"', page_of(paid.order, headers=HTMX))

    before = news()
    ask(paid, "12.00", staff)

    assert news() != before


def test_strangers_see_nothing_of_it(paid: Payment) -> None:
    assert Client().get(paid.order.get_absolute_url()).status_code == 404
