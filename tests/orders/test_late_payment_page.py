"""Money that came too late: its shopper has it back or waits, once, however often they press."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bookings import capacity
from bookings.models import Booking, Entry
from cart.models import Product
from cartsite.models import Case, Message, User
from orders.models import Order
from payments import cancelling, casework, late, ledger, refunds
from payments.models import Payment, Refund, Stray
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory, held_by_another
from tests.invariants import assert_books_balance
from tests.orders.acts import all_rows, holder_of
from tests.orders.late import come_late, expire, late_case

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
REFUND, WAIT = {"decision": "refund"}, {"decision": "wait"}


def text_of(response: Any) -> str:
    """What the page says, each run of white space as one blank."""
    return re.sub(r"\s+", " ", response.content.decode())


def page_of(order: Order) -> str:
    return f"/orders/{order.number}/late-payment/"


def waits_of(order: Order) -> int:
    return order.events.filter(kind="shopper_waits").count()


@pytest.fixture
def paid_late(payment: Payment, sumup: Simulator, place_order: PlaceOrder, workshop: Entry) -> Order:
    """£76.50 that came when the order had expired and its places were somebody else's."""
    return come_late(payment, sumup, place_order, workshop)


@pytest.fixture
def client(paid_late: Order) -> Client:
    """The browser of whoever has the order's secret link."""
    return holder_of(paid_late)


# --- What it says


def test_it_says_what_happened_and_offers_both_choices(paid_late: Order, client: Client) -> None:
    response = client.get(page_of(paid_late))

    said = text_of(response)
    assert response.status_code == 200
    assert "Your payment of <strong>£76.50</strong> arrived on " in said
    assert "By then the order had ended, and the places and goods that we kept for you were on sale again." in said
    assert "We send £76.50 back to the card" in said
    assert said.count('<form class="mt-auto" method="post"') == 2
    assert 'name="decision" value="refund">Send my money back</button>' in said
    assert 'name="decision" value="wait">Wait for the co-operative</button>' in said


def test_it_says_when_the_money_goes_back_by_itself_in_the_shops_zone(paid_late: Order, client: Client) -> None:
    Case.objects.update(opened_at=datetime(2026, 7, 1, 22, 30, tzinfo=UTC))

    with time_machine.travel(datetime(2026, 7, 2, tzinfo=UTC)):
        said = text_of(client.get(page_of(paid_late)))

    assert "If nothing is decided before Saturday 4 July 2026 at 23:30, it goes back to you by itself." in said


def test_staff_who_put_it_off_move_that_date(paid_late: Order, client: Client) -> None:
    Case.objects.update(opened_at=datetime(2026, 7, 1, 22, 30, tzinfo=UTC))
    late_case().snooze(datetime(2026, 7, 9, 8, 0, tzinfo=UTC), note="")

    with time_machine.travel(datetime(2026, 7, 2, tzinfo=UTC)):
        said = text_of(client.get(page_of(paid_late)))

    assert "before Thursday 9 July 2026 at 09:00" in said


def test_a_date_that_is_past_is_not_promised_again(paid_late: Order, client: Client) -> None:
    with time_machine.travel(late.goes_back_at(late_case()) + timedelta(minutes=1)):
        said = text_of(client.get(page_of(paid_late)))

    assert "It is about to go back to you by itself." in said
    assert "If nothing is decided" not in said


def test_an_order_that_has_not_ended_is_not_said_to_have(paid_late: Order, client: Client) -> None:
    Order.objects.filter(pk=paid_late.pk).update(status="awaiting_payment")

    said = text_of(client.get(page_of(paid_late)))

    assert "had ended" not in said
    assert "Your money is here, and somebody must look at it" in said
    assert "Everything in it is still kept for you." in said


def test_the_orders_page_leads_there_while_nobody_has_decided(paid_late: Order, client: Client) -> None:
    said = text_of(client.get(paid_late.get_absolute_url()))

    assert f'href="{page_of(paid_late)}"' in said
    assert "£76.50 arrived when this order could not be paid any more." in said


def test_without_late_money_it_leads_to_the_orders_page(order: Order) -> None:
    client = holder_of(order)

    for answer in (client.get(page_of(order)), client.post(page_of(order), REFUND)):
        assert (answer.status_code, answer["Location"]) == (302, order.get_absolute_url())
    assert not Refund.objects.exists()


