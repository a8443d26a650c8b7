"""The lists stay as fast with many rows as with few, agree with the services, and nothing in them can be deleted."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from django.db.models import Model
from django.test import Client

from bookings import capacity
from bookings.models import Entry
from cart.models import Product
from cartsite.models import Case, User
from orders.models import Order
from payments import casework, events, ledger, refunds, settling, starting
from payments.desk import money_states
from payments.models import DailyClose, Finding, Movement, Payment, Refund, RefundBatch, Stray
from payments.refunds import Wish
from payments.simulator import Simulator
from payments.sumup import get_transaction
from tests.backoffice.desk import act, count_queries, list_of, page_of, text_of, wish_for
from tests.orders.acts import all_rows
from tests.payments.money import transaction_of
from tests.payments.records import fresh

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def trade(paid: Payment, place_order: Callable[..., Order], honey: Product, sumup: Simulator) -> Callable[[int], None]:
    """So many more orders, paid, each with a refund, a case, a stray, and a closed day."""

    def go_on(n: int) -> None:
        order = place_order((honey, 1))
        payment = starting.start(order)
        sumup.pay(payment.checkout_id or "")
        settling.settle(payment)
        refund = wish_for(fresh(payment), "1.00")
        Case.open(Case.Kind.OVERPAID, order, "A test.", at_stake=Decimal("1.00"))
        stray = Stray.objects.create(
            merchant_code="M", transaction_id=str(n), amount=1, currency="GBP", happened_at=refund.requested_at
        )
        Case.open(Case.Kind.UNKNOWN_MONEY, stray, "A test.")
        DailyClose.objects.create(day=date(2026, 1, n + 1))

    def trade(count: int) -> None:
        for n in range(Refund.objects.count(), Refund.objects.count() + count):
            go_on(n)

    return trade


@pytest.mark.parametrize(
    "model", [Order, Refund, Case, Stray, DailyClose, Movement, Payment], ids=lambda model: model.__name__
)
def test_a_list_takes_as_many_statements_however_long_it_is(
    staff_client: Client, trade: Callable[[int], None], model: type[Model]
) -> None:
    trade(1)
    few = count_queries(staff_client, list_of(model))

    trade(4)

    assert count_queries(staff_client, list_of(model)) == few


def test_a_day_takes_as_many_statements_however_much_was_found(staff_client: Client, order: Order) -> None:
    close = DailyClose.objects.create(day=date(2026, 6, 17))
    Case.open(Case.Kind.CHARGEBACK, order, "A test.")

    def find(n: int) -> None:
        Finding.objects.create(
            close=close, kind="capture", transaction_id=str(n), ours=1, theirs=2, what="?", case=Case.objects.get()
        )

    find(0)
    few = count_queries(staff_client, page_of(close))
    for n in range(1, 5):
        find(n)

    assert count_queries(staff_client, page_of(close)) == few


def shown_state(order: Order) -> str:
    return money_states.state_of(money_states.with_money(Order.objects.filter(pk=order.pk)).get())


def give_back(order: Order, amount: str, by: User) -> None:
    refunds.give_by_hand(order, Wish(Decimal(amount), "A test.", by))


def test_the_money_in_the_list_is_what_the_books_say(
    order: Order, sumup: Simulator, staff: User, paid: Payment
) -> None:
    order = fresh(order)
    seen = [shown_state(order)]

    for amount in ("6.50", "70.00"):
        give_back(order, amount, staff)
        assert shown_state(order) == ledger.money_of(order).state
        seen.append(shown_state(order))

    assert seen == ["paid", "part-refunded", "refunded"]


def test_cash_counts_in_the_list(order: Order, staff: User) -> None:
    seen = [shown_state(order)]

    for amount in ("6.50", "70.00"):
        casework.take_cash(order, Decimal(amount), by=staff)
        assert shown_state(order) == ledger.money_of(order).state
        seen.append(shown_state(order))

    assert seen == ["unpaid", "part-paid", "paid"]


def test_a_chargeback_shows_in_the_list(paid: Payment, sumup: Simulator) -> None:
    name = transaction_of(paid)
    sumup.charge_back(name)

    events.take_in(paid, get_transaction(name))

    assert shown_state(paid.order) == ledger.money_of(paid.order).state == "disputed"


@pytest.mark.parametrize("model", [Order, Refund, Case, Stray, DailyClose, Movement, Payment])
def test_nothing_that_money_touched_can_be_deleted_or_saved(
    staff_client: Client, trade: Callable[[int], None], model: type[Model]
) -> None:
    trade(1)
    row = model._default_manager.first()
    before = all_rows()

    answers = [
        act(staff_client, row, "delete_selected", note="A test.").status_code,
        staff_client.post(page_of(row).replace("change", "delete"), {"post": "yes"}).status_code,
        staff_client.post(page_of(row), {"status": "closed", "amount": "1", "_save": "Save"}).status_code,
        staff_client.get(f"{list_of(model)}add/").status_code,
    ]

    assert answers[1:] == [403, 403, 403]
    assert all_rows() == before


@pytest.mark.parametrize("key", ["x", "-1", "9" * 30, "\N{SUPERSCRIPT TWO}"])
def test_an_action_on_what_can_be_no_row_is_refused_in_words(staff_client: Client, paid: Payment, key: str) -> None:
    before = all_rows()

    answer = staff_client.post(list_of(Order), {"action": "cancel", "_selected_action": [key, str(paid.order_id)]})

    assert answer.status_code == 400
    assert all_rows() == before


def test_the_list_of_entries_says_which_are_oversold(staff_client: Client, sold: Order, workshop: Entry) -> None:
    capacity.set_capacity(workshop.pool, 1)

    assert "2 / 1, oversold" in text_of(staff_client.get(list_of(Entry)))


def test_a_batch_of_which_nothing_is_done_has_no_bar(staff_client: Client, batch: RefundBatch) -> None:
    page = staff_client.get(page_of(batch)).content.decode()

    assert "0 of 1 refunds are done" in page
    assert "<progress" not in page
