"""The demo shop: believable, loaded once, topped up later, and never in the way of what people do with it."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import time_machine
from django.apps import apps
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.utils import timezone

from bookings import capacity, planning
from bookings.models import Calendar, Entry, EntryKind, Pool, PriceKind, Question, Series
from cart.models import Product, Stall
from cartsite.models import User
from orders.offers import CollectionSlot, DeliveryZone, Voucher
from payments.simulator.checkouts import ALWAYS_DECLINED

STATIC = Path(__file__).resolve().parents[2] / "static"
PICTURES = {f"demo/{file.name}": file.read_text(encoding="utf-8") for file in (STATIC / "demo").iterdir()}
SATURDAY = 5
ORDINARY_DAY = datetime(2026, 6, 2, 15, 20, tzinfo=UTC)
COMPLETE = "The demo shop is complete; nothing to load.\n"

LoadDemo = Callable[[], str]


@pytest.fixture
def load_demo(db: None, settings: Any) -> LoadDemo:
    """Run the command where DEMO is on; what it printed."""
    settings.DEMO = True

    def run() -> str:
        out = StringIO()
        call_command("load_demo", stdout=out)
        return out.getvalue()

    return run


def every_row() -> dict[str, list[dict[str, Any]]]:
    """Every value of every row of the rooms that the demo fills."""
    rooms = ("cartsite", "bookings", "cart", "orders", "payments")
    kinds = [kind for kind in apps.get_models() if kind._meta.app_label in rooms]
    return {kind._meta.label: list(kind._default_manager.order_by("pk").values()) for kind in kinds}


def bread_workshops() -> list[Entry]:
    return list(Entry.objects.filter(title="Bread workshop").select_related("calendar").order_by("starts_at"))


def test_a_shop_worth_looking_at_is_loaded(load_demo: LoadDemo) -> None:
    said = load_demo()

    assert said.startswith(
        "Loaded 9 stalls, 54 products, 4 calendars, 2 questions, 13 series, 69 entries, 3 sign-ins, 3 windows, "
        "2 zones, 2 vouchers.\n"
    )
    assert Stall.objects.filter(is_house=False).count() == 8
    assert Stall.objects.get(is_house=True).name == "Rose Ash Co-operative"
    assert Product.objects.on_sale().count() == 54
    assert Product.objects.filter(title__icontains="honey", picture__contains="honey", price__gt=0).exists()
    assert Calendar.objects.values("time_zone").distinct().count() == 2
    assert {product.tax_rate for product in Product.objects.all()} == {Decimal(0), Decimal(5), Decimal(20)}


def test_every_entry_is_on_sale_within_eight_weeks_with_a_pool_of_its_own(load_demo: LoadDemo) -> None:
    now = timezone.now()

    load_demo()

    entries = list(Entry.objects.coming())
    assert len(entries) == len({entry.pool_id for entry in entries}) == 69
    assert all(entry.is_on_sale and entry.pool.free for entry in entries)
    assert all(now < entry.starts_at < now + timedelta(weeks=8, hours=2) for entry in entries)
    assert any(entry.price == 0 for entry in entries)


def test_about_half_of_the_goods_are_counted_and_some_are_scarce_or_gone(load_demo: LoadDemo) -> None:
    load_demo()

    stock = [product.pool.free for product in Product.objects.on_sale() if product.pool]
    assert 24 <= len(stock) <= 30
    assert stock.count(0) == 1
    assert {1, 2, 3} <= set(stock)


def test_some_places_have_other_prices_and_none_asks_for_what_nobody_checks(load_demo: LoadDemo) -> None:
    load_demo()

    entries = list(Entry.objects.coming().exclude(price_name=""))
    assert {entry.title for entry in entries} == {"Family pizza evening", "Guided hedgerow walk"}
    assert all([kind.name for kind in entry.price_kinds] == ["Child", "Low income"] for entry in entries)
    assert all(0 < kind.price < entry.price for entry in entries for kind in entry.price_kinds)
    assert not any("member" in f"{kind.name} {kind.note}".lower() for entry in entries for kind in entry.price_kinds)


def test_there_is_something_of_most_kinds_and_who_comes_to_the_bakehouse_is_asked(load_demo: LoadDemo) -> None:
    load_demo()

    assert set(Entry.objects.values_list("kind", flat=True)) == set(EntryKind.values) - {EntryKind.TABLE}
    assert list(Calendar.objects.filter(ask_names=True).values_list("slug", flat=True)) == ["the-bakehouse"]
    assert [question.kind for question in Question.objects.filter(calendar__slug="the-bakehouse")] == ["text", "choice"]
    assert not Question.objects.filter(is_required=True).exists()


def test_loading_again_changes_nothing(load_demo: LoadDemo) -> None:
    with time_machine.travel(ORDINARY_DAY, tick=False) as clock:
        load_demo()
        before = every_row()
        clock.shift(timedelta(hours=1))

        said = load_demo()

    assert said == COMPLETE
    assert every_row() == before


def test_loading_again_leaves_what_people_changed(load_demo: LoadDemo) -> None:
    with time_machine.travel(ORDINARY_DAY, tick=False):
        load_demo()
        capacity.set_capacity(Pool.objects.get(product__sku="HONEY-HEATHER-340"), 2)
        Product.objects.filter(sku="HONEY-HEATHER-340").update(sku="HONEY-DARK", price=Decimal("9.99"))
        Stall.objects.filter(is_house=True).update(slug="our-own", name="Our Own", description="")
        Calendar.objects.filter(slug="the-bakehouse").update(slug="bakery", name="At the Bakery")
        Entry.objects.filter(pk=bread_workshops()[0].pk).update(title="Bread day", archived_at=timezone.now())
        User.objects.filter(username="staff").update(username="sam", email="sam@demo.test")
        before = every_row()

        said = load_demo()

    assert said == COMPLETE
    assert every_row() == before


def test_what_people_made_under_the_same_names_is_left_alone(load_demo: LoadDemo) -> None:
    house = Stall.objects.create(name="The House", slug="house", is_house=True)
    honey = Product.objects.create(sku="HONEY-HEATHER-340", title="Ours", stall=house, price=Decimal("3.20"))
    staff = User.objects.create(username="Staff", email="boss@example.org")

    load_demo()

    assert Product.objects.get(sku="HONEY-HEATHER-340") == honey
    assert Product.objects.get(sku="BAG-TOTE-ROSE").stall == house
    assert list(User.objects.filter(is_superuser=True)) == []
    assert set(User.objects.exclude(pk=staff.pk).values_list("username", flat=True)) == {"shopper", "door"}


def test_a_week_later_only_the_new_week_is_added(load_demo: LoadDemo) -> None:
    with time_machine.travel(ORDINARY_DAY, tick=False) as clock:
        load_demo()
        before = every_row()
        clock.shift(timedelta(weeks=1))

        said = load_demo()

    after = every_row()
    for series in (*before["bookings.Series"], *after["bookings.Series"]):
        assert series.pop("last_day") <= (ORDINARY_DAY + timedelta(weeks=9)).date()  # they go on
    old_end = ORDINARY_DAY + timedelta(weeks=8)
    added = after["bookings.Entry"][69:]
    assert said.startswith(f"Loaded {len(added)} entries, 2 windows.\n")
    assert added
    assert all(old_end < entry["starts_at"] <= old_end + timedelta(weeks=1, hours=2) for entry in added)
    for label, rows in before.items():
        assert after[label][: len(rows)] == rows
        more = {"bookings.Entry": len(added), "bookings.Pool": len(added) + 2, "orders.CollectionSlot": 2}
        assert len(after[label]) - len(rows) == more.get(label, 0)


def test_the_entries_of_a_demo_that_had_no_series_become_those_of_the_new_ones(load_demo: LoadDemo) -> None:
    with time_machine.travel(ORDINARY_DAY, tick=False):
        load_demo()
        before = every_row()
        Entry.objects.update(series=None, series_day=None)
        PriceKind.objects.all().delete()
        Series.objects.all().delete()

        said = load_demo()

    after = every_row()
    assert said.startswith("Loaded 13 series.\n")
    for rows in (before["bookings.Entry"], after["bookings.Entry"]):
        for entry in rows:
            assert entry.pop("series_id")
    assert after["bookings.Entry"] == before["bookings.Entry"]
    assert after["bookings.Pool"] == before["bookings.Pool"]
    assert all(planning.preview(series).is_idle for series in Series.objects.all())


@pytest.mark.parametrize(
    ("loaded_on", "starts"),
    [
        (datetime(2026, 3, 10, tzinfo=UTC), {"10:00+0000": 3, "10:00+0100": 5}),
        (datetime(2026, 10, 6, tzinfo=UTC), {"10:00+0100": 3, "10:00+0000": 5}),
    ],
    ids=["spring", "autumn"],
)
def test_ten_in_the_morning_stays_ten_across_a_clock_change(
    load_demo: LoadDemo, loaded_on: datetime, starts: dict[str, int]
) -> None:
    with time_machine.travel(loaded_on, tick=False):
        load_demo()

    workshops = bread_workshops()
    assert Counter(f"{entry.local_start:%H:%M%z}" for entry in workshops) == starts
    assert all(entry.local_start.weekday() == SATURDAY for entry in workshops)


def test_whenever_it_is_run_exactly_one_coming_entry_has_five_places(load_demo: LoadDemo) -> None:
    with time_machine.travel(ORDINARY_DAY, tick=False) as clock:
        for _ in range(20):
            load_demo()

            standing_out = [entry.title for entry in Entry.objects.coming() if entry.pool.capacity == 5]
            assert standing_out == ["Sourdough masterclass"]
            clock.shift(timedelta(days=3, hours=5))


def test_the_demos_people_can_sign_in(load_demo: LoadDemo) -> None:
    load_demo()

    staff = authenticate(username="staff@demo.test", password="demo")
    shopper = authenticate(username="shopper", password="demo")
    assert isinstance(staff, User)
    assert isinstance(shopper, User)
    assert (staff.username, staff.is_staff, staff.is_superuser) == ("staff", True, True)
    assert (shopper.email, shopper.is_staff, bool(shopper.name)) == ("shopper@demo.test", False, True)


def test_the_demos_volunteer_may_check_people_in_and_nothing_else(load_demo: LoadDemo) -> None:
    load_demo()

    volunteer = authenticate(username="door", password="demo")
    assert isinstance(volunteer, User)
    assert (volunteer.is_staff, volunteer.is_superuser) == (True, False)
    assert volunteer.get_all_permissions() == {"bookings.check_in"}


def test_outside_the_demo_it_is_refused(load_demo: LoadDemo, settings: Any) -> None:
    settings.DEMO = False

    with pytest.raises(CommandError, match="only loaded where DEMO is on"):
        load_demo()

    assert not any(every_row().values())


def test_no_basket_comes_to_a_total_that_sumup_always_declines(load_demo: LoadDemo) -> None:
    load_demo()

    products = [product.price for product in Product.objects.all()]
    places = [*Entry.objects.values_list("price", flat=True), *PriceKind.objects.values_list("price", flat=True)]
    prices = {price for price in (*products, *places) if price}
    # All are multiples of five pence, which leaves 11.00 alone; and more than three of the cheapest are above that.
    assert {total for total in ALWAYS_DECLINED if total % Decimal("0.05") == 0} == {Decimal("11.00")}
    assert all(price % Decimal("0.05") == 0 for price in prices)
    assert min(prices) * 4 > 11
    baskets = [basket for count in (1, 2, 3) for basket in combinations_with_replacement(prices, count)]
    fees = [Decimal(0), *DeliveryZone.objects.values_list("fee", flat=True)]
    assert [(basket, fee) for basket in baskets for fee in fees if sum(basket) + fee in ALWAYS_DECLINED] == []


def test_goods_can_be_fetched_or_brought_and_vouchers_used_at_once(load_demo: LoadDemo) -> None:
    load_demo()

    days = list(CollectionSlot.objects.open().filter(stall=None))
    assert [day.local_start.weekday() for day in days] == [SATURDAY, SATURDAY]
    assert CollectionSlot.objects.open().filter(stall__slug="millstone-bakery").count() == 1
    assert set(DeliveryZone.objects.values_list("fee", flat=True)) == {Decimal("3.60"), Decimal("5.00")}
    vouchers = {voucher.code: voucher for voucher in Voucher.objects.select_related("stall", "pool")}
    assert (vouchers["WELCOME10"].pool.wanted, vouchers["WELCOME10"].stall) == (100, None)
    assert (vouchers["JAM2"].stall.slug, vouchers["JAM2"].minimum) == ("bramble-orchard", Decimal("10.00"))


def test_every_product_and_calendar_has_a_picture_of_its_own(load_demo: LoadDemo) -> None:
    load_demo()

    named = [*Product.objects.values_list("picture", flat=True), *Calendar.objects.values_list("picture", flat=True)]
    assert sorted(named) == sorted(PICTURES)
    assert len(set(PICTURES.values())) == len(PICTURES)


def test_pictures_are_small_and_plain() -> None:
    for name, svg in PICTURES.items():
        root = ElementTree.fromstring(svg)

        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert len(svg) < 4096, name
        assert root.get("viewBox") == "0 0 400 300"
        assert tags <= {"svg", "g", "path", "rect", "circle", "ellipse"}
        assert not any({"style", "class"} & set(element.attrib) for element in root.iter())
