"""A page that was opened before somebody else's edit undoes nothing. It says what changed, and can be saved again."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client

from bookings import capacity, planning
from bookings.models import Calendar, Entry, Pool, PriceKind, Question, Resource, Series
from cart.admin import ProductAdmin
from cart.models import Product, Stall
from cartsite.backoffice import RecordAdmin, RecordInline
from cartsite.editing import EditedAdmin, EditedInline
from cartsite.models import User
from cartsite.versions import Versioned
from orders import rescheduling, stock
from orders.offers import CollectionSlot, DeliveryZone, Voucher
from payments import calling_off
from tests.backoffice.desk import act, page_of, text_of
from tests.concurrency import PATIENCE, results_of, run_at_once
from tests.factories import (
    CalendarFactory,
    CollectionSlotFactory,
    DeliveryZoneFactory,
    EntryFactory,
    PoolFactory,
    ProductFactory,
    QuestionFactory,
    SeriesFactory,
    StallFactory,
    UserFactory,
    VoucherFactory,
)
from tests.support.forms import fields_of_form, open_form, save_form

pytestmark = pytest.mark.django_db

# A row of each model that staff edit, a field of it, and what somebody types there.
EDITS: dict[type[Model], tuple[Callable[[], Any], str, str]] = {
    Calendar: (CalendarFactory, "place", "The mill"),
    CollectionSlot: (CollectionSlotFactory, "place", "The mill"),
    DeliveryZone: (DeliveryZoneFactory, "fee", "4.20"),
    Entry: (EntryFactory, "price", "4.20"),
    Pool: (PoolFactory, "wanted", "7"),
    Product: (ProductFactory, "price", "4.20"),
    Question: (QuestionFactory, "help_text", "In a few words."),
    Resource: (lambda: Resource.objects.create(name="The kiln"), "name", "The big kiln"),
    Series: (SeriesFactory, "description", "Bring an apron."),
    Stall: (StallFactory, "description", "By the gate."),
    User: (UserFactory, "name", "Ada Lovelace"),
    Voucher: (VoucherFactory, "value", "15.00"),
}
# Forms of the back office without a version, and why.
WITHOUT_VERSION = {Group: "Django's own table; only who may do everything changes it"}


@pytest.fixture
def kim(db: None) -> Client:
    """A colleague of Sam's."""
    client = Client()
    client.force_login(UserFactory(username="kim", name="Kim", is_staff=True, is_superuser=True))
    return client


def edited_admins() -> list[Any]:
    """The admins whose pages have a form to save."""
    return [each for each in admin.site._registry.values() if not isinstance(each, RecordAdmin)]


def agree(client: Client, row: Model, page: Any) -> Any:
    """Press yes where the page asks what saving comes to."""
    if b'name="agreed"' not in page.content:
        return page
    shown = page.context
    kept: dict[str, list[str]] = {}
    for name, value in shown["kept"]:
        kept.setdefault(name, []).append(value)
    return client.post(page_of(row), {**kept, "agreed": shown["agreed"]})


def shown_again(refused: Any) -> Any:
    """What the form of a refused page sends when it is saved once more."""
    model = refused.wsgi_request.path.strip("/").split("/")[2]
    return fields_of_form(refused.content.decode(), f"{model}_form")


@contextmanager
def both_past_their_checks(admin_class: type[EditedAdmin]) -> Iterator[None]:
    """Let two pages be saved at the same moment: neither is written before both are found good."""
    barrier, save = threading.Barrier(2), admin_class.save_model

    def save_together(self: Any, request: Any, obj: Any, form: Any, change: bool) -> None:
        barrier.wait(PATIENCE)
        save(self, request, obj, form, change)

    with patch.object(admin_class, "save_model", save_together):
        yield


def test_every_form_of_the_back_office_refuses_stale_pages() -> None:
    without = {each.model for each in edited_admins() if not isinstance(each, EditedAdmin)}
    inlines = [inline for each in edited_admins() for inline in each.inlines if not issubclass(inline, RecordInline)]

    assert without == set(WITHOUT_VERSION)
    assert [inline for inline in inlines if not issubclass(inline, EditedInline)] == []
    assert [each for each in admin.site._registry.values() if each.list_editable] == []
    assert {each.model for each in edited_admins()} - without == set(EDITS)
    assert all(issubclass(model, Versioned) for model in EDITS)


