"""Erasing: what goes, what stays, and what it waits for."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from bookings.models import Entry, Pool
from cart import services as carts
from cart.models import BurntToken, Cart, CartItem, CartMerge, Product
from cartsite.models import Case, Message, User
from orders import privacy, services
from orders.models import DeliveryAddress, LineFact, Order, OrderContact
from orders.placing import CannotPlace
from orders.privacy import CannotErase, erase_contact, erase_person
from payments import settling
from payments.models import Payment, Refund, Stray
from payments.simulator import Simulator
from tests.factories import ProductFactory, UserFactory
from tests.orders.acts import all_rows, assert_pools_balance, place_cart
from tests.orders.people import connect, deliver, everything_stored, finish, get_over

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
FillCart = Callable[..., tuple[Cart, str]]
ERASE = "/account/data/erase/"


@pytest.fixture
def past(place_order: PlaceOrder, honey: Product, workshop: Entry, shopper: User) -> Order:
    """An order of the shopper's that is over: its honey is collected, its workshop was last week."""
    return finish(place_order((honey, 1), (workshop, 2), user=shopper))


@pytest.fixture
def shopper_client(shopper: User) -> Client:
    client = Client()
    client.force_login(shopper)
    return client


def what_waits(person: User) -> list[str]:
    """Why a person cannot be erased; nothing may have moved by asking."""
    before = all_rows()
    with pytest.raises(CannotErase) as refusal:
        erase_person(person, by=person)
    assert all_rows() == before
    return list(refusal.value.reasons)


# --- What goes and what stays


def test_nothing_that_is_stored_anywhere_names_the_person_any_more(past: Order, shopper: User) -> None:
    deliver(past)
    connect(shopper)
    Client().force_login(shopper)
    person = ContentType.objects.get_for_model(User)
    LogEntry.objects.create(
        user=UserFactory(name="Sam"), content_type=person, object_id=shopper.pk, object_repr="ada", action_flag=CHANGE,
        change_message="Ada Shopper asked us to write to ADA@example.org",
    )  # fmt: skip
    personal = ("Ada", "ada@", "ADA", "7 Nowhere", "ZZ1", "Ring twice", "uid-of")
    assert all(word in everything_stored() for word in personal)

    erase_person(shopper, by=shopper)

    assert [word for word in personal if word in everything_stored()] == []


def test_what_the_books_need_stays_as_it_was(past: Order, shopper: User, workshop: Entry) -> None:
    kept = ("orders.OrderLine", "orders.LineAllocation", "orders.LineFact", "bookings.Booking", "bookings.Hold")
    before = all_rows()

    erase_person(shopper, by=shopper)

    after = all_rows()
    assert [table for table in kept if after[table] != before[table]] == []
    assert after["orders.Order"] == before["orders.Order"]
    assert_pools_balance()


def test_the_account_is_a_row_that_says_nothing(shopper: User) -> None:
    shopper.groups.add(Group.objects.create(name="Friends"))

    erase_person(shopper, by=shopper)

    shopper.refresh_from_db()
    assert (shopper.name, shopper.email) == ("", f"{shopper.uuid}@erased.invalid")
    assert not shopper.is_active
    assert not shopper.has_usable_password()
    assert shopper.erased_at is not None
    assert not shopper.groups.exists()


def test_baskets_go_with_their_saved_lines_and_give_back_what_they_held(
    fill_cart: FillCart, shopper: User, workshop: Entry
) -> None:
    jam = ProductFactory(stock=5)
    cart, _token = fill_cart((workshop, 2), user=shopper)
    CartItem.objects.create(cart=cart, product=ProductFactory(), quantity=1, seen_price=1, saved_at=timezone.now())
    cart.last_merge = CartMerge.objects.create(cart=cart, how="merged", news=["More jam"])
    cart.save()
    _other, token = fill_cart((jam, 1))
    carts.adopt(token, shopper)

    erase_person(shopper, by=shopper)

    assert not Cart.objects.exists()
    assert not CartItem.objects.exists()
    assert not CartMerge.objects.exists()
    assert not BurntToken.objects.exists()
    assert set(Pool.objects.values_list("taken", flat=True)) == {0}


