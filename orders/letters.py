"""Mail about orders: composed at the moment when it is sent, and only if what it says is still so."""

import re
from copy import copy
from email.mime.text import MIMEText
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from cartsite import mail_on_request, staging
from cartsite.models import Message
from cartsite.plain_text import for_mail, without_controls
from orders.letter_kinds import KINDS, Kind, NotNeeded, mail_of
from orders.models import Order

__all__ = ["KINDS", "Kind", "NotNeeded", "compose", "mail_of", "preview"]


def compose(order: Order, message: Message) -> EmailMultiAlternatives:
    """The mail as it would go out now, as text and HTML. Raises NotNeeded if it must not."""
    kind = KINDS[message.kind]
    if not hasattr(order, "contact"):
        raise NotNeeded(_("Whom it was for has been erased."))
    if why_not := kind.why_not(order, message.occurrence):
        raise NotNeeded(why_not)
    facts = {"subject": kind.subject, **kind.facts(order, message.occurrence)}
    facts["subject"] %= {"number": order.number}
    context = {"order": order, "greeting": greet(order.contact.name), **facts}
    if kind.on_request:
        # A preview has no such link: it is the shopper's to follow.
        context["stop_link"] = mail_on_request.stop_link(order.contact.email) if message.pk else ""
    mail = EmailMultiAlternatives(
        subject=context["subject"],
        body=tidy(render_to_string(f"orders/email/{message.kind}.txt", context)),
        to=[order.contact.email],
        headers={"Message-ID": f"<{message.uuid}@{urlsplit(settings.PUBLIC_URL).hostname}>"},
    )
    html = without_controls(render_to_string(f"orders/email/{message.kind}.html", context))
    mail.attach_alternative(html, "text/html")
    if order.is_test:
        staging.mark(mail)
    for method, text in kind.files(order).items():
        mail.attach(_calendar_part(order, method, text))
    return mail


def preview(order: Order, name: str) -> EmailMultiAlternatives:
    """What a mail of this kind would say about the order now, to nobody, and without the order's secret.

    Raises NotNeeded with the reason if such a mail would not be sent.
    """
    order = copy(order)
    order.key = _("secret")  # never saved
    return compose(order, Message(kind=name, occurrence=KINDS[name].example(order)))


def tidy(text: str) -> str:
    """The text without control characters, and without the blank lines that a template's tags leave behind."""
    lines = without_controls(text.replace("\r\n", "\n"))
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", lines)).strip() + "\n"


def greet(name: str) -> str:
    """How a mail begins. A name that could pass for more than a name is left out."""
    shown = for_mail(name)
    return _("Dear %(name)s,") % {"name": shown} if shown else _("Hello,")


def _calendar_part(order: Order, method: str, text: str) -> MIMEText:
    part = MIMEText(text, "calendar", "utf-8")
    part.set_param("method", method)
    name = f"{order.number}.ics" if method == "PUBLISH" else f"{order.number}-{method.lower()}.ics"
    part.add_header("Content-Disposition", "attachment", filename=name)
    return part