@pytest.mark.parametrize("model", EDITS, ids=lambda model: model._meta.label)
def test_a_stale_page_saves_nothing_and_says_who_changed_what(
    model: type[Model], staff_client: Client, kim: Client
) -> None:
    make, field, typed = EDITS[model]
    row = make()
    stale = open_form(kim, page_of(row))
    agree(staff_client, row, save_form(staff_client, page_of(row), **{field: typed}))
    edited = model._default_manager.values().get(pk=row.pk)

    answer = save_form(kim, page_of(row), stale)

    assert answer.status_code == 200
    assert "Ada Shopper changed " in text_of(answer)
    assert "Nothing was saved" in text_of(answer)
    assert model._default_manager.values().get(pk=row.pk) == edited
    assert edited["version"] > 1


@pytest.mark.parametrize("model", EDITS, ids=lambda model: model._meta.label)
def test_a_page_that_is_saved_as_it_was_opened_changes_nothing(model: type[Model], staff_client: Client) -> None:
    row = EDITS[model][0]()
    before = model._default_manager.values().get(pk=row.pk)

    answer = save_form(staff_client, page_of(row))

    assert answer.status_code in (200, 302)  # a series asks what following its plan comes to
    assert "since you opened" not in text_of(answer)
    assert model._default_manager.values().get(pk=row.pk) == before


def test_who_saves_again_keeps_both_edits(staff_client: Client, kim: Client, honey: Product) -> None:
    stale = open_form(kim, page_of(honey))
    save_form(staff_client, page_of(honey), price="9.99")

    refused = save_form(kim, page_of(honey), stale, description="From the moor.")
    again = kim.post(page_of(honey), shown_again(refused))

    honey.refresh_from_db()
    assert "Ada Shopper changed price to £9.99 since you opened this page. Nothing was saved" in text_of(refused)
    assert again.status_code == 302
    assert (honey.price, honey.description, honey.version) == (Decimal("9.99"), "From the moor.", 3)


def test_who_typed_another_price_may_put_it_in_its_place(staff_client: Client, kim: Client, honey: Product) -> None:
    stale = open_form(kim, page_of(honey))
    save_form(staff_client, page_of(honey), price="9.99")

    refused = save_form(kim, page_of(honey), stale, price="8.00")
    again = kim.post(page_of(honey), shown_again(refused))

    honey.refresh_from_db()
    assert "It is £9.99 now: save again to put this in its place." in text_of(refused)
    assert (again.status_code, honey.price) == (302, Decimal("8.00"))


def test_a_third_edit_is_seen_too(staff_client: Client, kim: Client, honey: Product) -> None:
    stale = open_form(kim, page_of(honey))
    save_form(staff_client, page_of(honey), price="9.99")
    refused = save_form(kim, page_of(honey), stale, description="From the moor.")
    save_form(staff_client, page_of(honey), price="10.50")

    again = kim.post(page_of(honey), shown_again(refused))

    honey.refresh_from_db()
    assert "changed price to £10.50" in text_of(again)
    assert (again.status_code, honey.price, honey.description) == (200, Decimal("10.50"), "")


@pytest.mark.parametrize("opened", ["", "x", "[1]", "[1, 1, 1]", '["x", {}, {}]', "[" * 9999])
def test_a_form_that_does_not_say_what_it_showed_saves_nothing(
    staff_client: Client, honey: Product, opened: str
) -> None:
    answer = save_form(staff_client, page_of(honey), price="9.99", opened=opened)

    honey.refresh_from_db()
    assert (answer.status_code, honey.price) == (200, Decimal("6.50"))
    assert "Nothing was saved" in text_of(answer)


def test_a_stale_price_of_an_entry_among_its_other_prices_is_refused(
    staff_client: Client, kim: Client, workshop: Entry
) -> None:
    child = PriceKind.objects.create(entry=workshop, name="Child", price=Decimal("3.00"))
    stale = open_form(kim, page_of(workshop))
    save_form(staff_client, page_of(workshop), **{"own_price_kinds-0-price": "5.00"})

    refused = save_form(kim, page_of(workshop), stale, description="Bring an apron.")
    again = kim.post(page_of(workshop), shown_again(refused))

    child.refresh_from_db()
    workshop.refresh_from_db()
    assert "Ada Shopper changed price to £5.00 since you opened this page." in text_of(refused)
    assert again.status_code == 302
    assert (child.price, child.version, workshop.description) == (Decimal("5.00"), 2, "Bring an apron.")


