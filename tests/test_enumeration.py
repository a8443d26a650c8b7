"""Whoever guesses numbers, keys and ids finds nothing: what is somebody else's answers as what does not exist."""

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Permission
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from bookings import capacity
from bookings.models import Booking, Entry, Waiter
from cart.models import Cart, CartItem, CartMerge, Product
from cartsite.models import Case, User
from orders.models import Order, OrderContact
from payments import settling
from payments.models import Payment
from payments.simulator import Simulator
from tests.bookings.lines import join
from tests.factories import EntryFactory, ProductFactory, UserFactory
from tests.orders.acts import all_rows, holder_of, place_cart, typed, visitor
from tests.orders.people import connect

pytestmark = pytest.mark.django_db

FillCart = Callable[..., tuple[Cart, str]]
PlaceOrder = Callable[..., Order]

# Every address with something in it that can be guessed, and what that is. Whoever adds one says here what it is, and
# with that which of the tests below hold for it.
PUBLIC, ORDER, ITEM, MERGE, TOKEN, SIBLING = "public", "order", "item", "merge", "token", "sibling"
WAITER, TICKET, DOOR = "waiter", "ticket", "door"
GUESSABLE = {
    "bookings:calendar": PUBLIC,
    "bookings:entry": PUBLIC,
    "bookings:wait": PUBLIC,
    "bookings:waiting": WAITER,
    "bookings:feed": PUBLIC,
    "openid_connect_login": PUBLIC,  # which account services there are is on the sign-in page
    "openid_connect_callback": PUBLIC,
    "cart:update": ITEM,
    "cart:save": ITEM,
    "cart:bring_back": ITEM,
    "cart:undo_merge": MERGE,
    "cart:put_merge_away": MERGE,
    "orders:detail": ORDER,
    "orders:return": ORDER,
    "orders:pay": ORDER,
    "orders:change_basket": ORDER,
    "orders:keep": ORDER,
    "orders:late_payment": ORDER,
    "orders:cancel": ORDER,
    "orders:move": ORDER,
    "orders:attendees": ORDER,
    "orders:receipt": ORDER,
    "orders:again": ORDER,
    "orders:calendar": ORDER,
    "orders:tickets": ORDER,
    "bookings:ticket": TICKET,
    "bookings:ticket_calendar": TICKET,
    "bookings:door": DOOR,
    "bookings:door_scan": DOOR,
    "bookings:door_undo": DOOR,
    "bookings:door_rest": DOOR,
    "payments:webhook": TOKEN,
    "internal:set_stock": SIBLING,
}
# These ask for no CSRF token: they look at no cookie.
WITHOUT_CSRF = {"payments:webhook", "internal:set_stock", "internal:adopt", "internal:summary", "internal:take_bounce"}
NO_NUMBER = "CCCC-CCCC-CC"
FOREIGN = "evil.example"


@dataclass(frozen=True)
class Address:
    """One pattern of the URL table."""

    name: str
    parameters: tuple[str, ...]

    def fill(self) -> str:
        """The address of something that does not exist."""
        values = {
            "number": NO_NUMBER,
            "merge": uuid.uuid4(),
            "uuid": uuid.uuid4(),
            "booking": uuid.uuid4(),
            "slug": "none",
            "token": "none",
            "provider_id": "none",
        }
        return reverse(self.name, kwargs={name: values.get(name, 0) for name in self.parameters})


