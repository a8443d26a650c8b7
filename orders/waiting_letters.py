"""Mail to those on a waiting list: composed at the moment when it is sent, and only if what it says is still so."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bookings import waiting
from bookings.models import Waiter
from cartsite import mail_on_request
from cartsite.models import Message
from cartsite.plain_text import without_controls
from orders.letters import NotNeeded, greet, tidy
from orders.told import window

# Whoever reads of an offer with so little time left cannot take it.
WORTH_TELLING = timedelta(minutes=2)


@dataclass(frozen=True)
class Kind:
    """One kind of mail. Its function takes the one who waits, and the occurrence: of an offer, the UUID of its hold."""

    subject: str | Promise
    why_not: Callable[[Waiter, str], str]  # why it must not be sent; nothing if all it says is so
    on_request: bool = False  # anybody can have it sent, so it goes only where such mail may go


def compose(waiter: Waiter, message: Message) -> EmailMultiAlternatives:
    """The mail as it would go out now, as text and HTML. Raises NotNeeded if it must not."""
    kind = KINDS[message.kind]
    if not waiter.email:
        raise NotNeeded(_("Whom it was for has been erased."))
    if why_not := kind.why_not(waiter, message.occurrence):
        raise NotNeeded(why_not)
    context = _facts(waiter) | {"subject": kind.subject % {"title": " ".join(waiter.entry.title.split())}}
    if kind.on_request:
        context["stop_link"] = mail_on_request.stop_link(waiter.email)
    mail = EmailMultiAlternatives(
        subject=str(context["subject"]),
        body=tidy(render_to_string(f"bookings/email/{message.kind}.txt", context)),
        to=[waiter.email],
        headers={"Message-ID": f"<{message.uuid}@{urlsplit(settings.PUBLIC_URL).hostname}>"},
    )
    html = without_controls(render_to_string(f"bookings/email/{message.kind}.html", context))
    mail.attach_alternative(html, "text/html")
    return mail


def _facts(waiter: Waiter) -> dict[str, object]:
    """What its templates say of the one who waits, and of what they wait for."""
    entry = waiter.entry
    return {
        "waiter": waiter,
        "greeting": greet(waiter.name),
        "entry": entry,
        "when": window(entry.local_start, entry.local_end),
        "zone": entry.calendar.zone,
        "is_over": waiting.is_over(entry),
        "join_link": settings.PUBLIC_URL + reverse("bookings:wait", args=[entry.pk]),
        "calendar_link": settings.PUBLIC_URL + entry.calendar.get_absolute_url(),
    }


def _unless_asked(waiter: Waiter, _occurrence: str) -> str:
    return "" if waiting.may_confirm(waiter) else _("There is nothing to confirm any more.")


def _unless_in_line(waiter: Waiter, _occurrence: str) -> str:
    return "" if waiter.status == Waiter.Status.WAITING or waiter.has_offer else _("They do not wait any more.")


def _unless_waiting(waiter: Waiter, _occurrence: str) -> str:
    return "" if waiter.status == Waiter.Status.WAITING else _("They do not wait any more.")


def _unless_offered(waiter: Waiter, hold: str) -> str:
    if not waiter.has_offer or waiter.hold is None or str(waiter.hold.uuid) != hold:
        return _("The offer is over.")
    is_late = waiter.offer_until is None or waiter.offer_until - timezone.now() < WORTH_TELLING
    return _("The offer ends in a moment.") if is_late else ""


def _unless_passed(waiter: Waiter, _occurrence: str) -> str:
    return "" if waiter.status == Waiter.Status.PASSED else _("Their offer did not lapse.")


def _unless_closed(waiter: Waiter, _occurrence: str) -> str:
    return "" if waiter.status == Waiter.Status.CLOSED else _("Their place in the line is not closed.")


KINDS = {
    "waiting_confirm": Kind(
        gettext_lazy("Please confirm: the waiting list for %(title)s"), _unless_asked, on_request=True
    ),
    "waiting_again": Kind(gettext_lazy("You are on the waiting list for %(title)s"), _unless_in_line, on_request=True),
    "waiting_joined": Kind(gettext_lazy("You are on the waiting list for %(title)s"), _unless_waiting),
    "waiting_offer": Kind(gettext_lazy("A place is free for you: %(title)s"), _unless_offered),
    "waiting_passed": Kind(gettext_lazy("We do not keep a place for you any more: %(title)s"), _unless_passed),
    "waiting_closed": Kind(gettext_lazy("The waiting list for %(title)s is closed"), _unless_closed),
}
