"""Refunding, cancelling, giving back and taking by hand, at an order's page: shown first, done on yes, and logged."""

from collections.abc import Callable
from decimal import Decimal
from html import unescape

import pytest
from django.test import Client

from bookings.models import Entry
from cartsite.models import Case, User
from orders import services as orders
from orders.models import Order, OrderLine
from payments import refunds, releasing
from payments.desk.order_money import Way
from payments.models import Movement, Payment, Refund
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.backoffice.desk import HIDDEN, ask_way, logged, money_page, page_of, said, say_yes, take_way, text_of
from tests.concurrency import results_of, run_at_once
from tests.orders.acts import all_rows
from tests.payments.records import fresh, taken

pytestmark = pytest.mark.django_db(transaction=True)


def ways_offered(client: Client, order: Order) -> list[str]:
    return [form.way for form in client.get(money_page(order)).context["forms"]]


def line_of(order: Order, kind: str) -> OrderLine:
    return order.lines.get(kind=kind)


def test_the_order_says_what_its_money_comes_to(staff_client: Client, sold: Order) -> None:
    page = text_of(staff_client.get(page_of(sold)))

    assert "Paid Total £76.50 Came in £76.50" in page
    assert "Refund or cancel" in page


def test_only_what_makes_sense_is_offered(staff_client: Client, sold: Order) -> None:
    assert ways_offered(staff_client, sold) == ["cancel", "parts", "amount", "by_hand"]


def test_once_something_was_handed_out_the_rest_can_be_called_off(
    staff_client: Client, sold: Order, staff: User
) -> None:
    orders.collect_rest(line_of(sold, "product"), by=staff)

    assert ways_offered(staff_client, sold) == ["parts", "amount", "by_hand"]


def test_a_completed_order_still_gives_money_back(staff_client: Client, sold: Order, staff: User) -> None:
    orders.collect_rest(line_of(sold, "product"), by=staff)
    orders.record_fact(line_of(sold, "entry"), "missed", 2, by=staff)

    assert ways_offered(staff_client, fresh(sold)) == ["amount", "by_hand"]


def test_an_unpaid_order_can_be_cancelled_or_paid_in_cash(staff_client: Client, order: Order) -> None:
    assert ways_offered(staff_client, order) == ["let_go", "cash"]


def test_an_expired_order_offers_nothing(staff_client: Client, order: Order) -> None:
    releasing.release(order, to="expired", by="timer")

    assert "There is no money to move" in text_of(staff_client.get(money_page(order)))


def test_what_will_happen_is_shown_before_and_nothing_has_moved(staff_client: Client, sold: Order) -> None:
    before = all_rows()

    page = text_of(ask_way(staff_client, sold, "cancel", approve="on"))

    assert "The order becomes: Cancelled." in page
    assert "2 places go back on sale." in page
    assert "£76.50 goes back to the card, and is sent in a moment." in page
    assert all_rows() == before


def test_a_whole_order_is_cancelled_with_its_refund(
    staff_client: Client, sold: Order, staff: User, workshop: Entry
) -> None:
    answer = take_way(staff_client, sold, "cancel", reason="The bakehouse is closed.", approve="on")

    refund = Refund.objects.get()
    assert (fresh(sold).status, refund.amount, refund.reason) == ("cancelled", sold.total, "The bakehouse is closed.")
    assert (refund.requested_by, refund.approved_by) == (staff, staff)
    assert taken(workshop) == 0
    assert logged(sold) == ["Cancel the whole order: The bakehouse is closed."]
    assert "2 places go back on sale." in said(answer)[0]


def test_without_the_tick_the_refund_waits_for_approval(staff_client: Client, sold: Order) -> None:
    page = ask_way(staff_client, sold, "cancel")
    say_yes(staff_client, sold, page)

    assert "waits for somebody to approve it" in text_of(page)
    assert Refund.objects.get().approved_at is None


