"""The back office: every page opens, every search finds, and every step goes through a service."""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client

from bookings.models import Entry, Pool
from cartsite.models import Case, Message, User
from orders.models import Order
from payments import settling
from payments.models import Payment, Refund
from payments.simulator import Simulator
from tests.backoffice.desk import act, logged
from tests.support.forms import save_form

pytestmark = pytest.mark.django_db(transaction=True)

EVERY_MODEL = sorted(admin.site._registry, key=lambda model: model._meta.label)
OURS = {"cartsite", "bookings", "cart", "orders", "payments"}
OUR_MODELS = [model for model in EVERY_MODEL if model._meta.app_label in OURS]
NOT_SHOWN = {
    "cart.BurntToken",  # nothing to read but hashes
    "cartsite.Heartbeat",  # when worker and beat were last heard of: /readyz tells
    "cartsite.MailCount",  # how much mail a hashed address was sent today
    "cartsite.Agreement",  # what came of a confirmed form, for as long as the form can be posted again
    "payments.Reading",  # the sweep's own note
    "payments.TheirRow",  # scaffolding of a close, gone when it is done
    # Shown with what they belong to:
    "bookings.Answer",
    "payments.Finding",
    "payments.MovementShare",
    "payments.Reopening",
}


def path_of(model: type[Model], rest: str = "") -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{rest}"


def cancel(client: Client, order: Order) -> None:
    act(client, order, "cancel", note="A test.")


def take_step(client: Client, order: Order, action: str) -> None:
    answer = client.post(path_of(Order), {"action": action, "_selected_action": [order.pk]})
    assert answer.status_code == 302


@pytest.fixture
def full_shop(payment: Payment, sumup: Simulator, fill_cart: Callable[..., object], honey: object) -> None:
    """At least one row of everything."""
    sumup.pay(payment.checkout_id)
    settling.settle(payment)
    fill_cart((honey, 1))
    Case.open(Case.Kind.OVERPAID, payment.order, "More was paid than it costs.")


def test_every_model_of_ours_is_in_the_back_office() -> None:
    ours = {model._meta.label for model in apps.get_models() if model._meta.app_label in OURS}

    assert ours - {model._meta.label for model in EVERY_MODEL} == NOT_SHOWN


@pytest.mark.usefixtures("full_shop")
@pytest.mark.parametrize("model", EVERY_MODEL, ids=lambda model: model._meta.label)
def test_list_search_and_record_of_every_model_open(model: type[Model], staff_client: Client) -> None:
    record = model._default_manager.first()

    pages = [path_of(model), path_of(model, "?q=honey")]
    pages += [path_of(model, f"{record.pk}/change/")] if record else []

    assert [staff_client.get(page).status_code for page in pages] == [200] * len(pages)


@pytest.mark.usefixtures("full_shop")
def test_no_secret_is_shown(staff_client: Client, payment: Payment) -> None:
    order = payment.order

    pages = [path_of(Order, f"{order.pk}/change/"), path_of(Payment, f"{payment.pk}/change/")]
    shown = "".join(staff_client.get(page).content.decode() for page in pages)

    assert [secret for secret in (order.key, payment.webhook_token, payment.return_token) if secret in shown] == []


def test_whoever_is_not_staff_sees_nothing(shopper: User) -> None:
    client = Client()
    client.force_login(shopper)

    answers = [client.get(path_of(model)) for model in EVERY_MODEL]

    assert {answer.status_code for answer in answers} == {302}


def test_a_shopper_is_told_that_the_back_office_is_not_for_them(shopper: User) -> None:
    client = Client()
    client.force_login(shopper)

    answer = client.get("/admin/", follow=True)

    assert answer.status_code == 403


def test_signing_in_does_not_lead_back_to_signing_in(shopper: User) -> None:
    client = Client()
    client.force_login(shopper)

    answer = client.get("/sign-in/?next=/sign-in/")

    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_the_pool_of_something_on_sale_is_not_exchanged(staff_client: Client, workshop: Entry) -> None:
    page = staff_client.get(path_of(Entry, f"{workshop.pk}/change/")).content.decode()

    assert 'name="title"' in page
    assert 'name="pool"' not in page


