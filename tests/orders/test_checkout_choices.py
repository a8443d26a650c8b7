"""The checkout page lets one choose: a voucher, a window or a delivery, and the terms; it works as a plain form."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bookings.models import Entry
from cart.models import Cart, Product
from orders.models import DeliveryAddress, Order
from orders.offers import CollectionSlot, Voucher
from orders.quoting import Address, Choices
from payments.models import Payment
from payments.simulator import Simulator
from tests.factories import CollectionSlotFactory, DeliveryZoneFactory, VoucherFactory
from tests.orders.acts import EMAIL, HTMX, NAME, agreed_for, all_rows, typed, visitor

pytestmark = pytest.mark.django_db

FillCart = Callable[..., tuple[Cart, str]]
HOME = {"street": "1 High Street", "town": "Bristol", "postcode": "bs1 3ab"}


@pytest.fixture
def slot(db: None) -> CollectionSlot:
    return CollectionSlotFactory()


@pytest.fixture
def basket(fill_cart: FillCart, honey: Product) -> tuple[Cart, str]:
    """Two jars: £13.00."""
    return fill_cart((honey, 2))


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def update(client: Client, headers: dict[str, str] | None = None, **sent: str) -> Any:
    """Ask for the sums with these choices."""
    return client.post("/checkout/", {"update": "1", **sent}, headers=headers)


def what_a_browser_sends(page: str) -> dict[str, str]:
    """The fields of the page's form with their values, as far as they are in it."""
    inputs = re.findall(r"<input[^>]+>", page[page.index('action="/checkout/"') :])
    fields = {}
    for each in inputs:
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', each))
        is_chosen = attributes.get("type") not in ("radio", "checkbox") or re.search(r"\schecked\b", each)
        if "name" in attributes and is_chosen and " disabled" not in each:
            fields[attributes["name"]] = attributes.get("value", "on" if attributes.get("type") == "checkbox" else "")
    return fields


# --- Looking again ----------------------------------------------------------------------------------------------------


def test_an_applied_voucher_is_shown_with_the_new_sums_and_nothing_moves(basket: tuple[Cart, str]) -> None:
    _cart, token = basket
    VoucherFactory(code="SPRING", title="Spring is here")
    before = all_rows()

    answer = update(visitor(token), voucher="spring", name="Grace", email="gr")

    said = text_of(answer)
    assert answer.status_code == 200
    for needed in ("Spring is here", "-£1.30", "£11.70", 'value="spring"', 'value="Grace"', 'value="gr"'):
        assert needed in said
    assert "errorlist" not in said
    without_house = {label: rows for label, rows in all_rows().items() if label != "cart.Stall"}
    assert without_house == {label: rows for label, rows in before.items() if label != "cart.Stall"}


def test_why_a_voucher_cannot_be_used_stands_beside_it(basket: tuple[Cart, str]) -> None:
    _cart, token = basket

    answer = update(visitor(token), voucher="nonsense")

    field = re.search(r'<div class="field mt-4">.*?id="id_voucher_error".*?</ul>', text_of(answer))
    assert field is not None
    assert "We do not know this voucher code." in field[0]
    assert 'aria-invalid="true"' in field[0]
    assert 'aria-describedby="id_voucher_error"' in field[0]
    assert "£13.00" in text_of(answer)


def test_a_window_that_was_chosen_stays_chosen(basket: tuple[Cart, str], slot: CollectionSlot) -> None:
    _cart, token = basket

    said = text_of(update(visitor(token), handover=str(slot.uuid)))

    assert re.search(rf'value="{slot.uuid}"[^>]* checked', said)
    assert "Collection: Saturday market" in said


