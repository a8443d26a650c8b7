"""Calling an entry off in the back office: seen before it is done, approved in one step, watched while it is sent."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from bookings.models import Booking, Entry
from cartsite.models import Case, User
from orders.models import Order
from payments import calling_off, refunds
from payments.models import Payment, Refund, RefundBatch
from payments.simulator import Simulator
from tests.backoffice.desk import act, ask, count_queries, list_of, logged, page_of, said, text_of
from tests.factories import EntryFactory
from tests.orders.acts import all_rows
from tests.payments.money import pounds, sweep_money
from tests.payments.records import fresh

pytestmark = pytest.mark.django_db(transaction=True)

Hire = Callable[..., Client]
MAY_CALL_OFF = ("bookings.view_entry", "bookings.change_entry", "orders.change_order")


def page_to_call_off(entry: Entry) -> str:
    return reverse("admin:bookings_entry_call_off", args=[entry.pk])


def progress_page(batch: RefundBatch) -> str:
    return reverse("admin:payments_refundbatch_progress", args=[batch.pk])


def agree(client: Client, entry: Entry, **typed: Any) -> Any:
    """Read the page, and press the button."""
    shown = client.get(page_to_call_off(entry)).content.decode()
    found = re.search(r'name="agreed" value="([^"]+)"', shown)
    assert found, shown
    return client.post(page_to_call_off(entry), {"agreed": found.group(1), "reason": "The baker is away", **typed})


# --- The page ---------------------------------------------------------------------------------------------------------


def test_staff_see_what_it_comes_to_before_it_is_done(
    staff_client: Client, sold: Order, workshop: Entry, place_order: Callable[..., Order], fill_cart: Any
) -> None:
    place_order((workshop, 1))
    fill_cart((workshop, 1))
    before = all_rows()

    page = text_of(staff_client.get(page_to_call_off(workshop)))

    assert "1 paid order with 2 places" in page
    assert "1 order that is not paid yet" in page
    assert "1 basket " in page
    assert "£70.00 goes back" in page
    assert all_rows() == before


def test_the_way_there_is_on_the_entrys_own_page(staff_client: Client, workshop: Entry) -> None:
    page = staff_client.get(page_of(workshop)).content.decode()

    assert page_to_call_off(workshop) in page


def test_agreed_it_is_done_and_written_down(staff_client: Client, sold: Order, workshop: Entry, staff: User) -> None:
    answer = agree(staff_client, workshop)

    batch = RefundBatch.objects.get()
    assert answer["Location"] == page_of(batch)
    assert fresh(workshop).cancelled_at is not None
    assert (batch.reason, batch.made_by, batch.prepared_at is not None) == ("The baker is away", staff, True)
    assert logged(workshop) == ["Called off: The baker is away"]
    assert [refund.amount for refund in batch.refunds.all()] == [pounds(70)]


def test_without_a_reason_nothing_is_done(staff_client: Client, sold: Order, workshop: Entry) -> None:
    before = all_rows()

    answer = agree(staff_client, workshop, reason=" ")

    assert answer.status_code == 200
    assert "This field is required." in text_of(answer)
    assert all_rows() == before


def test_if_somebody_buys_meanwhile_staff_look_again(
    staff_client: Client, sold: Order, workshop: Entry, place_order: Callable[..., Order]
) -> None:
    shown = staff_client.get(page_to_call_off(workshop)).content.decode()
    agreed = re.search(r'name="agreed" value="([^"]+)"', shown)
    place_order((workshop, 1))
    assert agreed

    answer = staff_client.post(page_to_call_off(workshop), {"agreed": agreed.group(1), "reason": "The baker is away"})

    assert "Something has changed since you looked." in text_of(answer)
    assert fresh(workshop).cancelled_at is None


def test_the_same_page_calls_it_off_once_and_leads_where_the_first_post_did(
    staff_client: Client, sold: Order, workshop: Entry
) -> None:
    token = staff_client.get(page_to_call_off(workshop)).context["agreed"]
    posted = {"agreed": token, "reason": "The baker is away"}
    first = staff_client.post(page_to_call_off(workshop), posted)
    before = all_rows()

    again = staff_client.post(page_to_call_off(workshop), posted)

    assert all_rows() == before
    assert again["Location"] == first["Location"] == page_of(RefundBatch.objects.get())
    assert said(again)[-1] == f"This was done already, and not again. {said(first)[0]}"


def test_calling_it_off_again_only_says_so(staff_client: Client, batch: RefundBatch, workshop: Entry) -> None:
    before = all_rows()

    answer = staff_client.post(page_to_call_off(workshop), {"agreed": "x", "reason": "Again"})

    assert answer.status_code == 302
    assert said(answer) == ["It was called off already."]
    assert all_rows() == before


def test_places_move_where_staff_choose_among_entries_that_fit(
    staff_client: Client, sold: Order, workshop: Entry
) -> None:
    calendar = workshop.calendar
    later = EntryFactory(calendar=calendar, starts_at=workshop.starts_at + timedelta(days=7), places=5)
    EntryFactory(calendar=calendar, price=36)
    EntryFactory()

    page = staff_client.get(page_to_call_off(workshop)).content.decode()
    offered = set(map(int, re.findall(r'<option value="(\d+)"', page)))
    agree(staff_client, workshop, move_to=str(later.pk))

    assert offered == {later.pk}
    assert "5 free" in page
    assert set(Booking.objects.filter(status="confirmed").values_list("entry", flat=True)) == {later.pk}
    assert not Refund.objects.exists()
    page = text_of(staff_client.get(page_of(RefundBatch.objects.get())))
    assert f"2 places were moved to {later.title} : no money goes back for them." in page


@pytest.mark.parametrize("lacks", MAY_CALL_OFF)
def test_it_takes_both_permissions(hire: Hire, sold: Order, workshop: Entry, lacks: str) -> None:
    client = hire(*(name for name in MAY_CALL_OFF if name != lacks))
    if lacks == "bookings.view_entry":
        assert client.get(page_to_call_off(workshop)).status_code == 200  # who may change may look
        return
    before = all_rows()

    answers = [client.get(page_to_call_off(workshop)), client.post(page_to_call_off(workshop), {"reason": "No"})]

    assert {answer.status_code for answer in answers} == {403}
    assert all_rows()["payments.RefundBatch"] == before["payments.RefundBatch"]
    assert fresh(workshop).cancelled_at is None


def test_who_may_not_see_refunds_comes_back_to_the_entry(hire: Hire, sold: Order, workshop: Entry) -> None:
    answer = agree(hire(*MAY_CALL_OFF), workshop)

    assert answer["Location"] == page_of(workshop)


# --- Approving and watching -------------------------------------------------------------------------------------------


def test_one_press_approves_all_and_it_is_written_down(
    staff_client: Client, batch: RefundBatch, staff: User, sumup: Simulator
) -> None:
    answer = act(staff_client, batch, "approve")

    assert said(answer) == ["1 refund will be sent in a moment."]
    assert Refund.objects.get().approved_by == staff
    assert logged(batch)[-1] == "Approved"

    sweep_money()
    assert "1 of 1 refunds are done: £70.00 of £70.00." in text_of(staff_client.get(page_of(batch)))


def test_approving_twice_approves_once(staff_client: Client, batch: RefundBatch) -> None:
    act(staff_client, batch, "approve")
    first = Refund.objects.get().approved_at

    answer = act(staff_client, batch, "approve")

    assert said(answer)[-1] == "0 refunds will be sent in a moment."
    assert Refund.objects.get().approved_at == first
    assert batch.refunds.get().order.events.filter(kind="refund_approved").count() == 1


def test_only_who_may_approve_refunds_approves(hire: Hire, batch: RefundBatch) -> None:
    client = hire("payments.view_refundbatch", "payments.change_refundbatch")

    page = text_of(client.get(page_of(batch)))
    act(client, batch, "approve")

    assert "Somebody who may approve refunds has to approve it." in page
    assert "Approve: send all of it" not in page
    assert Refund.objects.get().approved_at is None


def test_what_is_not_prepared_to_the_end_cannot_be_approved(
    staff_client: Client, batch: RefundBatch, sold: Order
) -> None:
    RefundBatch.objects.update(prepared_at=None)

    page = text_of(staff_client.get(page_of(batch)))
    asked = text_of(ask(staff_client, batch, "approve"))

    assert "still to be gone through" in page
    assert "Approve: send all of it" not in page
    assert "It is left as it is. Not all of its refunds are prepared yet." in asked
    assert Refund.objects.get().approved_at is None


def test_the_page_asks_again_only_while_something_changes(staff_client: Client, batch: RefundBatch) -> None:
    resting = staff_client.get(progress_page(batch)).content.decode()
    calling_off.approve(batch, by=batch.made_by)
    moving = staff_client.get(progress_page(batch)).content.decode()
    sweep_money()
    done = staff_client.get(progress_page(batch)).content.decode()

    assert ["hx-get" in shown for shown in (resting, moving, done)] == [False, True, False]


def test_one_that_failed_leads_to_its_case(staff_client: Client, batch: RefundBatch, sumup: Simulator) -> None:
    sumup.behave(refund="422")
    calling_off.approve(batch, by=batch.made_by)
    sweep_money()

    page = staff_client.get(page_of(batch)).content.decode()

    assert page_of(Case.objects.get(kind=Case.Kind.REFUND_FAILED)) in page


def test_the_progress_is_shown_to_nobody_else(hire: Hire, batch: RefundBatch) -> None:
    assert hire("orders.view_order").get(progress_page(batch)).status_code == 403
    assert Client().get(progress_page(batch)).status_code == 302


def test_the_first_page_names_what_waits_to_be_approved(staff_client: Client, batch: RefundBatch) -> None:
    assert "Called off: refunds to approve Bread workshop , £70.00" in text_of(staff_client.get("/admin/"))

    calling_off.approve(batch, by=batch.made_by)

    assert "Called off: refunds to approve" not in text_of(staff_client.get("/admin/"))


def test_the_list_and_the_refunds_of_a_batch_open(staff_client: Client, batch: RefundBatch) -> None:
    assert "£70.00" in text_of(staff_client.get(list_of(RefundBatch)))
    page = staff_client.get(f"{list_of(Refund)}?batch={batch.pk}")

    assert "£70.00" in text_of(page)


def test_a_batch_of_many_refunds_takes_no_more_statements(
    staff_client: Client, batch: RefundBatch, paid: Payment
) -> None:
    few = count_queries(staff_client, page_of(batch))
    for _refund in range(20):
        Refund.objects.create(
            order=paid.order, payment=paid, batch=batch, amount="0.10", currency="GBP", reason="A test."
        )

    assert count_queries(staff_client, page_of(batch)) == few
    for refund in batch.refunds.filter(amount="0.10"):
        refunds.turn_down(refund, by=batch.made_by, note="A test.")
