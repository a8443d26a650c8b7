"""The mail an order's shopper is owed: composed when it is sent, at least once, under a Message-ID of its own."""

import logging
from traceback import format_tb
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cartsite.models import Case, Message, kind_of
from orders.models import Order

logger = logging.getLogger(__name__)

SUBJECTS = {"confirmation": gettext_lazy("Your order %(number)s is confirmed")}


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
    order = Order.objects.select_related("contact").get(uuid=message.subject_uuid)
    try:
        compose(order, message).send()
    except Exception as error:  # a broken template or address must not stop the other mail
        # Where it failed, but not the error's text: that may hold an address.
        where = "".join(format_tb(error.__traceback__))
        logger.error("The mail %s could not be sent: %s\n%s", message.uuid, type(error).__name__, where)
        _put_off(message, order, error)
    else:
        message.mark_sent()
        Case.settle(Case.Kind.MAIL_FAILED, order, _("It was sent after all."))


@transaction.atomic
def _put_off(message: Message, order: Order, error: Exception) -> None:
    """Try again later; after the last try a person has to look."""
    if message.mark_failed_try(error):
        Case.open(
            Case.Kind.MAIL_FAILED,
            order,
            _("The mail about order %(number)s could not be sent after many tries.") % {"number": order.number},
        )


def compose(order: Order, message: Message) -> EmailMultiAlternatives:
    """The mail as it would go out now, as text and HTML."""
    context = {
        "order": order,
        "contact": order.contact,
        "lines": list(order.lines.select_related("stall", "entry__calendar").prefetch_related("bookings")),
    }
    mail = EmailMultiAlternatives(
        subject=SUBJECTS[message.kind] % {"number": order.number},
        body=render_to_string(f"orders/email/{message.kind}.txt", context),
        to=[order.contact.email],
        headers={"Message-ID": f"<{message.uuid}@{urlsplit(settings.PUBLIC_URL).hostname}>"},
    )
    mail.attach_alternative(render_to_string(f"orders/email/{message.kind}.html", context), "text/html")
    return mail