def walk(resolver: URLResolver, rooms: tuple[str, ...] = ()) -> Iterator[Address]:
    """Every address of the shop but the back office's, which lets nobody in but staff."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            if entry.namespace != "admin":
                yield from walk(entry, (*rooms, entry.namespace) if entry.namespace else rooms)
        elif isinstance(entry, URLPattern) and entry.name:
            groups = entry.pattern.regex.groupindex
            yield Address(":".join((*rooms, entry.name)), tuple(groups))


def addresses() -> list[Address]:
    return sorted(set(walk(get_resolver())), key=lambda address: address.name)


def named(kind: str) -> list[str]:
    return [name for name, is_kind in GUESSABLE.items() if is_kind == kind]


def test_every_address_that_can_be_guessed_is_known_here() -> None:
    with_parameters = {address.name for address in addresses() if address.parameters}

    assert with_parameters == set(GUESSABLE)


# --- How an answer is compared


def kind_of(answer: Any, *own_words: str) -> tuple[Any, ...]:
    """All that an answer tells: its status, where it leads, its cookies and its body, but for what was asked for and
    how many seconds one's own basket is still held."""
    body, location = answer.content.decode(), answer.headers.get("Location", "")
    body = re.sub(r'csrfmiddlewaretoken" value="[^"]*|data-countdown="\d+', "", body)
    for word in own_words:
        body, location = (re.sub(re.escape(word), "ASKED", text, flags=re.IGNORECASE) for text in (body, location))
    headers = {name: value for name, value in answer.headers.items() if name not in ("Location", "Content-Length")}
    return answer.status_code, location, sorted(answer.cookies), sorted(headers), body


def ask(client: Client, method: str, path: str, *own_words: str, **more: Any) -> tuple[Any, ...]:
    return kind_of(client.generic(method, path, **more), *own_words)


# --- Orders


@pytest.fixture
def theirs(payment: Payment, sumup: Simulator, shopper: User) -> Order:
    """The shopper's order, paid, with money that nobody has decided about."""
    Order.objects.filter(pk=payment.order_id).update(user=shopper)
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    Case.open(Case.Kind.LATE_PAYMENT, payment, "A test.")
    return Order.objects.get(pk=payment.order_id)


@pytest.fixture
def unpaid(payment: Payment) -> Order:
    """A guest's order whose page is open at SumUp."""
    return payment.order


@pytest.fixture
def strangers(place_order: PlaceOrder) -> dict[str, Client]:
    """Nobody at all; somebody who signed in and has orders; and who came with the secret link of another order."""
    bob = UserFactory(username="bob", email="bob@example.org", name="Bob")
    bobs = place_order((ProductFactory(), 1), user=bob)
    OrderContact.objects.filter(order=bobs).update(name="Bob", email="bob@example.org")
    signed_in, holder = Client(), holder_of(place_order((ProductFactory(), 1)))
    signed_in.force_login(bob)
    return {"anonymous": Client(), "signed in": signed_in, "holder of another": holder}


def attempts(order: Order, payment: Payment) -> list[tuple[str, str, bool]]:
    """What may be tried with an order's number: a method, a query, and whether the number is typed in small letters.

    The real secrets are tried only where they are none: another's key, or the key on the page that wants a token.
    """
    other = Order.objects.exclude(pk=order.pk).first()
    keys = ["", "wrong", "%00", "a" * 500, other.key, payment.webhook_token, str(order.uuid), order.number]
    tokens = ["", "wrong", order.key, payment.webhook_token]
    asked = ["", *(f"?key={key}" for key in keys), *(f"?token={token}" for token in tokens)]
    return [
        *(("GET", query, False) for query in asked),
        *(("GET", query, True) for query in ("", "?key=wrong", "?token=wrong")),
        *((method, "", is_small) for method in ("POST", "HEAD", "PUT", "DELETE") for is_small in (False, True)),
        ("POST", f"?key={order.key}", False),
    ]


@pytest.mark.parametrize("whose", ["theirs", "unpaid"])
@pytest.mark.parametrize("name", named(ORDER))
def test_an_order_that_is_not_ones_own_is_as_one_that_does_not_exist(
    name: str, whose: str, request: pytest.FixtureRequest, strangers: dict[str, Client]
) -> None:
    order: Order = request.getfixturevalue(whose)
    payment = order.payments.get()
    before = all_rows()

    found = {}
    for who, client in strangers.items():
        for method, query, is_typed_small in attempts(order, payment):
            numbers = [text.lower() if is_typed_small else text for text in (order.number, NO_NUMBER)]
            found[who, method, query, is_typed_small] = [
                ask(client, method, reverse(name, args=[number]) + query, *numbers) for number in numbers
            ]

    assert [asked for asked, (real, made_up) in found.items() if real != made_up] == []
    assert {real[0] for real, _made_up in found.values()} <= {302, 404, 405}
    assert {real[0] for asked, (real, _made_up) in found.items() if not asked[-1]} <= {404, 405}
    assert all_rows() == before