def test_nobody_keeps_a_copy_of_it_and_it_holds_no_secret(paid_late: Order, client: Client) -> None:
    response = client.get(page_of(paid_late))

    assert "no-store" in response["Cache-Control"]
    payment = Payment.objects.get()
    for secret in (paid_late.key, payment.return_token, payment.webhook_token, str(paid_late.uuid), str(payment.uuid)):
        assert secret not in text_of(response)


def test_money_that_is_going_back_already_is_not_decided_about(paid_late: Order, client: Client, staff: User) -> None:
    refunds.request(Payment.objects.get(), Wish(Decimal("76.50"), "The shopper rang.", staff))

    for answer in (client.get(page_of(paid_late)), client.post(page_of(paid_late), REFUND)):
        assert (answer.status_code, answer["Location"]) == (302, paid_late.get_absolute_url())
    assert Refund.objects.count() == 1


# --- Who may see it


def test_the_secret_link_of_the_mail_leads_to_its_clean_address(paid_late: Order) -> None:
    client = Client()

    response = client.get(f"{page_of(paid_late)}?key={paid_late.key}")

    assert (response.status_code, response["Location"]) == (302, page_of(paid_late))
    assert paid_late.uuid.hex in response.cookies["order"].value
    assert client.get(page_of(paid_late)).status_code == 200
    assert client.post(page_of(paid_late), REFUND).status_code == 302
    assert Refund.objects.count() == 1


def test_the_orders_user_needs_no_link(paid_late: Order, shopper: User) -> None:
    Order.objects.filter(pk=paid_late.pk).update(user=shopper)
    client = Client()
    client.force_login(shopper)

    assert client.get(page_of(paid_late)).status_code == 200


@pytest.mark.parametrize("query", ["", "?key=", "?key=wrong", "?key=%00", "?token=wrong"])
def test_strangers_get_the_same_answer_as_for_no_order(paid_late: Order, staff: User, query: str) -> None:
    signed_in = Client()
    signed_in.force_login(staff)
    before = all_rows()
    paths = [f"{page_of(paid_late)}{query}", f"/orders/CCCC-CCCC-CC/late-payment/{query}"]

    looks = [Client().get(path) for path in paths]
    presses = [Client().post(path, REFUND) for path in paths]

    for answers in (looks, presses):
        assert {answer.status_code for answer in answers} == {404}
        assert len({re.sub(r'next=[^"]*', "", text_of(answer)) for answer in answers}) == 1
        assert all("order" not in answer.cookies for answer in answers)
    assert signed_in.post(page_of(paid_late), REFUND).status_code == 404
    assert all_rows() == before


def test_the_key_does_not_open_it_for_a_decision(paid_late: Order) -> None:
    answer = Client().post(f"{page_of(paid_late)}?key={paid_late.key}", REFUND)

    assert answer.status_code == 404
    assert not Refund.objects.exists()


def test_the_key_of_another_order_does_not_open_it(paid_late: Order, place_order: PlaceOrder, honey: Product) -> None:
    other = place_order((honey, 1))

    assert Client().get(f"{page_of(paid_late)}?key={other.key}").status_code == 404
    assert holder_of(other).get(page_of(paid_late)).status_code == 404


# --- Have it back


def test_money_back_is_approved_at_once_and_the_order_says_so(paid_late: Order, client: Client) -> None:
    answer = client.post(page_of(paid_late), REFUND)

    assert (answer.status_code, answer["Location"]) == (302, paid_late.get_absolute_url())
    refund = Refund.objects.get()
    assert (refund.amount, refund.status, refund.reason) == (
        Decimal("76.50"),
        "requested",
        "The shopper asked for it.",
    )
    assert (refund.requested_by, refund.approved_by, refund.approved_at is None) == (None, None, False)
    assert (late_case().status, late_case().resolved_by) == ("resolved", None)
    said = text_of(client.get(paid_late.get_absolute_url()))
    assert "<strong>£76.50</strong> is on its way back to you. Banks take 2 to 10 days." in said
    assert "late-payment" not in said


