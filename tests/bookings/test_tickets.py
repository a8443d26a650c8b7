"""Tickets: one card for each place, to show, to print, or to hand to a friend."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import segno
from django.test import Client
from django.utils import timezone

from bookings.models import Attendee, Booking, Entry, PriceKind
from cart.models import Product
from cartsite.models import User
from orders import mail, services
from orders.models import Order, OrderLine
from orders.moving import move_in_place
from orders.tickets import draw
from tests.factories import CalendarFactory, EntryFactory
from tests.orders.acts import holder_of
from tests.orders.door import places_of, sell
from tests.orders.qr import read_svg

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
QR = re.compile(r'<svg role="img" .*?</svg>', re.DOTALL)


@pytest.fixture
def sold(place_order: PlaceOrder, honey: Product, workshop: Entry) -> Order:
    """A jar of honey and two places."""
    return sell(place_order, (honey, 1), (workshop, 2))


def page_of(order: Order) -> str:
    return holder_of(order).get(f"/orders/{order.number}/tickets/").content.decode()


def ticket_of(booking: Booking) -> str:
    """What a friend sees who has nothing but the address."""
    answer = Client().get(f"/tickets/{booking.uuid}/")
    assert answer.status_code == 200
    return answer.content.decode()


def codes_in(page: str) -> list[str]:
    """What a camera reads off the page."""
    return [read_svg(svg) for svg in QR.findall(page)]


def test_a_drawn_code_reads_as_what_was_written() -> None:
    for code in ("BCDFGHJKMN", "2346789WXY", "ZZTOP00119"):
        assert read_svg(draw(code, "A code")) == code


def test_the_reader_of_these_tests_reads_all_kinds_of_masks() -> None:
    for mask in range(8):
        svg = segno.make("BCDFGHJKMN", micro=False, mask=mask, error="m", boost_error=False).svg_inline(omitsize=True)
        assert read_svg(svg) == "BCDFGHJKMN"


def test_every_place_has_a_card_with_its_code(sold: Order, workshop: Entry) -> None:
    bookings = places_of(sold)

    page = page_of(sold)

    assert codes_in(page) == [booking.code for booking in bookings]
    for booking in bookings:
        assert f"{booking.code[:5]}-{booking.code[5:]}" in page
        assert f"/tickets/{booking.uuid}/" in page
    assert page.count(workshop.title) >= 2
    assert f"/orders/{sold.number}/calendar.ics" in page


def test_the_page_is_for_whoever_may_see_the_order(sold: Order, client: Client, shopper: User) -> None:
    client.force_login(shopper)

    assert client.get(f"/orders/{sold.number}/tickets/").status_code == 404
    assert Client().get(sold.tickets_link.removeprefix("http://127.0.0.1:8000")).status_code == 302
    Order.objects.update(user=shopper)
    assert client.get(f"/orders/{sold.number}/tickets/").status_code == 200


def test_the_link_in_the_mail_leads_to_the_tickets(sold: Order, mailoutbox: list[Any]) -> None:
    mail.send_owed()

    assert sold.tickets_link in str(mailoutbox[0].body)
    visitor = Client()
    path = sold.tickets_link.removeprefix("http://127.0.0.1:8000")
    assert "Your tickets" in visitor.get(path, follow=True).content.decode()


def test_a_friends_ticket_says_nothing_of_the_order(sold: Order) -> None:
    first, second = places_of(sold)
    Attendee.objects.create(order_line=first.order_line, number=1, booking=first, name="Zoë Attendee")

    page = ticket_of(first)

    assert codes_in(page) == [first.code]
    assert "Zoë Attendee" in page
    for secret in (sold.number, sold.key, str(sold.uuid), "Ada Shopper", "ada@example.org", second.code, "/orders/CC"):
        assert secret not in page


def test_a_ticket_tells_when_where_and_for_whom(place_order: PlaceOrder) -> None:
    kathmandu = CalendarFactory(place="The Tea Room", time_zone="Asia/Kathmandu")
    entry = EntryFactory(calendar=kathmandu)
    child = PriceKind.objects.create(entry=entry, name="Child", price="10.00")
    order = sell(place_order, (entry, 1))
    OrderLine.objects.filter(order=order).update(price_kind=child)

    page = ticket_of(places_of(order)[0])

    assert f"{entry.local_start:%H:%M}" in page
    assert "The Tea Room" in page
    assert "Child" in page
    assert "+0545" in page or "Asia/Kathmandu" in page


def test_no_ticket_is_kept_or_found_by_others(sold: Order) -> None:
    for answer in (
        Client().get(f"/tickets/{places_of(sold)[0].uuid}/"),
        holder_of(sold).get(f"/orders/{sold.number}/tickets/"),
    ):
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert '<meta name="robots" content="noindex">' in answer.content.decode()


def test_a_drawing_has_a_name_and_no_style(sold: Order) -> None:
    first, _second = places_of(sold)

    (svg,) = QR.findall(ticket_of(first))

    assert f"<title>Code {first.code[:5]}-{first.code[5:]}</title>" in svg
    assert "style" not in svg


def test_a_cancelled_ticket_says_so_and_has_nothing_to_scan(sold: Order, staff: User) -> None:
    first, _second = places_of(sold)
    services.cancel_confirmed(sold, by=staff, cause="staff")

    page = ticket_of(first)

    assert "This place was cancelled" in page
    assert (codes_in(page), first.code in page) == ([], False)
    assert "no tickets" in page_of(sold)


def test_what_was_called_off_says_so(sold: Order) -> None:
    Entry.objects.update(cancelled_at=timezone.now())
    first, _second = places_of(sold)

    page = ticket_of(first)

    assert "it was called off" in page
    assert codes_in(page) == []


def test_a_moved_ticket_leads_to_the_new_one(sold: Order, workshop: Entry) -> None:
    first, second = places_of(sold)
    later = EntryFactory(title="Late bread", starts_at=workshop.starts_at + timedelta(days=3))
    (new,) = move_in_place([first], later, by=None, cause="a test")

    old_page, new_page = ticket_of(first), ticket_of(new)

    assert "This place was moved" in old_page
    assert f"/tickets/{new.uuid}/" in old_page
    assert codes_in(old_page) == []
    assert codes_in(new_page) == [new.code]
    assert "Late bread" in new_page
    assert codes_in(page_of(sold)) == [second.code, new.code]
    assert "moved to" in holder_of(sold).get(sold.get_absolute_url()).content.decode()


def test_a_used_ticket_says_so(sold: Order) -> None:
    Booking.objects.update(status="attended")

    assert "was let in" in ticket_of(places_of(sold)[0])


def test_goods_have_no_tickets(place_order: PlaceOrder, honey: Product) -> None:
    order = sell(place_order, (honey, 1))

    assert "no tickets" in page_of(order)
    assert "/tickets/" not in holder_of(order).get(order.get_absolute_url()).content.decode()


def test_many_tickets_are_read_in_few_queries(
    place_order: PlaceOrder, workshop: Entry, django_assert_max_num_queries: Any
) -> None:
    order = sell(place_order, (workshop, 9))
    client = holder_of(order)

    with django_assert_max_num_queries(6):
        client.get(f"/orders/{order.number}/tickets/")
