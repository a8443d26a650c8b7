"""The mail that shoppers are owed, about their orders or their places in a waiting list: sent at least once, under a
Message-ID of its own. What is about an order is noted on it."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from smtplib import SMTPRecipientsRefused
from traceback import format_tb
from typing import Any
from uuid import UUID

from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bookings import waiting
from bookings.models import Waiter
from cartsite import mail_on_request
from cartsite.models import Case, Message, kind_of
from orders import letters, waiting_letters
from orders.letters import NotNeeded, mail_of
from orders.models import Order

logger = logging.getLogger(__name__)

# Whatever may be, or hold, an e-mail address: also as senders rewrite it in the addresses of bounces.
ADDRESS = re.compile(r"\S*(@|=40|%40|&#64;|\[at\]|\(at\))\S*", re.IGNORECASE)

MANY_TRIES, BOUNCED = "many tries", "bounced"


@dataclass(frozen=True)
class Post:
    """What sending must know of one kind of rows that mail is about; each function gets such a row first."""

    kinds: Mapping[str, Any]
    find: Callable[[UUID], Any]
    compose: Callable[[Any, Message], EmailMultiAlternatives]  # raises NotNeeded
    note_sent: Callable[[Any, Message, bool], None]  # the last says whether it was not marked as sent before
    give_up: Callable[[Any, Message, str], None]  # it did not get there, and never will: the last says why


def send_owed(most: int = 50) -> None:
    """Send up to `most` mails that are owed and due; one that fails is tried again later."""
    for _turn in range(most):
        with transaction.atomic():
            leased = Message.objects.filter(subject_type__in=POSTS).lease(1)
        if not leased:
            return
        _send(leased[0])


def _send(message: Message) -> None:
    """Hand one mail over. If we die between the server's yes and our mark, it goes out twice: that window is known."""
    post = POSTS[message.subject_type]
    subject = post.find(message.subject_uuid)
    try:
        _deliver(post.compose(subject, message), is_on_request=post.kinds[message.kind].on_request)
    except NotNeeded:
        message.drop()
    except Exception as error:  # a broken template or address must not stop the other mail
        # Where it failed, but not the error's text: that may hold an address.
        where = "".join(format_tb(error.__traceback__))
        logger.error("The mail %s could not be sent: %s\n%s", message.uuid, type(error).__name__, where)
        if _is_refused_for_good(error):
            _bounce(message, subject, type(error).__name__)
        else:
            _put_off(message, subject, error)
    else:
        with transaction.atomic():
            post.note_sent(subject, message, message.mark_sent())


def _deliver(mail: EmailMultiAlternatives, *, is_on_request: bool) -> None:
    """Hand it to the mail server. Raises NotNeeded if anybody can ask for it, and it must not go to that address."""
    if not is_on_request:
        mail.send()
        return
    with mail_on_request.counted(mail.to[0]) as may_go:
        if not may_go:
            raise NotNeeded(_("This address gets no more of such mail, today or ever."))
        mail.send()


@transaction.atomic
def _put_off(message: Message, subject: Any, error: Exception) -> None:
    """Try again later, but for the last try."""
    if message.mark_failed_try(error):
        POSTS[message.subject_type].give_up(subject, message, MANY_TRIES)


# --- About an order ---------------------------------------------------------------------------------------------------

WHAT_HAPPENED = {
    MANY_TRIES: gettext_lazy("The mail about order %(number)s could not be sent after many tries."),
    BOUNCED: gettext_lazy("The mail about order %(number)s came back: its address does not exist, or takes no mail."),
}


def _find_order(uuid: UUID) -> Order:
    return Order.objects.select_related("contact", "address").get(uuid=uuid)


def _note_on_order(order: Order, message: Message, is_news: bool) -> None:
    """Write it down. Nobody needs to look any more, unless other mail about the order failed."""
    if is_news:
        order.record("mail_sent", mail=message.kind)
    if not mail_of(order).filter(status=Message.Status.FAILED).exists():
        Case.settle(Case.Kind.MAIL_FAILED, order, _("It was sent after all."))


def _tell_staff(order: Order, message: Message, cause: str) -> None:
    """A person must find another way to tell the shopper."""
    order.record("mail_failed", mail=message.kind, cause=cause)
    Case.open(Case.Kind.MAIL_FAILED, order, WHAT_HAPPENED[cause] % {"number": order.number})


# --- About a place in a waiting list ----------------------------------------------------------------------------------


def _find_waiter(uuid: UUID) -> Waiter:
    return Waiter.objects.select_related("entry__calendar", "price_kind", "hold").get(uuid=uuid)


def _note_reached(waiter: Waiter, _message: Message, _is_news: bool) -> None:
    Case.settle(Case.Kind.MAIL_FAILED, waiter, _("It was sent after all."))


def _give_up_on(waiter: Waiter, _message: Message, cause: str) -> None:
    """Where nobody is, nobody can be told: what was offered goes to the next in line at once. If it was only the mail
    server that failed, they keep their place, and a person must find another way to tell them."""
    if cause == BOUNCED:
        waiting.leave(waiter)
        return
    what_happened = _("Somebody on the waiting list for %(title)s could not be sent their mail after many tries.")
    Case.open(Case.Kind.MAIL_FAILED, waiter, what_happened % {"title": waiter.entry.title})


POSTS = {
    kind_of(Order): Post(letters.KINDS, _find_order, letters.compose, _note_on_order, _tell_staff),
    kind_of(Waiter): Post(waiting_letters.KINDS, _find_waiter, waiting_letters.compose, _note_reached, _give_up_on),
}


# --- Mail that comes back ---------------------------------------------------------------------------------------------


def _is_refused_for_good(error: Exception) -> bool:
    """Whether the mail server knows already that nobody is there (5xx), so that trying again is in vain."""
    if not isinstance(error, SMTPRecipientsRefused):
        return False
    return all(500 <= code < 600 for code, _reply in error.recipients.values())


@transaction.atomic
def _bounce(message: Message, subject: Any, why: str) -> None:
    """It came back for good. `why` holds no address."""
    if message.mark_bounced(why):
        POSTS[message.subject_type].give_up(subject, message, BOUNCED)


def find_by_message_id(message_id: str) -> Message | None:
    """The mail that went out under this Message-ID, with or without <> and host; None if none did."""
    try:
        uuid = UUID(message_id.strip().strip("<>").partition("@")[0])
    except ValueError:
        return None
    return Message.objects.filter(uuid=uuid, subject_type__in=POSTS).first()


def take_bounce(message: Message, *, is_hard: bool, reason: str) -> None:
    """Whoever carries our mail says what became of it: hard, it came back for good; soft, it is late, which changes
    nothing. `reason` is theirs, and is kept without what may be an address. Hearing it again changes nothing."""
    why = ADDRESS.sub("***", "".join(letter for letter in reason if letter.isprintable()))
    if is_hard:
        _bounce(message, POSTS[message.subject_type].find(message.subject_uuid), why)
    else:
        message.note_delay(why)
