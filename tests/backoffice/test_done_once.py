"""Whatever staff confirm is done once by one form. A new action, step or page that is not listed here fails here."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin import site
from django.db.models import Model
from django.test import Client

from bookings import waiting
from cartsite.models import Case, Message, Suppression
from orders.models import Order
from payments.casework import Step
from payments.models import Payment, Refund
from tests.backoffice.desk import agree, ask, ask_step, page_of, said, text_of
from tests.factories import CollectionSlotFactory, DeliveryZoneFactory, EntryFactory, VoucherFactory
from tests.orders.acts import all_rows
from tests.orders.people import get_over

pytestmark = pytest.mark.django_db(transaction=True)

Get = Callable[[str], Any]


def tallies() -> dict[str, int]:
    """How many rows each table has."""
    return {table: len(rows) for table, rows in all_rows().items()}


# --- Actions of lists -------------------------------------------------------------------------------------------------


def waiter(get: Get) -> Model:
    entry = EntryFactory.create(places=2)
    get("place_order")((entry, 2))
    return waiting.join(entry, 1, email="wanda@example.org")


def over(get: Get) -> Order:
    return get_over(get("sold"))


def doubt_of_a_day(get: Get) -> Refund:
    refund: Refund = get("doubted")
    get("later")(hours=25)
    return refund


def mail(get: Get) -> Message:
    get("sold")
    return Message.objects.earliest("pk")


# What each action that asks first is tried with.
ASKING: dict[str, Callable[[Get], Any]] = {
    "cartsite.user.erase": lambda get: get("shopper"),
    "cartsite.case.accept": lambda get: get("overpaid"),
    "orders.order.cancel": lambda get: get("sold"),
    "orders.order.resend_confirmation": lambda get: get("sold"),
    "orders.order.erase_contact": over,
    "payments.refund.approve": lambda get: get("asked"),
    "payments.refund.turn_down": lambda get: get("asked"),
    "payments.refund.retry": lambda get: get("failed"),
    "payments.refund.give_up": doubt_of_a_day,
    "payments.refundbatch.approve": lambda get: get("batch"),
    "payments.dailyclose.reopen": lambda get: get("closed"),
}
# Those that take effect at once: each only reads, can be undone, or leads to where it led before when it is repeated.
AT_ONCE: dict[str, Callable[[Get], Any]] = {
    "bookings.waiter.offer_now": waiter,
    "bookings.waiter.move_first": waiter,
    "bookings.waiter.move_up": waiter,
    "bookings.waiter.move_down": waiter,
    "bookings.waiter.move_last": waiter,
    "bookings.waiter.remove": waiter,
    "cartsite.message.send_again": mail,
    "cartsite.suppression.lift": lambda _get: Suppression.objects.create(address_hash="0" * 32),
    "orders.collectionslot.archive": lambda _get: CollectionSlotFactory.create(),
    "orders.collectionslot.restore": lambda _get: CollectionSlotFactory.create(),
    "orders.deliveryzone.archive": lambda _get: DeliveryZoneFactory.create(),
    "orders.deliveryzone.restore": lambda _get: DeliveryZoneFactory.create(),
    "orders.voucher.archive": lambda _get: VoucherFactory.create(),
    "orders.voucher.restore": lambda _get: VoucherFactory.create(),
    "orders.order.ask_sumup": lambda get: get("payment").order,
    "orders.order.mark_collected": lambda get: get("sold"),
    "payments.payment.ask_sumup": lambda get: get("payment"),
    "payments.refund.ask_sumup": lambda get: get("asked"),
    "payments.dailyclose.close_now": lambda get: get("closed"),
}


def action_of(name: str) -> str:
    return name.rpartition(".")[2]


def test_every_action_of_every_list_is_tried_here() -> None:
    found = {f"{model._meta.label_lower}.{name}" for model, each in site._registry.items() for name in each.actions}

    assert found == ASKING.keys() | AT_ONCE.keys()


@pytest.mark.parametrize("name", ASKING)
def test_what_an_action_asked_about_is_done_once(
    staff_client: Client, request: pytest.FixtureRequest, name: str
) -> None:
    row = ASKING[name](request.getfixturevalue)
    before = all_rows()
    page = ask(staff_client, row, action_of(name))
    assert page.status_code == 200, said(page)
    assert all_rows() == before
    first = agree(staff_client, page, note="A test.")
    done = all_rows()

    again = agree(staff_client, page, note="A test.")

    assert done != before
    assert all_rows() == done
    assert again["Location"] == first["Location"]
    assert said(again)[-1] == f"This was done already, and not again. {said(first)[0]}"


@pytest.mark.parametrize("name", ASKING)
def test_an_action_without_its_token_does_nothing(
    staff_client: Client, request: pytest.FixtureRequest, name: str
) -> None:
    row = ASKING[name](request.getfixturevalue)
    before = all_rows()
    page = ask(staff_client, row, action_of(name))

    agree(staff_client, page, note="A test.", **{f"agreed-{row.pk}": "made up"})

    assert all_rows() == before


@pytest.mark.parametrize("name", AT_ONCE)
def test_an_action_that_takes_effect_at_once_adds_nothing_when_it_is_repeated(
    staff_client: Client, request: pytest.FixtureRequest, name: str
) -> None:
    row = AT_ONCE[name](request.getfixturevalue)
    assert ask(staff_client, row, action_of(name)).status_code == 302
    done = tallies()

    ask(staff_client, row, action_of(name))

    assert tallies() == done


# --- Steps about cases ------------------------------------------------------------------------------------------------


def case_about(kind: Case.Kind, subject: Any) -> Case:
    Case.open(kind, subject, "A test.", at_stake=10)
    return Case.objects.get(kind=kind)


def late_with_room(get: Get) -> Case:
    case: Case = get("late")
    get("later")(hours=2)  # what another shopper held is free again
    return case


def stuck(get: Get) -> Case:
    payment: Payment = get("payment")
    get("sumup")._shelf.clear()  # SumUp does not know it any more
    return case_about(Case.Kind.ATTEMPT_STUCK, payment)


# What each step that asks first is tried with: a case, and what is typed.
STEPS: dict[Step, tuple[Callable[[Get], Case], dict[str, str]]] = {
    Step.REFUND: (lambda get: get("overpaid"), {"amount": "1.00", "approve": "on"}),
    Step.BY_HAND: (lambda get: get("overpaid"), {"amount": "1.00"}),
    Step.REVIVE: (late_with_room, {}),
    Step.ATTACH: (lambda get: get("stray"), {}),
    Step.CASH: (lambda get: case_about(Case.Kind.AMOUNT_MISMATCH, get("payment")), {"amount": "1.00"}),
    Step.RETRY: (lambda get: get("failed") and Case.objects.get(kind=Case.Kind.REFUND_FAILED), {}),
    Step.GIVE_UP: (lambda get: case_about(Case.Kind.REFUND_UNKNOWN, doubt_of_a_day(get)), {}),
    Step.CLOSE_ATTEMPT: (stuck, {}),
}
# These move nothing: no money, no place, no goods.
STEPS_AT_ONCE: dict[Step, dict[str, str]] = {
    Step.ASK: {},
    Step.ACCEPT: {"note": "A test."},
    Step.SNOOZE: {"until": "2099-01-02"},
}


def test_every_step_about_a_case_is_tried_here() -> None:
    assert set(Step) == STEPS.keys() | STEPS_AT_ONCE.keys()


@pytest.mark.parametrize("step", STEPS)
def test_what_a_step_asked_about_is_done_once(staff_client: Client, request: pytest.FixtureRequest, step: Step) -> None:
    make, typed = STEPS[step]
    case = make(request.getfixturevalue)
    number = {"number": request.getfixturevalue("order").number} if step == Step.ATTACH else {}
    before = all_rows()
    page = ask_step(staff_client, case, step, note="A test.", **typed, **number)
    assert page.status_code == 200
    assert "Yes, do this" in text_of(page)
    assert all_rows() == before
    first = agree(staff_client, page)
    done = all_rows()

    again = agree(staff_client, page)

    assert done != before
    assert all_rows() == done
    assert again["Location"] == first["Location"] == page_of(case)
    assert said(again)[-1] == f"This was done already, and not again. {said(first)[0]}"


@pytest.mark.parametrize("step", STEPS_AT_ONCE)
def test_a_step_that_moves_nothing_adds_nothing_when_it_is_repeated(
    staff_client: Client, failed: Refund, step: Step
) -> None:
    case = Case.objects.get(kind=Case.Kind.REFUND_FAILED)
    ask_step(staff_client, case, step, **STEPS_AT_ONCE[step])
    done = tallies()

    ask_step(staff_client, case, step, **STEPS_AT_ONCE[step])

    assert tallies() == done


# --- Pages ------------------------------------------------------------------------------------------------------------

# Pages of our own in the back office, and who tries that what they confirm is done once.
PAGES = {
    "bookings_entry_attendees": "is only read",
    "bookings_entry_call_off": "test_calling_off.py",
    "orders_order_goods": "test_goods.py",
    "orders_order_mail": "is only read",
    "orders_order_money": "test_order_money.py",
    "payments_dailyclose_close": "closes a day that is open; another close is another round, or the same",
    "payments_movement_statement": "is only read",
    "payments_refundbatch_progress": "is only read",
}
# Templates whose form says yes to what its page shows.
CONFIRMING = {
    "admin/bookings/_ask.html": "test_planning.py",
    "admin/bookings/entry/call_off.html": "test_calling_off.py",
    "admin/cartsite/case/confirm.html": "above",
    "admin/confirm_rows.html": "above",
    "admin/orders/order/confirm.html": "test_order_money.py",
    "admin/orders/order/goods.html": "test_goods.py",
    "cart/_item.html": "the basket keeps its own key",
    "cart/_items.html": "the basket keeps its own key",
    "orders/_checkout_review.html": "placing keeps its own key: one cart makes at most one order",
    "orders/cancel_review.html": "test_shopper_cancels.py",
    "orders/move_review.html": "test_shopper_moves.py",
}
DJANGOS = re.compile(r"_(changelist|add|history|delete|change|password_change)$")


def test_every_page_of_our_own_says_who_tries_it() -> None:
    ours = {model: each for model, each in site._registry.items() if not model.__module__.startswith("django")}
    named = [str(url.name) for each in ours.values() for url in each.get_urls() if getattr(url, "name", None)]

    assert {name for name in named if not DJANGOS.search(name)} == PAGES.keys()


def test_every_form_that_says_yes_says_who_tries_it() -> None:
    root = Path(settings.BASE_DIR) / "templates"
    says_yes = re.compile(r'name="agreed|form\.agreed \}\}')
    found = {str(page.relative_to(root)) for page in root.rglob("*.html") if says_yes.search(page.read_text())}

    assert found == CONFIRMING.keys()
