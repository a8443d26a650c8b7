"""Windows of collection, zones and vouchers are made by staff, counted by their pools, and archived."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from bookings.models import Pool
from cartsite.models import Case
from orders.models import DeliveryAddress
from orders.offers import CollectionSlot, DeliveryZone, Voucher
from orders.quoting import Address, Choices
from tests.backoffice.desk import text_of
from tests.factories import CollectionSlotFactory, DeliveryZoneFactory, PoolFactory, ProductFactory, VoucherFactory
from tests.orders.acts import place_cart
from tests.support.forms import save_form

pytestmark = pytest.mark.django_db

SLOT, ZONE, VOUCHER = (f"/admin/orders/{name}/" for name in ("collectionslot", "deliveryzone", "voucher"))


def slot_form(**changes: str) -> dict[str, str]:
    """What the browser sends for a market day in Amsterdam."""
    return {
        "name": "Canal market",
        "place": "Brouwersgracht",
        "time_zone": "Europe/Amsterdam",
        "starts_at_0": "2031-07-05",
        "starts_at_1": "10:00",
        "ends_at_0": "2031-07-05",
        "ends_at_1": "13:00",
        "orders_close_at_0": "2031-07-04",
        "orders_close_at_1": "18:00",
        "limit": "",
        **changes,
    }


def voucher_form(**changes: str) -> dict[str, str]:
    """What the browser sends for ten per cent off."""
    named = {"code": "Spring", "title": "Spring", "kind": "percent", "value": "10", "minimum": "0", "limit": "3"}
    times = {f"{name}_{n}": "" for name in ("valid_from", "valid_until") for n in (0, 1)}
    return named | times | changes


def errors_of(answer: Any) -> dict[str, list[str]]:
    form = answer.context["adminform"].form
    return {name: list(errors) for name, errors in form.errors.items()}


def test_a_windows_times_are_those_of_the_clock_where_it_is(staff_client: Client) -> None:
    answer = staff_client.post(f"{SLOT}add/", slot_form())

    slot = CollectionSlot.objects.get()
    assert answer.status_code == 302
    assert slot.starts_at == datetime(2031, 7, 5, 8, 0, tzinfo=UTC)
    assert slot.orders_close_at == datetime(2031, 7, 4, 16, 0, tzinfo=UTC)
    page = staff_client.get(f"{SLOT}{slot.pk}/change/").content.decode()
    assert 'value="10:00:00"' in page
    assert "Sat 5 Jul 2031, 10:00 to 13:00 CEST" in staff_client.get(SLOT).content.decode()


def test_saving_a_window_unchanged_moves_nothing(staff_client: Client) -> None:
    staff_client.post(f"{SLOT}add/", slot_form())
    before = CollectionSlot.objects.values().get()

    staff_client.post(f"{SLOT}{before['id']}/change/", slot_form())

    assert CollectionSlot.objects.values().get() == before


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"time_zone": "Europe/Nowhere"}, "time_zone"),
        ({"ends_at_1": "09:00"}, "ends_at"),
        ({"orders_close_at_0": "2031-07-06"}, "orders_close_at"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "3000000000"}, "limit"),
    ],
)
def test_a_window_that_cannot_be_is_refused(staff_client: Client, wrong: dict[str, str], field: str) -> None:
    answer = staff_client.post(f"{SLOT}add/", slot_form(**wrong))

    assert list(errors_of(answer)) == [field]
    assert not CollectionSlot.objects.exists()
    assert not Pool.objects.exists()


def test_every_offer_is_counted_from_the_first_order_on_limited_or_not(staff_client: Client) -> None:
    staff_client.post(f"{SLOT}add/", slot_form())
    staff_client.post(f"{VOUCHER}add/", voucher_form())

    assert [pool.wanted for pool in Pool.objects.order_by("pk")] == [None, 3]
    assert CollectionSlot.objects.get().pool
    assert Voucher.objects.get().pool


def test_a_new_limit_goes_through_set_capacity(staff_client: Client, fill_cart: Any, honey: object) -> None:
    staff_client.post(f"{VOUCHER}add/", voucher_form())
    for _order in range(2):
        place_cart(*fill_cart((honey, 1)), chosen=Choices(voucher="spring"))

    answer = save_form(staff_client, f"{VOUCHER}{Voucher.objects.get().pk}/change/", limit="1")

    pool = Pool.objects.get()
    assert (answer.status_code, pool.wanted, pool.capacity, pool.taken) == (302, 1, 2, 2)
    assert Case.objects.get().kind == Case.Kind.OVERSOLD
    assert Pool.objects.count() == 1


def test_a_code_is_kept_in_capitals_and_once(staff_client: Client) -> None:
    staff_client.post(f"{VOUCHER}add/", voucher_form(code=" spring "))

    answer = staff_client.post(f"{VOUCHER}add/", voucher_form(code="sPRING"))

    assert Voucher.objects.get().code == "SPRING"
    assert errors_of(answer)


@pytest.mark.parametrize(
    "wrong", [{"value": "101"}, {"value": "0"}, {"minimum": "-1"}, {"code": "two words"}, {"title": ""}]
)
def test_a_voucher_that_cannot_be_is_refused(staff_client: Client, wrong: dict[str, str]) -> None:
    answer = staff_client.post(f"{VOUCHER}add/", voucher_form(**wrong))

    assert errors_of(answer)
    assert not Voucher.objects.exists()


def test_a_voucher_does_not_end_before_it_begins(staff_client: Client) -> None:
    times = {"valid_from_0": "2031-01-02", "valid_from_1": "00:00", "valid_until_0": "2031-01-01"}

    answer = staff_client.post(f"{VOUCHER}add/", voucher_form(**times, valid_until_1="00:00"))

    assert errors_of(answer) == {"valid_until": ["It ends before it begins."]}


def test_beginnings_of_postcodes_are_kept_as_they_are_compared(staff_client: Client) -> None:
    typed = {"name": "Near", "postcodes": "bs1 BS2,bs1\nba2 4", "fee": "3.50", "tax_rate": "20"}

    answer = staff_client.post(f"{ZONE}add/", typed)

    assert answer.status_code == 302
    assert DeliveryZone.objects.get().postcodes == "BS1, BS2, BA2 4"


@pytest.mark.parametrize(
    ("postcodes", "said"),
    [("BS1; BS2", "BS1;"), (" , ", ""), ("BS3 BS1", "Zone 1 has these already: BS1"), ("ÄÖ1", "ÄÖ1")],
)
def test_beginnings_that_are_none_or_are_anothers_are_refused(staff_client: Client, postcodes: str, said: str) -> None:
    DeliveryZoneFactory(name="Zone 1")

    answer = staff_client.post(f"{ZONE}add/", {"name": "Z", "postcodes": postcodes, "fee": "3.50", "tax_rate": "20"})

    assert said in errors_of(answer)["postcodes"][0]
    assert DeliveryZone.objects.count() == 1


@pytest.mark.parametrize(("make", "path"), [(CollectionSlotFactory, SLOT), (DeliveryZoneFactory, ZONE)])
def test_an_offer_is_archived_and_offered_again_but_never_deleted(staff_client: Client, make: Any, path: str) -> None:
    offer = make()

    staff_client.post(path, {"action": "archive", "_selected_action": [offer.pk]})
    offer.refresh_from_db()
    assert offer.archived_at is not None
    staff_client.post(path, {"action": "restore", "_selected_action": [offer.pk]})

    offer.refresh_from_db()
    assert offer.archived_at is None
    assert staff_client.post(f"{path}{offer.pk}/delete/", {"post": "yes"}).status_code == 403


def test_used_and_of_are_told_in_the_list(staff_client: Client, fill_cart: Any, honey: object) -> None:
    VoucherFactory(code="SPRING", uses=7)
    place_cart(*fill_cart((honey, 1)), chosen=Choices(voucher="SPRING"))

    page = staff_client.get(VOUCHER).content.decode()

    told = [re.search(rf"field-{name}\b[^>]*>\s*([^<]*?)\s*<", page) for name in ("used", "limit")]
    assert [found and found[1] for found in told] == ["1", "7"]


def test_where_an_order_is_brought_to_stands_on_its_page(staff_client: Client, fill_cart: Any, honey: object) -> None:
    DeliveryZoneFactory()
    chosen = Choices("delivery", Address("1 High Street", "Bristol", "bs13ab"))
    order = place_cart(*fill_cart((honey, 1)), chosen=chosen)

    page = staff_client.get(f"/admin/orders/order/{order.pk}/change/").content.decode()

    assert DeliveryAddress.objects.get().postcode == "BS1 3AB"
    assert "1 High Street" in page
    assert "BS1 3AB" in page


def test_delivery_addresses_have_a_plural_of_their_own(staff_client: Client) -> None:
    page = text_of(staff_client.get("/admin/orders/deliveryaddress/"))

    assert "Delivery addresses" in page
    assert "addresss" not in page


def test_a_new_product_may_have_a_stock_that_nothing_else_takes_from(staff_client: Client) -> None:
    jam, honey = PoolFactory(name="Jam"), ProductFactory(stock=3)

    page = staff_client.get("/admin/cart/product/add/").content.decode()
    answer = staff_client.post("/admin/cart/product/add/", {"pool": "x"})

    assert f'<option value="{honey.stall_id}">{honey.stall}</option>' in page
    assert f'<option value="{jam.pk}">Jam</option>' in page
    assert f'<option value="{honey.pool_id}">{honey.pool}</option>' not in page
    assert "pool" in errors_of(answer)
