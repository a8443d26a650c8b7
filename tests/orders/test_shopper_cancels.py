"""A shopper cancels some or all of an order: what, what it comes to, yes; on pages that work without JavaScript."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bookings.models import Attendee, Booking, Entry
from cart.models import Product
from cartsite.models import User
from orders import moving, services
from orders.models import Order, OrderLine
from payments import casework
from payments.models import Payment, Refund
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory
from tests.invariants import assert_books_balance
from tests.orders.acts import all_rows, holder_of, statements, tabs_of
from tests.orders.door import let_in_early
from tests.payments.money import pay

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]


@pytest.fixture(autouse=True)
def _books_balance(db: None) -> Iterator[None]:
    """Whatever the test does, the books balance after it."""
    yield
    assert_books_balance()


@pytest.fixture
def paid(payment: Payment, sumup: Simulator) -> Order:
    """One jar of honey and two places at the workshop, paid: £76.50."""
    return pay(payment, sumup).order


def path_of(order: Order) -> str:
    return f"{order.get_absolute_url()}cancel/"


def text_of(response: Any) -> str:
    return response.content.decode()


def fields_of(response: Any) -> dict[str, list[str]]:
    """What the page's own form posts when one says yes."""
    form = text_of(response).split('method="post" action="/orders/')[-1].split("</form>")[0]
    fields = re.findall(r'type="hidden" name="((?:line|whole|agreed)[^"]*)" value="([^"]*)"', form)
    return {name: [value for called, value in fields if called == name] for name, _value in fields}


def boxes_of(response: Any) -> dict[str, str]:
    """The places that may be ticked: each one's number and what it is called."""
    return dict(re.findall(r'type="checkbox" name="line_1" value="(\d+)"[^>]*><span>([^<]*)<', text_of(response)))


def test_what_may_be_cancelled_is_shown_with_its_rule(paid: Order) -> None:
    OrderLine.objects.filter(kind="entry").update(kept_percent=Decimal("12.50"))

    said = text_of(holder_of(paid).get(path_of(paid)))

    assert "Heather honey" in said
    assert "Bread workshop" in said
    assert "and get back all but 12.50%." in said
    assert "and get all of it back." in said
    assert 'max="1"' in said
    assert said.count('type="checkbox"') == 2
    assert Refund.objects.count() == 0


def test_the_orders_page_leads_there_only_while_something_may_be_cancelled(paid: Order) -> None:
    client, link = holder_of(paid), f'href="{path_of(paid)}"'

    assert link in text_of(client.get(paid.get_absolute_url()))
    OrderLine.objects.update(cancel_until=timezone.now())
    assert link not in text_of(client.get(paid.get_absolute_url()))


def test_the_consequence_is_shown_to_the_penny_and_nothing_moves(paid: Order) -> None:
    OrderLine.objects.filter(kind="entry").update(kept_percent=10)
    client, before = holder_of(paid), all_rows()

    said = text_of(client.get(f"{path_of(paid)}?line_0=1&line_1=1"))

    assert "data-back>£38.00<" in said
    assert "data-kept>£3.50<" in said
    assert "£3.50 is kept, £31.50 comes back." in said
    assert "cannot be undone" in said
    assert all_rows() == before


@pytest.mark.parametrize("ticked", [0, 1])
def test_of_several_places_one_chooses_whose_goes(paid: Order, ticked: int) -> None:
    places = list(Booking.objects.order_by("pk"))
    for number, name in enumerate(("Ada Archer", "Ben Baker"), start=1):
        place = places[number - 1]
        Attendee.objects.create(order_line=place.order_line, number=number, booking=place, name=name)
    client = holder_of(paid)

    boxes = boxes_of(client.get(path_of(paid)))
    one = client.get(path_of(paid), {"line_1": list(boxes)[ticked]})
    client.post(path_of(paid), fields_of(one))

    assert list(boxes.values()) == [f"{places[0].code} (Ada Archer)", f"{places[1].code} (Ben Baker)"]
    assert list(boxes.values())[ticked] in text_of(one)
    assert places[1 - ticked].code not in text_of(one)
    assert list(Booking.objects.filter(status="cancelled")) == [places[ticked]]


def test_whose_go_is_not_said_where_all_do(paid: Order) -> None:
    review = holder_of(paid).get(path_of(paid), {"line_1": ["1", "2"]})

    assert "data-back>£70.00<" in text_of(review)
    assert "data-whose" not in text_of(review)


def test_of_places_that_were_moved_the_old_price_is_not_said(paid: Order, workshop: Entry) -> None:
    to = EntryFactory(calendar=workshop.calendar, title=workshop.title)
    moving.move_in_place(list(Booking.objects.all()), to, by=None, cause="shopper")

    said = text_of(holder_of(paid).get(path_of(paid)))

    assert "£6.50 each" in said
    assert "£35.00 each" not in said


