"""Mail that is owed goes out once, and whatever goes wrong delays nobody else's."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.message import Message as Letter
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any

import pytest
import time_machine
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client
from django.utils import timezone

from bookings.models import Booking, Entry
from cart.models import Product
from cartsite.models import Case, Message
from orders import letters, mail, services
from orders.models import Order, OrderContact
from orders.tasks import send_owed_mail
from payments import casework, late, ledger, refunds
from payments.models import Payment, Refund
from payments.refunds import Wish
from payments.simulator import Simulator
from payments.sumup import Transaction
from tests.concurrency import results_of, run_at_once
from tests.orders.acts import holder_of
from tests.orders.late import come_late, expire, late_case

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
    monkeypatch.setattr(Message, "mark_sent", lambda _message: False)

    send_owed_mail()
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        send_owed_mail()

    assert [letter(sent)["Message-ID"] for sent in mailoutbox] == [f"<{owed().uuid}@shop.example>"] * 2


# --- Money that goes back, and money that came too late

MARCH = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)


def words_of(sent: EmailMultiAlternatives) -> str:
    """The HTML part without its tags, each run of white space as one blank."""
    page = str(sent.alternatives[0][0]).split("<body")[1].partition(">")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)).strip().replace(" .", ".").replace(" ,", ",")


def links_of(sent: EmailMultiAlternatives) -> list[str]:
    return re.findall(r'href="([^"]*)"', str(sent.alternatives[0][0]))


@pytest.fixture
def gone_back(order: Order) -> Refund:
    """£12.00 of £76.50 that went back on 3 March; the mail is owed."""
    payment = Payment.objects.create(
        order=order, amount="76.50", currency="GBP", merchant_code="M", status="captured", valid_until=MARCH
    )
    refund = Refund.objects.create(
        order=order, payment=payment, amount=12, currency="GBP", status="done", done_at=MARCH, reason="A secret."
    )
    services.owe_mail(order, "refund", occurrence=str(refund.uuid))
    return refund


def test_the_mail_about_a_refund_is_this_text(gone_back: Refund, mailoutbox: Outbox) -> None:
    order = gone_back.order

    send_owed_mail()

    (sent,) = mailoutbox
    assert sent.to == ["ada@example.org"]
    assert sent.subject == f"Money back for your order {order.number}"
    assert (
        sent.body
        == f"""Dear Ada Shopper,

£12.00 of what you paid for order {order.number} went back to your card on Tuesday 3 March 2026. \
Banks take 2 to 10 days to show it.

If it is not there after that, please ask your bank first, and then answer this mail: we look into it with you.

See your order at any time:
{order.secret_link}
Whoever has this link can see it too, so please keep it to yourself.

Rose Ash
"""
    )


def test_the_mail_about_a_refund_says_the_same_as_html(gone_back: Refund, mailoutbox: Outbox) -> None:
    order = gone_back.order

    send_owed_mail()

    (sent,) = mailoutbox
    assert words_of(sent) == (
        f"Rose Ash You get £12.00 back Dear Ada Shopper, £12.00 of what you paid for order {order.number} went back to "
        "your card on Tuesday 3 March 2026. Banks take 2 to 10 days to show it. If it is not there after that, please "
        "ask your bank first, and then answer this mail: we look into it with you. See your order Whoever has this "
        "link can see your order too, so please keep it to yourself."
    )
    assert links_of(sent) == [order.secret_link]
    assert f"<title>{sent.subject}</title>" in str(sent.alternatives[0][0])


def test_the_mail_about_money_given_back_by_hand_says_so(order: Order, mailoutbox: Outbox, staff: Any) -> None:
    with time_machine.travel(MARCH):
        casework.take_cash(order, Decimal("30.00"), by=staff)
        refund = refunds.give_by_hand(order, Wish(Decimal("12.00"), "A secret.", staff))
        services.owe_mail(order, "refund", occurrence=str(refund.uuid))

        send_owed_mail()

    (sent,) = mailoutbox
    assert (
        sent.body
        == f"""Dear Ada Shopper,

£12.00 of what you paid for order {order.number} was given back to you by hand on Tuesday 3 March 2026.

If you have not had it, please answer this mail.

See your order at any time:
{order.secret_link}
Whoever has this link can see it too, so please keep it to yourself.