@pytest.mark.parametrize("name", named(ORDER))
def test_a_real_secret_works_for_its_own_order_and_page_only(
    name: str, theirs: Order, strangers: dict[str, Client]
) -> None:
    token = theirs.payments.get().return_token
    opens = {"orders:detail": ["key"], "orders:late_payment": ["key"], "orders:return": ["token"]}
    opens["orders:tickets"] = ["key"]

    answers = {
        query: Client().get(reverse(name, args=[theirs.number]), {query: secret}).status_code
        for query, secret in (("key", theirs.key), ("token", token))
    }

    assert {query for query, status in answers.items() if status == 302} == set(opens.get(name, []))
    assert set(answers.values()) <= {302, 404, 405}


def test_the_list_of_orders_shows_ones_own_whatever_is_asked(theirs: Order, strangers: dict[str, Client]) -> None:
    shopper = Client()
    shopper.force_login(theirs.user)
    cursor = "WyIyOTk5LTAxLTAxVDAwOjAwOjAwKzAwOjAwIiwgOTk5OTk5OTldrr"
    asked = ["", f"?q={theirs.number}", "?q=honey", f"?after={cursor}", "?status=confirmed", f"?user={theirs.user_id}"]

    pages = [strangers["signed in"].get(f"/orders/{query}").content.decode() for query in asked]

    assert theirs.number in shopper.get("/orders/").content.decode()
    assert [page for page in pages if theirs.get_absolute_url() in page] == []


def test_asking_for_a_lost_link_tells_nothing(theirs: Order) -> None:
    real = ask_form("/orders/find/", theirs.number, number=theirs.number)
    made_up = ask_form("/orders/find/", NO_NUMBER, number=NO_NUMBER)

    assert real == made_up


def ask_form(path: str, *own_words: str, **fields: str) -> tuple[Any, ...]:
    return kind_of(Client().post(path, fields), *own_words)


def test_looking_for_nobodys_order_takes_the_same_work(theirs: Order, django_assert_num_queries: Any) -> None:
    for name, query in (("orders:detail", "?key=wrong"), ("orders:return", "?token=wrong"), ("orders:receipt", "")):
        for number in (theirs.number, NO_NUMBER):
            with django_assert_num_queries(2 if name == "orders:return" else 1):
                Client().get(reverse(name, args=[number]) + query)


# --- Baskets


@pytest.fixture
def their_item(fill_cart: FillCart, honey: Product, shopper: User) -> CartItem:
    """A line in the shopper's basket."""
    cart, _token = fill_cart((honey, 2), user=shopper)
    return cart.items.get()


def owners_of_baskets(fill_cart: FillCart, workshop: Entry) -> dict[str, Client]:
    """Visitors with and without a basket of their own."""
    _cart, token = fill_cart((workshop, 1))
    signed_in = Client()
    signed_in.force_login(UserFactory())
    return {"nobody": Client(), "with a basket": visitor(token), "signed in": signed_in}


@pytest.mark.parametrize("name", named(ITEM))
def test_a_line_of_anothers_basket_is_as_one_that_does_not_exist(
    name: str, their_item: CartItem, fill_cart: FillCart, workshop: Entry
) -> None:
    visitors = owners_of_baskets(fill_cart, workshop)
    before = all_rows()

    for client in visitors.values():
        for method in ("GET", "POST"):
            answers = [
                ask(
                    client, method, reverse(name, args=[item]), f"/{item}/", f"%2F{item}%2F",
                    data="quantity=0", content_type="application/x-www-form-urlencoded",
                )
                for item in (their_item.pk, 987654321)
            ]  # fmt: skip
            assert answers[0] == answers[1]
            assert answers[0][0] == (405 if method == "GET" else 422)

    assert all_rows() == before


