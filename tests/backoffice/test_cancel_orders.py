"""Cancelling orders that were chosen in their list: shown for each first, then done once, with a reason."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings.models import Entry
from cart.models import Product
from cartsite.models import User
from orders.models import Order
from payments import casework, releasing, settling, starting
from payments.desk import cancel_orders
from payments.models import Refund
from payments.simulator import Simulator
from tests.backoffice.desk import act, agree, ask, list_of, logged, said, take_way, text_of
from tests.concurrency import results_of, run_at_once
from tests.orders.acts import all_rows
from tests.payments.records import fresh

pytestmark = pytest.mark.django_db(transaction=True)

PlaceOrder = Callable[..., Order]
REASON = "The hall is flooded."


@pytest.fixture
def unpaid(place_order: PlaceOrder, workshop: Entry) -> Order:
    """One place at the workshop, not paid yet."""
    return place_order((workshop, 1))


@pytest.fixture
def sold_too(place_order: PlaceOrder, honey: Product, sumup: Simulator) -> Order:
    """Another order that is paid: one jar of honey, £6.50."""
    return pay(place_order((honey, 1)), sumup)


def pay(order: Order, sumup: Simulator) -> Order:
    payment = starting.start(order)
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    return fresh(order)


def test_what_it_comes_to_is_shown_for_each_and_nothing_has_moved(
    staff_client: Client, sold: Order, sold_too: Order, unpaid: Order
) -> None:
    before = all_rows()

    page = text_of(ask(staff_client, [sold, sold_too, unpaid], "cancel"))

    assert all_rows() == before
    assert f"{sold.number} The order becomes: Cancelled. 2 places go back on sale." in page
    assert "£76.50 goes back to the card, and is sent in a moment. ada@example.org is told by email." in page
    assert f"{unpaid.number} It is not paid. It ends as soon as no payment can come in any more." in page
    assert "what did not come by card. 1 place goes back on sale. ada@example.org" in page
    assert "In all, £83.00 goes back to cards." in page


def test_all_of_them_are_cancelled_with_one_yes_and_a_reason(
    staff_client: Client, staff: User, sold: Order, sold_too: Order, unpaid: Order
) -> None:
    chosen = [sold, sold_too, unpaid]

    answer = act(staff_client, chosen, "cancel", note=REASON)

    assert [fresh(order).status for order in chosen] == ["cancelled"] * 3
    assert sorted(Refund.objects.values_list("amount", "reason")) == [
        (Decimal("6.50"), REASON),
        (Decimal("76.50"), REASON),
    ]
    assert {refund.approved_by for refund in Refund.objects.all()} == {staff}
    assert [logged(order) for order in chosen] == [[f"Cancelled: {REASON}"]] * 3
    assert said(answer) == ["3 orders are cancelled, or will be as soon as no payment can come in any more."]


@pytest.mark.parametrize("reason", ["", "  "])
def test_without_a_reason_nothing_is_cancelled(staff_client: Client, sold: Order, reason: str) -> None:
    page = ask(staff_client, sold, "cancel")
    before = all_rows()

    again = agree(staff_client, page, note=reason)

    assert all_rows() == before
    assert "This field is required." in text_of(again)
    assert agree(staff_client, again, note=REASON).status_code == 302
    assert fresh(sold).status == "cancelled"


def test_the_same_form_posted_again_shows_the_first_outcome_and_sends_nothing(
    staff_client: Client, sold: Order, unpaid: Order
) -> None:
    page = ask(staff_client, [sold, unpaid], "cancel")
    first = agree(staff_client, page, note=REASON)
    done = all_rows()

    again = agree(staff_client, page, note=REASON)

    assert all_rows() == done
    assert again["Location"] == first["Location"]
    assert said(again)[-1] == f"This was done already, and not again. {said(first)[0]}"


def test_the_same_form_posted_twice_at_once_cancels_once(
    staff_client: Client, staff: User, sold: Order, sold_too: Order
) -> None:
    page = ask(staff_client, [sold, sold_too], "cancel")

    def press() -> int:
        client = Client()
        client.force_login(staff)
        return int(agree(client, page, note=REASON).status_code)

    assert results_of(run_at_once(press, press)) == [302, 302]
    assert Refund.objects.count() == 2
    assert [len(logged(order)) for order in (sold, sold_too)] == [1, 1]


def test_an_order_whose_money_moved_meanwhile_is_shown_again_and_the_others_are_cancelled(
    staff_client: Client, sold: Order, sold_too: Order
) -> None:
    page = ask(staff_client, [sold, sold_too], "cancel")
    take_way(staff_client, sold, "amount", amount="10.00", approve="on")

    again = agree(staff_client, page, note=REASON)

    assert [fresh(order).status for order in (sold, sold_too)] == ["confirmed", "cancelled"]
    told = text_of(again)
    assert "Something has changed since you looked. Nothing was done" in told
    assert "£66.50 goes back to the card" in told
    assert f'name="agreed-{sold_too.pk}"' not in again.content.decode()
    assert agree(staff_client, again, note=REASON).status_code == 302
    assert fresh(sold).status == "cancelled"


def test_two_members_of_staff_with_the_same_page_cancel_once(
    staff_client: Client, sold: Order, hire: Callable[..., Client]
) -> None:
    other = hire("orders.view_order", "orders.change_order")
    pages = [ask(client, sold, "cancel") for client in (staff_client, other)]
    agree(staff_client, pages[0], note=REASON)
    done = all_rows()

    again = agree(other, pages[1], note="Another reason.")

    assert all_rows() == done
    assert "It is left as it is. Its status is: Cancelled." in text_of(again)


def test_staff_who_may_not_approve_read_that_the_refund_waits(sold: Order, hire: Callable[..., Client]) -> None:
    client = hire("orders.view_order", "orders.change_order")

    page = ask(client, sold, "cancel")
    agree(client, page, note=REASON)

    assert "£76.50 is to go back to the card, and waits for somebody to approve it." in text_of(page)
    assert "ada@example.org" not in text_of(page)
    assert "The shopper is told by email." in text_of(page)
    assert Refund.objects.get().approved_at is None


def test_money_that_did_not_come_by_card_is_summed_up_apart(
    staff_client: Client, staff: User, order: Order, sold_too: Order
) -> None:
    casework.take_cash(order, Decimal("76.50"), by=staff)

    page = text_of(ask(staff_client, [order, sold_too], "cancel"))

    assert "a case asks for what must go back by hand. £76.50 goes back by hand." in page
    assert "In all, £6.50 goes back to cards. In all, £76.50 goes back by hand." in page


def test_a_part_paid_order_says_what_of_it_goes_back(staff_client: Client, staff: User, order: Order) -> None:
    casework.take_cash(order, Decimal("10.00"), by=staff)

    page = text_of(ask(staff_client, order, "cancel"))

    assert "It is not paid." in page
    assert "£10.00 goes back by hand." in page


def test_an_order_that_is_paid_after_it_was_shown_as_unpaid_is_shown_again(
    staff_client: Client, unpaid: Order, sumup: Simulator
) -> None:
    page = ask(staff_client, unpaid, "cancel")
    pay(unpaid, sumup)

    again = agree(staff_client, page, note=REASON)

    assert fresh(unpaid).status == "confirmed"
    assert "£35.00 goes back to the card, and is sent in a moment." in text_of(again)
    assert not Refund.objects.exists()


def test_what_cannot_be_cancelled_is_left_out_and_says_why(staff_client: Client, sold: Order) -> None:
    act(staff_client, sold, "cancel", note=REASON)

    page = ask(staff_client, sold, "cancel")

    assert "It is left as it is. Its status is: Cancelled." in text_of(page)
    assert "Back, and do nothing" in text_of(page)
    assert 'name="note"' not in page.content.decode()


def test_an_order_that_staff_are_cancelling_already_says_so(staff_client: Client, staff: User, order: Order) -> None:
    releasing.begin(order, to=Order.Status.CANCELLED, by=Order.Closer.STAFF, user=staff, reason=REASON)

    assert "It is being cancelled already." in text_of(ask(staff_client, order, "cancel"))


def test_more_than_fit_on_a_page_are_refused_in_words(
    staff_client: Client, sold: Order, sold_too: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancel_orders, "ACTION", replace(cancel_orders.ACTION, most=1))
    before = all_rows()

    answer = ask(staff_client, [sold, sold_too], "cancel")

    assert (answer.status_code, answer["Location"]) == (302, list_of(Order))
    assert said(answer) == ["Choose at most 1 at once. Nothing was done."]
    assert all_rows() == before


def test_each_more_order_costs_the_preview_the_same(
    staff_client: Client, place_order: PlaceOrder, workshop: Entry, sumup: Simulator
) -> None:
    many = [pay(place_order((workshop, 1)), sumup) for _ in range(4)]
    ask(staff_client, many, "cancel")

    few, all_of_them = (count_statements(staff_client, chosen) for chosen in (many[:1], many))

    assert (all_of_them - few) / 3 <= 110


def count_statements(client: Client, chosen: list[Order]) -> int:
    with CaptureQueriesContext(connection) as captured:
        ask(client, chosen, "cancel")
    return len(captured)
