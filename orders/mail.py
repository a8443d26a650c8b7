"""The mail an order's shopper is owed: composed when it is sent, at least once, under a Message-ID of its own."""

import logging
from datetime import timedelta
from traceback import format_tb
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cartsite.models import Case, Message, kind_of
from orders.models import Order

logger = logging.getLogger(__name__)

SUBJECTS = {
    "confirmation": gettext_lazy("Your order %(number)s is confirmed"),
    "refund": gettext_lazy("Money back for your order %(number)s"),
    "late_payment": gettext_lazy("Your payment for order %(number)s came too late"),
}
# The same as in the room that sends it back: this one may not ask that one.
LATE_MONEY_GOES_BACK_AFTER = timedelta(days=3)


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
    context = {"order": order, "contact": order.contact, **_facts_for(order, message)}
    mail = EmailMultiAlternatives(
        subject=SUBJECTS[message.kind] % {"number": order.number},
        body=render_to_string(f"orders/email/{message.kind}.txt", context),
        to=[order.contact.email],
        headers={"Message-ID": f"<{message.uuid}@{urlsplit(settings.PUBLIC_URL).hostname}>"},
    )
    mail.attach_alternative(render_to_string(f"orders/email/{message.kind}.html", context), "text/html")
    return mail


def _facts_for(order: Order, message: Message) -> dict[str, Any]:
    """What a mail of this kind says besides whom it is for; its occurrence names the refund or the payment."""
    if message.kind == "refund":
        return {"refund": order.refunds.get(uuid=message.occurrence)}
    if message.kind == "late_payment":
        return _facts_of_late_money(order, message.occurrence)
    return {"lines": list(order.lines.select_related("stall", "entry__calendar").prefetch_related("bookings"))}


def _facts_of_late_money(order: Order, payment: str) -> dict[str, Any]:
    """The money, the page where the shopper chooses, and until when (UTC); no date once somebody has decided."""
    case = Case.objects.unresolved().filter(kind=Case.Kind.LATE_PAYMENT, subject_uuid=payment).first()
    path = reverse("orders:late_payment", args=[order.number])
    return {
        "capture": order.movements.filter(kind="capture", payment__uuid=payment).latest("happened_at"),
        "late_link": f"{settings.PUBLIC_URL}{path}?key={order.key}",
        "goes_back_at": case and max(case.opened_at + LATE_MONEY_GOES_BACK_AFTER, case.snoozed_until or case.opened_at),
    }