Rose Ash
"""
    )
    assert words_of(sent) == (
        f"Rose Ash You get £12.00 back Dear Ada Shopper, £12.00 of what you paid for order {order.number} was given "
        "back to you by hand on Tuesday 3 March 2026. If you have not had it, please answer this mail. See your order "
        "Whoever has this link can see your order too, so please keep it to yourself."
    )


def test_each_refund_has_a_mail_of_its_own(gone_back: Refund, mailoutbox: Outbox) -> None:
    other = Refund.objects.get(pk=gone_back.pk)
    other.pk, other.uuid, other.amount = None, Refund().uuid, 7
    other.save()
    for refund in (gone_back, other, other):
        services.owe_mail(refund.order, "refund", occurrence=str(refund.uuid))

    send_owed_mail()

    assert sorted(sent.body.split()[3] for sent in mailoutbox) == ["£12.00", "£7.00"]


@pytest.fixture
def came_late(order: Order, staff: Any) -> Order:
    """£76.50 that came on 3 March, when the order had ended and could not be revived; the mail is owed."""
    expire(order)
    payment = Payment.objects.create(
        order=order, amount="76.50", currency="GBP", merchant_code="M", status="captured", valid_until=MARCH
    )
    ledger.record_capture(payment, Transaction("t", "T", "SUCCESSFUL", Decimal("76.50"), "GBP", MARCH))
    Case.open(Case.Kind.LATE_PAYMENT, payment, "It came late.", at_stake=Decimal("76.50"))
    Case.objects.update(opened_at=datetime(2026, 7, 1, 22, 30, tzinfo=UTC))
    services.owe_mail(order, "late_payment", occurrence=str(payment.uuid))
    return order


def late_link(order: Order) -> str:
    return order.secret_link.replace("?key=", "late-payment/?key=")


def test_the_mail_about_late_money_is_this_text(came_late: Order, mailoutbox: Outbox) -> None:
    send_owed_mail()

    (sent,) = mailoutbox
    assert sent.to == ["ada@example.org"]
    assert sent.subject == f"Your payment for order {came_late.number} came too late"
    assert (
        sent.body
        == f"""Dear Ada Shopper,

your payment of £76.50 for order {came_late.number} arrived on Tuesday 3 March 2026 at 12:00. \
By then the order had ended, and what we kept for you was on sale again, so we could not confirm it. \
Your money is safe.

You choose what happens to it:
- have it sent back to you, or
- wait for the co-operative, which looks whether you can still have what you ordered.

Choose here:
{late_link(came_late)}

If nothing is decided before Saturday 4 July 2026 at 23:30, it goes back to you by itself.

Whoever has this link can see your order too, so please keep it to yourself.

