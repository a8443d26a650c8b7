"""The mail an order's shopper is owed: sent at least once, under a Message-ID of its own, and noted on the order."""

import logging
import re
from smtplib import SMTPRecipientsRefused
from traceback import format_tb
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from cartsite.models import Case, Message, kind_of
from orders.letters import NotNeeded, compose, mail_of
from orders.models import Order

logger = logging.getLogger(__name__)

# Whatever may be, or hold, an e-mail address: also as senders rewrite it in the addresses of bounces.
ADDRESS = re.compile(r"\S*(@|=40|%40|&#64;|\[at\]|\(at\))\S*", re.IGNORECASE)


def send_owed(most: int = 50) -> None:
    """Send up to `most` mails that are owed for orders and due; one that fails is tried again later."""
    for _turn in range(most):
        with transaction.atomic():
            leased = Message.objects.filter(subject_type=kind_of(Order)).lease(1)
        if not leased:
            return
        _send(leased[0])


def _send(message: Message) -> None:
    """Hand one mail over. If we die between the server's yes and our mark, it goes out twice: that window is known."""
    order = Order.objects.select_related("contact", "address").get(uuid=message.subject_uuid)
    try:
        compose(order, message).send()
    except NotNeeded:
        message.drop()
    except Exception as error:  # a broken template or address must not stop the other mail
        # Where it failed, but not the error's text: that may hold an address.
        where = "".join(format_tb(error.__traceback__))
        logger.error("The mail %s could not be sent: %s\n%s", message.uuid, type(error).__name__, where)
        if _is_refused_for_good(error):
            _bounce(message, order, type(error).__name__)
        else:
            _put_off(message, order, error)
    else:
        _note_sent(message, order)


@transaction.atomic
def _note_sent(message: Message, order: Order) -> None:
    """Mark it, and write it down on the order. Nobody needs to look any more, unless other mail about it failed."""
    if message.mark_sent():
        order.record("mail_sent", mail=message.kind)
    if not mail_of(order).filter(status=Message.Status.FAILED).exists():
        Case.settle(Case.Kind.MAIL_FAILED, order, _("It was sent after all."))


@transaction.atomic
def _put_off(message: Message, order: Order, error: Exception) -> None:
    """Try again later; after the last try a person has to look."""
    if message.mark_failed_try(error):
        order.record("mail_failed", mail=message.kind, cause="many tries")
        Case.open(
            Case.Kind.MAIL_FAILED,
            order,
            _("The mail about order %(number)s could not be sent after many tries.") % {"number": order.number},
        )


# --- Mail that comes back ---------------------------------------------------------------------------------------------


def _is_refused_for_good(error: Exception) -> bool:
    """Whether the mail server knows already that nobody is there (5xx), so that trying again is in vain."""
    if not isinstance(error, SMTPRecipientsRefused):
        return False
    return all(500 <= code < 600 for code, _reply in error.recipients.values())


@transaction.atomic
def _bounce(message: Message, order: Order, why: str) -> None:
    """It came back for good: a person must find another way to tell the shopper. `why` holds no address."""
    if not message.mark_bounced(why):
        return
    order.record("mail_failed", mail=message.kind, cause="bounced")
    Case.open(
        Case.Kind.MAIL_FAILED,
        order,
        _("The mail about order %(number)s came back: its address does not exist, or takes no mail.")
        % {"number": order.number},
    )


def find_by_message_id(message_id: str) -> Message | None:
    """The mail about an order that went out under this Message-ID, with or without <> and host; None if none did."""
    try:
        uuid = UUID(message_id.strip().strip("<>").partition("@")[0])
    except ValueError:
        return None
    return Message.objects.filter(uuid=uuid, subject_type=kind_of(Order)).first()


def take_bounce(message: Message, *, is_hard: bool, reason: str) -> None:
    """Whoever carries our mail says what became of it: hard, it came back for good; soft, it is late, which changes
    nothing. `reason` is theirs, and is kept without what may be an address. Hearing it again changes nothing."""
    why = ADDRESS.sub("***", "".join(letter for letter in reason if letter.isprintable()))
    if is_hard:
        _bounce(message, Order.objects.get(uuid=message.subject_uuid), why)
    else:
        message.note_delay(why)
