from datetime import timedelta
from typing import Any
from uuid import uuid4
import pytest
from django import forms
from django.test import Client
from django.utils import timezone
from bookings import capacity, waiting, availability, browsing
from bookings.models import Entry, Calendar, Waiter, Hold, Booking
from cart import offers, services as carts
from cart.models import CartItem, Cart
from orders import door
from tests.bookings.lines import *
from tests.factories import *
from tests.orders.door import begin, hire, sell, places_of
from django.db import transaction

pytestmark = pytest.mark.django_db

def test_lapsed_line_takes_offer(fill_cart):
    entry, holds = sold_out(3)
    capacity.give_back([holds[0].pk, holds[1].pk])
    cart, token = fill_cart((entry, 2))
    item = cart.items.get()
    Hold.objects.filter(pk=item.hold_id).update(until=timezone.now() - timedelta(minutes=1))
    assert capacity.give_expired_back() == 1
    capacity.claim(entry.pool_id, 2, None)
    me = join(entry, "ada", 2)
    free(holds[2])
    assert waiting.offer_freed(entry.pool_id)
    me = fresh(me)
    with transaction.atomic():
        b = offers.take_offer(Cart.objects.select_for_update().get(pk=cart.pk), me)
    item = CartItem.objects.get(cart=cart)
    print(item.quantity, item.hold.quantity)
    assert item.quantity == item.hold.quantity

def test_uuid_reuse(place_order, workshop):
    val = hire()
    begin(workshop)
    sold = sell(place_order, (workshop, 2))
    a, b = places_of(sold)
    u = uuid4()
    door.check_in(workshop, a.code, u, by=val)
    second = door.check_in(workshop, b.code, u, by=val)
    assert second.booking == b

@pytest.mark.parametrize("field", ["notice_hours", "horizon_days", "cancel_hours", "move_hours"])
def test_huge(staff_client, client, workshop, field):
    page = staff_client.get(f"/admin/bookings/calendar/{workshop.calendar_id}/change/")
    form = page.context["adminform"].form
    data = {}
    for name, f in form.fields.items():
        v = form.get_initial_for_field(f, name)
        if v is True: v = "on"
        if v is None or v is False: continue
        data[name] = getattr(v, "pk", v)
    for fs in page.context["inline_admin_formsets"]:
        p = fs.formset.prefix
        data |= {f"{p}-TOTAL_FORMS": 0, f"{p}-INITIAL_FORMS": 0}
    data[field] = 2147483647
    answer = staff_client.post(f"/admin/bookings/calendar/{workshop.calendar_id}/change/", data)
    print(answer.status_code, Calendar.objects.values(field).get(pk=workshop.calendar_id))
    client.raise_request_exception = False
    for path in (f"/entries/{workshop.pk}/", f"/calendars/{workshop.calendar.slug}/", f"/calendars/{workshop.calendar.slug}/?free=on", "/whats-on/?view=month"):
        assert client.get(path).status_code == 200, path

def test_queue_agree():
    pool = capacity.new_pool("room", 2)
    a = EntryFactory(pool=pool, booking_closes_at=timezone.now() + timedelta(hours=1))
    b = EntryFactory(pool=pool)
    hold = capacity.claim(pool.pk, 2, None)
    join(a, "ada")
    capacity.give_back([hold.pk])
    Entry.objects.filter(pk=a.pk).update(booking_closes_at=timezone.now() + timedelta(minutes=5))
    b = Entry.objects.select_related("calendar", "pool").get(pk=b.pk)
    seen = availability.look_at([b])[b.pk].can_be_added
    assert (b in browsing.with_free_places(Entry.objects.all())) == seen

def test_modelform(workshop):
    Form = forms.modelform_factory(Entry, fields=["title", "resource", "starts_at", "ends_at"])
    from bookings.models import Resource
    workshop.resource = Resource.objects.create(name="Kiln")
    f = Form({"title": "x", "resource": workshop.resource.pk, "starts_at": "2027-01-01 10:00", "ends_at": "2027-01-01 11:00"}, instance=workshop)
    assert f.is_valid(), f.errors

BAD = ["%00", "a%00b", "9"*30, "-1", "%F0%9F%98%80", "2026-02-30", "9999-12-31", "0001-01-01", "'", "{}", "x"*3000, "../..", "%C0%AF", "1e9", "NaN"]
@pytest.mark.parametrize("bad", BAD)
def test_fuzz(client, place_order, workshop, staff_client, bad):
    client.raise_request_exception = False
    staff_client.raise_request_exception = False
    sold = sell(place_order, (workshop, 2))
    k = f"?key={sold.key}"
    client.get(f"/orders/{sold.number}/{k}")
    pub = ["/whats-on/", f"/calendars/{workshop.calendar.slug}/", f"/entries/{workshop.pk}/", f"/entries/{workshop.pk}/wait/", "/calendars/"]
    for p in pub:
        for name in ("view", "stall", "kind", "free", "series", "from", "to", "after", "part", "done", "key"):
            for v in ("", "&view=week", "&view=month"):
                r = client.get(f"{p}?{name}={bad}{v}")
                assert r.status_code < 500, (p, name, bad)
    for p in (f"/entries/{bad}/", f"/entries/{bad}/wait/", f"/calendars/{bad}/", f"/calendars/{bad}/feed.ics", f"/waiting/{bad}/", f"/tickets/{bad}/", f"/door/{bad}/", f"/orders/{bad}/tickets/", f"/orders/{sold.number}/tickets/?key={bad}", f"/orders/{bad}/attendees/", f"/waiting/{uuid4()}/?key={bad}"):
        for c in (client, staff_client):
            assert c.get(p).status_code < 500, p
    raw = bad.replace("%00", "\x00")
    for p, names in ((f"/entries/{workshop.pk}/wait/", ("email", "quantity", "price_kind")), (f"/door/{workshop.pk}/scan/", ("code", "booking", "scan")), (f"/door/{workshop.pk}/undo/", ("scan", "booking")), (f"/door/{workshop.pk}/rest/", ("came",)), (f"/orders/{sold.number}/attendees/", ("place-1-name",)), ("/cart/items/", ("entry", "price_kind", "quantity", "product")), ("/cart/renew/", ("x",)), ("/checkout/", ("place-1-1-name", "cart", "agreed"))):
        for name in names:
            data = {"email": "a@example.org", "quantity": "1", "code": "BCDFGHJKMN", "scan": str(uuid4()), "entry": str(workshop.pk)} | {name: raw}
            for c in (client, staff_client):
                assert c.post(p, data).status_code < 500, (p, name, bad)
                assert c.post(p + "?q=" + bad, data, headers={"HX-Request": "true"}).status_code < 500, (p, name, bad)
    for p in (f"/door/{workshop.pk}/?q={bad}", f"/admin/bookings/attendee/of/{workshop.pk}/?as={bad}", f"/admin/bookings/booking/?q={bad}", f"/admin/bookings/waiter/?q={bad}", f"/admin/bookings/entry/?when={bad}", f"/admin/bookings/entry/?q={bad}", f"/admin/bookings/scan/?q={bad}", f"/admin/bookings/attendee/of/{bad}/", f"/admin/bookings/entry/{bad}/change/", f"/admin/bookings/entry/{bad}/call-off/", f"/admin/bookings/waiter/?shown={bad}"):
        assert staff_client.get(p).status_code < 500, p