@pytest.mark.parametrize("became", ["attended", "cancelled", "moved"])
def test_a_place_that_is_not_open_is_refused_with_a_sentence(
    paid: Order, workshop: Entry, staff: User, became: str
) -> None:
    client = holder_of(paid)
    posted = fields_of(client.get(path_of(paid), {"line_1": "2"}))
    first = Booking.objects.select_related("order_line").earliest("pk")
    if became == "attended":
        let_in_early(first, staff)
    elif became == "cancelled":
        services.cancel_some(first.order_line, 1, by=staff, places=[first])
    else:
        moving.move_in_place([first], EntryFactory(calendar=workshop.calendar), by=staff, cause="staff")
    before = all_rows()

    shown = client.get(path_of(paid), {"line_1": "2"})
    answer = client.post(path_of(paid), posted, follow=True)

    assert shown.status_code == 422
    assert "One of these places is not open any more." in text_of(shown)
    assert "nothing more was cancelled" in text_of(answer)
    assert all_rows() == before


def test_a_yes_to_one_place_is_none_to_another(paid: Order) -> None:
    client = holder_of(paid)
    posted = fields_of(client.get(path_of(paid), {"line_1": "2"}))
    before = all_rows()

    answer = client.post(path_of(paid), posted | {"line_1": ["1"]})

    assert answer.status_code == 422
    assert all_rows() == before


def test_saying_yes_does_what_was_shown(paid: Order) -> None:
    client = holder_of(paid)

    answer = client.post(path_of(paid), fields_of(client.get(f"{path_of(paid)}?line_1=1")), follow=True)

    assert answer.redirect_chain == [(paid.get_absolute_url(), 302)]
    assert "It is cancelled, and £35.00 is on its way back to you." in text_of(answer)
    assert "1 of 2 cancelled" in text_of(answer)
    assert Refund.objects.get().amount == 35


def test_one_button_chooses_everything(paid: Order) -> None:
    client = holder_of(paid)

    review = client.get(f"{path_of(paid)}?line_0=0&whole=1")
    answer = client.post(path_of(paid), fields_of(review), follow=True)

    assert "Cancel the whole order?" in text_of(review)
    assert 'data-order-status="cancelled"' in text_of(answer)
    assert not Booking.objects.filter(status="confirmed").exists()
    assert Refund.objects.get().amount == Decimal("76.50")


def test_what_is_cancelled_after_a_part_of_it_no_longer_counts_parts(paid: Order) -> None:
    client = holder_of(paid)
    client.post(path_of(paid), fields_of(client.get(f"{path_of(paid)}?line_1=1")))

    answer = client.post(path_of(paid), fields_of(client.get(f"{path_of(paid)}?whole=1")), follow=True)

    assert 'data-order-status="cancelled"' in text_of(answer)
    assert "of 2 cancelled" not in text_of(answer)


def test_its_user_may_as_well_and_stands_on_record(place_order: PlaceOrder, shopper: User, sumup: Simulator) -> None:
    order = place_order((EntryFactory(price=0), 1), user=shopper)
    client = Client()
    client.force_login(shopper)

    client.post(path_of(order), fields_of(client.get(f"{path_of(order)}?whole=1")))

    order.refresh_from_db()
    assert order.status == "cancelled"
    assert order.events.get(kind="cancelled").by == shopper


@pytest.mark.parametrize("query", ["line_0=2", "line_0=-1", "line_0=two", "line_1=1&line_0=99999999999999999999"])
def test_what_cannot_be_is_said_beside_its_field(paid: Order, query: str) -> None:
    answer = holder_of(paid).get(f"{path_of(paid)}?{query}")

    wrong = re.findall(r'aria-describedby="rule_line_\d (id_line_\d_error)" aria-invalid="true"', text_of(answer))
    assert answer.status_code == 422
    assert len(wrong) == 1
    assert f'id="{wrong[0]}"' in text_of(answer)


@pytest.mark.parametrize("query", ["line_0=0", "line_0=", "line_7=1", "review=1"])
def test_choosing_nothing_is_said(paid: Order, query: str) -> None:
    answer = holder_of(paid).get(f"{path_of(paid)}?{query}")

    assert answer.status_code == 422
    assert 'role="alert"' in text_of(answer)
    assert "at least one thing" in text_of(answer)


@pytest.mark.parametrize("chosen", ["line_1=1", "whole=1"])
def test_a_second_click_gives_nothing_back_twice_and_says_what_the_first_did(paid: Order, chosen: str) -> None:
    client = holder_of(paid)
    posted = fields_of(client.get(f"{path_of(paid)}?{chosen}"))
    first = client.post(path_of(paid), posted)
    client.get(first["Location"])  # which says what happened
    before = all_rows()

    answer = client.post(path_of(paid), posted, follow=True)

    assert answer.redirect_chain == [(first["Location"], 302)]
    assert "This was done already, and not again. It is cancelled, and £" in text_of(answer)
    assert all_rows() == before


