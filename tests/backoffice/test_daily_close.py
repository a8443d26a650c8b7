"""The daily close in the back office: days closed and reopened by hand, with their figures and findings."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from cartsite.models import Case, User
from payments import closing, history, refunds
from payments.models import DailyClose, Finding, Payment, Stray
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.backoffice.desk import act, ask, list_of, logged, page_of, said, text_of
from tests.payments.days import DAY
from tests.payments.records import fresh

pytestmark = pytest.mark.django_db(transaction=True)
CLOSE = "/admin/payments/dailyclose/close/"


def test_a_chosen_day_is_closed(staff_client: Client, traded: Payment) -> None:
    answer = staff_client.post(CLOSE, {"day": DAY.isoformat()})

    close = DailyClose.objects.get()
    assert (close.day, close.status) == (DAY, "closed")
    assert answer["Location"] == page_of(close)
    assert said(answer) == ["17 Jun 2026 is closed: everything is matched or explained."]
    assert logged(close) == ["Closed now"]


def test_yesterday_is_proposed(staff_client: Client, traded: Payment) -> None:
    assert 'value="2026-06-17"' in staff_client.get(CLOSE).content.decode()


def test_the_list_leads_to_closing_a_day(staff_client: Client) -> None:
    assert f'href="{CLOSE}"' in staff_client.get(list_of(DailyClose)).content.decode()


@pytest.mark.parametrize("day", ["2026-06-19", "9999-12-31", "0001-01-01", "yesterday", ""])
def test_a_day_that_has_not_come_or_is_none_is_refused(staff_client: Client, traded: Payment, day: str) -> None:
    page = staff_client.post(CLOSE, {"day": day})

    assert list(page.context["form"].errors) == ["day"]
    assert not DailyClose.objects.exists()


def test_today_is_compared_but_stays_open(staff_client: Client, traded: Payment) -> None:
    answer = staff_client.post(CLOSE, {"day": timezone.localdate().isoformat()})

    assert DailyClose.objects.get().status == "early"
    assert "it is not over: it stays open" in said(answer)[0]


def test_while_sumup_is_silent_no_day_is_closed(staff_client: Client, traded: Payment, sumup: Simulator) -> None:
    sumup.behave(history="500")

    answer = staff_client.post(CLOSE, {"day": DAY.isoformat()})

    assert "SumUp gave no answer that helps" in said(answer)[0]
    assert DailyClose.objects.get().status == "reading"


def test_a_day_at_which_another_process_works_is_left_to_it(staff_client: Client, traded: Payment) -> None:
    DailyClose.objects.create(day=DAY, leased_until=timezone.now() + timedelta(minutes=1))

    answer = staff_client.post(CLOSE, {"day": DAY.isoformat()})

    assert "Another process is at work on this day." in said(answer)[0]


def test_of_a_day_with_many_payments_the_worker_does_the_rest(
    staff_client: Client, traded: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payments.admin.PATIENCE", timedelta(seconds=-1))

    answer = staff_client.post(CLOSE, {"day": DAY.isoformat()})

    assert "0 are read, and the worker goes on." in said(answer)[0]
    closing.close_due(stop_at=timezone.now() + timedelta(minutes=1))
    assert DailyClose.objects.get().status == "closed"


def test_a_red_day_can_be_closed_from_its_page_once_all_is_explained(
    staff_client: Client, traded: Payment, sumup: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    DailyClose.objects.create(day=DAY, status="red", finished_at=timezone.now())
    red = DailyClose.objects.get()

    buttons = [action for action, _words in staff_client.get(page_of(red)).context["buttons"]]
    act(staff_client, red, "close_now")

    assert (buttons, fresh(red).status) == (["close_now"], "closed")


def test_a_day_shows_its_figures_and_that_its_digest_holds(staff_client: Client, closed: DailyClose) -> None:
    page = text_of(staff_client.get(page_of(closed)))

    assert "Payment 1 £76.50 1 £76.50" in page
    assert "Matched: 1. Explained: 0. Unexplained: 0." in page
    assert f"Digest: {closed.digest} holds" in page


def test_a_day_says_when_its_movements_are_not_what_they_were(
    staff_client: Client, noon: None, paid: Payment, staff: User
) -> None:
    early = closing.close_day(DAY)
    refunds.give_by_hand(paid.order, Wish(Decimal("1.00"), "A test.", staff))

    page = text_of(staff_client.get(page_of(early)))

    assert "the day's movements have changed since" in page


def test_the_list_says_how_each_day_stands_in_words(staff_client: Client, closed: DailyClose) -> None:
    page = text_of(staff_client.get(list_of(DailyClose)))

    assert "Closed: everything matched or explained 1 0 0" in page


def test_a_finding_leads_to_its_case_and_an_unexplained_one_says_so(staff_client: Client, closed: DailyClose) -> None:
    Case.open(Case.Kind.CHARGEBACK, closed, "A test.")
    case = Case.objects.get()
    row = {"close": closed, "kind": "chargeback", "ours": Decimal(0), "theirs": Decimal(1)}
    Finding.objects.create(transaction_id="one", case=case, what="Explained.", **row)
    Finding.objects.create(transaction_id="two", what="Not so.", **row)

    answer = staff_client.get(page_of(closed))

    shown = answer.content.decode()
    assert f'href="{page_of(case)}">Charged back (Open)</a>' in shown
    assert text_of(answer).index("Not so.") < text_of(answer).index("Explained. Chargeback one")


def test_reopening_needs_a_note_and_stays_on_record(staff_client: Client, staff: User, closed: DailyClose) -> None:
    page = ask(staff_client, closed, "reopen")
    answer = act(staff_client, closed, "reopen", note="A refund was missing.")

    fresh_round = DailyClose.objects.get(round=2)
    assert "What it was closed with stays on record." in text_of(page)
    assert (closed.reopening.by, closed.reopening.note) == (staff, "A refund was missing.")
    assert said(answer) == ["17 Jun 2026 is open again; the worker closes it anew."]
    assert logged(closed) == ["Reopened: A refund was missing."]
    shown = text_of(staff_client.get(page_of(closed)))
    assert "by Ada Shopper: A refund was missing." in shown
    assert "Round 2: Reading SumUp's history" in shown
    assert page_of(fresh_round) in staff_client.get(page_of(closed)).content.decode()


def test_only_a_closed_day_is_reopened(staff_client: Client, traded: Payment) -> None:
    red = DailyClose.objects.create(day=DAY, status="red")

    answer = act(staff_client, red, "reopen", note="A test.")

    assert said(answer) == ["17 Jun 2026 (Something is unexplained): It is not closed."]
    assert (DailyClose.objects.count(), logged(red)) == (1, [])


def test_nothing_is_closed_on_get(staff_client: Client, traded: Payment) -> None:
    staff_client.get(CLOSE, {"day": DAY.isoformat()})

    assert not DailyClose.objects.exists()


def test_who_may_only_look_closes_and_reopens_nothing(hire: Callable[..., Client], closed: DailyClose) -> None:
    client = hire("payments.view_dailyclose")

    act(client, closed, "reopen", note="A test.")

    assert client.post(CLOSE, {"day": DAY.isoformat()}).status_code == 403
    assert client.get(page_of(closed)).context["buttons"] == []
    assert "Close a day" not in text_of(client.get(list_of(DailyClose)))
    assert DailyClose.objects.count() == 1


def test_stray_money_leads_to_its_case(staff_client: Client, sumup: Simulator) -> None:
    sumup.take_stray_payment(Decimal("20.00"))
    history.sweep()
    link = f'href="{page_of(Case.objects.get())}"'

    pages = [staff_client.get(path) for path in (list_of(Stray), page_of(Stray.objects.get()))]

    assert [link in page.content.decode() for page in pages] == [True, True]
