"""Staff cancel an unpaid order: it ends so whatever is paid meanwhile, and all its money goes back."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse

from bookings.models import Booking, Entry
from cartsite.models import Case, Message, User
from orders.models import Order
from orders.tasks import send_owed_mail
from payments import calling_off, casework, late, ledger, releasing, settling, starting
from payments.models import Movement, Payment, Refund
from payments.simulator import Simulator
from tests.concurrency import run_at_once
from tests.factories import UserFactory
from tests.payments.money import pay, pay_a_part, pay_unseen_and_start_again, pounds, sweep_money
from tests.payments.records import Later, events_of, fresh, open_cases, sweep, sweep_until_quiet, taken
from tests.payments.wire import Wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)


def cancel(order: Order, staff: User) -> None:
    releasing.release(order, to="cancelled", by="staff", user=staff, reason="The shopper rang")


def pay_slowly(payment: Payment, sumup: Simulator) -> None:
    """The payment is under way, and SumUp shows it 40 seconds later."""
    sumup.behave(settles_after=40)
    sumup.pay(payment.checkout_id or "")


def pay_while_it_is_cancelled(payment: Payment, sumup: Simulator, staff: User) -> None:
    """The payment is under way when staff cancel, and SumUp shows it a minute later."""
    pay_slowly(payment, sumup)
    cancel(payment.order, staff)
    assert fresh(payment.order).is_cancelled_by_staff
    sumup.advance(41)


def owed(order: Order) -> list[str]:
    return sorted(Message.objects.filter(subject_uuid=order.uuid).values_list("kind", flat=True))


def test_what_is_paid_meanwhile_goes_back_and_the_order_is_cancelled(
    later: Later, payment: Payment, sumup: Simulator, staff: User, workshop: Entry
) -> None:
    pay_while_it_is_cancelled(payment, sumup, staff)

    settling.settle(payment)

    order = fresh(payment.order)
    assert (order.status, order.is_closing, taken(workshop)) == ("cancelled", False, 0)
    (refund,) = order.refunds.all()
    assert (refund.amount, refund.reason, refund.requested_by) == (pounds("76.50"), "The shopper rang", staff)
    assert not Booking.objects.exists()
    about = Case.objects.unresolved().get()
    assert (about.kind, about.subject_uuid, about.at_stake) == ("late_payment", payment.uuid, pounds("76.50"))
    assert owed(order) == ["cancelled"]


def test_once_the_money_is_back_nothing_is_open(later: Later, payment: Payment, sumup: Simulator, staff: User) -> None:
    pay_while_it_is_cancelled(payment, sumup, staff)
    sweep_until_quiet(later, rounds=2)

    sweep_money()

    assert (ledger.money_of(fresh(payment.order)).net, open_cases()) == (0, [])
    assert Refund.objects.get().status == "done"


def test_history_tells_who_and_why(payment: Payment, sumup: Simulator, staff: User) -> None:
    pay_while_it_is_cancelled(payment, sumup, staff)
    settling.settle(payment)

    told = {event.kind: event for event in payment.order.events.filter(kind__in=["closing", "cancelled"])}

    assert [(each.by, each.data["reason"]) for each in told.values()] == [(staff, "The shopper rang")] * 2
    assert events_of(payment.order).index("captured") < events_of(payment.order).index("cancelled")


def test_the_mail_says_that_it_is_cancelled_and_what_goes_back(
    payment: Payment, sumup: Simulator, staff: User, mailoutbox: list[EmailMessage]
) -> None:
    pay_while_it_is_cancelled(payment, sumup, staff)
    settling.settle(payment)

    send_owed_mail()

    (sent,) = mailoutbox
    assert f"your order {payment.order.number} is cancelled." in sent.body
    assert "£76.50 is on its way back to your card." in sent.body
    assert "Nothing was charged." not in sent.body


def test_the_refund_is_approved_by_who_cancelled_if_they_may(payment: Payment, sumup: Simulator, staff: User) -> None:
    pay_while_it_is_cancelled(payment, sumup, staff)

    settling.settle(payment)

    assert Refund.objects.get().approved_by == staff


def test_the_refund_waits_for_approval_where_they_may_not(payment: Payment, sumup: Simulator) -> None:
    clerk = UserFactory.create(username="cleo", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="change_order"))
    pay_while_it_is_cancelled(payment, sumup, clerk)

    settling.settle(payment)

    refund = Refund.objects.get()
    assert (refund.status, refund.approved_at, refund.requested_by) == ("requested", None, clerk)


def test_there_is_nothing_for_the_shopper_to_decide(payment: Payment, sumup: Simulator, staff: User) -> None:
    pay_while_it_is_cancelled(payment, sumup, staff)
    settling.settle(payment)

    assert open_cases() == ["late_payment"]
    assert late.open_case(fresh(payment.order)) is None


def test_a_part_paid_by_hand_goes_back_by_hand(order: Order, sumup: Simulator, staff: User, workshop: Entry) -> None:
    casework.take_cash(order, pounds(10), by=staff)
    pay_while_it_is_cancelled(starting.start(order), sumup, staff)

    settling.settle(order.payments.get())

    assert (fresh(order).status, taken(workshop)) == ("cancelled", 0)
    assert Refund.objects.get().amount == pounds("66.50")
    assert Case.objects.unresolved().get(kind="overpaid").at_stake == pounds(10)


@pytest.mark.parametrize("amount", ["0.01", "50.00", "100.00"])
def test_another_amount_than_was_asked_for_goes_back_too(
    payment: Payment, wire: Wire, staff: User, workshop: Entry, amount: str
) -> None:
    releasing.begin(payment.order, to="cancelled", by="staff", user=staff, reason="The shopper rang")

    pay_a_part(payment, wire, amount)

    assert (fresh(payment.order).status, taken(workshop)) == ("cancelled", 0)
    assert Refund.objects.get().amount == pounds(amount)
    assert open_cases() == ["amount_mismatch", "late_payment"]


def test_two_payments_of_one_checkout_both_go_back(payment: Payment, wire: Wire, staff: User) -> None:
    first, second = (wire.simulator.take_stray_payment(pounds("76.50")) for _time in range(2))
    releasing.begin(payment.order, to="cancelled", by="staff", user=staff)

    def tell(answer: dict[str, Any]) -> dict[str, Any]:
        tried = [
            {
                "id": each.id,
                "transaction_code": each.code,
                "amount": float(each.amount),
                "currency": "GBP",
                "timestamp": each.started_at.isoformat(),
                "status": "SUCCESSFUL",
            }
            for each in (first, second)
        ]
        is_it = answer.get("checkout_reference") == payment.reference
        return answer | {"status": "PAID", "transactions": tried} if is_it else answer

    wire.change(tell)
    settling.settle(payment)

    assert fresh(payment.order).status == "cancelled"
    assert sorted(Refund.objects.values_list("amount", flat=True)) == [pounds("76.50")] * 2
    assert owed(payment.order) == ["cancelled"]


def test_while_another_attempt_can_be_paid_all_stays_held(
    later: Later, payment: Payment, wire: Wire, staff: User, workshop: Entry
) -> None:
    second = pay_unseen_and_start_again(later, wire, payment)
    releasing.begin(payment.order, to="cancelled", by="staff", user=staff, reason="The shopper rang")

    settling.settle(fresh(payment))

    assert (fresh(payment.order).is_cancelled_by_staff, taken(workshop)) == (True, 2)
    assert not Refund.objects.exists()
    later(seconds=10)
    sweep_until_quiet(later)
    assert (fresh(payment.order).status, fresh(second).status, taken(workshop)) == ("cancelled", "closed", 0)
    assert Refund.objects.get().amount == pounds("76.50")


def test_what_is_found_after_the_cancel_is_over_waits_for_a_person(
    later: Later, payment: Payment, wire: Wire, staff: User
) -> None:
    second = pay_unseen_and_start_again(later, wire, payment)
    cancel(payment.order, staff)
    later(seconds=61)
    assert releasing.step(payment.order)
    assert (fresh(payment.order).status, fresh(second).status) == ("cancelled", "closed")

    settling.settle(fresh(payment))

    assert (fresh(payment.order).status, open_cases()) == ("cancelled", ["late_payment"])
    assert not Refund.objects.exists()
    assert late.open_case(fresh(payment.order)) is not None


@pytest.mark.parametrize("by", ["shopper", "timer"])
def test_what_others_let_go_and_is_paid_is_confirmed(payment: Payment, sumup: Simulator, by: str) -> None:
    pay_slowly(payment, sumup)
    releasing.release(payment.order, to="cancelled" if by == "shopper" else "expired", by=by)
    sumup.advance(41)

    settling.settle(payment)

    assert (fresh(payment.order).status, open_cases()) == ("confirmed", [])


def test_what_is_paid_while_its_entry_is_called_off_keeps_its_goods(
    payment: Payment, sumup: Simulator, staff: User, workshop: Entry
) -> None:
    sumup.pay(payment.checkout_id or "")
    calling_off.step(calling_off.begin(workshop, by=staff, reason="The baker is away"))

    settling.settle(payment)

    assert (fresh(payment.order).status, open_cases()) == ("confirmed", ["entry_cancelled"])
    with pytest.raises(releasing.CannotRelease):
        cancel(payment.order, staff)


@pytest.mark.parametrize("by", ["shopper", "timer"])
def test_staffs_cancel_takes_over(payment: Payment, sumup: Simulator, staff: User, workshop: Entry, by: str) -> None:
    pay_slowly(payment, sumup)
    releasing.release(payment.order, to="cancelled" if by == "shopper" else "expired", by=by)
    cancel(payment.order, staff)
    sumup.advance(41)

    settling.settle(payment)

    assert (fresh(payment.order).status, taken(workshop)) == ("cancelled", 0)
    assert Refund.objects.get().amount == pounds("76.50")


def test_no_cash_is_taken_for_it_any_more(payment: Payment, sumup: Simulator, staff: User) -> None:
    pay_slowly(payment, sumup)
    cancel(payment.order, staff)

    with pytest.raises(casework.CannotDo):
        casework.take_cash(payment.order, pounds("76.50"), by=staff)

    assert not Movement.objects.exists()


@committed
def test_settling_and_cancelling_at_once_never_keep_the_money(
    payment: Payment, sumup: Simulator, staff: User, workshop: Entry
) -> None:
    sumup.pay(payment.checkout_id or "")
    begun = fresh(payment.order)
    releasing.begin(begun, to="cancelled", by="staff", user=staff, reason="The shopper rang")

    run_at_once(
        *[lambda: settling.settle(fresh(payment))] * 3, *[lambda: releasing.step(fresh(begun))] * 3, sweep, sweep
    )

    assert (fresh(begun).status, taken(workshop), open_cases()) == ("cancelled", 0, ["late_payment"])
    assert Movement.objects.filter(kind="capture").count() == 1
    assert [refund.amount for refund in Refund.objects.all()] == [pounds("76.50")]
    assert owed(begun) == ["cancelled"]


@committed
def test_a_cancel_beside_the_payment_is_confirmed_before_it_or_cancelled_with_it(
    payment: Payment, sumup: Simulator, staff: User, workshop: Entry
) -> None:
    sumup.pay(payment.checkout_id or "")

    _settled, cancelled = run_at_once(
        lambda: settling.settle(fresh(payment)), lambda: cancel(fresh(payment.order), staff)
    )

    order = fresh(payment.order)
    if isinstance(cancelled.error, releasing.CannotRelease):
        assert (order.status, taken(workshop), Refund.objects.count()) == ("confirmed", 2, 0)
    else:
        assert (order.status, taken(workshop), Refund.objects.count()) == ("cancelled", 0, 1)


# --- What staff see ---------------------------------------------------------------------------------------------------


def say_yes(client: Client, order: Order) -> str:
    """Cancel the unpaid order on the money page, and read what the next page says."""
    path = reverse("admin:orders_order_money", args=[order.pk])
    typed = {"way": "let_go", "let_go-reason": "The shopper rang"}
    agreed = client.post(path, typed).context["agreed"]
    answer = client.post(path, typed | {"agreed": agreed}, follow=True)
    return " ".join(str(message) for message in answer.context["messages"])


@pytest.mark.parametrize("paid", ["not", "slowly", "at once"])
def test_what_the_page_says_is_so_whatever_is_paid(
    payment: Payment, sumup: Simulator, staff_client: Client, later: Later, paid: str
) -> None:
    sumup.behave(settles_after=40 if paid == "slowly" else 0)
    if paid != "not":
        sumup.pay(payment.checkout_id or "")

    said = say_yes(staff_client, payment.order)

    assert "If it is paid until then, it is cancelled all the same. All that was paid goes back" in said
    sweep_until_quiet(later, rounds=2)
    assert fresh(payment.order).status == "cancelled"
    assert [refund.amount for refund in Refund.objects.all()] == ([] if paid == "not" else [pounds("76.50")])


def test_the_shopper_is_told_while_it_is_being_cancelled(
    payment: Payment, sumup: Simulator, staff: User, client: Client
) -> None:
    pay_slowly(payment, sumup)
    cancel(payment.order, staff)

    page = client.get(f"{payment.order.get_absolute_url()}?key={payment.order.key}", follow=True).content.decode()

    assert "If you have just paid, the money goes back to you." in page


def test_a_paid_order_is_not_cancelled_that_way(payment: Payment, sumup: Simulator, staff: User) -> None:
    pay(payment, sumup)

    with pytest.raises(releasing.CannotRelease):
        cancel(payment.order, staff)