def test_some_places_of_a_line_are_called_off(staff_client: Client, sold: Order, workshop: Entry) -> None:
    line = line_of(sold, "entry")

    page = ask_way(staff_client, sold, "parts", approve="on", **{f"line_{line.pk}": "1"})
    say_yes(staff_client, sold, page)

    assert "1 place goes back on sale. £35.00 goes back to the card" in text_of(page)
    assert (Refund.objects.get().line, Refund.objects.get().amount, taken(workshop)) == (line, Decimal("35.00"), 1)
    assert fresh(sold).status == "confirmed"


def test_each_line_says_how_many_are_open_and_what_each_is_worth(
    staff_client: Client, sold: Order, staff: User
) -> None:
    orders.cancel_some(line_of(sold, "entry"), 1, by=staff)

    page = text_of(staff_client.get(money_page(sold)))

    assert "Bread workshop: 1 of 2 open, £35.00 each" in page
    assert "Heather honey: 1 of 1 open, £6.50 each" in page


@pytest.mark.parametrize("quantity", ["3", "-1", "x", "", "0"])
def test_more_than_is_open_or_nothing_cannot_be_called_off(staff_client: Client, sold: Order, quantity: str) -> None:
    before = all_rows()

    page = ask_way(staff_client, sold, "parts", **{f"line_{line_of(sold, 'entry').pk}": quantity})

    assert next(form.errors for form in page.context["forms"] if form.is_bound)
    assert all_rows() == before


def test_an_amount_is_refunded_and_nothing_called_off(staff_client: Client, sold: Order, workshop: Entry) -> None:
    take_way(staff_client, sold, "amount", amount="5.00", approve="on")

    refund = Refund.objects.get()
    assert (refund.amount, refund.status, bool(refund.approved_at)) == (Decimal("5.00"), "requested", True)
    assert (fresh(sold).status, taken(workshop)) == ("confirmed", 2)


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"amount": "76.51"}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"amount": "-5"}, "amount"),
        ({"amount": "1.005"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "1e3"}, "amount"),
        ({"amount": ""}, "amount"),
        ({"amount": "5.00", "reason": "  "}, "reason"),
        ({"amount": "5.00", "reason": "x" * 301}, "reason"),
        ({"amount": "5.00", "reason": "nul\x00"}, "reason"),
    ],
)
def test_bad_input_is_refused_beside_its_field(
    staff_client: Client, sold: Order, typed: dict[str, str], field: str
) -> None:
    before = all_rows()

    page = ask_way(staff_client, sold, "amount", **typed)

    bound = next(form for form in page.context["forms"] if form.is_bound)
    assert list(bound.errors) == [field]
    assert all_rows() == before


def test_money_given_back_by_hand_is_written_down(staff_client: Client, sold: Order) -> None:
    page = ask_way(staff_client, sold, "by_hand", amount="6.50")
    say_yes(staff_client, sold, page)

    assert "£6.50 is written down as given back by hand." in text_of(page)
    assert Movement.objects.get(kind="cash").amount == Decimal("-6.50")


def test_cash_confirms_an_order_once_nothing_is_owed(staff_client: Client, order: Order) -> None:
    suggested = staff_client.get(money_page(order)).context["forms"][1]["amount"].initial

    page = ask_way(staff_client, order, "cash", amount=str(suggested))
    say_yes(staff_client, order, page)

    assert "The order becomes: Confirmed. £76.50 is written down as received by hand." in text_of(page)
    assert (suggested, fresh(order).status) == (order.total, "confirmed")
    assert logged(order) == ["Cash received: A test."]


def test_too_much_cash_is_refused(staff_client: Client, order: Order) -> None:
    page = ask_way(staff_client, order, "cash", amount="80.00")

    assert "This order does not wait for that much money: £76.50 is owed." in text_of(page)
    assert not Movement.objects.exists()