def test_the_form_of_one_place_does_not_cancel_another_once_that_is_gone(paid: Order, staff: User) -> None:
    client = holder_of(paid)
    tabs = [fields_of(client.get(f"{path_of(paid)}?line_1=1")) for _tab in range(2)]
    client.post(path_of(paid), tabs[0])
    before = all_rows()

    answer = client.post(path_of(paid), tabs[1], follow=True)

    assert "nothing more was cancelled" in text_of(answer)
    assert all_rows() == before


@pytest.mark.django_db(transaction=True)
def test_two_tabs_at_once_give_money_back_once(paid: Order) -> None:
    client = holder_of(paid)
    posted = fields_of(client.get(f"{path_of(paid)}?line_1=1"))

    answers = results_of(run_at_once(*[lambda tab=tab: tab.post(path_of(paid), posted) for tab in tabs_of(client, 4)]))

    assert {(answer.status_code, answer["Location"]) for answer in answers} == {(302, paid.get_absolute_url())}
    assert Booking.objects.filter(status="cancelled").count() == 1
    assert Refund.objects.get().amount == 35


def test_what_one_browser_was_shown_another_cannot_say_yes_to(paid: Order) -> None:
    posted = fields_of(holder_of(paid).get(f"{path_of(paid)}?line_1=1"))
    before = all_rows()

    answer = holder_of(paid).post(path_of(paid), posted)

    assert answer.status_code == 422
    assert all_rows() == before


def test_a_sum_that_changed_is_shown_again_before_anything_happens(paid: Order, staff: User) -> None:
    client = holder_of(paid)
    posted = fields_of(client.get(f"{path_of(paid)}?line_1=2"))
    services.cancel_some(paid.lines.get(kind="entry"), 1, by=staff)
    before = all_rows()

    answer = client.post(path_of(paid), posted)

    assert answer.status_code == 422
    assert "data-back>£35.00<" in text_of(answer)
    assert all_rows() == before
    assert client.post(path_of(paid), fields_of(answer)).status_code == 302


def test_a_made_up_yes_moves_nothing(paid: Order) -> None:
    client, before = holder_of(paid), all_rows()

    for posted in ({}, {"agreed": "x"}, {"line_1": "1"}, {"line_1": "1", "agreed": "0" * 32}, {"whole": "1"}):
        assert client.post(path_of(paid), posted).status_code in (302, 422)

    assert all_rows() == before


def test_too_late_leads_back_with_a_sentence(paid: Order, time_machine: Any) -> None:
    client = holder_of(paid)
    posted = fields_of(client.get(f"{path_of(paid)}?line_1=1"))
    time_machine.move_to(timezone.now() + timedelta(days=6))

    shown = client.get(path_of(paid), follow=True)
    answer = client.post(path_of(paid), posted, follow=True)

    assert "Nothing of this order can be cancelled here any more." in text_of(shown)
    assert "nothing more was cancelled" in text_of(answer)
    assert Refund.objects.count() == 0


@pytest.mark.parametrize("method", ["get", "post"])
def test_strangers_find_nothing(paid: Order, place_order: PlaceOrder, honey: Product, method: str) -> None:
    other = place_order((honey, 1))
    before = all_rows()

    for client in (Client(), holder_of(other)):
        known = getattr(client, method)(f"{path_of(paid)}", {"line_1": "1"})
        unknown = getattr(client, method)("/orders/CCCC-CCCC-CC/cancel/", {"line_1": "1"})
        assert (known.status_code, unknown.status_code) == (404, 404)

    assert all_rows() == before


def test_small_letters_lead_to_the_real_address(paid: Order) -> None:
    answer = Client().get(path_of(paid).lower())

    assert (answer.status_code, answer["Location"]) == (302, path_of(paid))


def test_an_unpaid_order_is_not_cancelled_here(order: Order) -> None:
    answer = holder_of(order).get(path_of(order))

    assert (answer.status_code, answer["Location"]) == (302, order.get_absolute_url())


def test_many_lines_cost_what_few_do(place_order: PlaceOrder, stocked: list[Product], staff: User) -> None:
    few, many = place_order((stocked[0], 1)), place_order(*((thing, 2) for thing in stocked))
    counts = []
    for order in (few, many):
        casework.take_cash(order, order.total, by=staff)
        client = holder_of(order)
        client.get(path_of(order))
        with statements() as sent:
            assert client.get(path_of(order)).status_code == 200
            assert client.get(f"{path_of(order)}?whole=1").status_code == 200
        counts.append(len(sent))

    assert counts[0] == counts[1] <= 21
