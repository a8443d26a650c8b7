"""Steps of staff that move money or change people ask again who is there, once the sign-in is fifteen minutes old."""

from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client

from cartsite.models import Case, User
from orders.models import Order
from payments.casework import Step
from payments.desk.order_money import Way
from payments.models import Movement, Payment, Refund
from tests.backoffice.desk import (
    HIDDEN,
    act,
    agree,
    ask,
    ask_way,
    list_of,
    money_page,
    page_of,
    say_yes,
    take_step,
    text_of,
)
from tests.cartsite.accounts import code_in_mail, leave_open
from tests.orders.acts import all_rows
from tests.payments.records import fresh
from tests.support.forms import save_form

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _fifteen_minutes(settings: Any) -> None:
    settings.RECENT_SIGN_IN = 15 * 60


@pytest.fixture
def open_desk(staff_client: Client) -> Client:
    """The browser of staff who signed in sixteen minutes ago."""
    leave_open(staff_client)
    return staff_client


def asks(answer: Any) -> bool:
    return bool(answer.status_code == 422 and "Is it still you?" in text_of(answer))


def answer_page(client: Client, page: Any, **typed: str) -> Any:
    """Type an answer into the page that asks; all else that it carries goes along."""
    carried: dict[str, list[str]] = {}
    for name, value in HIDDEN.findall(page.content.decode()):
        carried.setdefault(name, []).append(unescape(value))
    path = page.wsgi_request.get_full_path()
    return client.post(path, carried | {f"again-{name}": [said] for name, said in typed.items()})


# --- An order's money -------------------------------------------------------------------------------------------------


def test_to_look_at_what_a_step_comes_to_asks_nothing(open_desk: Client, sold: Order) -> None:
    pages = [open_desk.get(page_of(sold)), open_desk.get(money_page(sold)), ask_way(open_desk, sold, "cancel")]

    assert [page.status_code for page in pages] == [200, 200, 200]


def test_yes_asks_first_and_leads_back_to_the_preview_with_all_that_was_typed(open_desk: Client, sold: Order) -> None:
    shown = ask_way(open_desk, sold, "amount", amount="10.00", reason="A jar was broken.", approve="on")
    before = all_rows()

    page = say_yes(open_desk, sold, shown)
    unmoved = all_rows() == before
    preview = answer_page(open_desk, page, password="correct horse")
    untouched = not Refund.objects.exists()
    done = say_yes(open_desk, sold, preview)

    assert asks(page)
    assert unmoved
    assert untouched
    assert "If you go on:" in text_of(preview)
    assert done.status_code == 302
    refund = Refund.objects.get()
    assert (refund.amount, refund.reason) == (Decimal("10.00"), "A jar was broken.")
    assert refund.approved_at is not None


def test_with_a_wrong_password_no_money_moves(open_desk: Client, sold: Order) -> None:
    page = say_yes(open_desk, sold, ask_way(open_desk, sold, "cancel", approve="on"))

    again = answer_page(open_desk, page, password="wrong")

    assert asks(again)
    assert fresh(sold).status == Order.Status.CONFIRMED
    assert not Refund.objects.exists()


def test_staff_without_a_password_get_a_code_by_mail(open_desk: Client, staff: User, sold: Order) -> None:
    staff.set_unusable_password()
    staff.save()
    open_desk.force_login(staff)
    leave_open(open_desk)

    page = say_yes(open_desk, sold, ask_way(open_desk, sold, "cancel"))
    say_yes(open_desk, sold, answer_page(open_desk, page, code=code_in_mail()))

    assert fresh(sold).status == Order.Status.CANCELLED


def test_staff_who_just_signed_in_are_not_asked(staff_client: Client, sold: Order) -> None:
    answer = say_yes(staff_client, sold, ask_way(staff_client, sold, "cancel"))

    assert answer.status_code == 302
    assert fresh(sold).status == Order.Status.CANCELLED


# --- Refunds, cases, orders in the list, people -----------------------------------------------------------------------


def test_a_refund_is_approved_only_by_somebody_who_signed_in_recently(open_desk: Client, asked: Refund) -> None:
    page = act(open_desk, asked, "approve")
    unapproved = fresh(asked).approved_at
    answer_page(open_desk, page, password="correct horse")

    assert asks(page)
    assert unapproved is None
    assert fresh(asked).approved_at is not None


