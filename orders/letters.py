"""What each mail about an order says, and whether it is still so: composed at the moment when it is sent."""

import re
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from email.mime.text import MIMEText
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import Prefetch, QuerySet, Sum
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bookings.models import Booking
from cart.models import Stall
from cartsite.models import Case, Message, kind_of
from cartsite.templatetags.shop import local_day, local_time
from orders import calendar_files
from orders.models import LineAllocation, LineFact, Order, OrderLine
from orders.offers import CollectionSlot

# The same as in the room that sends it back: this one may not ask that one.
LATE_MONEY_GOES_BACK_AFTER = timedelta(days=3)
# Who is told of a problem with so much time left can still pay.
WORTH_TRYING_AGAIN = timedelta(minutes=10)
NOTHING = Decimal("0.00")


class NotNeeded(Exception):
    """What the mail would say is not so (any more), or nobody is left to tell. The text says why, to staff."""


@dataclass(frozen=True)
class Kind:
    """One kind of mail. Its functions take the order and the occurrence, which names what exactly it is about."""

    name: str | Promise  # to staff
    subject: str | Promise
    why_not: Callable[[Order, str], str]  # why it must not be sent; nothing if all it says is so
    facts: Callable[[Order, str], dict[str, Any]]  # for its templates, besides order and contact
    files: Callable[[Order], dict[str, str]] = lambda _order: {}  # calendar files by their method
    example: Callable[[Order], str] = lambda _order: ""  # the occurrence that staff are shown; raises NotNeeded


def compose(order: Order, message: Message) -> EmailMultiAlternatives:
    """The mail as it would go out now, as text and HTML. Raises NotNeeded if it must not."""
    kind = KINDS[message.kind]
    if not hasattr(order, "contact"):
        raise NotNeeded(_("Whom it was for has been erased."))
    if why_not := kind.why_not(order, message.occurrence):
        raise NotNeeded(why_not)
    context = {"order": order, "contact": order.contact, **kind.facts(order, message.occurrence)}
    context["subject"] = kind.subject % {"number": order.number}
    mail = EmailMultiAlternatives(
        subject=context["subject"],
        body=_tidy(render_to_string(f"orders/email/{message.kind}.txt", context)),
        to=[order.contact.email],
        headers={"Message-ID": f"<{message.uuid}@{urlsplit(settings.PUBLIC_URL).hostname}>"},
    )
    mail.attach_alternative(render_to_string(f"orders/email/{message.kind}.html", context), "text/html")
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


def mail_of(order: Order) -> QuerySet[Message]:
    """All mail that was ever owed about the order."""
    return Message.objects.filter(subject_type=kind_of(Order), subject_uuid=order.uuid)


def _tidy(text: str) -> str:
    """The text without the blank lines that a template's tags leave behind."""
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip() + "\n"


def _calendar_part(order: Order, method: str, text: str) -> MIMEText:
    part = MIMEText(text, "calendar", "utf-8")
    part.set_param("method", method)
    name = f"{order.number}.ics" if method == "PUBLISH" else f"{order.number}-{method.lower()}.ics"
    part.add_header("Content-Disposition", "attachment", filename=name)
    return part


# --- What is in an order ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """One line as a mail tells of it."""

    line: OrderLine
    cancelled: int  # how many of it were called off
    codes: list[str]  # of the places that stand
    when: str  # of places: when their entry is, in words
    rule: str  # how it may be cancelled, as a sentence

    @property
    def is_called_off(self) -> bool:
        """Whether its entry was called off before there were places: its money goes back."""
        return self.line.entry is not None and self.line.entry.cancelled_at is not None and not self.codes


def _told_lines(order: Order) -> list[Told]:
    """All lines in their order, in the same few queries for any number of them."""
    confirmed = Booking.objects.filter(status=Booking.Status.CONFIRMED).order_by("pk")
    lines = order.lines.select_related("stall", "entry__calendar", "slot", "zone").with_counts()
    return [
        Told(line, line.cancelled, [booking.code for booking in line.bookings.all()], _when_is(line), _rule_of(line))
        for line in lines.prefetch_related(Prefetch("bookings", confirmed))
    ]


def _when_is(line: OrderLine) -> str:
    """When a line's entry is, on its calendar's own clock."""
    return _window(line.entry.local_start, line.entry.local_end) if line.entry else ""


def _window(begins: datetime, ends: datetime) -> str:
    """Two moments of one zone in words, such as `Saturday 5 December 2026, 10:00 - 13:00 GMT`."""
    zone = ZoneInfo(str(begins.tzinfo))
    day, last_day = local_day(begins, zone), local_day(ends, zone)
    until = local_time(ends, zone) if day == last_day else f"{last_day}, {local_time(ends, zone)}"
    return f"{day}, {local_time(begins, zone)} \N{EN DASH} {until} {ends.tzname()}"