def test_a_new_size_of_a_pool_goes_through_set_capacity(staff_client: Client, order: Order) -> None:
    pool = Pool.objects.get(taken=2)

    answer = save_form(staff_client, path_of(Pool, f"{pool.pk}/change/"), wanted="1")

    pool.refresh_from_db()
    assert (answer.status_code, pool.wanted, pool.capacity, pool.taken) == (302, 1, 2, 2)
    assert Case.objects.get().kind == Case.Kind.OVERSOLD


def test_asking_sumup_now_settles_what_was_paid(staff_client: Client, payment: Payment, sumup: Simulator) -> None:
    sumup.pay(payment.checkout_id)
    Payment.objects.update(last_look_at=None)  # somebody looked long ago

    take_step(staff_client, payment.order, "ask_sumup")

    assert Order.objects.get().status == Order.Status.CONFIRMED
    assert logged(payment.order) == logged(payment) == ["Asked SumUp"]


def test_cancelling_an_unpaid_order_releases_it_safely(staff_client: Client, order: Order, staff: User) -> None:
    cancel(staff_client, order)

    order.refresh_from_db()
    assert order.status == Order.Status.CANCELLED
    assert order.events.last().by == staff
    assert Pool.objects.get().taken == 0


@pytest.mark.usefixtures("full_shop")
def test_cancelling_a_paid_order_frees_its_places_and_sends_its_money_back(staff_client: Client, staff: User) -> None:
    order = Order.objects.get()

    cancel(staff_client, order)

    order.refresh_from_db()
    assert order.status == Order.Status.CANCELLED
    assert Pool.objects.get().taken == 0
    assert (Refund.objects.get().amount, Refund.objects.get().approved_by) == (order.total, staff)
    assert LogEntry.objects.get(user=staff).change_message == "Cancelled: A test."


@pytest.mark.usefixtures("full_shop")
def test_who_may_not_approve_cancels_but_the_money_waits(shopper: User) -> None:
    shopper.is_staff = True
    shopper.save()
    shopper.user_permissions.add(Permission.objects.get(codename="change_order"))
    client = Client()
    client.force_login(shopper)

    cancel(client, Order.objects.get())

    assert Order.objects.get().status == Order.Status.CANCELLED
    assert Refund.objects.get().approved_at is None


@pytest.mark.usefixtures("full_shop")
def test_what_is_over_cannot_be_cancelled_once_more(staff_client: Client) -> None:
    order = Order.objects.get()
    cancel(staff_client, order)

    cancel(staff_client, order)

    assert (Refund.objects.count(), LogEntry.objects.count()) == (1, 1)


@pytest.mark.usefixtures("full_shop")
def test_a_confirmation_can_be_owed_again(staff_client: Client) -> None:
    act(staff_client, Order.objects.get(), "resend_confirmation")

    assert Message.objects.filter(kind="confirmation").count() == 2


@pytest.mark.usefixtures("full_shop")
def test_a_case_is_resolved_in_the_name_of_who_looked(staff_client: Client, staff: User) -> None:
    case = Case.objects.get()

    act(staff_client, case, "accept", note="It is right so.")

    case.refresh_from_db()
    assert (case.status, case.resolved_by, case.note) == (Case.Status.RESOLVED, staff, "It is right so.")


@pytest.mark.usefixtures("full_shop")
@pytest.mark.parametrize("model", OUR_MODELS, ids=lambda model: model._meta.label)
def test_nothing_of_ours_can_be_deleted(model: type[Model], staff_client: Client) -> None:
    record = model._default_manager.first()

    answer = staff_client.post(path_of(model, f"{record.pk if record else 0}/delete/"), {"post": "yes"})

    assert answer.status_code in (302, 403)
    assert record is None or model._default_manager.filter(pk=record.pk).exists()
