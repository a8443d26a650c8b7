"""What those on a waiting list are written: each letter as a whole, once, and only while it is true."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any
from uuid import UUID

import pytest
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client
from django.utils import timezone
from time_machine import Traveller, travel

from bookings import capacity, waiting
from bookings.models import Calendar, Entry, PriceKind, Waiter
from cartsite import mail_on_request
from cartsite.models import Case, Message
from orders import mail, waiting_letters
from tests.bookings.lines import ask, free, fresh, join, offers, sold_out, statuses
from tests.factories import CalendarFactory, StallFactory

pytestmark = pytest.mark.django_db

Outbox = list[EmailMultiAlternatives]

LETTERS = Path(__file__).parent / "letters"
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
BEGINS = datetime(2026, 12, 1, 18, 0, tzinfo=UTC)
HOSTILE = '<script>alert(1)</script>\r\nBcc: all@example.org & "friends"'


class Unreachable(EmailBackend):
    """No mail server answers."""

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        raise SMTPServerDisconnected("gone")


class Choosy(EmailBackend):
    """A mail server that knows nobody called Ada."""

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        refused = {to: (550, b"No such user") for message in messages for to in message.to if "ada" in to}
        if refused:
            raise SMTPRecipientsRefused(refused)
        return super().send_messages(messages)


@pytest.fixture(autouse=True)
def clock(settings: Any) -> Iterator[Traveller]:
    settings.PUBLIC_URL = "https://shop.example"
    with travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def line(db: None) -> tuple[Waiter, list[Any]]:
    """Ada waits for three places at a workshop that is sold out; and the holds that took them all."""
    bakehouse = CalendarFactory.create(
        name="Bakehouse", slug="bakehouse", stall=StallFactory.create(), place="The Old Bakehouse, Mill Lane"
    )
    entry, holds = sold_out(
        title="Bread workshop", calendar=bakehouse, starts_at=BEGINS, ends_at=BEGINS + timedelta(hours=3)
    )
    waiter = join(entry, "ada", 3)
    Waiter.objects.update(uuid=UUID(int=1), key="K" * 24)
    Message.objects.update(subject_uuid=UUID(int=1))
    return fresh(waiter), holds


def send(mailoutbox: Outbox) -> EmailMultiAlternatives:
    """The one mail that is owed now."""
    mailoutbox.clear()
    mail.send_owed()
    (sent,) = mailoutbox
    return sent


def assert_letter(sent: EmailMultiAlternatives, waiter: Waiter, name: str) -> None:
    """Text and HTML are exactly the files of that name."""
    ((html, kind),) = sent.alternatives
    assert (kind, sent.to, sent.cc, sent.bcc) == ("text/html", ["ada@example.org"], [], [])
    for said, form in ((sent.body, "txt"), (html, "html")):
        always = str(said).replace(f"/entries/{waiter.entry_id}/", "/entries/7/")
        always = always.replace(mail_on_request.stop_link("ada@example.org"), "https://shop.example/mail/stop/")
        assert always == (LETTERS / f"{name}.{form}").read_text()


def test_the_mail_to_whoever_joined(line: tuple[Waiter, list[Any]], mailoutbox: Outbox) -> None:
    sent = send(mailoutbox)

    assert sent.subject == "You are on the waiting list for Bread workshop"
    assert_letter(sent, line[0], "waiting_joined")


def test_the_mail_that_asks_to_confirm(line: tuple[Waiter, list[Any]], mailoutbox: Outbox) -> None:
    Waiter.objects.update(status="asked")
    Message.objects.update(kind="waiting_confirm")

    sent = send(mailoutbox)

    assert sent.subject == "Please confirm: the waiting list for Bread workshop"
    assert_letter(sent, line[0], "waiting_confirm")


@pytest.mark.parametrize("name", ["waiting_again", "waiting_again_offered"])
def test_the_mail_to_whoever_is_in_the_line_already(
    line: tuple[Waiter, list[Any]], mailoutbox: Outbox, name: str
) -> None:
    Message.objects.all().delete()
    if name == "waiting_again_offered":
        free(line[1][0])
        waiting.sweep()
        mail.send_owed()
    ask(line[0].entry, "ada")

    sent = send(mailoutbox)

    assert sent.subject == "You are on the waiting list for Bread workshop"
    assert_letter(sent, line[0], name)


def test_the_mail_with_an_offer(line: tuple[Waiter, list[Any]], mailoutbox: Outbox) -> None:
    Waiter.objects.update(quantity=1, name="Ada Shopper")
    free(line[1][0])
    waiting.sweep()

    sent = send(mailoutbox)

    assert sent.subject == "A place is free for you: Bread workshop"
    assert_letter(sent, line[0], "waiting_offer")


def test_an_offer_from_abroad_names_the_clock_that_it_ends_by(
    line: tuple[Waiter, list[Any]], mailoutbox: Outbox, client: Client
) -> None:
    waiter, holds = line
    Calendar.objects.update(time_zone="Europe/Amsterdam")
    client.get(waiter.secret_link)
    waits = client.get(waiter.get_absolute_url()).content.decode()
    free(holds[0])
    waiting.sweep()

    sent = send(mailoutbox)
    page = client.get(waiter.get_absolute_url()).content.decode()

    assert "Booking closes on Tuesday 1 December 2026 at 19:00 CET." in waits
    for said in (sent.body, sent.alternatives[0][0], page):
        assert "Wednesday 25 November 2026, 11:00 CET" in str(said)


def test_the_mail_with_an_offer_of_fewer_than_were_asked_for(
    line: tuple[Waiter, list[Any]], mailoutbox: Outbox
) -> None:
    Waiter.objects.update(price_kind=PriceKind.objects.create(entry=line[0].entry, name="Child", price="12.50"))
    free(*line[1][:2])
    waiting.sweep()

    assert_letter(send(mailoutbox), line[0], "waiting_offer_of_fewer")


def test_the_mail_about_an_offer_that_was_not_taken(
    line: tuple[Waiter, list[Any]], mailoutbox: Outbox, clock: Traveller
) -> None:
    free(line[1][0])
    waiting.sweep()
    clock.shift(timedelta(days=2))
    waiting.sweep()

    sent = send(mailoutbox)

    assert sent.subject == "We do not keep a place for you any more: Bread workshop"
    assert_letter(sent, line[0], "waiting_passed")


@pytest.mark.parametrize("why", ["called_off", "over"])
def test_the_mail_about_a_line_that_is_closed(line: tuple[Waiter, list[Any]], mailoutbox: Outbox, why: str) -> None:
    changes = {"called_off": {"cancelled_at": NOW}, "over": {"booking_closes_at": NOW}}[why]
    Entry.objects.update(**changes)
    waiting.sweep()

    sent = send(mailoutbox)

    assert sent.subject == "The waiting list for Bread workshop is closed"
    assert_letter(sent, line[0], f"waiting_closed_{why}")


# --- Once, and only while it is true


def test_each_offer_has_a_mail_of_its_own(line: tuple[Waiter, list[Any]], mailoutbox: Outbox, clock: Traveller) -> None:
    waiter, holds = line
    free(holds[0])
    waiting.sweep()
    mail.send_owed()
    clock.shift(timedelta(days=2))
    waiting.sweep()
    taken = capacity.claim(waiter.entry.pool_id, 1, None)
    again = join(waiter.entry, "ada")
    free(taken)
    waiting.sweep()
    mail.send_owed()

    offered = [sent.body for sent in mailoutbox if sent.subject.startswith("A place is free")]

    assert [waiter.secret_link in offered[0], again.secret_link in offered[1], len(offered)] == [True, True, 2]


def test_an_offer_that_is_over_is_not_told(
    line: tuple[Waiter, list[Any]], mailoutbox: Outbox, clock: Traveller
) -> None:
    free(line[1][0])
    waiting.sweep()
    clock.shift(timedelta(hours=24) - timedelta(minutes=1))

    mail.send_owed()

    assert mailoutbox == []
    assert set(Message.objects.values_list("kind", "status")) == {
        ("waiting_joined", "dropped"),
        ("waiting_offer", "dropped"),
    }


def test_whoever_has_been_erased_is_told_nothing(line: tuple[Waiter, list[Any]], mailoutbox: Outbox) -> None:
    Waiter.objects.update(email="")

    mail.send_owed()

    assert mailoutbox == []
    assert Message.objects.get().status == "dropped"


def test_what_anybody_typed_is_no_html_and_no_header(
    line: tuple[Waiter, list[Any]], mailoutbox: Outbox, clock: Traveller
) -> None:
    waiter, holds = line
    Waiter.objects.update(name=HOSTILE)
    Entry.objects.update(title=HOSTILE)
    waiter.entry.calendar.place = HOSTILE
    waiter.entry.calendar.save()
    Message.owe(waiter, "waiting_again")
    mail.send_owed()
    free(holds[0])
    waiting.sweep()
    mail.send_owed()
    clock.shift(timedelta(days=2))
    waiting.sweep()
    mail.send_owed()
    Waiter.objects.update(status="closed")
    Message.owe(waiter, "waiting_closed")
    mail.send_owed()
    Waiter.objects.update(status="asked", joined_at=timezone.now())
    Message.owe(waiter, "waiting_confirm")
    mail.send_owed()

    assert len(mailoutbox) == len(waiting_letters.KINDS)
    for sent in mailoutbox:
        assert "<script" not in str(sent.alternatives[0][0])
        assert "&lt;script&gt;" in str(sent.alternatives[0][0])
        assert "<script>alert(1)</script>" in sent.body
        assert sent.message()["Bcc"] is None
        assert sent.recipients() == ["ada@example.org"]


# --- Mail that does not get there


def test_an_offer_to_an_address_that_does_not_exist_goes_to_the_next_at_once(
    line: tuple[Waiter, list[Any]], mailoutbox: Outbox, settings: Any
) -> None:
    waiter, holds = line
    bob = join(waiter.entry, "bob")
    Message.objects.all().delete()
    settings.EMAIL_BACKEND = "tests.bookings.test_waiting_mail.Choosy"
    free(holds[0])
    waiting.sweep()

    mail.send_owed()

    assert statuses(waiter, bob) == ["left", "offered"]
    assert [sent.to for sent in mailoutbox] == [["bob@example.org"]]
    assert not Case.objects.exists()


def test_a_bounce_that_is_told_later_does_the_same(line: tuple[Waiter, list[Any]], mailoutbox: Outbox) -> None:
    waiter, holds = line
    join(waiter.entry, "bob")
    free(holds[0])
    waiting.sweep()
    mail.send_owed()
    told = mail.find_by_message_id(f"<{Message.objects.get(kind='waiting_offer').uuid}@shop.example>")
    assert told is not None

    mail.take_bounce(told, is_hard=False, reason="452 full")
    assert offers() == {"ada": 1}
    mail.take_bounce(told, is_hard=True, reason="550 ada@example.org unknown")

    assert offers() == {"bob": 1}
    assert "ada" not in Message.objects.get(pk=told.pk).last_error


def test_a_bounce_after_the_place_was_taken_changes_nothing(line: tuple[Waiter, list[Any]], mailoutbox: Outbox) -> None:
    waiter, holds = line
    free(holds[0])
    waiting.sweep()
    mail.send_owed()
    waiting.mark_taken(fresh(waiter))

    mail.take_bounce(Message.objects.get(kind="waiting_offer"), is_hard=True, reason="550")

    assert statuses(waiter) == ["taken"]


def test_a_mail_server_that_is_down_delays_the_mail_and_changes_no_line(
    line: tuple[Waiter, list[Any]], mailoutbox: Outbox, settings: Any, clock: Traveller
) -> None:
    settings.EMAIL_BACKEND = "tests.bookings.test_waiting_mail.Unreachable"
    mail.send_owed()
    assert (Message.objects.get().status, statuses(line[0])) == ("owed", ["waiting"])
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    clock.shift(timedelta(minutes=2))

    mail.send_owed()

    assert len(mailoutbox) == 1


@pytest.fixture
def untold(line: tuple[Waiter, list[Any]], settings: Any) -> Case:
    """A case: the mail server was down until the last try."""
    settings.EMAIL_BACKEND = "tests.bookings.test_waiting_mail.Unreachable"
    Message.objects.update(tries=Message.MOST_TRIES - 1)
    mail.send_owed()
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    return Case.objects.get()


def test_whoever_cannot_be_told_after_many_tries_keeps_their_place_and_a_person_looks(
    line: tuple[Waiter, list[Any]], untold: Case
) -> None:
    assert (Message.objects.get().status, statuses(line[0])) == ("failed", ["waiting"])
    assert (untold.kind, untold.subject_uuid, untold.status) == ("mail_failed", line[0].uuid, "open")
    assert "@" not in untold.what_happened


@pytest.mark.usefixtures("untold")
def test_once_mail_reaches_them_again_nobody_needs_to_look(line: tuple[Waiter, list[Any]]) -> None:
    free(line[1][0])
    waiting.sweep()

    mail.send_owed()

    assert Case.objects.get().status == "resolved"


@pytest.mark.usefixtures("untold")
def test_once_they_have_left_nobody_needs_to_look(line: tuple[Waiter, list[Any]]) -> None:
    waiting.leave(line[0])

    assert Case.objects.get().status == "resolved"


@pytest.mark.usefixtures("untold")
def test_an_offer_that_nobody_was_told_of_lapses_and_the_case_stays(
    line: tuple[Waiter, list[Any]], clock: Traveller
) -> None:
    free(line[1][0])
    waiting.sweep()
    clock.shift(timedelta(days=3))

    waiting.sweep()

    assert (statuses(line[0]), Case.objects.get().status) == (["passed"], "open")
