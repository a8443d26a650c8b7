"""How a shop that takes no real money says so: in a line on every page, and in every mail."""

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

SUBJECT = "[TEST] "
HEADER = "X-Shop-Test"  # a mail that has it is marked
BODY = re.compile(r"<body[^>]*>", re.IGNORECASE)


def say_on_page() -> str | SafeString:
    """The line that every page of a test shop begins with; nothing in a shop that takes real money."""
    if not settings.ORDERS_ARE_TESTS:
        return ""
    said = _("This is a test shop: no real money moves, and nothing that is ordered is delivered.")
    return format_html('<p class="notice notice-wait p-3 text-center font-semibold" data-test-shop>{}</p>', said)


def mark(mail: EmailMessage) -> None:
    """Have a mail say in its subject, its text and its HTML that it is a test; once, however often it is marked."""
    if HEADER in mail.extra_headers:
        return
    said = _("This is a test. No real money moved, and nothing that was ordered is delivered.")
    mail.extra_headers[HEADER] = "yes"
    mail.subject = f"{SUBJECT}{mail.subject}"
    mail.body = f"{said}\n\n{mail.body}"
    if isinstance(mail, EmailMultiAlternatives):
        banner = format_html('<p style="font-weight: bold; text-align: center">{}</p>', said)
        parts, mail.alternatives = mail.alternatives, []
        for content, kind in parts:
            mail.attach_alternative(_put_first(str(content), banner) if kind == "text/html" else content, kind)


def _put_first(html: str, banner: str) -> str:
    """The HTML with the banner as the first thing that is seen."""
    body = BODY.search(html)
    start = body.end() if body else 0
    return html[:start] + banner + html[start:]


class MarkingBackend(BaseEmailBackend):
    """Hands mail on to the shop's own backend (settings.REAL_EMAIL_BACKEND) with the mark of a test on it.

    It is the last thing that all mail passes, so that no kind of mail can be forgotten.
    """

    def __init__(self, fail_silently: bool = False, **kwargs: Any) -> None:
        super().__init__(fail_silently=fail_silently)
        self._real = get_connection(settings.REAL_EMAIL_BACKEND, fail_silently=fail_silently, **kwargs)

    def open(self) -> bool | None:
        return self._real.open()

    def close(self) -> None:
        self._real.close()

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for mail in email_messages:
            mark(mail)
        return self._real.send_messages(email_messages) or 0
