"""Every mail, word for word: as text and as HTML (the files in `letters`)."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.template.loader import render_to_string
from django.utils import timezone

from bookings.models import Booking, Calendar, Entry
from cart.models import Product
from cartsite.models import Case, Message, User
from orders import letters, mail, moving, services
from orders.models import Order, OrderContact, OrderLine
from orders.rescheduling import reschedule
from payments import calling_off, cancelling, casework, ledger, releasing
from payments.models import Payment, Refund
from payments.sumup import Transaction
from tests.factories import EntryFactory
from tests.orders.late import expire
from tests.orders.letterbox import (
    BEGINS,
    PLACED,
    Outbox,
    PlaceOrder,
    assert_letter,
    bring,
    fetch,
    make_cheaper,
    name_codes,
    open_market,
    set_in_stone,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock() -> Iterator[Any]:
    """It stands still at the moment when the orders are placed."""
    with time_machine.travel(PLACED, tick=False) as clock:
        yield clock


@pytest.fixture
def market(clock: Any, settings: Any) -> tuple[Product, Entry]:
    settings.PUBLIC_URL = "https://shop.example"
    return open_market()


@pytest.fixture
def places(market: tuple[Product, Entry], place_order: PlaceOrder) -> Order:
    """Honey and two places, not paid yet: £76.50."""
    honey, workshop = market
    return set_in_stone(place_order((honey, 1), (workshop, 2)))


@pytest.fixture
def full(places: Order) -> Order:
    """Everything that an order may have: goods, places, a voucher and delivery, not paid yet: £75.50."""
    make_cheaper(places)
    bring(places)
    return places


def confirm(order: Order) -> None:
    services.confirm(order, cause="paid")
    name_codes(order)


def send(mailoutbox: Outbox) -> None:
    """Send what is owed; only the last of it is looked at."""
    mailoutbox.clear()
    mail.send_owed()


def pay(order: Order, amount: str) -> Payment:
    """Money of the order, as SumUp tells of it."""
    payment = Payment.objects.create(
        order=order, amount=amount, currency="GBP", merchant_code="M", status="captured", valid_until=PLACED
    )
    ledger.record_capture(payment, Transaction("t", "T", "SUCCESSFUL", Decimal(amount), "GBP", timezone.now()))
    return payment


def promise(payment: Payment, amount: str) -> Refund:
    """Money that is on its way back."""
    return Refund.objects.create(order=payment.order, payment=payment, amount=amount, currency="GBP", reason="Why.")


def line_of(order: Order, kind: str) -> OrderLine:
    return order.lines.get(kind=kind)


# --- What was bought


def test_the_confirmation_of_places_and_goods(places: Order, mailoutbox: Outbox) -> None:
    confirm(places)

    send(mailoutbox)

    (sent,) = mailoutbox
    assert sent.subject == "Your order 7KQM-X4WP-2R is confirmed"
    assert sent.to == ["ada@example.org"]
    assert_letter(sent, "confirmation")


def test_the_confirmation_of_everything_that_an_order_may_have(full: Order, mailoutbox: Outbox) -> None:
    confirm(full)

    send(mailoutbox)

    assert_letter(mailoutbox[0], "confirmation_of_everything")


def test_the_confirmation_of_goods_that_are_fetched(
    market: tuple[Product, Entry], place_order: PlaceOrder, mailoutbox: Outbox
) -> None:
    order = set_in_stone(place_order((market[0], 2)))
    fetch(order)
    confirm(order)

    send(mailoutbox)

    assert_letter(mailoutbox[0], "confirmation_of_collection")
    assert mailoutbox[0].attachments == []


def test_the_confirmation_when_an_event_was_called_off_meanwhile(places: Order, mailoutbox: Outbox) -> None:
    Entry.objects.update(cancelled_at=PLACED)
    confirm(places)

    send(mailoutbox)

    assert_letter(mailoutbox[0], "confirmation_of_called_off")
    assert mailoutbox[0].attachments == []


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("0.00", "You may cancel this until Sunday 29 November 2026, 18:00, and get back all that you paid for it."),
        (
            "12.50",
            "You may cancel this until Sunday 29 November 2026, 18:00, and get back 87.5% of what you paid for it.",
        ),
        (
            "90.00",
            "You may cancel this until Sunday 29 November 2026, 18:00, and get back 10% of what you paid for it.",
        ),
        (
            "100.00",
            "You may cancel this until Sunday 29 November 2026, 18:00, but nothing that you paid for it comes back.",
        ),
    ],
)
def test_each_line_says_how_it_may_be_cancelled(places: Order, mailoutbox: Outbox, kept: str, said: str) -> None:
    places.lines.filter(kind="entry").update(kept_percent=kept)
    confirm(places)

    send(mailoutbox)

    assert said in mailoutbox[0].body
    assert said in str(mailoutbox[0].alternatives[0][0])


def test_a_rule_by_another_clock_than_the_shops_names_it(places: Order, mailoutbox: Outbox) -> None:
    Calendar.objects.update(time_zone="Europe/Amsterdam")
    confirm(places)

    send(mailoutbox)

    assert "You may cancel this until Sunday 29 November 2026, 19:00 CET, and get back" in str(mailoutbox[0].body)


def test_nobody_is_told_of_a_day_that_is_over(places: Order, mailoutbox: Outbox) -> None:
    places.lines.update(cancel_until=PLACED)
    confirm(places)

    send(mailoutbox)

    assert "You cannot cancel this yourself." in mailoutbox[0].body
    assert "You may cancel" not in mailoutbox[0].body


# --- Paying, and ending unpaid


def test_the_mail_about_a_payment_problem(full: Order, mailoutbox: Outbox) -> None:
    services.owe_mail(full, "payment_problem")

    send(mailoutbox)

    (sent,) = mailoutbox
    assert sent.subject == "Your payment for order 7KQM-X4WP-2R did not work"
    assert_letter(sent, "payment_problem")


def test_the_mail_about_an_order_that_expired(full: Order, mailoutbox: Outbox) -> None:
    expire(full)

    send(mailoutbox)

    (sent,) = mailoutbox
    assert sent.subject == "Your order 7KQM-X4WP-2R has ended unpaid"
    assert_letter(sent, "expired")


def test_it_does_not_say_that_nothing_was_charged_if_something_was(full: Order, mailoutbox: Outbox) -> None:
    pay(full, "1.00")
    expire(full)

    send(mailoutbox)

    (sent,) = mailoutbox
    assert "Nothing was charged" not in sent.body
    assert "Nothing was charged" not in str(sent.alternatives[0][0])


# --- Cancelled


def test_the_mail_about_a_confirmed_order_that_is_cancelled(full: Order, staff: User, mailoutbox: Outbox) -> None:
    payment = pay(full, "75.50")
    confirm(full)
    services.cancel_confirmed(full, by=staff, cause="staff")
    promise(payment, "75.50")

    send(mailoutbox)

    (sent,) = mailoutbox  # the confirmation is not so any more
    assert sent.subject == "Cancelled: your order 7KQM-X4WP-2R"
    assert_letter(sent, "cancelled")


def test_the_mail_about_an_unpaid_order_that_staff_cancel(full: Order, staff: User, mailoutbox: Outbox) -> None:
    Order.objects.filter(pk=full.pk).update(closing_since=PLACED, closing_to="cancelled", closing_by="staff")
    full.refresh_from_db()
    services.let_go(full, None)

    send(mailoutbox)

    (sent,) = mailoutbox
    assert_letter(sent, "cancelled_unpaid")
    assert sent.attachments == []


def test_the_mail_about_parts_that_are_cancelled(full: Order, staff: User, mailoutbox: Outbox) -> None:
    payment = pay(full, "75.50")
    confirm(full)
    send(mailoutbox)
    services.cancel_some(line_of(full, "entry"), 1, by=staff)
    services.cancel_some(line_of(full, "product"), 1, by=staff)
    promise(payment, "37.12")
    services.owe_mail(full, "cancelled", occurrence="part-1")

    send(mailoutbox)

    (sent,) = mailoutbox
    assert_letter(sent, "cancelled_parts")


# --- What the co-operative changed


def put_off(workshop: Entry, staff: User) -> None:
    """It is a day later."""
    a_day = timedelta(days=1)
    reschedule(workshop, workshop.starts_at + a_day, workshop.ends_at + a_day, by=staff, reason="A secret.")


def another(workshop: Entry) -> Entry:
    """The same, one week later."""
    week = timedelta(days=7)
    return EntryFactory(
        title="Bread workshop",
        calendar=workshop.calendar,
        starts_at=BEGINS + week,
        ends_at=BEGINS + week + timedelta(hours=3),
    )


def test_the_mail_about_a_new_time(
    market: tuple[Product, Entry], places: Order, staff: User, mailoutbox: Outbox
) -> None:
    confirm(places)
    send(mailoutbox)
    put_off(market[1], staff)

    send(mailoutbox)

    (sent,) = mailoutbox
    assert sent.subject == "A new time for what is in your order 7KQM-X4WP-2R"
    assert_letter(sent, "rescheduled")
    ((part),) = sent.attachments
    assert "DTSTART;TZID=Europe/London:20261202T180000" in part.get_payload(decode=True).decode()


def test_the_mail_about_a_new_time_to_somebody_who_has_yet_to_pay(
    market: tuple[Product, Entry], places: Order, staff: User, mailoutbox: Outbox
) -> None:
    put_off(market[1], staff)

    send(mailoutbox)

    (sent,) = mailoutbox
    assert_letter(sent, "rescheduled_unpaid")
    assert sent.attachments == []


def test_only_the_last_of_several_new_times_is_told(
    market: tuple[Product, Entry], places: Order, staff: User, mailoutbox: Outbox
) -> None:
    confirm(places)
    send(mailoutbox)
    put_off(market[1], staff)
    put_off(market[1], staff)

    send(mailoutbox)

    (sent,) = mailoutbox
    assert "Thursday 3 December 2026" in sent.body
    assert sorted(letters.mail_of(places).filter(kind="rescheduled").values_list("status", flat=True)) == [
        "dropped",
        "sent",
    ]


def test_a_new_time_of_what_was_called_off_after_that_is_not_told(
    market: tuple[Product, Entry], places: Order, staff: User, mailoutbox: Outbox
) -> None:
    confirm(places)
    send(mailoutbox)
    put_off(market[1], staff)
    Entry.objects.update(cancelled_at=PLACED)

    send(mailoutbox)

    assert mailoutbox == []


@pytest.mark.parametrize("who", ["shopper", "co_operative"])
def test_the_mail_about_places_that_were_moved(
    market: tuple[Product, Entry], places: Order, mailoutbox: Outbox, who: str
) -> None:
    later = another(market[1])
    confirm(places)
    send(mailoutbox)
    if who == "shopper":
        back = [Decimal("1.00")] * 2
        moving.move_in_place(list(Booking.objects.all()), later, by=None, cause="shopper", back=back)
    else:
        Entry.objects.filter(pk=market[1].pk).update(cancelled_at=PLACED)
        moving.move_in_place(list(Booking.objects.all()), later, by=None, cause="staff", free_until=later.starts_at)
    name_codes(places)

    send(mailoutbox)

    (sent,) = mailoutbox
    assert sent.subject == "Places of your order 7KQM-X4WP-2R were moved"
    assert_letter(sent, f"moved_by_{who}")
    assert len(sent.attachments) == 2  # what goes from the calendar, and what is there instead


def test_the_mail_about_a_place_that_moved_on_to_another_order(
    market: tuple[Product, Entry], places: Order, mailoutbox: Outbox
) -> None:
    confirm(places)
    dearer = move_on(another(market[1]))
    send(mailoutbox)
    assert mailoutbox == [mail for mail in mailoutbox if "confirmed" in str(mail.subject)]
    services.confirm(dearer, cause="paid")
    name_codes(places)

    send(mailoutbox)

    sent, theirs = sorted(mailoutbox, key=lambda mail: "confirmed" in str(mail.subject))
    assert sent.subject == "Places of your order 7KQM-X4WP-2R were moved"
    assert_letter(sent, "moved_to_another_order")
    assert "WWWW-3333-99 is confirmed" in theirs.body


def test_once_all_places_moved_on_the_calendar_lets_go_of_them(
    market: tuple[Product, Entry], places: Order, mailoutbox: Outbox
) -> None:
    confirm(places)
    send(mailoutbox)
    services.confirm(move_on(another(market[1]), 2), cause="paid")

    send(mailoutbox)

    (sent,) = [each for each in mailoutbox if "moved" in str(each.subject)]
    (gone,) = sent.attachments
    assert "METHOD:CANCEL" in gone.get_payload(decode=True).decode()


def move_on(to: Entry, quantity: int = 1) -> Order:
    """So many places are to move to where they cost £50: the order that is to be paid for that."""
    bookings = list(Booking.objects.order_by("-pk")[:quantity])
    wish = moving.Dearer(bookings, to, Decimal("50.00"), None, Decimal("35.00") * quantity)
    order = moving.place_move(wish, by=None)
    Order.objects.filter(pk=order.pk).update(number="WWWW-3333-99")
    order.refresh_from_db()
    return order


def test_places_that_moved_on_are_not_told_as_cancelled(
    market: tuple[Product, Entry], places: Order, mailoutbox: Outbox, staff: User
) -> None:
    confirm(places)
    services.confirm(move_on(another(market[1])), cause="paid")
    send(mailoutbox)
    cancelling.cancel_parts([cancelling.Part(places.lines.get(kind="entry"), 1)], by=staff, reason="Ill")

    send(mailoutbox)

    (sent,) = mailoutbox
    assert "- 1 of 2 x Bread workshop" in sent.body


def test_of_several_places_it_is_told_which_codes_are_still_valid(
    places: Order, mailoutbox: Outbox, staff: User
) -> None:
    confirm(places)
    send(mailoutbox)
    line = places.lines.get(kind="entry")
    first, last = line.bookings.order_by("pk")
    cancelling.cancel_parts([cancelling.Part(line, 1, [first])], by=staff, reason="Ill")

    send(mailoutbox)

    (sent,) = mailoutbox
    for said in (sent.body, str(sent.alternatives[0][0])):
        assert f"Only these codes are valid now: {last.code}" in said
        assert first.code not in said


def test_places_that_moved_on_meanwhile_are_told_once(
    market: tuple[Product, Entry], places: Order, mailoutbox: Outbox
) -> None:
    confirm(places)
    send(mailoutbox)
    for there in (another(market[1]), another(market[1])):
        standing = Booking.objects.filter(status="confirmed")
        moving.move_in_place(list(standing), there, by=None, cause="shopper")

    send(mailoutbox)

    assert len(mailoutbox) == 1


def test_the_confirmation_of_places_at_several_entries_tells_where_each_is(
    market: tuple[Product, Entry], places: Order, mailoutbox: Outbox
) -> None:
    later = another(market[1])
    confirm(places)
    moving.move_in_place([Booking.objects.earliest("pk")], later, by=None, cause="staff", free_until=later.starts_at)
    name_codes(places)
    services.owe_mail(places, "confirmation", "again-2")

    mail.send_owed()

    sent = mailoutbox[-1] if "confirmed" in str(mailoutbox[-1].subject) else mailoutbox[0]
    assert_letter(sent, "confirmation_of_moved")


def call_off(workshop: Entry, staff: User) -> None:
    """The co-operative calls it off, and goes through all orders."""
    batch = calling_off.begin(workshop, by=staff, reason="A secret.")
    assert calling_off.step(batch)


def test_the_mail_about_what_the_co_operative_called_off(
    market: tuple[Product, Entry], full: Order, staff: User, mailoutbox: Outbox
) -> None:
    pay(full, "75.50")
    confirm(full)
    send(mailoutbox)
    call_off(market[1], staff)

    send(mailoutbox)

    (sent,) = mailoutbox
    assert_letter(sent, "cancelled_called_off")
    assert len(sent.attachments) == 1


def test_the_mail_about_an_order_of_nothing_but_what_was_called_off_some_of_it_paid_by_hand(
    market: tuple[Product, Entry], place_order: PlaceOrder, staff: User, mailoutbox: Outbox
) -> None:
    order = set_in_stone(place_order((market[1], 2)))
    casework.take_cash(order, Decimal("70.00"), by=staff)
    send(mailoutbox)
    call_off(market[1], staff)

    send(mailoutbox)

    (sent,) = mailoutbox
    assert_letter(sent, "cancelled_called_off_whole")


def test_the_mail_about_an_unpaid_order_of_what_was_called_off(
    market: tuple[Product, Entry], full: Order, staff: User, mailoutbox: Outbox
) -> None:
    call_off(market[1], staff)
    releasing.sweep()

    send(mailoutbox)

    (sent,) = mailoutbox
    assert_letter(sent, "cancelled_called_off_unpaid")


def test_who_has_a_basket_finds_the_rest_there(
    market: tuple[Product, Entry], place_order: PlaceOrder, shopper: User, staff: User, mailoutbox: Outbox
) -> None:
    place_order((market[0], 1), (market[1], 1), user=shopper)
    call_off(market[1], staff)
    releasing.sweep()

    send(mailoutbox)

    assert "The rest of your order is in your basket again." in mailoutbox[0].body
    assert "The rest of your order is in your basket again." in str(mailoutbox[0].alternatives[0][0])


def test_what_is_cancelled_later_says_nothing_of_what_was_called_off(
    market: tuple[Product, Entry], full: Order, staff: User, mailoutbox: Outbox
) -> None:
    pay(full, "75.50")
    confirm(full)
    call_off(market[1], staff)
    send(mailoutbox)
    cancelling.cancel_parts([cancelling.Part(line_of(full, "product"), 1)], by=staff, reason="It is broken")

    send(mailoutbox)

    (sent,) = mailoutbox
    assert "had to call off" not in sent.body


def test_staff_see_what_mail_about_it_would_say(
    market: tuple[Product, Entry], full: Order, staff: User, mailoutbox: Outbox
) -> None:
    pay(full, "75.50")
    confirm(full)
    put_off(market[1], staff)
    assert "Wednesday 2 December" in letters.preview(full, "rescheduled").body

    moving.move_in_place(list(Booking.objects.all()), another(market[1]), by=None, cause="shopper")
    assert "Tuesday 8 December" in letters.preview(full, "moved").body

    call_off(Booking.objects.filter(status="confirmed").first().entry, staff)
    assert "had to call off" in letters.preview(full, "cancelled").body


# --- Money that goes back, and money that came late


@pytest.mark.parametrize("method", ["sumup", "cash"])
def test_the_mail_about_a_refund(full: Order, mailoutbox: Outbox, method: str) -> None:
    payment = pay(full, "75.50") if method == "sumup" else None
    refund = Refund.objects.create(
        order=full,
        payment=payment,
        method=method,
        status="done",
        amount="12.00",
        currency="GBP",
        reason="A secret.",
        done_at=PLACED,
    )
    services.owe_mail(full, "refund", occurrence=str(refund.uuid))

    send(mailoutbox)

    (sent,) = mailoutbox
    assert sent.subject == "Money back for your order 7KQM-X4WP-2R"
    assert_letter(sent, f"refund_{method}")


@pytest.mark.parametrize("state", ["open", "decided"])
def test_the_mail_about_money_that_came_late(full: Order, mailoutbox: Outbox, state: str) -> None:
    expire(full)
    payment = pay(full, "75.50")
    if state == "open":
        Case.open(Case.Kind.LATE_PAYMENT, payment, "It came late.")
    services.owe_mail(full, "late_payment", occurrence=str(payment.uuid))

    send(mailoutbox)

    (sent,) = mailoutbox
    assert sent.subject == "Your payment for order 7KQM-X4WP-2R came too late"
    assert_letter(sent, f"late_payment_{state}")


# --- Reminder and link


def test_the_reminder(full: Order, mailoutbox: Outbox, clock: Any) -> None:
    confirm(full)
    send(mailoutbox)
    clock.move_to(BEGINS - timedelta(hours=20))
    services.owe_mail(full, "reminder", occurrence=str(Entry.objects.get().uuid))

    send(mailoutbox)

    (sent,) = mailoutbox
    assert sent.subject == "A reminder of what you booked in order 7KQM-X4WP-2R"
    assert_letter(sent, "reminder")


def test_the_link_again(full: Order, mailoutbox: Outbox) -> None:
    services.owe_mail(full, "link", occurrence="2026112410")

    send(mailoutbox)

    (sent,) = mailoutbox
    assert (sent.to, sent.cc, sent.bcc) == (["ada@example.org"], [], [])
    assert sent.subject == "The link to your order 7KQM-X4WP-2R"
    assert_letter(sent, "link")


# --- Names that mean harm

HOSTILE = '<script>alert(1)</script>\r\nBcc: all@example.org & "friends"'


def owe_every_kind(order: Order, staff: User, clock: Any) -> None:
    """One order's life, so long that every kind of mail is owed, and sent while it is true."""
    services.owe_mail(order, "link")
    services.owe_mail(order, "payment_problem")
    mail.send_owed()
    payment = pay(order, "75.50")
    confirm(order)
    workshop = Entry.objects.get()
    put_off(workshop, staff)
    mail.send_owed()
    later = EntryFactory(
        title=HOSTILE, calendar=workshop.calendar, starts_at=workshop.starts_at, ends_at=workshop.ends_at
    )
    moving.move_in_place(list(Booking.objects.all()), later, by=None, cause="shopper")
    clock.move_to(workshop.starts_at - timedelta(hours=20))
    services.owe_mail(order, "reminder", occurrence=str(later.uuid))
    mail.send_owed()
    services.cancel_confirmed(order, by=staff, cause="staff")
    promise(payment, "75.50")
    refund = promise(payment, "1.00")
    Refund.objects.filter(pk=refund.pk).update(done_at=timezone.now(), status="done")
    services.owe_mail(order, "refund", occurrence=str(refund.uuid))
    services.owe_mail(order, "late_payment", occurrence=str(payment.uuid))
    mail.send_owed()
    Order.objects.filter(pk=order.pk).update(status="expired")
    Message.objects.filter(kind="late_payment").delete()
    services.owe_mail(order, "expired")
    mail.send_owed()