def test_a_step_with_a_note_keeps_its_note(open_desk: Client, asked: Refund) -> None:
    page = act(open_desk, asked, "turn_down", note="The jar was whole.")
    standing = fresh(asked).status
    answer_page(open_desk, page, password="correct horse")

    assert asks(page)
    assert standing == Refund.Status.REQUESTED
    assert fresh(asked).status == Refund.Status.FAILED


def test_to_be_asked_for_a_note_asks_nothing_else(open_desk: Client, asked: Refund) -> None:
    assert ask(open_desk, asked, "turn_down").status_code == 200


def test_a_cases_step_with_money_asks_first(open_desk: Client, overpaid: Case) -> None:
    page = take_step(open_desk, overpaid, "refund", amount="10.00", note="Too much.", approve="on")
    unmoved = not Refund.objects.exists()
    agree(open_desk, answer_page(open_desk, page, password="correct horse"))

    assert asks(page)
    assert unmoved
    assert Refund.objects.get().amount == Decimal("10.00")


def test_orders_cancelled_from_the_list_ask_first(open_desk: Client, sold: Order) -> None:
    page = act(open_desk, sold, "cancel", note="The hall is flooded.")
    standing = fresh(sold).status
    answer_page(open_desk, page, password="correct horse")

    assert asks(page)
    assert (standing, fresh(sold).status) == (Order.Status.CONFIRMED, Order.Status.CANCELLED)


def test_another_persons_address_password_and_data_ask_first(open_desk: Client, shopper: User) -> None:
    password = {"password1": "battery staple", "password2": "battery staple"}

    pages = [
        save_form(open_desk, page_of(shopper), email="eve@example.org"),
        open_desk.post(f"/admin/cartsite/user/{shopper.pk}/password/", password),
        act(open_desk, shopper, "erase", note="She asked for it."),
    ]
    kept = fresh(shopper)

    assert all(asks(page) for page in pages)
    assert (kept.email, kept.check_password("correct horse"), kept.erased_at) == ("ada@example.org", True, None)
    answer_page(open_desk, pages[0], password="correct horse")
    assert fresh(shopper).email == "eve@example.org"


# --- Whatever is pressed ----------------------------------------------------------------------------------------------


def actions_of(*models: type[Model]) -> list[tuple[type[Model], str]]:
    return [(model, name) for model in models for name in admin.site._registry[model].actions]


def money_of_the_shop() -> list[Any]:
    """What only money's steps change."""
    return [
        list(Order.objects.order_by("pk").values_list("pk", "status", "closing_to")),
        list(Refund.objects.order_by("pk").values_list("pk", "status", "approved_at")),
        list(Movement.objects.order_by("pk").values_list("pk", flat=True)),
    ]


@pytest.mark.parametrize(("model", "action"), actions_of(Order, Payment, Refund, Case))
def test_no_action_of_a_list_moves_money_unasked(
    open_desk: Client, asked: Refund, overpaid: Case, model: type[Model], action: str
) -> None:
    row = model._default_manager.get()
    before = money_of_the_shop()

    act(open_desk, row, action)
    act(open_desk, row, action, note="A test.")

    assert money_of_the_shop() == before


@pytest.mark.parametrize("step", list(Step))
def test_no_step_of_a_case_moves_money_unasked(open_desk: Client, overpaid: Case, step: Step) -> None:
    before = money_of_the_shop()

    take_step(open_desk, overpaid, step, amount="10.00", note="A test.", approve="on", until="2100-01-01")

    assert money_of_the_shop() == before


@pytest.mark.parametrize("way", list(Way))
def test_no_way_of_moving_an_orders_money_moves_it_unasked(open_desk: Client, sold: Order, way: Way) -> None:
    line = sold.lines.filter(kind="product").get()
    before = money_of_the_shop()

    shown = ask_way(open_desk, sold, way, amount="10.00", approve="on", **{f"line_{line.pk}": "1"})
    say_yes(open_desk, sold, shown)

    assert money_of_the_shop() == before


def test_lists_and_searches_ask_nothing(open_desk: Client, sold: Order) -> None:
    assert [open_desk.get(list_of(model)).status_code for model in (Order, Refund, Case, User)] == [200] * 4