def test_the_cookie_of_an_ordered_basket_opens_nothing_any_more(
    fill_cart: FillCart, honey: Product, shopper: User
) -> None:
    cart, token = fill_cart((honey, 1), user=shopper)
    order = finish(place_cart(cart, token, user=shopper))

    erase_person(shopper, by=shopper)

    cart.refresh_from_db()
    assert (cart.user, order.cart_id, cart.items.count()) == (None, cart.pk, 0)
    with pytest.raises(CannotPlace):
        place_cart(cart, token)


def test_mail_that_was_not_sent_is_dropped(past: Order, shopper: User) -> None:
    Message.objects.all().delete()
    Message.owe(past, "confirmation")
    Message.owe(past, "reminder", not_before=timezone.now() + timedelta(days=1))

    erase_person(shopper, by=shopper)

    assert set(Message.objects.values_list("status", flat=True)) == {Message.Status.DROPPED}


def test_other_people_keep_everything(place_order: PlaceOrder, fill_cart: FillCart, past: Order, shopper: User) -> None:
    bob = UserFactory(username="bob", email="bob@example.org", name="Bob")
    connect(bob)
    theirs = place_order((ProductFactory(), 1), user=bob)
    deliver(theirs)
    fill_cart((ProductFactory(stock=3), 1), user=bob)
    bobs = Client()
    bobs.force_login(bob)

    erase_person(shopper, by=shopper)

    bob.refresh_from_db()
    assert (bob.name, bob.erased_at, bob.emailaddress_set.count(), bob.socialaccount_set.count()) == ("Bob", None, 2, 1)
    assert list(OrderContact.objects.values_list("order", flat=True)) == [theirs.pk]
    assert DeliveryAddress.objects.get().order == theirs
    assert carts.basket_of("", bob).count == 1
    assert bobs.get("/orders/").status_code == 200


def test_what_they_ordered_as_a_guest_since_their_last_sign_in_is_erased_too(
    place_order: PlaceOrder, honey: Product, shopper: User
) -> None:
    connect(shopper)
    guest_order = finish(place_order((honey, 1)))
    Order.objects.filter(pk=guest_order.pk).update(user=None)
    OrderContact.objects.filter(order=guest_order).update(email=shopper.email.upper())

    privacy.erase_person(shopper, by=shopper)

    assert not OrderContact.objects.filter(order=guest_order).exists()


def test_every_session_of_theirs_ends_and_no_other(shopper: User, staff_client: Client) -> None:
    browsers = [Client(), Client()]
    for browser in browsers:
        browser.force_login(shopper)

    erase_person(shopper, by=shopper)

    assert {browser.get("/orders/").status_code for browser in browsers} == {302}
    assert staff_client.get("/admin/").status_code == 200
    assert str(shopper.pk) not in [session.get_decoded().get(SESSION_KEY) for session in Session.objects.all()]