def test_what_came_as_cash_goes_back_by_hand_and_a_case_says_so(staff_client: Client, order: Order) -> None:
    take_way(staff_client, order, "cash", amount="76.50")

    page = ask_way(staff_client, order, "cancel", approve="on")
    say_yes(staff_client, order, page)

    assert "a case asks for what must go back by hand" in text_of(page)
    assert Case.objects.get().kind == Case.Kind.OVERPAID


def test_an_unpaid_order_is_let_go(staff_client: Client, order: Order, workshop: Entry) -> None:
    take_way(staff_client, order, "let_go")

    assert (fresh(order).status, taken(workshop)) == ("cancelled", 0)
    assert logged(order) == ["Cancel the unpaid order: A test."]


def test_an_order_whose_page_is_open_is_let_go_once_nobody_can_pay(
    staff_client: Client, payment: Payment, workshop: Entry
) -> None:
    take_way(staff_client, payment.order, "let_go")

    order = fresh(payment.order)
    assert (order.status, order.closing_to, taken(workshop)) == ("awaiting_payment", "cancelled", 2)
    assert "let_go" not in ways_offered(staff_client, order)


def test_what_changed_since_it_was_shown_is_shown_again(staff_client: Client, sold: Order, paid: Payment) -> None:
    page = ask_way(staff_client, sold, "cancel", approve="on")
    refunds.request(paid, Wish(Decimal("6.50"), "Meanwhile.", None))

    again = say_yes(staff_client, sold, page)

    assert "Something has changed since you looked. Nothing was done" in text_of(again)
    assert "£70.00 goes back to the card" in text_of(again)
    assert fresh(sold).status == "confirmed"
    assert say_yes(staff_client, sold, again).status_code == 302
    assert fresh(sold).status == "cancelled"


# What each way is tried with, as its form's fields.
TRIED: dict[str, dict[str, str]] = {
    "cancel": {"approve": "on"},
    "amount": {"amount": "1.00", "approve": "on"},
    "by_hand": {"amount": "1.00"},
    "cash": {"amount": "1.00"},
    "let_go": {},
    "parts": {"approve": "on"},
}
OF_THE_UNPAID = ("cash", "let_go")


def test_every_way_is_tried_twice_here() -> None:
    assert TRIED.keys() == set(Way)


@pytest.fixture(params=TRIED)
def tried(request: pytest.FixtureRequest, order: Order) -> tuple[Order, str, dict[str, str]]:
    """Each way, with an order that it can be taken with, and what is typed."""
    way = request.param
    if way not in OF_THE_UNPAID:
        request.getfixturevalue("paid")
    order = fresh(order)
    jars = {f"line_{line_of(order, 'product').pk}": "1"} if way == "parts" else {}
    return order, way, TRIED[way] | jars


def test_yes_pressed_twice_is_done_once_and_shows_the_first_outcome(
    staff_client: Client, tried: tuple[Order, str, dict[str, str]]
) -> None:
    order, way, typed = tried
    page = ask_way(staff_client, order, way, **typed)
    first = say_yes(staff_client, order, page)
    done = all_rows()

    again = say_yes(staff_client, order, page)

    assert (first.status_code, again.status_code) == (302, 302)
    assert all_rows() == done
    assert again["Location"] == first["Location"] == page_of(order)
    assert said(again)[-1] == f"This was done already, and not again. {said(first)[0]}"


def test_yes_pressed_twice_at_once_is_done_once(
    staff_client: Client, staff: User, sumup: Simulator, tried: tuple[Order, str, dict[str, str]]
) -> None:
    order, way, typed = tried
    page = ask_way(staff_client, order, way, **typed)

    def press() -> str:
        client = Client()
        client.force_login(staff)
        answer = say_yes(client, order, page)
        return f"{answer.status_code} {said(answer)[0].startswith('This was done already')}"

    pressed = results_of(run_at_once(press, press))

    assert sorted(pressed) == ["302 False", "302 True"]
    assert len(logged(order)) == 1