def test_a_postcode_alone_tells_the_fee_and_what_else_is_needed_only_at_the_end(
    basket: tuple[Cart, str], slot: CollectionSlot
) -> None:
    cart, token = basket
    DeliveryZoneFactory()

    before = text_of(update(visitor(token), handover="delivery", postcode=""))
    answer = update(visitor(token), handover="delivery", postcode="bs13ab")
    placed = visitor(token).post("/checkout/", typed(cart) | {"handover": "delivery", "postcode": "bs13ab"})

    assert 'class="error"' not in before
    assert "£16.50" in text_of(answer)
    assert "Please tell us the street" not in text_of(answer)
    assert placed.status_code == 422
    assert list(placed.context["choices"].errors) == ["street", "town"]
    assert not Order.objects.exists()


def test_first_nobody_is_told_off_for_what_they_have_not_chosen_yet(
    basket: tuple[Cart, str], slot: CollectionSlot
) -> None:
    said = text_of(visitor(basket[1]).get("/checkout/"))

    assert "Please choose" not in said
    assert "nothing is added later" not in said
    assert "Your order was not placed yet" not in said


def test_htmx_gets_the_review_alone_with_what_is_wrong_elsewhere(
    basket: tuple[Cart, str], slot: CollectionSlot
) -> None:
    DeliveryZoneFactory()

    answer = update(visitor(basket[1]), HTMX, handover="delivery", postcode="LS1 4AP")

    said = text_of(answer)
    assert answer.status_code == 200
    assert "<html" not in said
    assert said.lstrip().startswith('<div id="review"')
    assert re.search(r'id="postcode-problem" role="alert" hx-swap-oob="true"> <p class="error">We do not deliver', said)
    assert 'id="announcer"' in said


def test_a_boosted_or_plain_page_is_whole(basket: tuple[Cart, str], slot: CollectionSlot) -> None:
    said = text_of(visitor(basket[1]).get("/checkout/"))

    assert "<html" in said
    assert "hx-swap-oob" not in said


# --- What is asked ----------------------------------------------------------------------------------------------------


def test_places_alone_are_asked_for_no_hand_over_and_no_address(
    fill_cart: FillCart, workshop: Entry, slot: CollectionSlot
) -> None:
    DeliveryZoneFactory()
    _cart, token = fill_cart((workshop, 1))

    said = text_of(visitor(token).get("/checkout/"))

    assert "How you get your goods" not in said
    assert 'name="street"' not in said


def test_no_address_is_asked_where_nothing_is_brought(basket: tuple[Cart, str], slot: CollectionSlot) -> None:
    said = text_of(visitor(basket[1]).get("/checkout/"))

    assert "How you get your goods" in said
    assert 'name="street"' not in said


def test_a_full_window_is_shown_but_cannot_be_pressed(basket: tuple[Cart, str]) -> None:
    full = CollectionSlotFactory(orders=0, name="Full day")

    said = text_of(visitor(basket[1]).get("/checkout/"))

    assert re.search(rf'value="{full.uuid}"[^>]* disabled', said)
    assert re.search(r"Full day</span> <span class=\"tag tag-wait\">Full</span>", said)


def test_the_first_button_of_the_form_applies_and_the_last_one_places(
    basket: tuple[Cart, str], slot: CollectionSlot
) -> None:
    page = text_of(visitor(basket[1]).get("/checkout/"))
    form = page[page.index('action="/checkout/"') :]

    buttons = re.findall(r"<button[^>]+>", form[: form.index("</form>")])

    assert [re.findall(r'id="(\w+)"', button) for button in buttons] == [["update"], ["apply"], ["place"]]
    assert [("formnovalidate" in button, 'name="update"' in button) for button in buttons] == [
        (True, True),
        (True, True),
        (False, False),
    ]


# --- What is told -----------------------------------------------------------------------------------------------------


def test_the_review_tells_whose_money_it_is_and_its_tax(
    fill_cart: FillCart, honey: Product, workshop: Entry, slot: CollectionSlot
) -> None:
    DeliveryZoneFactory(tax_rate="20.00")
    VoucherFactory(code="SPRING")
    _cart, token = fill_cart((honey, 2), (workshop, 1))

    said = text_of(update(visitor(token), handover="delivery", voucher="spring", **HOME))

    # 13.00 + 35.00 less 1.30 and 3.50, and 3.50 of delivery
    assert "Place order and pay £46.70" in said
    told = re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", said)
    assert told == [
        (f"to {honey.stall.name}", "£11.70"),
        (f"to {workshop.calendar.stall.name}", "£31.50"),
        ("to Rose Ash (house)", "£3.50"),
        ("VAT at 20%, in £35.00", "£5.83"),
        ("VAT at 0%, in £11.70", "£0.00"),
    ]