@pytest.mark.parametrize("name", named(MERGE))
def test_the_meeting_of_anothers_baskets_is_as_one_that_never_was(
    name: str, their_item: CartItem, fill_cart: FillCart, workshop: Entry
) -> None:
    merge = CartMerge.objects.create(cart=their_item.cart, how="merged", news=["More honey"])
    Cart.objects.filter(pk=their_item.cart_id).update(last_merge=merge)
    visitors = owners_of_baskets(fill_cart, workshop)
    before = all_rows()

    for client in visitors.values():
        for method in ("GET", "POST"):
            guessed = (merge.uuid, uuid.uuid4())
            answers = [ask(client, method, reverse(name, args=[guess]), str(guess)) for guess in guessed]
            assert answers[0] == answers[1]

    assert all_rows() == before


def test_anothers_basket_cannot_be_ordered(their_item: CartItem, fill_cart: FillCart, workshop: Entry) -> None:
    mine, token = fill_cart((workshop, 1))
    posted = typed(their_item.cart)
    before = all_rows()

    real = kind_of(visitor(token).post("/checkout/", posted | {"cart": str(their_item.cart.uuid)}))
    made_up = kind_of(visitor(token).post("/checkout/", posted | {"cart": str(uuid.uuid4())}))

    assert real == made_up
    assert real[0] == 422
    assert all_rows() == before
    assert mine.ordered_at is None


def test_ordering_anothers_ordered_basket_once_more_leads_to_no_order(
    fill_cart: FillCart, honey: Product, workshop: Entry, shopper: User
) -> None:
    cart, token = fill_cart((honey, 1), user=shopper)
    posted = typed(cart)
    order = place_cart(cart, token, user=shopper)
    _mine, my_token = fill_cart((workshop, 1))

    answer = visitor(my_token).post("/checkout/", posted)

    assert answer.status_code == 422
    assert order.number not in str(answer.headers) + answer.content.decode()
    assert "order" not in answer.cookies


# --- Waiting lists


@pytest.fixture
def waiter(shopper: User) -> Waiter:
    """The shopper, in line for a workshop that is sold out."""
    entry = EntryFactory(places=1)
    capacity.claim(entry.pool_id, 1, None)
    EmailAddress.objects.create(user=shopper, email=shopper.email, verified=True, primary=True)
    return join(entry, "ada", user=shopper)


@pytest.mark.parametrize("name", named(WAITER))
def test_a_place_in_a_line_that_is_not_ones_own_is_as_one_that_does_not_exist(name: str, waiter: Waiter) -> None:
    other = join(waiter.entry, "bob")
    signed_in, holder = Client(), Client()
    signed_in.force_login(UserFactory())
    holder.get(other.secret_link)
    keys = ["", "?key=", "?key=wrong", "?key=%00", f"?key={other.key}", f"?key={waiter.uuid}"]
    asked = [*(("GET", key) for key in keys), *((method, "") for method in ("POST", "HEAD", "PUT", "DELETE"))]
    asked += [("POST", f"?key={waiter.key}")]
    before = all_rows()

    for client in (Client(), signed_in, holder):
        for method, query in asked:
            guessed = (waiter.uuid, uuid.uuid4())
            words = [str(guess) for guess in guessed]
            answers = [ask(client, method, reverse(name, args=[guess]) + query, *words) for guess in guessed]
            assert answers[0] == answers[1]
            assert answers[0][0] in (404, 405)

    assert all_rows() == before


def test_joining_a_line_tells_nobody_who_is_in_it(waiter: Waiter) -> None:
    fields = {"email": "", "quantity": "1"}

    answers = [
        kind_of(Client().post(reverse("bookings:wait", args=[waiter.entry_id]), fields | {"email": email}), email)
        for email in ("ada@example.org", "new@example.org")
    ]

    assert answers[0] == answers[1]
    assert answers[0][0] == 302


# --- Tickets, and the door