Rose Ash
"""
    )


def test_the_mail_about_late_money_says_the_same_as_html(came_late: Order, mailoutbox: Outbox) -> None:
    send_owed_mail()

    (sent,) = mailoutbox
    assert words_of(sent) == (
        f"Rose Ash Your payment came too late Dear Ada Shopper, your payment of £76.50 for order {came_late.number} "
        "arrived on Tuesday 3 March 2026 at 12:00. By then the order had ended, and what we kept for you was on sale "
        "again, so we could not confirm it. Your money is safe. You choose what happens to it: have it sent back to "
        "you, or wait for the co-operative, which looks whether you can still have what you ordered. If nothing is "
        "decided before Saturday 4 July 2026 at 23:30, it goes back to you by itself. Choose what happens to your "
        "money Whoever has this link can see your order too, so please keep it to yourself."
    )
    assert links_of(sent) == [late_link(came_late)]
    assert f"<title>{sent.subject}</title>" in str(sent.alternatives[0][0])


def test_late_money_that_was_decided_about_meanwhile_offers_no_choice(
    came_late: Order, mailoutbox: Outbox, staff: Any
) -> None:
    late_case().resolve(by=staff, note="It went back.")

    send_owed_mail()

    (sent,) = mailoutbox
    assert "You choose" not in sent.body
    assert "Meanwhile it has been decided what happens to it: your order's page says how." in sent.body
    assert "Meanwhile it has been decided what happens to it" in words_of(sent)
    assert late_link(came_late) in sent.body


def test_the_mail_and_the_rule_name_the_same_moment(came_late: Order) -> None:
    payment = came_late.payments.get()
    for snoozed_until in (None, datetime(2026, 7, 9, 8, 0, tzinfo=UTC)):
        Case.objects.update(snoozed_until=snoozed_until)

        said = letters.KINDS["late_payment"].facts(came_late, str(payment.uuid))

        assert said["goes_back_at"] == late.goes_back_at(late_case())


@pytest.fixture
def paid_late(payment: Payment, sumup: Simulator, place_order: PlaceOrder, workshop: Entry) -> Order:
    """As it happens: an expired order is paid, and somebody else has its places; the mail is owed."""
    return come_late(payment, sumup, place_order, workshop)


def test_late_money_writes_one_mail_whose_link_works(paid_late: Order, mailoutbox: Outbox, client: Client) -> None:

    send_owed_mail()

    (sent,) = mailoutbox
    (link,) = links_of(sent)
    response = client.get(link, follow=True)
    assert response.redirect_chain == [(f"/orders/{paid_late.number}/late-payment/", 302)]
    assert "Send my money back" in response.content.decode()


def test_money_that_a_shopper_has_back_writes_one_mail(paid_late: Order, mailoutbox: Outbox) -> None:
    holder_of(paid_late).post(f"/orders/{paid_late.number}/late-payment/", {"decision": "refund"})
    for minutes in (0, 1, 5):
        with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
            refunds.sweep()
            send_owed_mail()

    assert [sent.subject for sent in mailoutbox] == [
        f"Your payment for order {paid_late.number} came too late",
        f"Money back for your order {paid_late.number}",
    ]


@pytest.mark.parametrize(
    ("kind", "occurrence"),
    [
        ("refund", ""),
        ("refund", "no-uuid"),
        ("refund", "9b2c7b0e-0000-4000-8000-000000000000"),
        ("late_payment", ""),
        ("late_payment", "9b2c7b0e-0000-4000-8000-000000000000"),
        ("_letter", ""),
        ("no-such-kind", ""),
    ],
)
def test_a_mail_about_nothing_delays_no_other(
    other: Order, confirmed: Order, mailoutbox: Outbox, kind: str, occurrence: str
) -> None:
    Order.objects.filter(pk=other.pk).update(status="expired")
    Message.objects.filter(subject_uuid=other.uuid).update(kind=kind, occurrence=occurrence)

    send_owed_mail()

    assert [sent.to for sent in mailoutbox] == [["ada@example.org"]]
    broken = Message.objects.get(subject_uuid=other.uuid)
    assert (broken.status, broken.tries) == ("owed", 1)


# --- Once


def test_a_mail_that_was_sent_is_not_sent_again(confirmed: Order, mailoutbox: Outbox) -> None:
    send_owed_mail()
    with time_machine.travel(timezone.now() + timedelta(days=30)):
        send_owed_mail()

    assert len(mailoutbox) == 1


def test_each_mail_that_went_out_is_written_down_on_its_order(confirmed: Order, mailoutbox: Outbox) -> None:
    send_owed_mail()
    send_owed_mail()

    (event,) = confirmed.events.filter(kind__startswith="mail")
    assert (event.kind, event.data, event.cause, event.by) == ("mail_sent", {"mail": "confirmation"}, "", None)


def test_a_mail_is_marked_and_written_down_together(
    confirmed: Order, mailoutbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Order, "record", die)

    with pytest.raises(KeyboardInterrupt):
        send_owed_mail()

    assert owed().status == "owed"


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
    event = confirmed.events.get(kind="mail_failed")
    assert (event.cause, event.data) == ("many tries", {"mail": "confirmation"})
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
    assert Message.objects.get(subject_uuid=other.uuid).status == "failed"


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
    render = letters.render_to_string

    def broken(template: str, context: dict[str, Any]) -> str:
        if context["order"] == other:
            raise RuntimeError("a broken template")
        return render(template, context)

    monkeypatch.setattr(letters, "render_to_string", broken)

    send_owed_mail()

    assert [sent.to for sent in mailoutbox] == [["ada@example.org"]]


def test_mail_of_an_erased_person_is_dropped(other: Order, confirmed: Order, mailoutbox: Outbox) -> None:
    OrderContact.objects.filter(order=other).delete()

    send_owed_mail()

    assert len(mailoutbox) == 1
    dropped = Message.objects.get(subject_uuid=other.uuid)
    assert (dropped.status, dropped.tries, dropped.leased_until) == ("dropped", 0, None)
    assert not Case.objects.exists()


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