def test_the_money_does_go_back_and_a_mail_says_so(paid_late: Order, client: Client, sumup: Simulator) -> None:
    client.post(page_of(paid_late), REFUND)

    refunds.sweep()
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=1)):
        refunds.sweep()

    assert Refund.objects.get().status == "done"
    assert ledger.money_of(paid_late).net == 0
    assert Message.objects.filter(kind="refund", subject_uuid=paid_late.uuid).count() == 1
    assert "<strong>£76.50</strong> went back to your card on" in text_of(client.get(paid_late.get_absolute_url()))


def test_pressing_twice_sends_it_back_once(paid_late: Order, client: Client) -> None:
    answers = [client.post(page_of(paid_late), REFUND) for _press in range(3)]

    assert {answer["Location"] for answer in answers} == {paid_late.get_absolute_url()}
    assert Refund.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_tabs_at_once_send_it_back_once(paid_late: Order) -> None:
    tabs = [holder_of(paid_late) for _tab in range(6)]

    answers = results_of(run_at_once(*[lambda tab=tab: tab.post(page_of(paid_late), REFUND) for tab in tabs]))

    assert {answer.status_code for answer in answers} == {302}
    assert Refund.objects.count() == 1


def test_an_old_page_never_decides_about_other_money(
    paid_late: Order, client: Client, sumup: Simulator, staff: User
) -> None:
    about_the_first = REFUND | {"case": str(late_case().uuid)}
    client.post(page_of(paid_late), about_the_first)
    more = Stray.objects.create(
        merchant_code="MROSEASH", transaction_id="t2", amount=5, currency="GBP", happened_at=datetime.now(UTC)
    )
    Case.open(Case.Kind.UNKNOWN_MONEY, more, "More money.")
    casework.attach(Case.objects.get(kind="unknown_money"), paid_late.number, by=staff, note="It is theirs.")
    assert late.open_case(paid_late) is not None

    answer = client.post(page_of(paid_late), about_the_first)

    assert answer["Location"] == paid_late.get_absolute_url()
    assert Refund.objects.count() == 1
    assert late.open_case(paid_late) is not None


# --- Wait


def test_waiting_is_written_down_once_and_says_what_happens_then(paid_late: Order, client: Client) -> None:
    for _press in range(3):
        answer = client.post(page_of(paid_late), WAIT)
        assert (answer.status_code, answer["Location"]) == (302, page_of(paid_late))

    said = text_of(client.get(page_of(paid_late)))
    assert waits_of(paid_late) == 1
    assert paid_late.events.get(kind="shopper_waits").data == {"case": str(late_case().uuid)}
    assert "You chose to wait for the co-operative." in said
    assert 'value="wait"' not in said
    assert late_case().status == "open"
    assert "You chose to wait" in text_of(client.get(paid_late.get_absolute_url()))


@pytest.mark.django_db(transaction=True)
def test_many_tabs_at_once_wait_once(paid_late: Order) -> None:
    tabs = [holder_of(paid_late) for _tab in range(6)]

    results_of(run_at_once(*[lambda tab=tab: tab.post(page_of(paid_late), WAIT) for tab in tabs]))

    assert waits_of(paid_late) == 1


def test_who_waits_may_change_their_mind(paid_late: Order, client: Client) -> None:
    client.post(page_of(paid_late), WAIT)

    client.post(page_of(paid_late), REFUND)

    assert Refund.objects.count() == 1


def test_who_has_it_back_cannot_wait_any_more(paid_late: Order, client: Client) -> None:
    client.post(page_of(paid_late), REFUND)

    answer = client.post(page_of(paid_late), WAIT)

    assert answer["Location"] == paid_late.get_absolute_url()
    assert waits_of(paid_late) == 0


def test_who_waits_has_it_back_by_itself_after_three_days(paid_late: Order, client: Client) -> None:
    client.post(page_of(paid_late), WAIT)

    with time_machine.travel(late.goes_back_at(late_case()) + timedelta(minutes=1)):
        late.send_back_by_itself()
        answer = client.get(page_of(paid_late))

    assert answer["Location"] == paid_late.get_absolute_url()
    assert Refund.objects.get().approved_at is not None


# --- Bad input


@pytest.mark.parametrize(
    "posted",
    [
        {},
        {"decision": ""},
        {"decision": "both"},
        {"decision": "refund\x00"},
        {"decision": ["refund", "keep"]},
        REFUND | {"case": "no-uuid"},
        REFUND | {"case": "\x00"},
    ],
)
def test_an_unknown_decision_is_asked_again(paid_late: Order, client: Client, posted: dict[str, Any]) -> None:
    before = all_rows()

    answer = client.post(page_of(paid_late), posted)

    assert answer.status_code == 422
    assert "That was none of the choices." in text_of(answer)
    assert all_rows() == before