def test_a_question_that_was_changed_on_its_own_page_is_not_undone_by_its_calendars(
    staff_client: Client, kim: Client
) -> None:
    question = QuestionFactory.create()
    stale = open_form(kim, page_of(question.calendar))
    save_form(staff_client, page_of(question), help_text="In a few words.")

    refused = save_form(kim, page_of(question.calendar), stale, name="The mill")

    question.refresh_from_db()
    assert (refused.status_code, question.help_text) == (200, "In a few words.")
    assert Calendar.objects.get(pk=question.calendar_id).name != "The mill"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_save_at_the_same_moment_one_is_refused(staff_client: Client, kim: Client, honey: Product) -> None:
    desks = [(client, open_form(client, page_of(honey))) for client in (staff_client, kim)]
    typed = [{"price": "9.99"}, {"description": "From the moor."}]

    with both_past_their_checks(ProductAdmin):
        answers = results_of(
            run_at_once(
                *(
                    lambda desk=desk, words=words: save_form(desk[0], page_of(honey), desk[1], **words)
                    for desk, words in zip(desks, typed, strict=True)
                )
            )
        )

    honey.refresh_from_db()
    assert sorted(answer.status_code for answer in answers) == [200, 302]
    assert ((honey.price, honey.description) == (Decimal("9.99"), "")) is (answers[0].status_code == 302)
    assert (honey.price == Decimal("6.50")) is (answers[1].status_code == 302)
    assert honey.version == 2


@pytest.mark.django_db(transaction=True)
def test_of_an_entrys_page_and_its_pools_one_is_refused(staff_client: Client, kim: Client, workshop: Entry) -> None:
    stale = open_form(kim, page_of(workshop))
    change = capacity.change_capacity

    def be_slow(pool: Pool, wanted: int | None, *, shown: int | None) -> None:
        if wanted == 4:
            run_at_once(lambda: save_form(staff_client, page_of(pool), wanted="7"))
        change(pool, wanted, shown=shown)

    with patch("bookings.capacity.change_capacity", be_slow):
        refused = save_form(kim, page_of(workshop), stale, places="4")

    assert refused.status_code == 200
    assert Pool.objects.get(pk=workshop.pool_id).wanted == 7


def test_what_services_change_is_a_new_version(staff_client: Client, staff: User) -> None:
    series: Series = SeriesFactory.create()
    planning.apply(series)
    changed, moved, ended = series.entries.select_related("pool").order_by("-starts_at")[:3]
    product, zone = ProductFactory.create(), DeliveryZoneFactory.create()

    Series.objects.update(title="Sourdough", skipped_days=[ended.series_day])
    capacity.set_capacity(changed.pool, 3)
    planning.apply(Series.objects.get())
    rescheduling.reschedule(moved, moved.starts_at, moved.ends_at.replace(minute=30), by=staff, reason="The oven.")
    calling_off.begin(changed, by=staff, reason="A storm.")
    stock.set_stock(product, 5, 0)
    act(staff_client, zone, "archive")

    rows: list[Any] = [changed, moved, ended, product, zone, Pool.objects.get(product=product)]
    assert [type(row)._default_manager.get(pk=row.pk).version for row in rows] == [3, 3, 2, 2, 2, 2]
    assert Pool.objects.get(pk=changed.pool_id).version == 3  # by hand, and by its series


def test_taking_and_giving_back_places_is_no_edit(workshop: Entry) -> None:
    hold = capacity.claim(workshop.pool_id, 2, until=None)
    capacity.give_back([hold.pk])

    assert Pool.objects.get(pk=workshop.pool_id).version == 1


def test_a_button_that_is_pressed_twice_saves_once(staff_client: Client, honey: Product) -> None:
    seen = open_form(staff_client, page_of(honey))

    answers = [save_form(staff_client, page_of(honey), seen, price="9.99") for _press in range(2)]

    honey.refresh_from_db()
    assert [answer.status_code for answer in answers] == [302, 302]
    assert (honey.price, honey.version) == (Decimal("9.99"), 2)