def test_each_line_says_until_when_it_may_be_cancelled(fill_cart: FillCart, honey: Product, workshop: Entry) -> None:
    workshop.calendar.kept_percent = Decimal("12.50")
    workshop.calendar.save()
    _cart, token = fill_cart((honey, 1), (workshop, 1))

    said = text_of(visitor(token).get("/checkout/"))
    workshop.calendar.cancel_hours = 24 * 30
    workshop.calendar.save()
    too_late = text_of(visitor(token).get("/checkout/"))
    workshop.calendar.cancel_hours = None
    workshop.calendar.save()
    never = text_of(visitor(token).get("/checkout/"))

    assert "You can cancel until" in said
    assert "and get all of it back." in said
    assert "and get back all but 12.50%." in said
    assert "Can no longer be cancelled." in too_late
    assert "Cannot be cancelled." in never


def test_who_is_not_signed_in_may_be_but_need_not(basket: tuple[Cart, str], shopper: Any) -> None:
    client = visitor(basket[1])
    quiet = text_of(client.get("/checkout/"))
    client.force_login(shopper)

    assert "Have an account?" in quiet
    assert "?next=/checkout/" in quiet
    assert "Have an account?" not in text_of(client.get("/checkout/"))


# --- Placing ----------------------------------------------------------------------------------------------------------


def test_what_the_page_shows_is_what_it_places(
    fill_cart: FillCart, honey: Product, workshop: Entry, slot: CollectionSlot, sumup: Simulator
) -> None:
    DeliveryZoneFactory()
    VoucherFactory(code="SPRING")
    cart, token = fill_cart((honey, 2), (workshop, 1))
    client = visitor(token)

    page = text_of(update(client, handover="delivery", voucher="spring", name=NAME, email=EMAIL, terms="on", **HOME))
    answer = client.post("/checkout/", what_a_browser_sends(page))

    order = Order.objects.get()
    assert answer["Location"] == Payment.objects.get().checkout_url
    assert f"Place order and pay £{order.total}" in page
    assert [line.kind for line in order.lines.all()] == ["product", "entry", "discount", "fee"]
    assert (order.cart, DeliveryAddress.objects.get().postcode) == (cart, "BS1 3AB")


def test_without_the_terms_nothing_is_placed(basket: tuple[Cart, str], slot: CollectionSlot) -> None:
    cart, token = basket
    sent = typed(cart, chosen=Choices(str(slot.uuid)))
    del sent["terms"]
    before = all_rows()

    answer = visitor(token).post("/checkout/", sent)

    said = text_of(answer)
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["terms"])
    assert re.search(r'name="terms"[^>]*aria-describedby="id_terms_error"', said)
    assert "Please read the terms and accept them" in said
    assert re.search(rf'value="{slot.uuid}"[^>]* checked', said)
    assert all_rows() == before


def test_goods_without_a_way_to_their_shopper_are_not_placed(basket: tuple[Cart, str], slot: CollectionSlot) -> None:
    cart, token = basket
    before = all_rows()

    answer = visitor(token).post("/checkout/", typed(cart))

    assert answer.status_code == 422
    assert answer.context["choices"].errors == {"handover": ["Please choose how you get your goods."]}
    assert re.search(r'id="handover-problem" role="alert"> <p class="error">Please choose', text_of(answer))
    assert all_rows() == before


