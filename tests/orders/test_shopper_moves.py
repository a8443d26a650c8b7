"""A shopper moves places to another date: where to, what it comes to, yes; on pages that work without JavaScript."""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from bookings.models import Attendee, Booking, Entry
from cartsite.models import User
from orders.models import Order, OrderLine
from payments.models import Payment, Refund
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory
from tests.invariants import assert_books_balance
from tests.orders.acts import all_rows, holder_of, tabs_of
from tests.orders.door import let_in_early
from tests.payments.money import pay
from tests.payments.records import fresh, sweep

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _books_balance(db: None) -> Iterator[None]:
    """Whatever the test does, the books balance after it."""
    yield
    assert_books_balance()


@pytest.fixture
def paid(payment: Payment, sumup: Simulator) -> Order:
    """One jar of honey and two places at the workshop, paid: £76.50."""
    return pay(payment, sumup).order


def another(workshop: Entry, price: str) -> Entry:
    """The same workshop a week later."""
    starts_at = workshop.starts_at + timedelta(days=7)
    return EntryFactory(calendar=workshop.calendar, title=workshop.title, starts_at=starts_at, price=Decimal(price))


def path_of(order: Order) -> str:
    return f"{order.get_absolute_url()}move/"


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def fields_of(response: Any) -> dict[str, list[str]]:
    """What the page's own form posts when one says yes."""
    form = text_of(response).split('method="post" action="/orders/')[-1].split("</form>")[0]
    fields = re.findall(r'type="hidden" name="((?:places|line_1|to|agreed))" value="([^"]*)"', form)
    return {name: [value for called, value in fields if called == name] for name, _value in fields}


def test_the_orders_page_leads_there_only_while_something_may_be_moved(paid: Order, workshop: Entry) -> None:
    client = holder_of(paid)
    assert path_of(paid) in text_of(client.get(paid.get_absolute_url()))

    type(workshop.calendar).objects.update(move_hours=None)

    assert path_of(paid) not in text_of(client.get(paid.get_absolute_url()))
    assert client.get(path_of(paid)).status_code == 302


def test_where_it_may_go_is_shown_with_its_price(paid: Order, workshop: Entry) -> None:
    to = another(workshop, "30.00")

    page = text_of(holder_of(paid).get(path_of(paid)))

    assert f'name="to" value="{to.pk}"' in page
    assert "£30.00 each" in page
    assert "10 places free" in page


def test_what_it_comes_to_is_shown_and_nothing_moves(paid: Order, workshop: Entry) -> None:
    to = another(workshop, "30.00")
    client = holder_of(paid)
    before = all_rows()

    page = text_of(client.get(path_of(paid), {"places": "line_1", "line_1": ["1", "2"], "to": to.pk}))

    assert "<dd data-back>£10.00</dd>" in page
    assert all_rows() == before


@pytest.mark.parametrize("price", ["30.00", "50.00"])
@pytest.mark.parametrize("ticked", [0, 1])
def test_of_several_places_one_chooses_whose_moves(
    paid: Order, workshop: Entry, sumup: Simulator, price: str, ticked: int
) -> None:
    to = another(workshop, price)
    places = list(Booking.objects.order_by("pk"))
    Attendee.objects.create(order_line=places[0].order_line, number=1, booking=places[0], name="Ada Archer")
    client = holder_of(paid)

    page = text_of(client.get(path_of(paid)))
    boxes = re.findall(r'name="line_1" value="(\d+)"[^>]* checked><span>([^<]*)<', page)
    seen = client.get(path_of(paid), {"places": "line_1", "line_1": boxes[ticked][0], "to": to.pk})
    client.post(path_of(paid), fields_of(seen))
    for dearer in Order.objects.exclude(pk=paid.pk):
        pay(dearer.payments.get(), sumup)

    assert [called for _number, called in boxes] == [f"{places[0].code} (Ada Archer)", places[1].code]
    assert boxes[ticked][1] in text_of(seen)
    assert places[1 - ticked].code not in text_of(seen)
    assert list(Booking.objects.filter(status="moved")) == [places[ticked]]
    stands = Booking.objects.get(entry=to, status="confirmed")
    assert hasattr(stands, "attendee") == (ticked == 0)


def test_a_place_that_is_not_open_is_not_moved(paid: Order, workshop: Entry, staff: User) -> None:
    to = another(workshop, "30.00")
    client = holder_of(paid)
    said = fields_of(client.get(path_of(paid), {"places": "line_1", "line_1": "2", "to": to.pk}))
    first = Booking.objects.earliest("pk")
    let_in_early(first, staff)
    before = all_rows()

    shown = client.get(path_of(paid), {"places": "line_1", "line_1": "2", "to": to.pk})
    answer = client.post(path_of(paid), said, follow=True)

    assert shown.status_code == 422
    assert "nothing more was moved" in text_of(answer)
    assert all_rows() == before


@pytest.mark.parametrize("price", ["30.00", "50.00"])
def test_how_it_may_be_cancelled_there_is_shown_as_it_will_be(paid: Order, workshop: Entry, price: str) -> None:
    to = another(workshop, price)
    client = holder_of(paid)

    seen = client.get(path_of(paid), {"places": "line_1", "line_1": "1", "to": to.pk})
    client.post(path_of(paid), fields_of(seen))

    until = (to.starts_at - timedelta(hours=48)).replace(microsecond=0)
    assert f'datetime="{until:%Y-%m-%dT%H:%M:%S}' in re.findall(r"<dd[^>]*data-rule>.*?</dd>", text_of(seen))[0]
    line = OrderLine.objects.filter(entry=to).first()
    moved = Booking.objects.filter(entry=to).first()
    bound = line.cancel_until if line else moved and moved.cancel_until
    assert bound
    assert bound.replace(microsecond=0) == until


