"""The pages of the waiting list: joining it, and what somebody in it sees and does."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone
from time_machine import Traveller, travel

from bookings import capacity, waiting
from bookings.models import Entry, PriceKind, Waiter
from cart.models import CartItem
from cartsite.models import Message, User
from tests.bookings.lines import free, fresh, join, offers, order_of, sold_out, statuses
from tests.orders.acts import HTMX, all_rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Iterator[Traveller]:
    with travel(timezone.now(), tick=False) as traveller:
        yield traveller


@pytest.fixture
def full(db: None) -> Entry:
    return sold_out()[0]


@pytest.fixture
def offered(clock: Traveller) -> Waiter:
    """Ada, to whom a place is offered; Bob waits behind her."""
    entry, holds = sold_out(title="Bread workshop")
    waiter = join(entry, "ada")
    join(entry, "bob")
    free(holds[0])
    waiting.sweep()
    return fresh(waiter)


def holder(waiter: Waiter) -> Client:
    """A browser that came with the link."""
    client = Client()
    client.get(waiter.secret_link)
    return client


def address(entry: Entry) -> str:
    return f"/entries/{entry.pk}/wait/"


def page_of(client: Client, waiter: Waiter) -> str:
    page = client.get(waiter.get_absolute_url())
    assert page.status_code == 200
    return page.content.decode()


# --- Joining


def test_one_joins_with_an_address_and_is_led_to_a_page_that_says_so(client: Client, full: Entry) -> None:
    answer = client.post(address(full), {"email": "ada@example.org", "quantity": "2"})

    assert (answer.status_code, answer["Location"]) == (302, f"{address(full)}?done")
    assert "check your inbox" in client.get(answer["Location"]).content.decode()
    waiter = Waiter.objects.get()
    assert (waiter.email, waiter.quantity, waiter.user, waiter.price_kind) == ("ada@example.org", 2, None, None)
    assert Message.objects.get().kind == "waiting_confirm"


def test_htmx_gets_the_sentence_in_place_of_the_form(client: Client, full: Entry) -> None:
    answer = client.post(address(full), {"email": "ada@example.org", "quantity": "1"}, headers=HTMX)

    assert "check your inbox" in answer.content.decode()
    assert "<html" not in answer.content.decode()
    assert Waiter.objects.get().email == "ada@example.org"


def test_whoever_signed_in_finds_their_address_and_their_list(full: Entry, shopper: User) -> None:
    EmailAddress.objects.create(user=shopper, email=shopper.email, verified=True, primary=True)
    client = Client()
    client.force_login(shopper)

    assert 'value="ada@example.org"' in client.get(address(full)).content.decode()
    answer = client.post(address(full), {"email": "ada@example.org", "quantity": "1"})
    fragment = client.post(address(full), {"email": "ada@example.org", "quantity": "1"}, headers=HTMX)

    waiter = Waiter.objects.get()
    assert (waiter.user, waiter.name) == (shopper, "Ada Shopper")
    assert answer["Location"] == waiter.get_absolute_url()
    assert "You are on the waiting list." in fragment.content.decode()
    assert "You are the first in line" in page_of(client, waiter)


def test_one_may_wait_for_another_price(client: Client, full: Entry) -> None:
    child = PriceKind.objects.create(entry=full, name="Child", price=10)

    page = client.get(address(full)).content.decode()
    client.post(address(full), {"email": "ada@example.org", "quantity": "1", "price_kind": str(child.uuid)})

    assert "Child · £10.00" in page
    assert Waiter.objects.get().price_kind == child


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"email": ""}, "where we can write to"),
        ({"email": "ada"}, "not an e-mail address"),
        ({"email": f"{'x' * 242}@mail.example"}, "at most 254 characters"),
        ({"quantity": ""}, "Choose how many"),
        ({"quantity": "0"}, "from 1 to 10"),
        ({"quantity": "11"}, "from 1 to 10"),
        ({"quantity": "x"}, "whole number"),
        ({"price_kind": "x"}, "one of the prices"),
        ({"price_kind": "0f23e330-ac61-4623-a094-c3e28a9951fe"}, "one of the prices"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field_and_nothing_moves(
    client: Client, full: Entry, typed: dict[str, str], sentence: str, headers: dict[str, str]
) -> None:
    PriceKind.objects.create(entry=full, name="Child", price=10)
    before = all_rows()

    answer = client.post(address(full), {"email": "a@example.org", "quantity": "1"} | typed, headers=headers)

    assert answer.status_code == 422
    page = answer.content.decode()
    assert sentence in page
    assert 'aria-invalid="true"' in page
    assert 'role="alert"' in page
    assert ("<html" in page) == (not headers)
    assert all_rows() == before


def test_a_price_that_was_withdrawn_since_the_page_was_shown_is_said_to_be_gone(client: Client, full: Entry) -> None:
    child = PriceKind.objects.create(entry=full, name="Child", price=10, archived_at=timezone.now())

    answer = client.post(address(full), {"email": "a@example.org", "quantity": "1", "price_kind": str(child.uuid)})

    assert (answer.status_code, "one of the prices" in answer.content.decode()) == (422, True)
    assert not Waiter.objects.exists()


def test_where_places_are_free_one_is_told_to_book(client: Client, workshop: Entry) -> None:
    assert "you can book now" in client.get(address(workshop)).content.decode()

    answer = client.post(address(workshop), {"email": "a@example.org", "quantity": "1"})

    assert (answer.status_code, "you can book now" in answer.content.decode()) == (422, True)
    assert not Waiter.objects.exists()


def test_there_is_no_list_for_what_nobody_may_see(client: Client, full: Entry) -> None:
    Entry.objects.update(archived_at=timezone.now())

    assert client.get(address(full)).status_code == 404
    assert client.post(address(full), {"email": "a@example.org", "quantity": "1"}).status_code == 404


def test_so_many_tries_from_one_address_are_enough(client: Client, full: Entry, settings: Any) -> None:
    settings.LIMITS = settings.LIMITS | {"waiting": (1, 600)}
    client.post(address(full), {"email": "ada@example.org", "quantity": "1"})

    answer = client.post(address(full), {"email": "bob@example.org", "quantity": "1"})

    assert answer.status_code == 429
    assert Waiter.objects.get().email == "ada@example.org"


# --- The page of somebody in the line


def test_the_link_leads_to_an_address_without_the_key(offered: Waiter) -> None:
    client = Client()

    answer = client.get(offered.secret_link)

    assert (answer.status_code, answer["Location"]) == (302, offered.get_absolute_url())
    cookie = answer.cookies["waiter"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/", True, "Lax")
    assert client.get(offered.get_absolute_url()).status_code == 200


def test_looking_changes_nothing(offered: Waiter) -> None:
    before = all_rows()

    client = holder(offered)
    page_of(client, offered)
    client.head(offered.get_absolute_url())
    for step in ("take", "decline", "leave"):
        client.get(offered.get_absolute_url(), {"step": step})

    assert all_rows() == before


def test_the_page_says_how_many_are_before_one(full: Entry) -> None:
    ada, bob, cleo = (join(full, name, n) for n, name in enumerate(("ada", "bob", "cleo"), start=1))

    pages = [page_of(holder(waiter), waiter) for waiter in (ada, bob, cleo)]

    assert "You are the first in line." in pages[0]
    assert "1 person is before you in line." in pages[1]
    assert "2 people are before you in line." in pages[2]
    assert "You asked for 3 places." in pages[2]


def test_the_page_with_an_offer_says_until_when_and_for_how_much(offered: Waiter) -> None:
    page = page_of(holder(offered), offered)

    assert "A place is free for you" in page
    assert offered.offer_until is not None
    assert f'datetime="{offered.offer_until:%Y-%m-%dT%H:%M:%SZ}"' in page
    assert "£35.00" in page
    assert 'value="take"' in page


def test_an_offer_of_fewer_says_so() -> None:
    entry, holds = sold_out()
    waiter = join(entry, "ada", 3)
    free(*holds[:2])
    waiting.sweep()

    assert "You asked for 3, and 2 came free" in page_of(holder(waiter), waiter)


def test_one_press_puts_it_into_the_basket_and_a_second_one_too(offered: Waiter) -> None:
    client = holder(offered)

    answers = [client.post(offered.get_absolute_url(), {"step": "take"}) for _ in range(2)]

    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(302, "/cart/")] * 2
    assert CartItem.objects.get().quantity == 1
    assert "Bread workshop" in client.get("/cart/").content.decode()
    assert "in the basket that you put it into" in page_of(client, offered)


def test_saying_no_passes_it_on(offered: Waiter) -> None:
    client = holder(offered)

    answer = client.post(offered.get_absolute_url(), {"step": "decline"}, follow=True)

    assert "We offer it to the next in line" in answer.content.decode()
    assert offers() == {"bob": 1}


def test_whoever_leaves_is_told_so(full: Entry) -> None:
    waiter = join(full, "ada")
    client = holder(waiter)

    answer = client.post(waiter.get_absolute_url(), {"step": "leave"}, follow=True)

    assert "You are not on the waiting list any more" in answer.content.decode()
    assert statuses(waiter) == ["left"]


def test_an_offer_that_is_over_cannot_be_taken_and_the_page_says_so_kindly(offered: Waiter, clock: Traveller) -> None:
    client = holder(offered)
    clock.shift(timedelta(hours=25))
    page = page_of(client, offered)
    before = all_rows()

    answer = client.post(offered.get_absolute_url(), {"step": "take"})

    assert "What we kept for you was not taken" in page
    assert answer.status_code == 422
    assert "You may join the waiting list again" in answer.content.decode()
    assert all_rows() == before


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("passed", "was not taken"),
        ("left", "not on the waiting list any more"),
        ("closed", "Booking is closed"),
        ("taken", "in the basket"),
    ],
)
def test_the_page_says_how_it_ended(full: Entry, status: str, said: str) -> None:
    waiter = join(full, "ada")
    Waiter.objects.update(status=status)

    assert said in page_of(holder(waiter), waiter)


def test_the_page_says_that_it_was_called_off_before_a_sweep_does(full: Entry) -> None:
    waiter = join(full, "ada")
    Entry.objects.update(cancelled_at=timezone.now())

    assert "It was called off" in page_of(holder(waiter), waiter)


def test_a_step_that_is_none_is_refused(offered: Waiter) -> None:
    before = all_rows()

    answer = holder(offered).post(offered.get_absolute_url(), {"step": "steal"})

    assert answer.status_code == 422
    assert all_rows() == before


# --- Beside the basket


def test_whoever_comes_past_the_line_is_led_to_it(client: Client) -> None:
    entry, holds = sold_out()
    join(entry, "ada")
    free(holds[0])

    answer = client.post("/cart/items/", {"entry": entry.pk, "quantity": 1}, headers=HTMX)

    assert answer.status_code == 422
    assert "Join the waiting list" in answer.content.decode()
    assert not CartItem.objects.exists()


# --- The back office


def act(client: Client, action: str, *waiters: Waiter) -> str:
    data = {"action": action, "_selected_action": [waiter.pk for waiter in waiters]}
    answer = client.post("/admin/bookings/waiter/", data, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_staff_see_who_waits_in_which_order(staff_client: Client, offered: Waiter) -> None:
    page = staff_client.get("/admin/bookings/waiter/").content.decode()
    record = staff_client.get(f"/admin/bookings/waiter/{offered.pk}/change/").content.decode()

    assert page.index("ada@example.org") < page.index("bob@example.org")
    assert offered.key not in page + record
    assert staff_client.post(f"/admin/bookings/waiter/{offered.pk}/change/", {"status": "left"}).status_code == 403


def test_staff_change_the_order_and_it_is_written_down(staff_client: Client, full: Entry) -> None:
    ada, bob, cleo = (join(full, name) for name in ("ada", "bob", "cleo"))

    act(staff_client, "move_first", bob, cleo)
    assert order_of(full) == ["bob", "cleo", "ada"]
    act(staff_client, "move_up", ada)
    assert order_of(full) == ["bob", "ada", "cleo"]
    act(staff_client, "move_last", bob, ada)
    assert order_of(full) == ["cleo", "bob", "ada"]
    act(staff_client, "move_down", cleo)

    assert order_of(full) == ["bob", "cleo", "ada"]
    history = staff_client.get(f"/admin/bookings/waiter/{ada.pk}/history/").content.decode()
    assert "Moved in the line: up" in history


def test_staff_take_somebody_off_and_the_next_is_served(staff_client: Client, offered: Waiter) -> None:
    said = act(staff_client, "remove", offered)

    assert "1 was taken off." in said
    assert offers() == {"bob": 1}
    assert "0 were taken off." in act(staff_client, "remove", offered)


def test_staff_need_not_wait_for_the_timer(staff_client: Client, full: Entry) -> None:
    ada, bob = join(full, "ada"), join(full, "bob")
    capacity.set_capacity(full.pool, 4)

    said = act(staff_client, "offer_now", bob)

    assert "1 offer was made." in said
    assert statuses(ada, bob) == ["offered", "waiting"]


def test_who_may_only_look_cannot_act(offered: Waiter, django_user_model: Any) -> None:
    onlooker = django_user_model.objects.create_user("eve", "eve@example.org", is_staff=True)
    client = Client()
    client.force_login(onlooker)
    before = Waiter.objects.values()[0]

    assert client.get("/admin/bookings/waiter/").status_code == 403
    client.post("/admin/bookings/waiter/", {"action": "remove", "_selected_action": [offered.pk]})

    assert Waiter.objects.values()[0] == before