@pytest.mark.parametrize("name", named(TICKET))
def test_a_ticket_is_found_by_its_own_uuid_only(name: str, theirs: Order, strangers: dict[str, Client]) -> None:
    (ticket, *_others) = Booking.objects.filter(order_line__order=theirs)
    wrong = (theirs.uuid, ticket.order_line.uuid, ticket.entry.uuid, ticket.hold.uuid, uuid.uuid4())
    before = all_rows()

    for client in strangers.values():
        answers = [ask(client, "GET", reverse(name, args=[guess]), str(guess)) for guess in wrong]
        assert {answer[0] for answer in answers} == {404}
        assert answers == [answers[0]] * len(answers)
        assert client.get(reverse(name, args=[ticket.uuid])).status_code == 200
        assert client.post(reverse(name, args=[ticket.uuid])).status_code == 405

    assert all_rows() == before


@pytest.mark.parametrize("name", named(DOOR))
def test_there_is_no_door_for_those_who_do_not_work_at_it(
    name: str, theirs: Order, workshop: Entry, strangers: dict[str, Client]
) -> None:
    """Nor for staff without the permission, nor for a shopper who somehow has it."""
    staff, promoted = UserFactory(is_staff=True), UserFactory()
    promoted.user_permissions.add(Permission.objects.get(codename="check_in"))
    for person in (staff, promoted):
        client = Client()
        client.force_login(person)
        strangers[str(person.username)] = client
    booking = Booking.objects.filter(order_line__order=theirs)[0]
    posted = {"code": booking.code, "booking": str(booking.uuid), "scan": str(uuid.uuid4()), "came": "yes"}
    before = all_rows()

    for client in strangers.values():
        for method in ("get", "post"):
            answers = [
                kind_of(getattr(client, method)(reverse(name, args=[entry]), posted), f"/{entry}/", f"%2F{entry}%2F")
                for entry in (workshop.pk, 987654321)
            ]
            assert answers[0] == answers[1]
            assert answers[0][0] in (302, 404, 405)

    assert all_rows() == before


# --- SumUp's door, and the siblings'


@pytest.mark.parametrize("name", named(TOKEN))
def test_a_known_token_answers_as_an_unknown_one(name: str, payment: Payment) -> None:
    for method in ("GET", "POST"):
        answers = [ask(Client(), method, reverse(name, args=[token])) for token in (payment.webhook_token, "unknown")]
        assert answers[0] == answers[1]


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Bearer ", "Basic YTpi"])
def test_without_a_siblings_token_nothing_is_told(
    header: str, honey: Product, shopper: User, fill_cart: FillCart
) -> None:
    _cart, token = fill_cart((honey, 1), user=shopper)
    client = Client(headers={"Authorization": header} if header else {})
    client.force_login(shopper)
    pairs = [
        ("PUT", f"/internal/stock/{honey.sku}", "/internal/stock/NONE"),
        ("GET", f"/internal/cart/summary?user={shopper.uuid}", f"/internal/cart/summary?user={uuid.uuid4()}"),
        ("GET", f"/internal/cart/summary?cart={token}", "/internal/cart/summary?cart=unknown"),
    ]

    answers = [(ask(client, method, real), ask(client, method, made_up)) for method, real, made_up in pairs]

    assert {real[0] for real, _made_up in answers} == {401}
    assert [pair for pair in answers if pair[0] != pair[1]] == []


def test_adopting_anothers_basket_is_as_one_that_does_not_exist(
    settings: Any, honey: Product, shopper: User, fill_cart: FillCart
) -> None:
    settings.INTERNAL_API_TOKENS = {"market": "a-token-of-16-characters"}
    sibling = Client(headers={"Authorization": "Bearer a-token-of-16-characters"})
    cart, token = fill_cart((honey, 1), user=shopper)
    mallory = UserFactory()
    before = all_rows()

    answers = [
        kind_of(
            sibling.post("/internal/cart/adopt", {"cart": presented, "user": str(mallory.uuid)}, "application/json")
        )
        for presented in (token, "unknown")
    ]

    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert all_rows() == before
    assert cart.user == shopper


# --- People


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/account/code/", {}),
        ("/account/sign-up/", {"name": "Mallory"}),
        ("/account/password/reset/", {}),
        ("/sign-in/", {"password": "a wrong password"}),
    ],
)
def test_nobody_learns_who_has_an_account(
    path: str, fields: dict[str, str], shopper: User, mailoutbox: list[EmailMessage]
) -> None:
    connect(shopper)
    field = "username" if path == "/sign-in/" else "email"
    known, unknown = "ada@example.org", "eve@example.org"

    answers = [
        ask_form(path, email, email.replace("@", "%40"), **{field: email}, **fields) for email in (known, unknown)
    ]

    assert answers[0] == answers[1]