def _rule_of(line: OrderLine) -> str:
    """Until when the shopper may cancel it by themselves, and what they get back then, as a sentence."""
    if line.kind not in OrderLine.GOODS:
        return ""
    if line.cancel_until is None or line.cancel_until <= timezone.now():
        return _("You cannot cancel this yourself.")
    zone = line.entry.calendar.zone if line.entry else None
    until = {"day": local_day(line.cancel_until, zone), "time": local_time(line.cancel_until, zone)}
    if line.kept_percent == 0:
        return _("You may cancel this until %(day)s, %(time)s, and get back all that you paid for it.") % until
    if line.kept_percent == 100:
        return _("You may cancel this until %(day)s, %(time)s, but nothing that you paid for it comes back.") % until
    back = {"back": _trim(100 - line.kept_percent)}
    return _("You may cancel this until %(day)s, %(time)s, and get back %(back)s%% of what you paid for it.") % (
        until | back
    )


def _trim(percent: Decimal) -> str:
    """A number of per cent without needless noughts, such as `20` or `12.5`."""
    return f"{percent.normalize():f}"


def _by_stall(lines: Iterable[Told]) -> list[tuple[Stall, list[Told]]]:
    """Goods and places by the stall that sells them."""
    things = sorted(
        (told for told in lines if told.line.kind in OrderLine.GOODS), key=lambda told: told.line.stall.name
    )
    return [(stall, list(group)) for stall, group in groupby(things, key=lambda told: told.line.stall)]


def _all_of_it(order: Order, _occurrence: str = "") -> dict[str, Any]:
    """The order as it stands: lines, discounts, fees, how goods are handed over, and its tax."""
    lines = _told_lines(order)
    extras = [told.line for told in lines if told.line.kind not in OrderLine.GOODS]
    return {
        "stalls": _by_stall(lines),
        "extras": extras,
        "slots": [(slot, _window(slot.local_start, slot.local_end)) for slot in _slots_of(extras)],
        "address": getattr(order, "address", None) if any(line.zone for line in extras) else None,
        "taxes": _taxes_of(order),
    }


def _slots_of(fees: Iterable[OrderLine]) -> list[CollectionSlot]:
    return [line.slot for line in fees if line.slot]


def _taxes_of(order: Order) -> list[tuple[str, Decimal]]:
    """The rates (per cent) with the tax within the total at each, as it was shared out when the order was placed."""
    shares = LineAllocation.objects.filter(line__order=order).values("tax_rate").order_by("tax_rate")
    return [(_trim(row["tax_rate"]), row["sum"]) for row in shares.annotate(sum=Sum("tax")) if row["sum"]]


# --- Confirmation, reminder, link -------------------------------------------------------------------------------------


def _unless_sold(order: Order, _occurrence: str) -> str:
    return "" if order.is_sold else _("The order is not confirmed.")


def _places(order: Order) -> dict[str, str]:
    return {method: text for method, text in [("PUBLISH", calendar_files.write_places(order))] if text}


def _places_at(order: Order, entry: str) -> Told | None:
    """The line with the places that the order has at an entry, by its UUID."""
    lines = [told for told in _told_lines(order) if told.codes and str(getattr(told.line.entry, "uuid", "")) == entry]
    return lines[0] if lines else None


def _unless_ahead(order: Order, entry: str) -> str:
    told = _places_at(order, entry) if order.is_sold else None
    if told is None or told.line.entry is None:
        return _("The order has no places there any more.")
    if told.line.entry.cancelled_at is not None:
        return _("It is called off.")
    return "" if told.line.entry.starts_at > timezone.now() else _("It has begun.")


def _next_entry(order: Order) -> str:
    """The UUID of the entry that the order has places at and that begins next."""
    ahead = Booking.objects.filter(
        order_line__order=order, status=Booking.Status.CONFIRMED, entry__starts_at__gt=timezone.now()
    )
    first = ahead.order_by("entry__starts_at", "entry").values_list("entry__uuid", flat=True).first()
    if first is None:
        raise NotNeeded(_("The order has no places that lie ahead."))
    return str(first)


def _always(_order: Order, _occurrence: str) -> str:
    return ""


def _nothing(_order: Order, _occurrence: str) -> dict[str, Any]:
    return {}


# --- Trouble with paying, and the end of orders -----------------------------------------------------------------------


def _unless_payable(order: Order, _occurrence: str) -> str:
    if not order.is_awaiting_payment or order.is_closing:
        return _("The order does not wait for a payment.")
    if order.payments.filter(status="captured").exists():
        return _("Something was paid meanwhile.")
    return "" if order.deadline - timezone.now() >= WORTH_TRYING_AGAIN else _("There is too little time left to pay.")


def _unless_expired(order: Order, _occurrence: str) -> str:
    if order.status != Order.Status.EXPIRED:
        return _("The order has not expired.")
    came_late = mail_of(order).filter(kind="late_payment").exists()
    return _("Money came late: the mail about that says so.") if came_late else ""