def test_saying_yes_does_what_was_shown_once(paid: Order, workshop: Entry) -> None:
    to = another(workshop, "30.00")
    client = holder_of(paid)
    said = fields_of(client.get(path_of(paid), {"places": "line_1", "line_1": ["1", "2"], "to": to.pk}))

    response = client.post(path_of(paid), said, follow=True)

    assert "£10.00 is on its way back to you" in text_of(response)
    standing = Booking.objects.filter(order_line__order=paid, status="confirmed")
    assert {booking.entry for booking in standing} == {to}
    before = all_rows()
    again = client.post(path_of(paid), said, follow=True)
    assert again.redirect_chain == response.redirect_chain
    assert "This was done already, and not again. It is moved, and £10.00 is on its way" in text_of(again)
    assert all_rows() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("price", ["30.00", "50.00"])
def test_two_tabs_at_once_move_once_and_lead_to_the_same_page(paid: Order, workshop: Entry, price: str) -> None:
    to = another(workshop, price)
    client = holder_of(paid)
    said = fields_of(client.get(path_of(paid), {"places": "line_1", "line_1": "1", "to": to.pk}))

    answers = results_of(run_at_once(*[lambda tab=tab: tab.post(path_of(paid), said) for tab in tabs_of(client, 2)]))

    assert [answer.status_code for answer in answers] == [302, 302]
    assert Order.objects.count() == (2 if price == "50.00" else 1)
    assert Refund.objects.count() == (0 if price == "50.00" else 1)
    assert Booking.objects.filter(entry=to).count() == (0 if price == "50.00" else 1)


def test_a_dearer_date_leads_to_the_payment_page_of_a_new_order(paid: Order, workshop: Entry) -> None:
    to = another(workshop, "50.00")
    client = holder_of(paid)
    seen = client.get(path_of(paid), {"places": "line_1", "line_1": "1", "to": to.pk})
    assert "<dd data-more>£15.00</dd>" in text_of(seen)

    response = client.post(path_of(paid), fields_of(seen))

    dearer = Order.objects.exclude(pk=paid.pk).get()
    assert response.headers["Location"] == dearer.payments.get().checkout_url
    page = text_of(client.get(dearer.get_absolute_url()))
    assert "Leave it at the old date" in page
    assert f"Paid in order {paid.number}" in page
    assert dearer.number in text_of(holder_of(paid).get(paid.get_absolute_url()))


def test_a_repeat_for_a_dearer_date_leads_to_the_same_order(paid: Order, workshop: Entry) -> None:
    to = another(workshop, "50.00")
    client = holder_of(paid)
    said = fields_of(client.get(path_of(paid), {"places": "line_1", "line_1": "1", "to": to.pk}))
    first = client.post(path_of(paid), said)

    again = client.post(path_of(paid), said)

    assert again["Location"] == first["Location"]
    assert Order.objects.count() == 2
    assert Payment.objects.exclude(order=paid).count() == 1


def test_whoever_would_rather_stay_gets_no_basket(paid: Order, workshop: Entry) -> None:
    to = another(workshop, "50.00")
    client = holder_of(paid)
    seen = client.get(path_of(paid), {"places": "line_1", "line_1": "1", "to": to.pk})
    client.post(path_of(paid), fields_of(seen))
    dearer = Order.objects.exclude(pk=paid.pk).get()

    client.post(f"{dearer.get_absolute_url()}change-basket/")

    assert fresh(dearer).is_closing
    assert "Your places stay where they were" in text_of(client.get(dearer.get_absolute_url()))
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        sweep()
    assert fresh(dearer).status == "cancelled"
    assert "your places are where they were" in text_of(client.get(dearer.get_absolute_url()))
    assert path_of(paid) in text_of(holder_of(paid).get(paid.get_absolute_url()))


@pytest.mark.parametrize(
    "typed",
    [
        {"places": "line_1", "line_1": "3"},
        {"places": "line_1", "line_1": "none"},
        {"places": "line_1", "line_1": "1", "to": "nowhere"},
        {"places": "line_1", "line_1": "1", "to": "99999999999999999999"},
        {"places": "line_0", "line_1": "1", "to": "1"},
        {"places": "line_1"},
        {"line_1": "1"},
    ],
)
def test_what_cannot_be_is_said(paid: Order, workshop: Entry, typed: dict[str, str]) -> None:
    to = another(workshop, "30.00")
    client = holder_of(paid)
    asked = {"to": str(to.pk)} | typed
    before = all_rows()

    answers = [client.get(path_of(paid), asked), client.post(path_of(paid), asked)]

    assert [answer.status_code for answer in answers] == [422, 302]
    assert all_rows() == before


def test_a_made_up_yes_moves_nothing(paid: Order, workshop: Entry) -> None:
    to = another(workshop, "30.00")
    client = holder_of(paid)
    before = all_rows()

    response = client.post(path_of(paid), {"places": "line_1", "line_1": "1", "to": to.pk, "agreed": "yes"})

    assert response.status_code == 422
    assert all_rows() == before


def test_strangers_find_nothing(paid: Order) -> None:
    assert Client().get(path_of(paid)).status_code == 404
    assert Client().post(path_of(paid)).status_code == 404


def test_a_moved_place_says_where_it_is_and_what_became_of_the_old_one(paid: Order, workshop: Entry) -> None:
    to = another(workshop, "35.00")
    client = holder_of(paid)
    client.post(path_of(paid), fields_of(client.get(path_of(paid), {"places": "line_1", "line_1": "1", "to": to.pk})))

    page = text_of(client.get(paid.get_absolute_url()))

    assert "Bread workshop: 1 moved from" in page
    assert "moved to" in page