def test_a_voucher_that_is_over_since_the_review_is_never_charged_in_silence(
    basket: tuple[Cart, str], sumup: Simulator
) -> None:
    cart, token = basket
    VoucherFactory(code="SPRING")
    sent = typed(cart, chosen=Choices(voucher="SPRING"))
    Voucher.objects.update(valid_until=timezone.now())
    client = visitor(token)

    answer = client.post("/checkout/", sent)
    stubborn = client.post("/checkout/", what_a_browser_sends(text_of(answer)))
    without = client.post("/checkout/", what_a_browser_sends(text_of(stubborn)) | {"voucher": ""})

    assert (answer.status_code, stubborn.status_code, without.status_code) == (422, 422, 302)
    assert "This voucher is no longer valid." in text_of(answer)
    assert Order.objects.get().total == Decimal("13.00")


@pytest.mark.parametrize(
    "forged",
    [
        {"handover": "nonsense"},
        {"handover": "x" * 500},
        {"handover": "delivery", "postcode": "x" * 500},
        {"handover": "delivery", "street": "a\x00b"},
        {"voucher": "x" * 500},
        {"voucher": "a\x00b"},
        {"voucher": "%' OR 1=1 --"},
    ],
)
@pytest.mark.parametrize("pressed", [{"update": "1"}, {}], ids=["update", "place"])
def test_forged_choices_are_answered_and_place_nothing(
    basket: tuple[Cart, str], slot: CollectionSlot, forged: dict[str, str], pressed: dict[str, str]
) -> None:
    cart, token = basket
    DeliveryZoneFactory()

    answer = visitor(token).post("/checkout/", typed(cart) | forged | pressed)

    assert answer.status_code == (200 if pressed else 422)
    assert not Order.objects.exists()


def test_codes_cannot_be_guessed_for_long(basket: tuple[Cart, str], settings: Any) -> None:
    settings.LIMITS = settings.LIMITS | {"voucher": (2, 600)}
    VoucherFactory(code="SPRING")
    cart, token = basket
    client = visitor(token)
    for guess in ("A", "B"):
        assert update(client, voucher=guess).status_code == 200

    answers = [update(client, voucher="SPRING"), client.post("/checkout/", typed(cart) | {"voucher": "SPRING"})]

    assert [answer.status_code for answer in answers] == [429, 429]
    assert update(client).status_code == 200


def test_one_may_look_as_often_as_one_likes_without_placing(basket: tuple[Cart, str], settings: Any) -> None:
    settings.LIMITS = settings.LIMITS | {"order": (0, 600)}

    assert update(visitor(basket[1])).status_code == 200


# --- The terms --------------------------------------------------------------------------------------------------------


def test_the_terms_have_a_page_that_names_their_version(client: Client, settings: Any) -> None:
    settings.TERMS_VERSION = "2031-05"

    answer = client.get("/terms/")

    assert answer.status_code == 200
    assert "Version 2031-05." in text_of(answer)
    assert client.post("/terms/").status_code == 405


def test_the_version_of_the_terms_is_part_of_what_is_agreed(basket: tuple[Cart, str], settings: Any) -> None:
    seen = agreed_for(basket[0])

    settings.TERMS_VERSION = "2031-05"

    assert agreed_for(basket[0]) != seen
    assert agreed_for(basket[0], Choices("", Address(*HOME.values()))) == agreed_for(basket[0])


# --- Chosen and placed by one press, as without JavaScript ------------------------------------------------------------


def place_from(client: Client, **chosen: str) -> Any:
    """Open the page, choose in its form, and press its button once."""
    fields = what_a_browser_sends(text_of(client.get("/checkout/")))
    return client.post("/checkout/", fields | {"name": NAME, "email": EMAIL, "terms": "on"} | chosen)


def place_again(client: Client, answer: Any) -> Any:
    """Press the button of the page that came instead, with all that is in its form."""
    return client.post("/checkout/", what_a_browser_sends(text_of(answer)))


def test_a_collection_that_costs_nothing_is_not_asked_about_again(
    basket: tuple[Cart, str], slot: CollectionSlot, sumup: Simulator
) -> None:
    answer = place_from(visitor(basket[1]), handover=str(slot.uuid))

    assert answer.status_code == 302
    assert Order.objects.get().total == Decimal("13.00")
    assert Payment.objects.get().amount == Decimal("13.00")