def _over(order: Order, _occurrence: str) -> dict[str, Any]:
    """What was in it, and whether nothing was ever charged."""
    return _all_of_it(order) | {"is_uncharged": not order.movements.filter(kind__in=["capture", "cash"]).exists()}


def _unless_cancelled(order: Order, _occurrence: str) -> str:
    if order.status == Order.Status.CANCELLED or _has_cancelled_parts(order):
        return ""
    return _("Nothing of the order is cancelled.")


def _has_cancelled_parts(order: Order) -> bool:
    return LineFact.objects.filter(line__order=order, kind=LineFact.Kind.CANCELLED).exists()


def _what_is_cancelled(order: Order, occurrence: str) -> dict[str, Any]:
    """Each line with how many of it are cancelled, and the money that is on its way back for it."""
    is_whole = order.status == Order.Status.CANCELLED
    goes_back = order.refunds.filter(status__in=["requested", "sending", "unknown"]).aggregate(sum=Sum("amount"))["sum"]
    return _over(order, occurrence) | {
        "is_whole": is_whole,
        "cancelled": [
            told for told in _told_lines(order) if told.line.kind in OrderLine.GOODS and (is_whole or told.cancelled)
        ],
        "goes_back": goes_back or NOTHING,
    }


def _changed_places(order: Order) -> dict[str, str]:
    """What goes from the shopper's calendar, and what stays there with fewer places."""
    files = {"CANCEL": calendar_files.write_gone(order)}
    if any(told.cancelled and told.codes for told in _told_lines(order)):
        files["PUBLISH"] = calendar_files.write_places(order)
    return {method: text for method, text in files.items() if text}


# --- Money back, and money that came late -----------------------------------------------------------------------------


def _refund(order: Order, refund: str) -> dict[str, Any]:
    return {"refund": order.refunds.get(uuid=refund)}


def _last_refund(order: Order) -> str:
    """The UUID of the last refund that happened."""
    done = order.refunds.filter(status__in=["done", "external"]).order_by("done_at").last()
    if done is None:
        raise NotNeeded(_("No money of the order went back."))
    return str(done.uuid)


def _if_sold(order: Order, _occurrence: str) -> str:
    return _("The order is confirmed after all.") if order.is_sold else ""


def _late_money(order: Order, payment: str) -> dict[str, Any]:
    """The money, the page where the shopper chooses, and until when (UTC); no date once somebody has decided."""
    case = Case.objects.unresolved().filter(kind=Case.Kind.LATE_PAYMENT, subject_uuid=payment).first()
    path = reverse("orders:late_payment", args=[order.number])
    return {
        "capture": order.movements.filter(kind="capture", payment__uuid=payment).latest("happened_at"),
        "late_link": f"{settings.PUBLIC_URL}{path}?key={order.key}",
        "goes_back_at": case and _goes_back_at(case),
    }


def _goes_back_at(case: Case) -> datetime:
    return max(case.opened_at + LATE_MONEY_GOES_BACK_AFTER, case.snoozed_until or case.opened_at)


def _late_payment(order: Order) -> str:
    """The UUID of the payment of the order that came late."""
    late = Case.objects.filter(kind=Case.Kind.LATE_PAYMENT).about(*order.payments.all()).order_by("pk").last()
    if late is None:
        raise NotNeeded(_("No payment of the order came late."))
    return str(late.subject_uuid)


KINDS = {
    "confirmation": Kind(
        gettext_lazy("Confirmation"),
        gettext_lazy("Your order %(number)s is confirmed"),
        _unless_sold,
        _all_of_it,
        files=_places,
    ),
    "payment_problem": Kind(
        gettext_lazy("Problem with the payment"),
        gettext_lazy("Your payment for order %(number)s did not work"),
        _unless_payable,
        _all_of_it,
    ),
    "expired": Kind(
        gettext_lazy("Expired"), gettext_lazy("Your order %(number)s has ended unpaid"), _unless_expired, _over
    ),
    "cancelled": Kind(
        gettext_lazy("Cancelled"),
        gettext_lazy("Cancelled: your order %(number)s"),
        _unless_cancelled,
        _what_is_cancelled,
        files=_changed_places,
    ),
    "refund": Kind(
        gettext_lazy("Money back"),
        gettext_lazy("Money back for your order %(number)s"),
        _always,
        _refund,
        example=_last_refund,
    ),
    "late_payment": Kind(
        gettext_lazy("Late payment"),
        gettext_lazy("Your payment for order %(number)s came too late"),
        _if_sold,
        _late_money,
        example=_late_payment,
    ),
    "reminder": Kind(
        gettext_lazy("Reminder"),
        gettext_lazy("A reminder of what you booked in order %(number)s"),
        _unless_ahead,
        lambda order, entry: {"told": _places_at(order, entry)},
        example=_next_entry,
    ),
    "link": Kind(gettext_lazy("The link again"), gettext_lazy("The link to your order %(number)s"), _always, _nothing),
}
