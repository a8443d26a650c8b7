"""Mail that anybody can have sent to any address: so much of it a day, and none once its owner said so."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings as shop
from django.core import mail as mailbox
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client
from time_machine import Traveller, travel

from bookings import waiting
from cartsite import mail_on_request
from cartsite.models import MailCount, Suppression
from cartsite.tasks import forget_mail_counts
from cartsite.views.adapters import ON_REQUEST
from orders import letter_kinds, mail, services, waiting_letters
from orders.models import Order
from tests.bookings.lines import free, join, sold_out
from tests.concurrency import results_of, run_at_once
from tests.factories import UserFactory
from tests.orders.acts import all_rows

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ADA = "ada@example.org"
# The other mail about accounts: it tells an owner of what was done, or only they, signed in, can have it sent.
TO_THE_OWNER = {"email_changed", "password_changed", "password_reset", "password_set", "reauthentication_code"}

Way = Callable[[Client], Any]


class Unreachable(EmailBackend):
    """No mail server answers."""

    def send_messages(self, messages: Any) -> int:
        raise SMTPServerDisconnected("gone")


@pytest.fixture(autouse=True)
def clock(settings: Any) -> Iterator[Traveller]:
    settings.MAIL_ON_REQUEST_A_DAY = 3
    with travel(NOON, tick=False) as traveller:
        yield traveller


# --- How anybody has mail sent to an address


def ask_for_code(client: Client) -> Any:
    return client.post("/account/code/", {"email": ADA})


def ask_for_code_with_account(client: Client) -> Any:
    UserFactory.create(email=ADA)
    return ask_for_code(client)


def sign_up(client: Client) -> Any:
    return client.post("/account/sign-up/", {"email": ADA})


def sign_up_with_account(client: Client) -> Any:
    user = UserFactory.create(email=ADA)
    EmailAddress.objects.create(user=user, email=ADA, verified=True, primary=True)
    return sign_up(client)


def reset_password(client: Client) -> Any:
    UserFactory.create(email=ADA)
    return client.post("/account/password/reset/", {"email": ADA})


def change_to_it(client: Client) -> Any:
    user = UserFactory.create(email="eve@example.org")
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    client.force_login(user)
    return client.post("/account/email/", {"email": ADA})


def wait(client: Client) -> Any:
    entry, _holds = sold_out()
    return client.post(f"/entries/{entry.pk}/wait/", {"email": ADA, "quantity": "1"}, follow=True)


def wait_once_more(client: Client) -> Any:
    entry, _holds = sold_out()
    join(entry, "ada")
    mail.send_owed()
    mailbox.outbox.clear()
    return client.post(f"/entries/{entry.pk}/wait/", {"email": ADA, "quantity": "1"}, follow=True)


def find(client: Client) -> Any:
    return client.post("/orders/find/", {"number": Order.objects.get().number}, follow=True)


WAYS: list[Way] = [
    *(ask_for_code, ask_for_code_with_account, sign_up, sign_up_with_account, reset_password),
    *(wait, wait_once_more, find),
]


def said(answer: Any) -> tuple[Any, ...]:
    """What whoever asks can tell one answer from another by, but for the number of the entry that they ask about."""
    where = f"{answer.headers.get('Location')} {getattr(answer, 'redirect_chain', '')}"
    return answer.status_code, re.sub(r"entries/[0-9]+", "entries/7", where)


def arrived(way: Way) -> tuple[int, Any]:
    """How much mail comes to the address of a way to ask for it, and the answer to whoever asked."""
    mailbox.outbox.clear()
    answer = way(Client())
    mail.send_owed()
    return len([sent for sent in mailbox.outbox if sent.to == [ADA]]), said(answer)


@pytest.fixture
def elsewhere(order: Order) -> Order:
    """An order of Ada's as a guest, about which nothing is owed."""
    return order


