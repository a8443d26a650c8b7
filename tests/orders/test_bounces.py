"""Mail that comes back: at once, or as the mail provider tells us later."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from smtplib import SMTPRecipientsRefused
from typing import Any

import pytest
import time_machine
from django.core.mail import EmailMessage
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client
from django.utils import timezone

from cart.models import Product
from cartsite.models import Case, Message, User
from orders import letters, mail, services
from orders.models import Order
from tests.cart.problems import problem_in
from tests.concurrency import results_of, run_at_once
from tests.orders.acts import all_rows
from tests.orders.letterbox import Outbox

pytestmark = pytest.mark.django_db

ADDRESS = "/internal/mail/bounces"


class Refusing(EmailBackend):
    """A mail server that refuses whoever a mail is for."""

    reply: tuple[int, bytes] = (550, b"5.1.1 <ada@example.org>: no such user")

    def send_messages(self, messages: Sequence[EmailMessage]) -> int:
        raise SMTPRecipientsRefused({address: self.reply for message in messages for address in message.to})


@pytest.fixture
def confirmed(order: Order) -> Order:
    """An order that is paid for; the mail is owed."""
    services.confirm(order, cause="paid")
    return order


@pytest.fixture
def sent(confirmed: Order, mailoutbox: Outbox) -> Message:
    """The confirmation, which the mail server took."""
    mail.send_owed()
    return Message.objects.get()


@pytest.fixture
def relay(settings: Any) -> Client:
    """Whoever relays what the mail provider says."""
    settings.INTERNAL_API_TOKENS = {"mail": "a-token-of-16-characters"}
    return Client(headers={"Authorization": "Bearer a-token-of-16-characters"})


def tell(relay: Client, message: Message, **changes: object) -> Any:
    said = {"message_id": f"<{message.uuid}@127.0.0.1>", "kind": "hard", "reason": "550 5.1.1 no such user"}
    return relay.post(ADDRESS, said | changes, content_type="application/json")


def fresh(message: Message) -> Message:
    return Message.objects.get(pk=message.pk)


# --- At once


def test_an_address_that_does_not_exist_is_told_to_staff_at_once(
    confirmed: Order, settings: Any, mailoutbox: Outbox
) -> None:
    settings.EMAIL_BACKEND = "tests.orders.test_bounces.Refusing"

    mail.send_owed()

    message = Message.objects.get()
    assert (message.status, message.last_error) == ("failed", "SMTPRecipientsRefused")
    case = Case.objects.get()
    assert (case.kind, case.subject_uuid) == ("mail_failed", confirmed.uuid)
    assert case.what_happened == (
        f"The mail about order {confirmed.number} came back: its address does not exist, or takes no mail."
    )
    event = confirmed.events.get(kind="mail_failed")
    assert (event.cause, event.data) == ("bounced", {"mail": "confirmation"})


def test_it_is_not_tried_again(confirmed: Order, settings: Any, mailoutbox: Outbox) -> None:
    settings.EMAIL_BACKEND = "tests.orders.test_bounces.Refusing"
    mail.send_owed()
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    with time_machine.travel(timezone.now() + timedelta(days=30)):
        mail.send_owed()

    assert mailoutbox == []


@pytest.mark.parametrize("code", [421, 450, 452])
def test_a_mail_server_that_is_busy_is_asked_again(
    confirmed: Order, settings: Any, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    settings.EMAIL_BACKEND = "tests.orders.test_bounces.Refusing"
    monkeypatch.setattr(Refusing, "reply", (code, b"try later"))

    mail.send_owed()

    message = Message.objects.get()
    assert (message.status, message.tries) == ("owed", 1)
    assert not Case.objects.exists()


# --- Told later


def test_a_hard_bounce_ends_the_mail_and_opens_a_case(relay: Client, sent: Message, confirmed: Order) -> None:
    answer = tell(relay, sent)

    assert (answer.status_code, answer.json()) == (200, {"status": "failed"})
    assert (fresh(sent).status, fresh(sent).last_error) == ("failed", "550 5.1.1 no such user")
    case = Case.objects.get()
    assert (case.kind, case.subject_uuid, case.status) == ("mail_failed", confirmed.uuid, "open")
    assert [event.kind for event in confirmed.events.filter(kind__startswith="mail")] == ["mail_sent", "mail_failed"]


def test_hearing_of_it_again_changes_nothing(relay: Client, sent: Message) -> None:
    tell(relay, sent)
    Case.objects.update(status="resolved")
    before = all_rows()

    answer = tell(relay, sent, reason="550 once more")

    assert (answer.status_code, answer.json()) == (200, {"status": "failed"})
    assert all_rows() == before


@pytest.mark.django_db(transaction=True)
def test_eight_who_tell_of_it_at_once_are_heard_once(sent: Message, confirmed: Order) -> None:
    results_of(run_at_once(*[lambda: mail.take_bounce(fresh(sent), is_hard=True, reason="550")] * 8))

    assert confirmed.events.filter(kind="mail_failed").count() == 1
    assert Case.objects.count() == 1


def test_a_soft_bounce_is_only_noted(relay: Client, sent: Message, confirmed: Order) -> None:
    answer = tell(relay, sent, kind="soft", reason="452 mailbox full")

    assert (answer.status_code, answer.json()) == (200, {"status": "sent"})
    assert (fresh(sent).status, fresh(sent).last_error) == ("sent", "452 mailbox full")
    assert not Case.objects.exists()
    assert not confirmed.events.filter(kind="mail_failed").exists()


def test_a_soft_bounce_after_a_hard_one_changes_nothing(relay: Client, sent: Message) -> None:
    tell(relay, sent)

    tell(relay, sent, kind="soft", reason="452 mailbox full")

    assert (fresh(sent).status, fresh(sent).last_error) == ("failed", "550 5.1.1 no such user")


@pytest.mark.parametrize("form", ["<{}@shop.example>", "{}@shop.example", "{}", " <{}@other.example> "])
def test_the_message_id_may_be_written_in_any_way(relay: Client, sent: Message, form: str) -> None:
    assert tell(relay, sent, message_id=form.format(sent.uuid)).status_code == 200


@pytest.mark.parametrize(
    "message_id", ["", "x", "<0f23e330-ac61-4623-a094-c3e28a9951fe@shop.example>", "<@>", "\x00", "x" * 200]
)
def test_mail_that_nobody_knows_is_a_problem(relay: Client, sent: Message, message_id: str) -> None:
    before = all_rows()

    answer = tell(relay, sent, message_id=message_id)

    assert problem_in(answer) == 404
    assert all_rows() == before


def test_mail_that_is_not_about_an_order_is_not_known(relay: Client, shopper: User) -> None:
    Message.owe(shopper, "greeting")

    assert problem_in(tell(relay, Message.objects.get())) == 404
    assert Message.objects.get().status == "owed"


@pytest.mark.parametrize("changes", [{"kind": "firm"}, {"reason": "x" * 201}, {"message_id": "x" * 201}])
def test_what_makes_no_sense_is_refused(relay: Client, sent: Message, changes: dict[str, object]) -> None:
    before = all_rows()

    assert problem_in(tell(relay, sent, **changes)) == 422
    assert all_rows() == before


def test_only_siblings_may_tell(client: Client, sent: Message) -> None:
    assert problem_in(tell(client, sent)) == 401
    assert fresh(sent).status == "sent"


@pytest.mark.parametrize(
    "reason",
    [
        "550 <ada@example.org>: unknown",
        "550 bounces+ada=40example.org is unknown",
        "550 ada%40example.org\x00 unknown",
        "550 mailto:ada(at)example.org unknown",
    ],
)
def test_no_address_is_kept(relay: Client, sent: Message, confirmed: Order, reason: str) -> None:
    assert tell(relay, sent, reason=reason).status_code == 200

    kept = fresh(sent).last_error
    assert "ada" not in kept
    assert "550" in kept
    assert "unknown" in kept
    assert "ada" not in Case.objects.get().what_happened


def test_a_bounced_mail_that_staff_send_again_may_bounce_again(
    relay: Client, sent: Message, confirmed: Order, mailoutbox: Outbox
) -> None:
    tell(relay, sent)
    assert fresh(sent).try_again()
    mail.send_owed()
    assert Case.objects.get().status == "resolved"

    tell(relay, sent)

    assert fresh(sent).status == "failed"
    assert sorted(Case.objects.values_list("status", flat=True)) == ["open", "resolved"]


def test_another_mail_that_is_taken_does_not_hide_the_one_that_came_back(
    relay: Client, sent: Message, confirmed: Order, mailoutbox: Outbox
) -> None:
    tell(relay, sent)
    services.owe_mail(confirmed, "link")

    mail.send_owed()

    assert letters.mail_of(confirmed).get(kind="link").status == "sent"
    assert Case.objects.get().status == "open"


def test_the_door_describes_itself(relay: Client) -> None:
    described = relay.get("/internal/openapi.json").json()["paths"][ADDRESS]["post"]

    assert {"200", "404"} <= described["responses"].keys()
    assert "hard bounce" in described["description"]


def test_a_dropped_mail_cannot_bounce(
    relay: Client, order: Order, place_order: Callable[..., Order], honey: Product
) -> None:
    services.owe_mail(order, "confirmation")
    mail.send_owed()

    assert tell(relay, Message.objects.get()).json() == {"status": "dropped"}
    assert not Case.objects.exists()
