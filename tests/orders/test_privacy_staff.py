"""The back office erases who asked for it, and nobody who did not; and copes with orders that nobody placed."""

import re
from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client

from bookings.models import Entry
from cart.models import Product
from cartsite.models import Case, Message, User
from orders import services
from orders.mail import send_owed
from orders.models import DeliveryAddress, Order, OrderContact, OrderEvent, OrderLine
from orders.privacy import erase_contact, erase_person
from payments import settling
from payments.models import Payment
from payments.simulator import Simulator
from tests.backoffice.desk import act, ask, list_of, logged, money_page, page_of, text_of
from tests.factories import UserFactory
from tests.orders.acts import all_rows, holder_of
from tests.orders.people import deliver, finish, get_over

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
Hire = Callable[..., Client]


@pytest.fixture
def hire() -> Hire:
    """Staff with just these permissions: `hire("orders.view_order")`."""

    def hire(*names: str) -> Client:
        person = UserFactory(username="kim", email="kim@example.org", is_staff=True)
        for name in names:
            app, codename = name.split(".")
            person.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        client = Client()
        client.force_login(person)
        return client

    return hire


@pytest.fixture
def past(place_order: PlaceOrder, honey: Product, workshop: Entry) -> Order:
    """A guest's order that is over."""
    order = finish(place_order((honey, 1), (workshop, 2)))
    deliver(order)
    return order


# --- A guest


def test_staff_erase_who_placed_an_order_with_a_note(staff_client: Client, past: Order, staff: User) -> None:
    asked = ask(staff_client, past, "erase_contact")
    assert "erased for good" in text_of(asked)
    assert OrderContact.objects.exists()

    act(staff_client, past, "erase_contact", note="They asked by telephone.")

    assert not OrderContact.objects.exists()
    assert not DeliveryAddress.objects.exists()
    assert logged(past) == ["Erased who ordered: They asked by telephone."]
    assert past.events.get(kind="contact_erased").by == staff


def test_an_order_that_is_not_over_is_left_as_it_is_and_staff_are_told_why(staff_client: Client, order: Order) -> None:
    before = all_rows()

    page = ask(staff_client, order, "erase_contact")

    assert f"Order {order} awaits payment." in text_of(page)
    assert all_rows() == before
    assert logged(order) == []


def test_erasing_twice_is_logged_once(staff_client: Client, past: Order) -> None:
    act(staff_client, past, "erase_contact", note="They asked.")
    act(staff_client, past, "erase_contact", note="They asked.")

    assert len(logged(past)) == 1


def test_the_button_is_there_while_somebody_is_to_be_erased(staff_client: Client, past: Order) -> None:
    before = text_of(staff_client.get(page_of(past)))
    erase_contact(past, by=UserFactory())
    after = text_of(staff_client.get(page_of(past)))

    assert before.count("Erase who ordered") == 1
    assert "Erase who ordered" not in after


def test_only_who_may_erase_people_does(hire: Hire, past: Order) -> None:
    client = hire("orders.view_order", "orders.change_order", "cartsite.change_user", "cartsite.view_user")
    person = UserFactory()

    page = text_of(client.get(page_of(past))) + text_of(client.get(page_of(person)))
    act(client, past, "erase_contact", note="A whim.")
    act(client, person, "erase", note="A whim.")

    person.refresh_from_db()
    assert re.findall(r"Erase\b", page) == []
    assert OrderContact.objects.exists()
    assert person.erased_at is None


def test_the_permission_to_erase_suffices_to_do_so(hire: Hire, past: Order) -> None:
    client = hire("orders.view_order", "cartsite.view_user", "cartsite.erase_person")
    person = UserFactory()

    act(client, past, "erase_contact", note="They asked.")
    act(client, person, "erase", note="They asked.")

    person.refresh_from_db()
    assert not OrderContact.objects.exists()
    assert person.erased_at is not None


# --- A person


def test_staff_erase_a_person_with_a_note(staff_client: Client, past: Order, shopper: User) -> None:
    Order.objects.update(user=shopper)

    act(staff_client, shopper, "erase", note="They wrote a letter.")

    shopper.refresh_from_db()
    assert shopper.erased_at is not None
    assert not OrderContact.objects.exists()
    assert logged(shopper) == ["Erased: They wrote a letter."]
    assert "ada" not in LogEntry.objects.get().object_repr


