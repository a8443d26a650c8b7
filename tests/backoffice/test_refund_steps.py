"""Refunds in the back office: approved, turned down, asked after, sent again and given up, each by who may."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client

from cartsite.models import Case, User
from payments import refunds
from payments.models import Payment, Refund
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.backoffice.desk import act, agree, ask, list_of, logged, page_of, said, text_of
from tests.orders.acts import all_rows
from tests.payments.records import Later, fresh

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_list_says_what_is_to_be_done(staff_client: Client, asked: Refund) -> None:
    page = text_of(staff_client.get(list_of(Refund)))

    assert "£10.00 Requested" in page
    assert "One jar was broken. 0 minutes sam" in page


def test_the_list_can_be_narrowed_to_what_waits_for_approval(staff_client: Client, asked: Refund, staff: User) -> None:
    waiting = staff_client.get(list_of(Refund), {"waits": "approval"}).context["cl"].result_count
    refunds.approve(asked, by=staff)

    left = staff_client.get(list_of(Refund), {"waits": "approval"}).context["cl"].result_count

    assert (waiting, left) == (1, 0)


def test_a_refund_shows_what_sumup_said_but_not_the_events_it_had_seen(staff_client: Client, failed: Refund) -> None:
    page = text_of(staff_client.get(page_of(failed)))

    assert fresh(failed).answer in page
    assert "Seen events" not in page


@pytest.mark.parametrize(
    ("name", "buttons"),
    [("asked", ["approve", "turn_down"]), ("doubted", ["ask_sumup", "give_up"]), ("failed", ["ask_sumup", "retry"])],
)
def test_a_refund_has_a_button_for_each_step_that_makes_sense(
    staff_client: Client, request: pytest.FixtureRequest, name: str, buttons: list[str]
) -> None:
    refund = request.getfixturevalue(name)

    shown = staff_client.get(page_of(refund)).context["buttons"]

    assert [action for action, _words in shown] == buttons


def test_an_approved_refund_is_sent_by_the_sweep(
    staff_client: Client, staff: User, asked: Refund, sumup: Simulator
) -> None:
    answer = act(staff_client, asked, "approve")

    assert (fresh(asked).approved_by, logged(asked)) == (staff, ["Approved"])
    assert said(answer) == ["1 refund will be sent in a moment."]
    refunds.sweep()
    assert fresh(asked).status == Refund.Status.DONE


def test_a_button_leads_back_to_its_refund(staff_client: Client, asked: Refund) -> None:
    posted = {"action": "approve", "_selected_action": [asked.pk], "from_record": "1"}

    answer = agree(staff_client, staff_client.post(list_of(Refund), posted))

    assert answer["Location"] == page_of(asked)


def test_approving_twice_says_so(staff_client: Client, asked: Refund) -> None:
    act(staff_client, asked, "approve")

    answer = act(staff_client, asked, "approve")

    assert "It was approved, sent or turned down already." in said(answer)[-1]
    assert logged(asked) == ["Approved"]


def test_only_who_may_approve_approves_and_sends_again(hire: Callable[..., Client], asked: Refund) -> None:
    client = hire("payments.change_refund", "payments.view_refund")
    before = all_rows()

    answers = [act(client, asked, "approve"), act(client, asked, "retry", note="Again.")]

    assert [said(answer)[-1] for answer in answers] == ["No action selected."] * 2
    assert all_rows() == before
    assert [action for action, _words in client.get(page_of(asked)).context["buttons"]] == ["turn_down"]


def test_who_may_only_look_has_no_step(hire: Callable[..., Client], asked: Refund) -> None:
    client = hire("payments.view_refund")
    before = all_rows()

    for action in ("approve", "turn_down", "ask_sumup", "retry", "give_up"):
        act(client, asked, action, note="No.")

    assert all_rows() == before


def test_turning_down_asks_for_a_note_first(staff_client: Client, asked: Refund) -> None:
    page = ask(staff_client, asked, "turn_down")

    assert "The refund is dropped, and no money leaves." in text_of(page)
    assert fresh(asked).status == Refund.Status.REQUESTED


@pytest.mark.parametrize("note", ["  ", "x" * 301])
def test_a_note_is_needed_and_has_an_end(staff_client: Client, asked: Refund, note: str) -> None:
    page = act(staff_client, asked, "turn_down", note=note)

    assert list(page.context["form"].errors) == ["note"]
    assert fresh(asked).status == Refund.Status.REQUESTED


def test_a_refund_that_is_turned_down_is_never_sent(staff_client: Client, asked: Refund) -> None:
    act(staff_client, asked, "turn_down", note="The jar was whole.")

    assert (fresh(asked).status, fresh(asked).note) == (Refund.Status.FAILED, "The jar was whole.")
    assert logged(asked) == ["Turned down: The jar was whole."]


def test_what_was_sent_cannot_be_turned_down(staff_client: Client, doubted: Refund) -> None:
    answer = act(staff_client, doubted, "turn_down", note="Too late.")

    assert "It is too late: it was sent, or is over." in said(answer)[-1]
    assert logged(doubted) == []


def test_asking_sumup_finds_what_it_shows_by_now(staff_client: Client, doubted: Refund, sumup: Simulator) -> None:
    sumup.refund(doubted.transaction_id, Decimal("10.00"))

    act(staff_client, doubted, "ask_sumup")

    assert fresh(doubted).status == Refund.Status.DONE
    assert logged(doubted) == ["Asked SumUp"]


def test_money_given_by_hand_is_nothing_to_ask_sumup_about(staff_client: Client, paid: Payment, staff: User) -> None:
    given = refunds.give_by_hand(paid.order, Wish(Decimal("5.00"), "A test.", staff))

    answer = act(staff_client, given, "ask_sumup")

    assert "SumUp knows nothing of it." in said(answer)[-2]
    assert staff_client.get(page_of(given)).context["buttons"] == []


def test_a_doubt_younger_than_a_day_cannot_be_called_failed(staff_client: Client, doubted: Refund) -> None:
    answer = act(staff_client, doubted, "give_up", note="It is not there.")

    assert "SumUp may still show it: wait until it was sent 24 hours ago." in said(answer)[-1]
    assert fresh(doubted).status == Refund.Status.UNKNOWN


def test_a_doubt_of_a_day_can_be_called_failed(staff_client: Client, later: Later, doubted: Refund) -> None:
    later(hours=25)

    act(staff_client, doubted, "give_up", note="It is not there.")

    assert fresh(doubted).status == Refund.Status.FAILED
    assert logged(doubted) == ["Called failed: It is not there."]


def test_a_failed_refund_is_sent_again_as_a_new_one(staff_client: Client, staff: User, failed: Refund) -> None:
    act(staff_client, failed, "retry", note="SumUp has money again.")

    again = Refund.objects.get(retry_of=failed)
    assert (again.approved_by, again.amount) == (staff, failed.amount)
    assert logged(failed) == ["Sent again: SumUp has money again."]
    assert Case.objects.get(kind=Case.Kind.REFUND_FAILED).resolved_by == staff


def test_while_sumup_is_silent_nothing_is_sent_again(staff_client: Client, failed: Refund, sumup: Simulator) -> None:
    sumup.behave(transaction_read="500")
    before = all_rows()

    answer = act(staff_client, failed, "retry", note="Again.")

    assert "SumUp gave no answer that helps, so nothing was done here" in said(answer)[-1]
    assert all_rows() == before


def test_a_refund_that_did_not_fail_is_not_sent_again(staff_client: Client, asked: Refund) -> None:
    answer = act(staff_client, asked, "retry", note="Again.")

    assert "It has not failed." in said(answer)[-1]
    assert Refund.objects.count() == 1