# --- A ceiling for each day


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("way", [*WAYS, change_to_it], ids=lambda way: way.__name__)
def test_an_address_gets_one_if_it_has_had_fewer(way: Way) -> None:
    assert arrived(way)[0] == 1
    assert MailCount.objects.get().sent == 1


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("way", [*WAYS, change_to_it], ids=lambda way: way.__name__)
def test_an_address_that_had_enough_today_gets_none_and_the_answer_is_the_same(way: Way) -> None:
    _use_up()

    assert arrived(way)[0] == 0


@pytest.mark.parametrize("way", [ask_for_code, sign_up, wait], ids=lambda way: way.__name__)
@pytest.mark.parametrize("is_suppressed", [True, False], ids=["suppressed", "had enough"])
def test_whoever_asks_is_not_told(way: Way, clock: Traveller, *, is_suppressed: bool) -> None:
    first = arrived(way)[1]
    clock.shift(timedelta(hours=1))  # the library has limits of its own
    if is_suppressed:
        mail_on_request.suppress(mail_on_request.hash_of(ADA))
    else:
        _use_up()

    assert arrived(way) == (0, first)


def _use_up() -> None:
    address_hash = mail_on_request.hash_of(ADA)
    MailCount.objects.update_or_create(address_hash=address_hash, day=NOON.date(), defaults={"sent": 3})


@pytest.mark.usefixtures("elsewhere")
def test_all_kinds_count_together_whoever_asks(clock: Traveller) -> None:
    ways = [ask_for_code, wait, find, sign_up, wait, ask_for_code]

    for number, way in enumerate(ways):
        way(Client(REMOTE_ADDR=f"203.0.113.{number}"))
        mail.send_owed()

    assert [sent.to for sent in mailbox.outbox] == [[ADA]] * 3
    clock.shift(timedelta(days=1))
    assert arrived(ask_for_code)[0] == 1


def test_however_an_address_is_written_it_is_the_same_mailbox() -> None:
    hashes = {mail_on_request.hash_of(email) for email in (ADA, "ADA@Example.org", " ada@example.org ")}

    assert len(hashes) == 1


@pytest.mark.parametrize("way", [ask_for_code, wait], ids=lambda way: way.__name__)
def test_what_could_not_be_sent_does_not_count(way: Way, settings: Any) -> None:
    settings.EMAIL_BACKEND = "tests.cartsite.test_mail_on_request.Unreachable"

    way(Client())
    mail.send_owed()

    assert MailCount.objects.get().sent == 0


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_no_more_go_than_may() -> None:
    def take() -> bool:
        with mail_on_request.counted(ADA) as may_go:
            return may_go

    assert sum(results_of(run_at_once(*[take] * 8))) == 3


def test_counts_are_forgotten_after_two_days(clock: Traveller) -> None:
    ask_for_code(Client())
    clock.shift(timedelta(days=2))
    forget_mail_counts()
    assert MailCount.objects.exists()
    clock.shift(timedelta(days=1))

    forget_mail_counts()

    assert not MailCount.objects.exists()


# --- Never again


def stop_link_in(sent: Any) -> str:
    """The path that a mail names for this; text and HTML name the same."""
    (link,) = [word for word in sent.body.split() if "/mail/stop/" in word]
    assert link in sent.alternatives[0][0]
    return str(link).removeprefix(shop.PUBLIC_URL)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("way", [*WAYS, change_to_it], ids=lambda way: way.__name__)
def test_each_such_mail_has_the_link_that_stops_all_of_them(way: Way) -> None:
    arrived(way)
    (sent,) = [sent for sent in mailbox.outbox if sent.to == [ADA]]
    path = stop_link_in(sent)
    key = path.partition("=")[2]

    answer = Client().post("/mail/stop/", {"key": key, "step": "stop"}, follow=True)

    assert "We do not write to you any more" in answer.content.decode()
    for other in (ask_for_code, wait, find):
        assert arrived(other)[0] == 0


def test_looking_changes_nothing() -> None:
    arrived(ask_for_code)
    path = stop_link_in(mailbox.outbox[0])
    before = all_rows()

    page = Client().get(path)
    Client().head(path)
    Client().get(f"{path}&step=stop")
    Client().post(path)

    assert (page.status_code, "Do not write to me again" in page.content.decode()) == (200, True)
    assert all_rows() == before