def test_a_form_that_is_too_old_gets_a_plain_sentence(paid_late: Order) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get(paid_late.secret_link)

    answer = client.post(page_of(paid_late), REFUND | {"csrfmiddlewaretoken": "stale"})

    assert answer.status_code == 403
    assert "Please try again" in text_of(answer)
    assert not Refund.objects.exists()


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(paid_late: Order, client: Client, method: str) -> None:
    assert getattr(client, method)(page_of(paid_late)).status_code == 405


def test_a_number_typed_in_small_letters_leads_there(paid_late: Order, client: Client) -> None:
    answer = Client().get(page_of(paid_late).replace(paid_late.number, paid_late.number.lower()))

    assert (answer.status_code, answer["Location"]) == (302, page_of(paid_late))


# --- Money that its order needs after all


def attach(order: Order, name: str, amount: str, staff: User) -> None:
    """Find out that so much unknown money is the order's."""
    stray = Stray.objects.create(
        merchant_code="MROSEASH", transaction_id=name, amount=amount, currency="GBP", happened_at=datetime.now(UTC)
    )
    Case.open(Case.Kind.UNKNOWN_MONEY, stray, "Money.")
    case = Case.objects.unresolved().get(kind="unknown_money")
    casework.attach(case, order.number, by=staff, note="It is theirs.")


def test_money_that_its_order_needed_after_all_is_not_sent_back(order: Order, staff: User) -> None:
    expire(order)
    attach(order, "a-part", "30.00", staff)
    attach(order, "the-rest", "46.50", staff)
    order.refresh_from_db()
    assert order.status == "confirmed"

    with time_machine.travel(datetime.now(UTC) + timedelta(days=4)):
        late.send_back_by_itself()

    assert late.open_case(order) is None
    assert not Refund.objects.exists()


# --- Another date


@pytest.fixture
def another(workshop: Entry) -> Entry:
    """The same workshop a week later, £5 cheaper."""
    return EntryFactory(
        calendar=workshop.calendar,
        title=workshop.title,
        starts_at=workshop.starts_at + timedelta(days=7),
        price=Decimal("30.00"),
    )


def other(to: Entry, back: str = "10.00") -> dict[str, str]:
    """What the browser posts for a date that gives so much back."""
    return {"decision": "other", "entry_1": f"{to.pk}-{back}"}


def test_other_dates_that_are_not_dearer_and_have_room_are_offered(
    paid_late: Order, client: Client, workshop: Entry, another: Entry
) -> None:
    same = {"calendar": workshop.calendar, "title": workshop.title}
    dear = EntryFactory(**same, price=Decimal("36.00"))
    full = EntryFactory(**same, places=1)
    else_ = EntryFactory(calendar=workshop.calendar)

    page = text_of(client.get(page_of(paid_late)))

    assert f'value="{another.pk}-10.00"' in page
    assert "£10.00 goes back to you" in page
    assert all(f'value="{entry.pk}-' not in page for entry in (dear, full, else_))


def test_another_date_confirms_the_order_and_gives_the_difference_back(
    paid_late: Order, client: Client, workshop: Entry, another: Entry
) -> None:
    response = client.post(page_of(paid_late), other(another), follow=True)

    paid_late.refresh_from_db()
    assert paid_late.status == "confirmed"
    assert "with the date that you chose" in text_of(response)
    bookings = Booking.objects.filter(order_line__order=paid_late)
    assert [booking.entry for booking in bookings] == [another, another]
    assert sum(booking.given_back for booking in bookings) == Decimal("10.00")
    assert {booking.cancel_until for booking in bookings} == {another.starts_at - timedelta(hours=48)}
    refund = Refund.objects.get()
    assert (refund.amount, refund.approved_at is not None) == (Decimal("10.00"), True)
    assert late_case().status == "resolved"
    assert Message.objects.filter(kind="confirmation", subject_uuid=paid_late.uuid).count() == 1
    assert_books_balance()


def test_what_the_other_date_is_worth_comes_back_when_it_is_cancelled(
    paid_late: Order, client: Client, another: Entry
) -> None:
    client.post(page_of(paid_late), other(another))

    paid_late.refresh_from_db()
    plan = cancelling.plan_for(paid_late, {(1, another.pk): 2})

    assert plan.back == Decimal("60.00")