def test_what_anybody_typed_is_no_html_and_no_header(
    market: tuple[Product, Entry], place_order: PlaceOrder, staff: User, clock: Any, mailoutbox: Outbox
) -> None:
    honey, workshop = market
    for thing in (honey, workshop, honey.stall, workshop.calendar):
        for field in ("title", "name", "place"):
            if hasattr(thing, field):
                setattr(thing, field, HOSTILE)
        thing.save()
    order = set_in_stone(place_order((honey, 1), (workshop, 2)))
    make_cheaper(order)
    bring(order, street=HOSTILE, town=HOSTILE, instructions=HOSTILE)
    OrderContact.objects.update(name="<script>alert(1)</script> & Sons")

    owe_every_kind(order, staff, clock)

    assert len(mailoutbox) == len(letters.KINDS)
    for sent in mailoutbox:
        assert "<script" not in str(sent.alternatives[0][0])
        assert "&lt;script&gt;" in str(sent.alternatives[0][0])
        assert "<script>alert(1)</script>" in sent.body
        headers = sent.message()
        assert headers["Bcc"] is None
        assert sent.recipients() == ["ada@example.org"]


def test_only_text_is_written_as_it_was_typed() -> None:
    said = {"greeting": "<b>", "order": {"secret_link": "https://shop.example/?a&b", "number": "<i>"}}

    assert "<b>" in render_to_string("orders/email/link.txt", said)
    assert "<b>" not in render_to_string("orders/email/link.html", said)
    assert "&amp;b" in render_to_string("orders/email/link.html", said)