def test_a_person_whose_order_is_not_over_stays_and_staff_are_told_why(
    staff_client: Client, place_order: PlaceOrder, honey: Product, shopper: User
) -> None:
    order = place_order((honey, 1), user=shopper)
    before = all_rows()

    page = ask(staff_client, shopper, "erase")

    assert f"Order {order} awaits payment." in text_of(page)
    assert all_rows() == before


def test_staff_are_not_erased(staff_client: Client, staff: User) -> None:
    page = ask(staff_client, staff, "erase")

    staff.refresh_from_db()
    assert "This person works in the back office." in text_of(page)
    assert staff.erased_at is None


def test_who_was_erased_is_given_no_name_password_or_rights(staff_client: Client, shopper: User) -> None:
    erase_person(shopper, by=shopper)
    before = all_rows()

    page = staff_client.get(page_of(shopper))
    saved = staff_client.post(page_of(shopper), {"username": "ada", "email": "ada@example.org", "is_active": "on"})
    password = staff_client.post(f"/admin/cartsite/user/{shopper.pk}/password/", {"password1": "x", "password2": "x"})

    assert page.status_code == 200
    assert (saved.status_code, password.status_code) == (403, 403)
    assert all_rows()["cartsite.User"] == before["cartsite.User"]


# --- Every page of an order that nobody placed


@pytest.fixture
def nobodys(payment: Payment, sumup: Simulator, shopper: User) -> Order:
    """An order with everything on it, paid, over, and its shopper erased."""
    Order.objects.update(user=shopper)
    deliver(payment.order)
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    order = get_over(payment.order)
    erase_person(shopper, by=shopper)
    return order


def test_every_page_of_the_back_office_copes(nobodys: Order, shopper: User, staff_client: Client) -> None:
    User.objects.filter(is_staff=True).update(name="Sam")
    rows: list[Model | None] = [
        nobodys,
        shopper,
        nobodys.lines.first(),
        nobodys.payments.get(),
        nobodys.movements.first(),
    ]
    pages = [page_of(row) for row in rows if row] + [money_page(nobodys), f"/admin/orders/order/{nobodys.pk}/history/"]
    pages += [f"/admin/cartsite/user/{shopper.pk}/history/", page_of(nobodys.cart)]
    pages += [list_of(model) for model in (Order, OrderContact, OrderLine, OrderEvent, User, Message, Payment)]
    pages += [f"{list_of(Order)}?q=ada", f"{list_of(OrderContact)}?q=ada", f"{list_of(User)}?q=ada"]

    answers = {page: staff_client.get(page) for page in pages}

    assert {page: answer.status_code for page, answer in answers.items()} == dict.fromkeys(pages, 200)
    assert [page for page, answer in answers.items() if re.search(r"ada@|Ada Shopper", text_of(answer))] == []


def test_every_page_of_the_order_copes(nobodys: Order) -> None:
    holder = holder_of(nobodys)
    known = ("", "return/", "late-payment/", "cancel/", "receipt/", "calendar.ics")

    answers = {name: holder.get(f"{nobodys.get_absolute_url()}{name}") for name in known}

    assert {name for name, answer in answers.items() if answer.status_code >= 500} == set()
    assert (answers[""].status_code, answers["receipt/"].status_code) == (200, 200)
    assert [
        name for name, answer in answers.items() if b"Ada Shopper" in answer.content or b"ada@" in answer.content
    ] == []


def test_every_step_with_the_order_copes(nobodys: Order) -> None:
    holder = holder_of(nobodys)
    steps = ("pay/", "change-basket/", "keep/", "late-payment/", "cancel/", "again/")

    answers = [holder.post(f"{nobodys.get_absolute_url()}{name}").status_code for name in steps]

    assert set(answers) <= {302, 422}


def test_a_mail_that_is_asked_for_later_goes_to_nobody(
    nobodys: Order, staff_client: Client, mailoutbox: list[object]
) -> None:
    services.owe_mail(nobodys, "confirmation", occurrence="later")
    Client().post("/orders/find/", {"number": nobodys.number})

    send_owed()

    assert mailoutbox == []
    assert not Message.objects.filter(status=Message.Status.OWED).exists()
    assert not Case.objects.exists()
