"""Cases in the back office: what happened, what can be done, and each step in the name of who took it."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from bookings.models import Pool
from cartsite.models import Case, User
from orders.models import Order
from payments import casework
from payments.models import Movement, Payment, Refund
from payments.simulator import Simulator
from tests.backoffice.desk import act, ask, list_of, logged, page_of, said, take_step, text_of
from tests.orders.acts import all_rows
from tests.payments.records import Later, fresh

pytestmark = pytest.mark.django_db(transaction=True)


def open_case(kind: Case.Kind, subject: Refund | Payment) -> Case:
    Case.open(kind, subject, "A test.", at_stake=Decimal("10.00"))
    return Case.objects.get(kind=kind)


def errors_on(page: object) -> dict[str, list[str]]:
    """What stands beside the fields of the form that was sent."""
    offers = page.context["offers"]
    return next(offer.form.errors for offer in offers if offer.form.is_bound)


# --- The list ---------------------------------------------------------------------------------------------------------


def kinds_listed(client: Client, **query: str) -> list[str]:
    return [case.kind for case in client.get(list_of(Case), query).context["cl"].result_list]


def test_the_list_shows_open_cases_unless_others_are_asked_for(
    staff_client: Client, overpaid: Case, stray: Case, staff: User
) -> None:
    stray.snooze(timezone.now() + timedelta(days=1), note="Tomorrow.")

    assert kinds_listed(staff_client) == ["overpaid"]
    assert kinds_listed(staff_client, standing="snoozed") == ["unknown_money"]
    overpaid.resolve(by=staff, note="Done.")
    assert kinds_listed(staff_client) == []
    assert kinds_listed(staff_client, standing="resolved") == ["overpaid"]
    assert len(kinds_listed(staff_client, standing="all")) == 2


def test_the_list_says_what_happened_what_is_at_stake_and_since_when(staff_client: Client, overpaid: Case) -> None:
    Case.objects.update(opened_at=timezone.now() - timedelta(days=3))

    page = text_of(staff_client.get(list_of(Case)))

    assert "Overpaid Ten pounds were too much. £10.00 3 days Open" in page


def test_cases_are_found_by_what_happened(staff_client: Client, overpaid: Case) -> None:
    assert kinds_listed(staff_client, q="too much") == ["overpaid"]
    assert kinds_listed(staff_client, q="nothing of the kind") == []


# --- The page ---------------------------------------------------------------------------------------------------------


def test_a_case_shows_its_order_with_its_money_and_what_it_is_about(
    staff_client: Client, paid: Payment, sold: Order
) -> None:
    case = open_case(Case.Kind.DUPLICATE_CAPTURE, paid)

    answer = staff_client.get(page_of(case))

    page = text_of(answer)
    assert "A test. At stake £10.00 Age 0 minutes Status Open" in page
    assert f"{sold.number} , Confirmed" in page
    assert "Total £76.50 Came in £76.50" in page
    for row in (paid, sold):
        assert f'href="{page_of(row)}"' in answer.content.decode()


@pytest.mark.parametrize("kind", Case.Kind)
def test_every_kind_of_case_offers_its_steps_with_a_sentence_each(
    staff_client: Client, sold: Order, kind: Case.Kind
) -> None:
    Case.open(kind, sold, "A test.")
    case = Case.objects.get()

    offers = staff_client.get(page_of(case)).context["offers"]

    assert [offer.step for offer in offers] == list(casework.steps_for(case))
    assert all(len(offer.consequence) > 20 for offer in offers)


def test_a_case_about_a_pool_or_anything_else_can_be_read(staff_client: Client, order: Order) -> None:
    pool = Pool.objects.get()
    Case.open(Case.Kind.OVERSOLD, pool, "One too many.")

    answer = staff_client.get(page_of(Case.objects.get()))

    assert f'href="{page_of(pool)}"' in answer.content.decode()


def test_a_case_whose_subject_is_gone_can_be_read(staff_client: Client, overpaid: Case) -> None:
    Case.objects.update(subject_type="payments.refund", subject_uuid=overpaid.uuid)

    assert staff_client.get(page_of(overpaid)).status_code == 200


def test_a_case_shows_who_did_what_about_it(staff_client: Client, overpaid: Case) -> None:
    take_step(staff_client, overpaid, "snooze", until="2099-01-02", note="After the fair.")
    take_step(staff_client, overpaid, "accept", note="They gave it to the bakehouse.")

    page = text_of(staff_client.get(page_of(overpaid)))

    assert "Ada Shopper: Look again later: After the fair." in page
    assert "Ada Shopper: Accept with a note: They gave it to the bakehouse." in page
    assert "Ada Shopper: Resolved. They gave it to the bakehouse." in page
    assert staff_client.get(page_of(overpaid)).context["offers"] == []


def test_no_such_case(staff_client: Client) -> None:
    assert staff_client.get("/admin/cartsite/case/4711/change/").status_code == 404


# --- The steps --------------------------------------------------------------------------------------------------------


def test_a_refund_is_suggested_asked_for_and_approved(staff_client: Client, overpaid: Case, staff: User) -> None:
    offers = staff_client.get(page_of(overpaid)).context["offers"]

    take_step(staff_client, overpaid, "refund", amount="10.00", note="It was too much.", approve="on")

    refund = Refund.objects.get()
    assert offers[0].form["amount"].value() == Decimal("10.00")
    assert (refund.amount, refund.approved_by, refund.reason) == (Decimal("10.00"), staff, "It was too much.")
    assert (fresh(overpaid).status, fresh(overpaid).resolved_by) == ("resolved", staff)
    assert logged(overpaid) == ["Refund: It was too much."]


@pytest.mark.parametrize("amount", ["76.51", "0", "x", ""])
def test_a_wrong_amount_is_refused_beside_its_field(staff_client: Client, overpaid: Case, amount: str) -> None:
    before = all_rows()

    page = take_step(staff_client, overpaid, "refund", amount=amount, note="A test.", approve="on")

    assert list(errors_on(page)) == ["amount"]
    assert all_rows() == before


@pytest.mark.parametrize("step", ["refund", "by_hand", "accept"])
def test_a_step_without_a_note_is_refused(staff_client: Client, overpaid: Case, step: str) -> None:
    before = all_rows()

    page = take_step(staff_client, overpaid, step, amount="10.00", note=" ")

    assert list(errors_on(page)) == ["note"]
    assert all_rows() == before


def test_money_given_back_by_hand_resolves_a_case(staff_client: Client, overpaid: Case) -> None:
    take_step(staff_client, overpaid, "by_hand", amount="10.00", note="In coins.")

    assert Movement.objects.get(kind="cash").amount == Decimal("-10.00")
    assert fresh(overpaid).status == "resolved"


def test_an_order_without_room_is_not_revived_and_its_case_stays_open(staff_client: Client, late: Case) -> None:
    page = take_step(staff_client, late, "revive", note="A test.")

    assert errors_on(page)["__all__"] == ["There is no room or stock left for all of it, or its time is over."]
    assert (fresh(late).status, logged(late)) == ("open", [])


def test_an_order_is_revived_once_there_is_room(staff_client: Client, late: Case, later: Later) -> None:
    later(hours=2)  # the basket has let its places go

    take_step(staff_client, late, "revive", note="There is room again.")

    assert (Order.objects.get().status, fresh(late).status) == ("confirmed", "resolved")
    assert logged(late) == ["Revive the order: There is room again."]


def test_unknown_money_is_attached_to_the_order_it_belongs_to(staff_client: Client, stray: Case, order: Order) -> None:
    take_step(staff_client, stray, "attach", number=order.number.lower(), note="They wrote to us.")

    assert Movement.objects.get().order == order
    assert fresh(stray).status == "resolved"


def test_unknown_money_is_not_attached_to_an_order_that_does_not_exist(staff_client: Client, stray: Case) -> None:
    page = take_step(staff_client, stray, "attach", number="NOPE", note="A test.")

    assert errors_on(page)["__all__"] == ["There is no order of this number."]
    assert not Movement.objects.exists()


def test_the_rest_may_be_paid_in_cash(staff_client: Client, payment: Payment) -> None:
    case = open_case(Case.Kind.AMOUNT_MISMATCH, payment)
    offers = {offer.step: offer for offer in staff_client.get(page_of(case)).context["offers"]}

    take_step(staff_client, case, "cash", amount="76.50", note="At the market.")

    assert offers["cash"].form["amount"].value() == payment.amount
    assert fresh(payment.order).status == "confirmed"
    assert logged(case) == ["Rest paid in cash: At the market."]


def test_a_failed_refund_is_sent_again_from_its_case(staff_client: Client, failed: Refund) -> None:
    case = Case.objects.get(kind=Case.Kind.REFUND_FAILED)

    take_step(staff_client, case, "retry", note="There is money again.")

    assert Refund.objects.get(retry_of=failed).approved_at
    assert fresh(case).status == "resolved"


def test_a_young_doubt_is_not_given_up(staff_client: Client, failed: Refund) -> None:
    Refund.objects.update(status="unknown")
    case = open_case(Case.Kind.REFUND_UNKNOWN, failed)

    page = take_step(staff_client, case, "give_up", note="A test.")

    assert errors_on(page)["__all__"] == ["SumUp may still show it: wait until it was sent 24 hours ago."]
    assert logged(case) == []


def test_asking_sumup_may_resolve_the_case_by_itself(staff_client: Client, failed: Refund, sumup: Simulator) -> None:
    sumup.refund(failed.transaction_id, Decimal("10.00"))
    case = Case.objects.get(kind=Case.Kind.REFUND_FAILED)

    take_step(staff_client, case, "ask")

    assert (fresh(case).status, fresh(failed).status) == ("resolved", "done")
    assert logged(case) == ["Ask SumUp now"]


def test_an_attempt_that_sumup_knows_is_not_closed(staff_client: Client, payment: Payment) -> None:
    case = open_case(Case.Kind.ATTEMPT_STUCK, payment)

    page = take_step(staff_client, case, "close_attempt", note="A test.")

    assert page.status_code in (200, 302)
    assert fresh(payment).status == "open"


def test_while_sumup_is_silent_no_attempt_is_closed(staff_client: Client, payment: Payment, sumup: Simulator) -> None:
    case = open_case(Case.Kind.ATTEMPT_STUCK, payment)
    sumup.behave(read="500")

    page = take_step(staff_client, case, "close_attempt", note="A test.")

    assert "SumUp gave no answer that helps" in errors_on(page)["__all__"][0]
    assert (fresh(payment).status, fresh(case).status) == ("open", "open")


@pytest.mark.parametrize("until", ["2020-01-01", "1970-01-01", "9999-12-31", "soon", ""])
def test_a_case_is_snoozed_to_a_day_to_come_only(staff_client: Client, overpaid: Case, until: str) -> None:
    page = take_step(staff_client, overpaid, "snooze", until=until)

    assert errors_on(page)
    assert fresh(overpaid).status == "open"


def test_a_snoozed_case_wakes_in_the_morning_of_its_day(staff_client: Client, overpaid: Case) -> None:
    take_step(staff_client, overpaid, "snooze", until="2099-07-02")

    assert fresh(overpaid).snoozed_until.isoformat() == "2099-07-01T23:00:00+00:00"


def test_what_somebody_else_resolved_meanwhile_stays_theirs(staff_client: Client, overpaid: Case) -> None:
    overpaid.resolve(by=None, note="By itself.")

    answer = take_step(staff_client, overpaid, "accept", note="Mine.")

    assert said(answer) == ["This cannot be done about the case any more."]
    assert fresh(overpaid).note == "By itself."


@pytest.mark.parametrize("step", ["cash", "nonsense", ""])
def test_a_step_that_is_not_offered_does_nothing(staff_client: Client, overpaid: Case, step: str) -> None:
    before = all_rows()

    answer = take_step(staff_client, overpaid, step, amount="1.00", note="A test.")

    assert answer.status_code in (302, 403)
    assert all_rows() == before


# --- Several at once --------------------------------------------------------------------------------------------------


def test_accepting_several_asks_for_a_note_first(staff_client: Client, overpaid: Case, staff: User) -> None:
    page = ask(staff_client, overpaid, "accept")
    act(staff_client, overpaid, "accept", note="All the same fair.")

    assert "your note says why that is right" in text_of(page)
    assert (fresh(overpaid).resolved_by, fresh(overpaid).note) == (staff, "All the same fair.")
    assert logged(overpaid) == ["Accept with a note: All the same fair."]


# --- Who may do what --------------------------------------------------------------------------------------------------


def test_who_may_only_look_is_offered_nothing(hire: Callable[..., Client], overpaid: Case) -> None:
    client = hire("cartsite.view_case")

    assert client.get(page_of(overpaid)).context["offers"] == []
    assert take_step(client, overpaid, "accept", note="A test.").status_code == 403
    assert fresh(overpaid).status == "open"


def test_who_may_not_see_cases_sees_none(hire: Callable[..., Client], overpaid: Case) -> None:
    assert hire("orders.view_order").get(page_of(overpaid)).status_code == 403


def test_money_steps_need_more_than_the_right_to_change_cases(hire: Callable[..., Client], overpaid: Case) -> None:
    client = hire("cartsite.change_case")

    assert [offer.step for offer in client.get(page_of(overpaid)).context["offers"]] == ["accept", "snooze"]
    assert take_step(client, overpaid, "refund", amount="1.00", note="A test.").status_code == 403


def test_who_may_not_approve_asks_for_a_refund_only(hire: Callable[..., Client], overpaid: Case) -> None:
    client = hire("cartsite.change_case", "orders.change_order")

    take_step(client, overpaid, "refund", amount="10.00", note="A test.", approve="on")

    assert Refund.objects.get().approved_at is None
    assert take_step(client, overpaid, "by_hand", amount="1.00", note="A test.").status_code == 403