def test_pressing_twice_is_pressing_once_and_it_can_be_allowed_again() -> None:
    arrived(ask_for_code)
    key = stop_link_in(mailbox.outbox[0]).partition("=")[2]
    for _press in range(2):
        Client().post("/mail/stop/", {"key": key, "step": "stop"})
    assert Suppression.objects.count() == 1

    Client().post("/mail/stop/", {"key": key, "step": "allow"})

    assert arrived(ask_for_code)[0] == 1


@pytest.mark.parametrize("key", ["", "x", "0" * 32, f"{'0' * 32}:{'x' * 43}", "\0"])
def test_a_key_that_we_did_not_make_is_nobodys(key: str) -> None:
    assert Client().get("/mail/stop/", {"key": key}).status_code == 404
    assert Client().post("/mail/stop/", {"key": key, "step": "stop"}).status_code == 404
    assert not Suppression.objects.exists()


@pytest.mark.usefixtures("elsewhere")
def test_mail_about_what_they_really_ordered_or_wait_for_still_comes(elsewhere: Order) -> None:
    entry, holds = sold_out()
    join(entry, "ada")
    mail_on_request.suppress(mail_on_request.hash_of(ADA))
    services.confirm(elsewhere, cause="paid")
    free(holds[0])
    waiting.sweep()

    mail.send_owed()

    subjects = [sent.subject for sent in mailbox.outbox]
    assert any(elsewhere.number in subject for subject in subjects)
    assert any(subject.startswith("A place is free for you") for subject in subjects)
    assert not any("/mail/stop/" in sent.body for sent in mailbox.outbox)


def test_staff_find_an_address_and_allow_it_again(staff_client: Client) -> None:
    mail_on_request.suppress(mail_on_request.hash_of(ADA))
    mail_on_request.suppress(mail_on_request.hash_of("bob@example.org"))

    found = staff_client.get("/admin/cartsite/suppression/", {"q": " Ada@example.org"}).context["cl"].queryset
    keys = [row.pk for row in found]
    act = {"action": "lift", "_selected_action": keys}
    page = staff_client.post("/admin/cartsite/suppression/", act, follow=True).content.decode()

    assert len(keys) == 1
    assert "1 address is written to again." in page
    assert arrived(ask_for_code)[0] == 1
    assert mail_on_request.is_suppressed(mail_on_request.hash_of("bob@example.org"))


def test_no_address_is_kept_for_it() -> None:
    arrived(ask_for_code)
    mail_on_request.suppress(mail_on_request.hash_of(ADA))

    kept = [list(model.objects.values()) for model in (MailCount, Suppression)]

    assert all(kept)
    assert "ada" not in repr(kept)


# --- The class: whatever anybody can ask for is counted, and shows no code on a locked screen


def test_every_mail_about_accounts_is_counted_unless_only_the_owner_has_it_sent() -> None:
    folder = Path(shop.BASE_DIR) / "templates" / "account" / "email"
    ours = {path.stem for path in folder.glob("[!_]*.txt")}

    assert ours == TO_THE_OWNER | {name.removeprefix("account/email/") for name in ON_REQUEST}


def test_of_the_shops_own_mail_these_kinds_can_be_asked_for_by_anybody() -> None:
    kinds = letter_kinds.KINDS | waiting_letters.KINDS

    assert {name for name, kind in kinds.items() if kind.on_request} == {"link", "waiting_confirm", "waiting_again"}


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("way", [*WAYS, change_to_it], ids=lambda way: way.__name__)
def test_no_subject_shows_a_code(way: Way) -> None:
    arrived(way)

    for sent in mailbox.outbox:
        code = [line for line in sent.body.splitlines() if len(line) == 9 and line[4] == "-"]
        assert not any(part in str(sent.subject) for part in code)
        assert not code or str(sent.subject).startswith("Your code")