def test_a_session_that_was_overlooked_opens_nothing(shopper: User, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Client()
    browser.force_login(shopper)
    monkeypatch.setattr(privacy, "_end_sessions", lambda person: None)

    erase_person(shopper, by=shopper)
    User.objects.update(is_active=True)

    assert browser.get("/orders/").status_code == 302


def test_sessions_that_are_cached_end_too(shopper: User, settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
    browser = Client()
    browser.force_login(shopper)
    assert browser.get("/orders/").status_code == 200

    erase_person(shopper, by=shopper)

    assert privacy.session_store()(browser.cookies["sessionid"].value).load() == {}


def test_they_can_sign_up_again_and_old_orders_do_not_come_back(past: Order, shopper: User) -> None:
    erase_person(shopper, by=shopper)

    again = UserFactory(username="ada", email="ada@example.org")
    EmailAddress.objects.create(user=again, email=again.email, verified=True, primary=True)
    client = Client()
    client.force_login(again)

    assert past.number not in client.get("/orders/").content.decode()
    assert client.get(past.get_absolute_url()).status_code == 404


def test_erasing_twice_is_erasing_once(past: Order, shopper: User) -> None:
    erase_person(shopper, by=shopper)
    before = all_rows()

    again = erase_person(shopper, by=shopper)

    assert again is False
    assert all_rows() == before


def test_it_is_written_down_once_about_each_order_without_naming_anybody(past: Order, shopper: User) -> None:
    erase_person(shopper, by=shopper)

    event = past.events.last()
    assert (event.kind, event.by, event.data, event.cause) == ("contact_erased", shopper, {}, "")
    assert past.events.filter(kind="contact_erased").count() == 1


def test_what_they_do_at_that_moment_is_not_theirs_any_more(
    fill_cart: FillCart, place_order: PlaceOrder, honey: Product, shopper: User
) -> None:
    guests = finish(place_order((honey, 1)))
    _cart, token = fill_cart((honey, 1))
    erase_person(shopper, by=shopper)

    filled, _token = fill_cart((honey, 1), user=shopper)
    with pytest.raises(carts.UnknownCart):
        carts.adopt(token, shopper)
    joined = services.take_over_guest_orders(shopper, ["ada@example.org"])

    guests.refresh_from_db()
    assert (filled.user, joined, guests.user) == (None, 0, None)
    assert not Cart.objects.filter(user=shopper).exists()


# --- What it waits for


def test_it_waits_while_an_order_awaits_payment(place_order: PlaceOrder, honey: Product, shopper: User) -> None:
    order = place_order((honey, 1), user=shopper)

    assert what_waits(shopper) == [f"Order {order.number} awaits payment."]


def test_it_waits_while_a_place_lies_ahead(place_order: PlaceOrder, workshop: Entry, shopper: User) -> None:
    order = place_order((workshop, 2), user=shopper)
    services.confirm(order, cause="paid")

    assert what_waits(shopper) == [f"A place booked with order {order.number} lies ahead."]


def test_a_place_that_was_called_off_is_not_waited_for(
    place_order: PlaceOrder, workshop: Entry, shopper: User, staff: User
) -> None:
    order = place_order((workshop, 2), user=shopper)
    services.confirm(order, cause="paid")
    services.cancel_confirmed(order, by=staff, cause="staff")

    assert erase_person(shopper, by=shopper)


def test_it_waits_while_goods_are_not_handed_over(
    place_order: PlaceOrder, honey: Product, shopper: User, staff: User
) -> None:
    order = place_order((honey, 3), user=shopper)
    services.confirm(order, cause="paid")
    services.record_fact(order.lines.get(), LineFact.Kind.COLLECTED, 2, by=staff)
    assert what_waits(shopper) == [f"Goods of order {order.number} are not handed over yet."]

    services.record_fact(order.lines.get(), LineFact.Kind.MISSED, 1, by=staff)

    assert erase_person(shopper, by=shopper)


@pytest.fixture
def paid(payment: Payment, sumup: Simulator, shopper: User) -> Payment:
    """The payment of an order of the shopper's that is over."""
    Order.objects.update(user=shopper)
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    get_over(payment.order)
    payment.refresh_from_db()
    return payment


@pytest.mark.parametrize("status", Refund.Status)
def test_it_waits_while_a_refund_has_not_ended(paid: Payment, shopper: User, status: str) -> None:
    now = timezone.now()
    Refund.objects.create(
        order=paid.order, payment=paid, amount=Decimal("1.00"), currency="GBP", reason="A test.", status=status,
        approved_at=now, sent_at=now,
    )  # fmt: skip

    if status in Refund.ALIVE:
        assert what_waits(shopper) == [f"Money of order {paid.order} is on its way back."]
    else:
        assert erase_person(shopper, by=shopper)


@pytest.mark.parametrize("about", ["order", "line", "payment", "refund"])
@pytest.mark.parametrize("status", Case.Status)
def test_it_waits_while_somebody_looks_into_something_of_theirs(
    paid: Payment, shopper: User, about: str, status: str
) -> None:
    refund = Refund.objects.create(
        order=paid.order, payment=paid, amount=Decimal("1.00"), currency="GBP", reason="A test.", status="failed"
    )
    subject = {"order": paid.order, "line": paid.order.lines.first(), "payment": paid, "refund": refund}[about]
    Case.open(Case.Kind.OVERPAID, subject, "A test.")
    Case.objects.update(status=status)

    if status == Case.Status.RESOLVED:
        assert erase_person(shopper, by=shopper)
    else:
        assert what_waits(shopper) == [f"Somebody at the co-operative is looking into order {paid.order}."]


def test_what_is_open_about_others_is_not_waited_for(
    order: Order, past: Order, shopper: User, payment: Payment
) -> None:
    Case.open(Case.Kind.OVERPAID, order, "A test.")
    Case.open(Case.Kind.UNKNOWN_MONEY, Stray(), "A test.")

    assert erase_person(shopper, by=shopper)


@pytest.mark.parametrize("right", ["is_staff", "is_superuser"])
def test_who_works_in_the_back_office_is_not_erased(shopper: User, right: str) -> None:
    User.objects.update(**{right: True})

    assert "back office" in what_waits(shopper)[0]


def test_the_states_of_money_on_its_way_are_a_refunds_own() -> None:
    assert set(Refund.ALIVE) == set(privacy.MONEY_ON_ITS_WAY)


# --- Guests


def test_who_placed_one_order_is_erased_and_no_other(place_order: PlaceOrder, honey: Product, staff: User) -> None:
    order, other = finish(place_order((honey, 1))), finish(place_order((honey, 1)))
    deliver(order)

    assert erase_contact(order, by=staff) is True
    assert erase_contact(order, by=staff) is False

    assert OrderContact.objects.get().order == other
    assert not DeliveryAddress.objects.exists()
    assert order.events.filter(kind="contact_erased", by=staff).count() == 1


def test_a_guests_order_waits_for_the_same_things(order: Order, staff: User) -> None:
    before = all_rows()

    with pytest.raises(CannotErase, match=f"Order {order} awaits payment"):
        erase_contact(order, by=staff)

    assert all_rows() == before


# --- The page


def test_the_page_says_what_goes_what_stays_and_asks_once_more(shopper_client: Client) -> None:
    page = shopper_client.get(ERASE).content.decode()

    assert all(words in page for words in ("What goes", "What stays", "cannot be undone", 'name="email"'))


@pytest.mark.parametrize("typed", ["", "bob@example.org", "ada@example.org x", "ada"])
def test_without_ones_own_address_nothing_happens(shopper_client: Client, past: Order, typed: str) -> None:
    before = all_rows()

    answer = shopper_client.post(ERASE, {"email": typed})

    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in page
    assert "aria-describedby" in page
    assert all_rows() == before


def test_with_ones_own_address_in_any_case_everything_goes(shopper_client: Client, past: Order, shopper: User) -> None:
    answer = shopper_client.post(ERASE, {"email": " Ada@Example.org "}, follow=True)

    shopper.refresh_from_db()
    assert shopper.erased_at is not None
    assert "Your account and your personal data are erased." in answer.content.decode()
    assert "Sign in" in answer.content.decode()
    assert shopper_client.get(ERASE).status_code == 302


def test_the_page_says_why_it_must_wait_and_offers_no_button(
    shopper_client: Client, place_order: PlaceOrder, honey: Product, shopper: User
) -> None:
    order = place_order((honey, 1), user=shopper)

    shown, tried = shopper_client.get(ERASE), shopper_client.post(ERASE, {"email": "ada@example.org"})

    assert (shown.status_code, tried.status_code) == (200, 409)
    for page in (shown.content.decode(), tried.content.decode()):
        assert f"Order {order.number} awaits payment." in page
        assert 'name="email"' not in page
    shopper.refresh_from_db()
    assert shopper.erased_at is None


def test_strangers_are_asked_to_sign_in(db: None) -> None:
    answers = [Client().get(ERASE), Client().post(ERASE, {"email": "ada@example.org"})]

    assert {answer.status_code for answer in answers} == {302}
