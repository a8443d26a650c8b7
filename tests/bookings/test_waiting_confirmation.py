"""A place in a line is taken only by somebody who reads the mail that goes to their address."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone
from time_machine import Traveller, travel

from bookings import capacity, waiting
from bookings.models import Entry, Hold, PriceKind, Waiter
from bookings.tasks import forget_who_waited
from bookings.waiting import CannotJoin
from cart import services as carts
from cartsite.models import Message, User
from orders import mail
from tests.bookings.lines import ask, free, fresh, join, offers, order_of, sold_out, statuses
from tests.orders.acts import HTMX, all_rows

pytestmark = pytest.mark.django_db

Line = tuple[Entry, list[Hold]]


@pytest.fixture(autouse=True)
def clock() -> Iterator[Traveller]:
    with travel(timezone.now(), tick=False) as traveller:
        yield traveller


@pytest.fixture
def line(db: None) -> Line:
    """An entry that is sold out, and the holds that took its places."""
    return sold_out(title="Bread workshop")


def reader(waiter: Waiter) -> Client:
    """A browser that opened the link in the mail."""
    client = Client()
    client.get(waiter.secret_link)
    return client


def press(client: Client, waiter: Waiter, step: str = "confirm") -> str:
    answer = client.post(waiter.get_absolute_url(), {"step": step}, follow=True)
    return answer.content.decode()


def confirmed(user: User) -> User:
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


# --- Before it is confirmed


def test_who_only_asked_is_not_in_the_line(line: Line) -> None:
    entry, holds = line
    asked = ask(entry, "ada")
    join(entry, "bob")

    free(holds[0])
    waiting.sweep()

    assert offers() == {"bob": 1}
    assert statuses(asked) == ["asked"]


def test_who_only_asked_keeps_nobody_from_booking(line: Line) -> None:
    entry, holds = line
    ask(entry, "ada")
    free(holds[0])

    waiting.sweep()
    cart, _token = carts.open_cart("", None)
    carts.add(cart, Entry.objects.listed().get(pk=entry.pk), 1)

    assert not waiting.is_queued([entry.pool_id])
    assert cart.items.get().quantity == 1


def test_twenty_addresses_of_strangers_take_no_place_ahead_of_somebody_real(line: Line, client: Client) -> None:
    entry, holds = line
    for n in range(20):
        client.post(f"/entries/{entry.pk}/wait/", {"email": f"stranger{n}@example.org", "quantity": "10"})
    join(entry, "ada")

    free(holds[0])
    waiting.sweep()

    assert (order_of(entry), offers()) == ([], {"ada": 1})


def test_opening_the_link_changes_nothing(line: Line) -> None:
    asked = ask(line[0], "ada", 2)
    before = all_rows()

    client = reader(asked)
    page = client.get(asked.get_absolute_url()).content.decode()
    client.head(asked.get_absolute_url())
    client.get(asked.get_absolute_url(), {"step": "confirm"})

    assert "You are not in the line yet. Press the button, and you are, for 2 places." in page
    assert all_rows() == before


def test_nobody_confirms_without_the_link(line: Line, shopper: User) -> None:
    """Not even a user who typed the address of somebody else."""
    client = Client()
    client.force_login(confirmed(shopper))
    client.post(f"/entries/{line[0].pk}/wait/", {"email": "bob@example.org", "quantity": "1"})
    asked = Waiter.objects.get()

    answers = [each.post(asked.get_absolute_url(), {"step": "confirm"}) for each in (Client(), client)]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert (asked.status, asked.user, asked.name) == ("asked", None, "")


def test_a_user_whose_own_address_is_not_confirmed_is_asked_as_well(line: Line, shopper: User) -> None:
    EmailAddress.objects.create(user=shopper, email=shopper.email, verified=False, primary=True)

    waiter = waiting.join(line[0], 1, email="ada@example.org", user=shopper)

    assert (waiter.status, waiter.user) == ("asked", None)


def test_a_user_who_has_confirmed_the_address_is_in_the_line_at_once(line: Line, shopper: User) -> None:
    waiter = waiting.join(line[0], 1, email="ADA@example.org", user=confirmed(shopper))

    assert (waiter.status, waiter.user) == ("waiting", shopper)
    assert list(Message.objects.values_list("kind", flat=True)) == ["waiting_joined"]


# --- The answer to whoever asks


def test_the_answer_is_the_same_whether_an_address_is_known_or_not(line: Line) -> None:
    entry, _holds = line
    join(entry, "waits")
    ask(entry, "asked")
    told = []

    for name in ("waits", "asked", "nobody"):
        client = Client()
        wish = {"email": f"{name}@example.org", "quantity": "1"}
        plain = client.post(f"/entries/{entry.pk}/wait/", wish, follow=True)
        fragment = client.post(f"/entries/{entry.pk}/wait/", wish, headers=HTMX)
        pages = [answer.content.decode().replace(name, "name") for answer in (plain, fragment)]
        told.append((plain.redirect_chain, pages[1], sorted(client.cookies), "check your inbox" in pages[0]))

    assert told[0] == told[1] == told[2]
    assert told[0][3]


def test_asking_for_the_same_again_sends_one_mail_an_hour(line: Line, clock: Traveller) -> None:
    first = ask(line[0], "ada")
    again = ask(line[0], "ada")
    clock.shift(timedelta(hours=1))
    later = ask(line[0], "ADA")

    assert (first == again, first == later) == (True, False)
    assert Message.objects.filter(kind="waiting_confirm").count() == 2


def test_nobody_changes_what_the_link_of_another_confirms(line: Line) -> None:
    child = PriceKind.objects.create(entry=line[0], name="Child", price="12.50")
    mine = ask(line[0], "ada", 2)

    ask(line[0], "ada", 7)
    ask(line[0], "ada", 2, price_kind=child)
    standing = waiting.confirm(mine)

    assert (standing, standing.quantity, standing.price_kind) == (mine, 2, None)


# --- Confirming


def test_one_press_puts_them_at_the_end_of_the_line(line: Line) -> None:
    entry, _holds = line
    asked = ask(entry, "ada")
    join(entry, "bob")

    page = press(reader(asked), asked)

    assert "You are on the waiting list." in page
    assert "1 person is before you in line." in page
    assert order_of(entry) == ["bob", "ada"]
    assert Message.objects.filter(kind="waiting_joined", subject_uuid=asked.uuid).count() == 1


def test_the_order_is_that_of_confirming(line: Line, clock: Traveller) -> None:
    entry, holds = line
    ada, bob = ask(entry, "ada"), ask(entry, "bob")
    clock.shift(timedelta(hours=2))
    press(reader(bob), bob)
    press(reader(ada), ada)

    free(holds[0])
    waiting.sweep()

    assert (offers(), order_of(entry)) == ({"bob": 1}, ["ada"])
    assert fresh(ada).joined_at == timezone.now()


def test_a_second_press_changes_nothing(line: Line) -> None:
    asked = ask(line[0], "ada")
    client = reader(asked)
    press(client, asked)
    before = all_rows()

    page = press(client, asked)

    assert "You are the first in line." in page
    assert all_rows() == before


def test_of_two_links_to_one_address_the_second_shows_the_place_of_the_first(line: Line) -> None:
    first, second = ask(line[0], "ada"), ask(line[0], "ada", 3)
    press(reader(first), first)

    page = press(reader(second), second)

    assert "You asked for 1 place." in page
    assert order_of(line[0]) == ["ada"]


def test_who_did_not_ask_says_so_and_is_not_put_on_the_list(line: Line) -> None:
    asked = ask(line[0], "ada")

    page = press(reader(asked), asked, "leave")

    assert "You are not on the waiting list any more" in page
    assert statuses(asked) == ["left"]
    with pytest.raises(CannotJoin):
        waiting.confirm(asked)


def test_where_places_have_come_free_they_are_told_to_book(line: Line) -> None:
    """Else somebody could ask early, and keep what comes free for hours."""
    entry, holds = line
    asked = ask(entry, "ada")
    free(holds[0])
    client = reader(asked)
    shown = client.get(asked.get_absolute_url()).content.decode()

    page = press(client, asked)

    assert "you can book now" in shown
    assert "you can book now" in page
    assert statuses(asked) == ["asked"]


def test_what_was_called_off_cannot_be_waited_for(line: Line) -> None:
    asked = ask(line[0], "ada")
    Entry.objects.update(cancelled_at=timezone.now())

    with pytest.raises(CannotJoin, match="was called off"):
        waiting.confirm(asked)

    assert statuses(asked) == ["asked"]


# --- Who never does


def test_after_24_hours_the_link_is_too_old_whether_or_not_the_timer_has_run(line: Line, clock: Traveller) -> None:
    asked = ask(line[0], "ada")
    client = reader(asked)
    clock.shift(timedelta(hours=24))
    before = all_rows()

    shown = client.get(asked.get_absolute_url()).content.decode()
    page = press(client, asked)

    assert 'value="confirm"' not in shown
    assert "You may join the waiting list again." in page
    assert all_rows() == before


def test_who_never_confirms_is_forgotten_after_24_hours(line: Line, clock: Traveller) -> None:
    asked, waits = ask(line[0], "ada"), join(line[0], "bob")
    clock.shift(timedelta(hours=24) - timedelta(seconds=1))
    forget_who_waited()
    assert statuses(asked) == ["asked"]
    clock.shift(timedelta(seconds=1))

    forget_who_waited()

    forgotten = fresh(asked)
    assert (forgotten.status, forgotten.email, forgotten.name, forgotten.user) == ("lapsed", "", "", None)
    assert forgotten.ended_at == timezone.now()
    assert "they are over" in reader(asked).get(asked.get_absolute_url()).content.decode()
    assert (fresh(waits).status, fresh(waits).email) == ("waiting", "bob@example.org")


def test_no_mail_asks_for_what_cannot_be_confirmed_any_more(line: Line, clock: Traveller) -> None:
    ask(line[0], "ada")
    clock.shift(timedelta(hours=24))

    mail.send_owed()

    assert Message.objects.get().status == "dropped"


def test_an_address_that_does_not_exist_is_given_up_at_once(line: Line) -> None:
    asked = ask(line[0], "ada")

    mail.take_bounce(Message.objects.get(), is_hard=True, reason="550 unknown")

    assert statuses(asked) == ["left"]


def test_staff_see_who_has_not_confirmed_and_cannot_move_them_ahead(line: Line, staff_client: Client) -> None:
    asked, waits = ask(line[0], "ada"), join(line[0], "bob")

    page = staff_client.get("/admin/bookings/waiter/").content.decode()
    moved = {"action": "move_first", "_selected_action": [asked.pk]}
    staff_client.post("/admin/bookings/waiter/", moved)
    capacity.set_capacity(line[0].pool, 4)
    staff_client.post("/admin/bookings/waiter/", {"action": "offer_now", "_selected_action": [asked.pk]})

    assert "Not confirmed yet" in page
    assert statuses(asked, waits) == ["asked", "offered"]