def test_other_dates_are_found_with_the_same_few_queries_for_any_number(
    paid_late: Order, client: Client, workshop: Entry
) -> None:
    same = {"calendar": workshop.calendar, "title": workshop.title, "price": Decimal("30.00")}
    counts = []
    for more in (2, 20):
        EntryFactory.create_batch(more, **same)
        with CaptureQueriesContext(connection) as seen:
            assert len(late.other_dates(paid_late)[0].dates) >= more
        counts.append(len(seen))

    assert counts[1] <= counts[0]


def test_nobody_has_more_places_at_another_date_than_one_person_may(
    paid_late: Order, client: Client, another: Entry, place_order: PlaceOrder
) -> None:
    Entry.objects.filter(pk=another.pk).update(max_per_person=3)
    others_of_them = place_order((another, 2))
    assert others_of_them.contact.email == paid_late.contact.email

    response = client.post(page_of(paid_late), other(another))

    assert response.status_code == 422
    assert "One person can have 3 places" in text_of(response)
    paid_late.refresh_from_db()
    assert paid_late.status == "expired"
    assert not Refund.objects.exists()
    assert_books_balance()


def test_a_second_click_on_another_date_changes_nothing(paid_late: Order, client: Client, another: Entry) -> None:
    client.post(page_of(paid_late), other(another))
    before = all_rows()

    response = client.post(page_of(paid_late), other(another))

    assert response.status_code == 302
    assert all_rows() == before


def test_sold_out_meanwhile_says_so_and_offers_the_rest(
    paid_late: Order, client: Client, workshop: Entry, another: Entry
) -> None:
    third = EntryFactory(calendar=workshop.calendar, title=workshop.title)
    held_by_another(another, 9)
    before = all_rows()

    response = client.post(page_of(paid_late), other(another))

    assert response.status_code == 422
    assert "cannot be had any more" in text_of(response)
    assert f'value="{third.pk}-0.00"' in text_of(response)
    assert all_rows() == before


def test_a_price_that_changed_is_shown_before_anything_happens(
    paid_late: Order, client: Client, another: Entry
) -> None:
    Entry.objects.filter(pk=another.pk).update(price=Decimal("34.00"))
    before = all_rows()

    response = client.post(page_of(paid_late), other(another))

    assert response.status_code == 422
    assert f'value="{another.pk}-2.00"' in text_of(response)
    assert all_rows() == before


def test_choosing_no_date_is_said(paid_late: Order, client: Client, another: Entry) -> None:
    response = client.post(page_of(paid_late), {"decision": "other"})

    assert response.status_code == 422
    assert "Please choose one of the dates." in text_of(response)


def test_what_a_person_cancelled_comes_back_with_no_other_date(
    paid_late: Order, client: Client, another: Entry
) -> None:
    Order.objects.filter(pk=paid_late.pk).update(status="cancelled")

    assert late.other_dates(Order.objects.get(pk=paid_late.pk)) == []


def test_once_money_went_back_no_other_date_is_offered(
    paid_late: Order, client: Client, another: Entry, staff: User
) -> None:
    refunds.request(paid_late.payments.get(), Wish(Decimal("1.00"), "Sorry", staff))

    assert late.other_dates(paid_late) == []
    assert client.post(page_of(paid_late), other(another)).status_code == 422
    paid_late.refresh_from_db()
    assert paid_late.status == "expired"


def test_something_else_gone_as_well_is_no_help(paid_late: Order, another: Entry, honey: Product) -> None:
    type(honey).objects.filter(pk=honey.pk).update(pool=capacity.new_pool("Honey", 0))

    assert late.other_dates(paid_late) == []


@pytest.mark.django_db(transaction=True)
def test_eight_clicks_at_once_on_another_date_confirm_once(paid_late: Order, another: Entry) -> None:
    case = late_case()
    chosen = {"entry_1": f"{another.pk}-10.00"}

    done = results_of(run_at_once(*[lambda: late.take_other_dates(case, chosen, by=None)] * 8))

    assert sorted(done) == [False] * 7 + [True]
    assert Booking.objects.filter(order_line__order=paid_late).count() == 2
    assert Refund.objects.get().amount == Decimal("10.00")