def test_nobody_sees_exports_or_erases_the_data_of_another(shopper: User, strangers: dict[str, Client]) -> None:
    before = all_rows()
    tried = {"user": str(shopper.uuid), "id": str(shopper.pk), "email": shopper.email}

    seen = strangers["signed in"].get("/account/data/", tried).content
    export: Any = strangers["signed in"].get("/account/data/export/", tried)
    exported = b"".join(export.streaming_content)
    erased = strangers["signed in"].post("/account/data/erase/?user=" + tried["user"], tried)

    assert b"ada@example.org" not in seen + exported
    assert b"bob@example.org" in exported
    assert erased.status_code == 422
    assert all_rows()["cartsite.User"] == before["cartsite.User"]
    assert {strangers["anonymous"].get(f"/account/data/{name}").status_code for name in ("", "export/", "erase/")} == {
        302
    }


BACK_OFFICE = ["admin:orders_order_change", "admin:orders_order_money", "admin:cartsite_user_change"]


@pytest.mark.parametrize("page", BACK_OFFICE)
def test_the_back_office_tells_strangers_nothing(page: str, theirs: Order, strangers: dict[str, Client]) -> None:
    real = theirs.user_id if "user" in page else theirs.pk

    for client in strangers.values():
        answers = [ask(client, "GET", reverse(page, args=[key]), f"/{key}/") for key in (real, 987654321)]
        assert answers[0] == answers[1]
        assert answers[0][0] == 302


# --- Every address at once


@pytest.mark.parametrize("address", addresses(), ids=lambda address: address.name)
def test_a_form_from_elsewhere_does_nothing(address: Address, shopper: User, theirs: Order) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(shopper)
    path = address.fill().replace(NO_NUMBER, theirs.number)
    before = all_rows()

    answer = client.post(path, {"email": shopper.email, "decision": "refund", "number": theirs.number})

    if address.name in WITHOUT_CSRF:
        assert answer.status_code in {204, 401, 405}
    else:
        assert answer.status_code == 403
    assert all_rows() == before


ELSEWHERE = [f"//{FOREIGN}/", f"https://{FOREIGN}/", f"/\\{FOREIGN}/", f"https:///{FOREIGN}", "javascript:alert(1)"]


@pytest.mark.parametrize("target", ELSEWHERE)
def test_no_address_leads_to_another_site(target: str, shopper: User) -> None:
    led_away = []
    for address in addresses():
        for is_known in (False, True):
            for method in ("get", "post"):
                client = Client()
                if is_known:
                    client.force_login(shopper)
                tried = {"next": target, "redirect_to": target, "return": target}
                body = tried if method == "post" else None
                answer = getattr(client, method)(f"{address.fill()}?{urlencode(tried)}", body)
                location = answer.headers.get("Location", "")
                if urlsplit(location).netloc or urlsplit(location).scheme or location[1:2] in ("/", "\\"):
                    led_away.append((address.name, method, location))

    assert led_away == []


def test_signing_in_leads_to_no_other_site(shopper: User) -> None:
    for target in [*ELSEWHERE, f"\t//{FOREIGN}/"]:
        answer = Client().post("/sign-in/", {"username": "ada", "password": "correct horse", "next": target})
        assert (answer.status_code, answer["Location"]) == (302, "/")


def test_vouchers_cannot_be_guessed_without_end(fill_cart: FillCart, honey: Product, settings: Any) -> None:
    settings.LIMITS = {**settings.LIMITS, "voucher": (3, 600)}
    cart, token = fill_cart((honey, 1))
    client = visitor(token)

    answers = [client.post("/checkout/", {"update": "1", "voucher": f"GUESS{n}"}).status_code for n in range(5)]

    assert answers[:3] != [429] * 3
    assert answers[3:] == [429, 429]
    assert cart.ordered_at is None