def test_of_two_members_of_staff_with_the_same_page_one_does_it_and_the_other_looks_again(
    staff_client: Client, tried: tuple[Order, str, dict[str, str]], hire: Callable[..., Client]
) -> None:
    order, way, typed = tried
    other = hire("orders.view_order", "orders.change_order", "payments.approve_refund")
    pages = [ask_way(client, order, way, **typed) for client in (staff_client, other)]
    say_yes(staff_client, order, pages[0])
    done = all_rows()

    answer = say_yes(other, order, pages[1])

    assert all_rows() == done
    told = text_of(answer) + " ".join(said(answer))
    assert "Something has changed since you looked. Nothing was done" in told or "cannot be done with" in told


def test_a_conflict_says_what_somebody_else_did(
    staff_client: Client, staff: User, sold: Order, hire: Callable[..., Client]
) -> None:
    User.objects.filter(pk=staff.pk).update(name="Sam Staff")
    other = hire("orders.view_order", "orders.change_order", "payments.approve_refund")
    page = ask_way(other, sold, "amount", amount="4.50", approve="on")
    take_way(staff_client, sold, "amount", amount="4.50", approve="on")

    again = say_yes(other, sold, page)

    assert "Sam Staff asked for a refund of £4.50 just now." in text_of(again)
    assert Refund.objects.count() == 1
    assert say_yes(other, sold, again).status_code == 302
    assert Refund.objects.count() == 2


def test_a_refused_step_can_be_tried_again_with_the_same_page(
    staff_client: Client, sold: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ask_way(staff_client, sold, "amount", amount="4.50", approve="on")
    with monkeypatch.context() as patched:
        patched.setattr(refunds, "request_from_order", _refuse)
        refused = say_yes(staff_client, sold, page)

    assert "Not now." in text_of(refused)
    assert say_yes(staff_client, sold, page).status_code == 302
    assert Refund.objects.count() == 1


def _refuse(*_args: object) -> None:
    raise refunds.CannotRefund("Not now.")


def test_a_page_does_not_do_what_another_page_showed(staff_client: Client, sold: Order) -> None:
    shown = ask_way(staff_client, sold, "amount", amount="1.00", approve="on").content.decode()
    posted = {name: unescape(value) for name, value in HIDDEN.findall(shown)}

    answer = staff_client.post(money_page(sold), posted | {"amount-amount": "50.00"})

    assert "Something has changed since you looked." in text_of(answer)
    assert not Refund.objects.exists()


def test_nothing_happens_on_get(staff_client: Client, sold: Order) -> None:
    before = all_rows()

    staff_client.get(money_page(sold), {"way": "cancel", "cancel-reason": "A test.", "agreed": "x"})

    assert all_rows() == before


def test_a_form_from_elsewhere_is_refused(staff: User, sold: Order) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)

    assert ask_way(client, sold, "cancel").status_code == 403


def test_no_such_order(staff_client: Client) -> None:
    assert staff_client.get("/admin/orders/order/4711/money/").status_code == 404


def test_who_may_not_change_orders_moves_no_money(hire: Callable[..., Client], sold: Order) -> None:
    client = hire("orders.view_order")

    answers = [client.get(money_page(sold)), ask_way(client, sold, "cancel")]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert "Refund or cancel" not in text_of(client.get(page_of(sold)))


def test_who_may_not_approve_asks_only(hire: Callable[..., Client], sold: Order) -> None:
    client = hire("orders.change_order")

    take_way(client, sold, "amount", amount="5.00", approve="on")

    assert Refund.objects.get().approved_at is None
    assert "Approve" not in text_of(client.get(money_page(sold)))


def test_who_may_not_approve_writes_no_money_down_as_given_back(hire: Callable[..., Client], sold: Order) -> None:
    client = hire("orders.change_order")

    answer = ask_way(client, sold, "by_hand", amount="5.00")

    assert said(answer) == ["This cannot be done with the order now."]
    assert not Refund.objects.exists()