def test_another_window_at_the_same_sum_is_not_asked_about_again(
    basket: tuple[Cart, str], slot: CollectionSlot, sumup: Simulator
) -> None:
    other = CollectionSlotFactory(name="Sunday market")
    client = visitor(basket[1])
    seen = what_a_browser_sends(text_of(update(client, handover=str(slot.uuid))))

    answer = client.post(
        "/checkout/", seen | {"name": NAME, "email": EMAIL, "terms": "on", "handover": str(other.uuid)}
    )

    assert answer.status_code == 302
    assert Order.objects.get().lines.get(kind="fee").slot == other


def test_a_voucher_that_was_typed_last_is_taken_off_at_once(basket: tuple[Cart, str], sumup: Simulator) -> None:
    VoucherFactory(code="SPRING", title="Spring is here")

    answer = place_from(visitor(basket[1]), voucher="spring")

    assert answer.status_code == 302
    assert Order.objects.get().total == Decimal("11.70")


def test_a_delivery_shows_its_new_sum_once_and_says_what_it_adds(
    basket: tuple[Cart, str], slot: CollectionSlot, sumup: Simulator
) -> None:
    DeliveryZoneFactory()
    client = visitor(basket[1])

    shown = place_from(client, handover="delivery", **HOME)
    orders = Order.objects.count()
    placed = place_again(client, shown)

    said = text_of(shown)
    assert (shown.status_code, orders, placed.status_code) == (422, 0, 302)
    assert "Delivery adds £3.50: your order is now £16.50." in said
    assert "has changed" not in said
    assert "Place order and pay £16.50" in said
    assert Order.objects.get().total == Decimal("16.50")


def test_a_voucher_that_was_taken_out_shows_the_new_sum_once(basket: tuple[Cart, str], sumup: Simulator) -> None:
    VoucherFactory(code="SPRING")
    client = visitor(basket[1])
    seen = what_a_browser_sends(text_of(update(client, voucher="spring")))

    shown = client.post("/checkout/", seen | {"name": NAME, "email": EMAIL, "terms": "on", "voucher": ""})
    placed = place_again(client, shown)

    assert "Without the voucher your order is now £13.00." in text_of(shown)
    assert placed.status_code == 302
    assert Order.objects.get().total == Decimal("13.00")


def test_a_fee_that_rose_since_it_was_shown_is_shown_again(basket: tuple[Cart, str], sumup: Simulator) -> None:
    zone = DeliveryZoneFactory()
    client = visitor(basket[1])
    seen = what_a_browser_sends(text_of(update(client, handover="delivery", **HOME)))
    zone.fee = Decimal("4.00")
    zone.save()

    answer = client.post("/checkout/", seen | {"name": NAME, "email": EMAIL, "terms": "on"})

    assert answer.status_code == 422
    assert "What it comes to has changed since you looked." in text_of(answer)
    assert not Order.objects.exists()


def test_a_choice_hides_no_other_change(
    fill_cart: FillCart, honey: Product, slot: CollectionSlot, sumup: Simulator
) -> None:
    """A voucher would make up for the dearer delivery, but that is another sum than the one that was shown."""
    VoucherFactory(code="SPRING")
    zone = DeliveryZoneFactory()
    _cart, token = fill_cart((honey, 2))
    client = visitor(token)
    seen = what_a_browser_sends(text_of(update(client, handover="delivery", **HOME)))
    zone.fee = Decimal("3.60")
    zone.save()

    answer = client.post("/checkout/", seen | {"name": NAME, "email": EMAIL, "terms": "on", "voucher": "spring"})

    assert answer.status_code == 422
    assert not Order.objects.exists()


def test_a_forged_page_that_shows_nothing_is_shown_again(basket: tuple[Cart, str], sumup: Simulator) -> None:
    cart, token = basket

    answer = visitor(token).post("/checkout/", typed(cart, agreed="0123456789abcdef", shown_voucher="x"))

    assert answer.status_code == 422
    assert not Order.objects.exists()
