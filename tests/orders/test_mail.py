"""Mail that is owed goes out once, and whatever goes wrong delays nobody else's."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from email.message import Message as Letter
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any

import pytest
import time_machine
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from bookings.models import Booking, Entry
from cart.models import Product
from cartsite.models import Case, Message
from orders import mail, services
from orders.models import Order, OrderContact
from orders.tasks import send_owed_mail
from tests.concurrency import results_of, run_at_once

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
Outbox = list[EmailMultiAlternatives]


class Unreachable(EmailBackend):
    """No mail server answers."""

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        raise SMTPServerDisconnected("gone")


class Choosy(EmailBackend):
    """A mail server that refuses one address."""

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        refused = {
            address: (550, b"No such user") for message in messages for address in message.to if "grace" in address
        }
        if refused:
            raise SMTPRecipientsRefused(refused)
        return super().send_messages(messages)


@pytest.fixture
def confirmed(order: Order) -> Order:
    """One jar of honey and two places, paid for; the mail is owed."""
    services.confirm(order, cause="paid")
    return order


@pytest.fixture
def other(place_order: PlaceOrder, honey: Product) -> Order:
    """Another order, paid for, of somebody whose address is refused."""
    order = place_order((honey, 2))
    OrderContact.objects.filter(order=order).update(name="Grace Example", email="grace@mail.example")
    services.confirm(order, cause="paid")
    return order


def owed() -> Message:
    return Message.objects.get()


# --- What it says


def test_the_confirmation_goes_to_who_ordered(confirmed: Order, mailoutbox: Outbox) -> None:
    send_owed_mail()

    (sent,) = mailoutbox
    assert sent.to == ["ada@example.org"]
    assert sent.subject == f"Your order {confirmed.number} is confirmed"
    assert (owed().status, owed().tries, owed().leased_until) == ("sent", 1, None)
    assert owed().sent_at is not None


@pytest.mark.parametrize("form", ["text", "HTML"])
def test_text_and_html_both_say_everything(confirmed: Order, mailoutbox: Outbox, form: str) -> None:
    send_owed_mail()

    said = mailoutbox[0].body if form == "text" else str(mailoutbox[0].alternatives[0][0])
    for needed in [
        confirmed.number,
        "Ada Shopper",
        "Heather honey",
        "Bread workshop",
        "£6.50",
        "£70.00",
        "£76.50",
        *(line.stall.name for line in confirmed.lines.all()),
        *Booking.objects.values_list("code", flat=True),
    ]:
        assert str(needed) in said
    assert confirmed.secret_link in said.replace("&amp;", "&")


def test_what_a_shopper_typed_is_no_html(confirmed: Order, mailoutbox: Outbox) -> None:
    OrderContact.objects.update(name="<b>Ada</b> & Co")

    send_owed_mail()

    assert "<b>Ada</b> & Co" in mailoutbox[0].body
    assert "&lt;b&gt;Ada&lt;/b&gt; &amp; Co" in str(mailoutbox[0].alternatives[0][0])


def test_places_that_were_taken_back_are_not_confirmed(confirmed: Order, mailoutbox: Outbox, staff: Any) -> None:
    services.cancel_confirmed(confirmed, by=staff, cause="staff")
    services.revive(confirmed, cause="staff", by=staff)

    send_owed_mail()

    for code, status in Booking.objects.values_list("code", "status"):
        assert (code in mailoutbox[0].body) == (status == "confirmed")


def test_an_order_without_places_is_confirmed_too(other: Order, mailoutbox: Outbox) -> None:
    send_owed_mail()

    assert "2 x Heather honey: £13.00" in mailoutbox[0].body


def test_times_are_the_calendars_own(place_order: PlaceOrder, workshop: Entry, mailoutbox: Outbox) -> None:
    workshop.starts_at = timezone.now().replace(month=7, day=1, hour=17, minute=0) + timedelta(days=365)
    workshop.ends_at = workshop.starts_at + timedelta(hours=3)
    workshop.save()
    workshop.calendar.time_zone = "Asia/Kolkata"
    workshop.calendar.save()
    services.confirm(place_order((workshop, 1)), cause="paid")

    send_owed_mail()

    said = str(mailoutbox[0].body)
    assert ("22:30" in said, "01:30 IST" in said, "17:00" in said, "18:00" in said) == (True, True, False, False)


def letter(sent: EmailMessage) -> Letter:
    return sent.message()


def test_a_mail_keeps_its_message_id_from_try_to_try(
    confirmed: Order, mailoutbox: Outbox, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PUBLIC_URL = "https://shop.example:8443"
    # The server said yes, and the process died before it could mark the mail.
    monkeypatch.setattr(Message, "mark_sent", lambda _message: None)

    send_owed_mail()
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        send_owed_mail()

    assert [letter(sent)["Message-ID"] for sent in mailoutbox] == [f"<{owed().uuid}@shop.example>"] * 2


# --- Once


def test_a_mail_that_was_sent_is_not_sent_again(confirmed: Order, mailoutbox: Outbox) -> None:
    send_owed_mail()
    with time_machine.travel(timezone.now() + timedelta(days=30)):
        send_owed_mail()

    assert len(mailoutbox) == 1


def test_a_mail_owed_again_is_another_mail(confirmed: Order, mailoutbox: Outbox) -> None:
    services.owe_mail(confirmed, "confirmation", occurrence="asked for by staff")

    send_owed_mail()

    assert len({letter(sent)["Message-ID"] for sent in mailoutbox}) == 2


def test_a_mail_somebody_is_sending_is_left_to_them(confirmed: Order, mailoutbox: Outbox) -> None:
    Message.objects.update(leased_until=timezone.now() + timedelta(minutes=5))

    send_owed_mail()

    assert mailoutbox == []


def test_a_mail_whose_sender_died_is_sent_by_the_next(confirmed: Order, mailoutbox: Outbox) -> None:
    Message.objects.update(leased_until=timezone.now() - timedelta(seconds=1))

    send_owed_mail()

    assert len(mailoutbox) == 1


@pytest.mark.django_db(transaction=True)
def test_two_senders_at_once_send_every_mail_once(place_order: PlaceOrder, honey: Product, mailoutbox: Outbox) -> None:
    for _order in range(10):
        services.confirm(place_order((honey, 1)), cause="paid")

    results_of(run_at_once(*[mail.send_owed] * 4))

    assert len({letter(sent)["Message-ID"] for sent in mailoutbox}) == len(mailoutbox) == 10
    assert set(Message.objects.values_list("status", "tries")) == {("sent", 1)}


def test_no_mail_is_sent_inside_a_transaction(
    confirmed: Order, django_capture_on_commit_callbacks: Callable[..., list[object]], mailoutbox: Outbox
) -> None:
    assert mailoutbox == []


def test_one_sweep_sends_so_many_and_the_next_goes_on(
    place_order: PlaceOrder, honey: Product, mailoutbox: Outbox
) -> None:
    for _order in range(5):
        services.confirm(place_order((honey, 1)), cause="paid")

    mail.send_owed(most=3)
    assert len(mailoutbox) == 3

    mail.send_owed(most=3)
    assert len(mailoutbox) == 5


# --- When it fails


def test_a_mail_that_fails_is_tried_again_later_and_later(confirmed: Order, settings: Any, mailoutbox: Outbox) -> None:
    settings.EMAIL_BACKEND = "tests.orders.test_mail.Unreachable"
    waits = []

    with time_machine.travel(timezone.now(), tick=False) as clock:
        for tries in range(1, 12):
            send_owed_mail()
            send_owed_mail()  # not due yet
            assert (owed().status, owed().tries, owed().leased_until) == ("owed", tries, None)
            waits.append(owed().next_try_at - timezone.now())
            clock.move_to(owed().next_try_at)

    minutes = [wait / timedelta(minutes=1) for wait in waits]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]
    assert owed().last_error == "SMTPServerDisconnected"
    assert not Case.objects.exists()


def fail_twelve_times() -> None:
    """Let the sweep run until it gives the mail up."""
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _try in range(12):
            send_owed_mail()
            clock.shift(timedelta(hours=7))


def test_a_mail_that_failed_twelve_times_is_a_case(confirmed: Order, settings: Any, mailoutbox: Outbox) -> None:
    settings.EMAIL_BACKEND = "tests.orders.test_mail.Unreachable"

    fail_twelve_times()

    assert (owed().status, owed().tries) == ("failed", 12)
    case = Case.objects.get()
    assert (case.kind, case.subject_uuid) == ("mail_failed", confirmed.uuid)
    assert confirmed.number in case.what_happened


def test_a_mail_that_was_given_up_is_not_tried_any_more(confirmed: Order, settings: Any, mailoutbox: Outbox) -> None:
    settings.EMAIL_BACKEND = "tests.orders.test_mail.Unreachable"
    fail_twelve_times()
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    with time_machine.travel(timezone.now() + timedelta(days=30)):
        send_owed_mail()

    assert mailoutbox == []


def test_staff_may_try_a_failed_mail_again(confirmed: Order, settings: Any, mailoutbox: Outbox) -> None:
    settings.EMAIL_BACKEND = "tests.orders.test_mail.Unreachable"
    fail_twelve_times()
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    assert owed().try_again()
    send_owed_mail()

    assert len(mailoutbox) == 1
    assert not owed().try_again()


def test_failing_for_good_and_its_case_are_one_fact(
    confirmed: Order, settings: Any, mailoutbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_BACKEND = "tests.orders.test_mail.Unreachable"
    Message.objects.update(tries=11)

    def die(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Case, "open", die)

    with pytest.raises(KeyboardInterrupt):
        send_owed_mail()

    assert owed().status == "owed"


def test_an_address_that_is_refused_delays_no_other_mail(
    other: Order, confirmed: Order, settings: Any, mailoutbox: Outbox
) -> None:
    settings.EMAIL_BACKEND = "tests.orders.test_mail.Choosy"

    send_owed_mail()

    assert [sent.to for sent in mailoutbox] == [["ada@example.org"]]
    assert Message.objects.get(subject_uuid=other.uuid).tries == 1


def test_a_mail_that_cannot_be_composed_delays_no_other(
    other: Order, confirmed: Order, mailoutbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    Message.objects.filter(subject_uuid=other.uuid).update(kind="no-such-template")

    send_owed_mail()

    assert [sent.to for sent in mailoutbox] == [["ada@example.org"]]
    broken = Message.objects.get(subject_uuid=other.uuid)
    assert (broken.status, broken.tries, broken.last_error) == ("owed", 1, "KeyError")


def test_a_broken_template_blocks_nothing(
    other: Order, confirmed: Order, mailoutbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    render = mail.render_to_string

    def broken(template: str, context: dict[str, Any]) -> str:
        if context["order"] == other:
            raise RuntimeError("a broken template")
        return render(template, context)

    monkeypatch.setattr(mail, "render_to_string", broken)

    send_owed_mail()

    assert [sent.to for sent in mailoutbox] == [["ada@example.org"]]


def test_mail_of_an_erased_person_fails_quietly(other: Order, confirmed: Order, mailoutbox: Outbox) -> None:
    OrderContact.objects.filter(order=other).delete()

    send_owed_mail()

    assert len(mailoutbox) == 1
    assert Message.objects.get(subject_uuid=other.uuid).status == "owed"


def test_no_log_holds_an_address_or_a_secret(
    other: Order, settings: Any, mailoutbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    settings.EMAIL_BACKEND = "tests.orders.test_mail.Choosy"

    send_owed_mail()

    message = owed()
    assert message.last_error == "SMTPRecipientsRefused"
    assert str(message.uuid) in caplog.text
    for secret in ("grace@mail.example", "Grace Example", other.key):
        assert secret not in caplog.text
