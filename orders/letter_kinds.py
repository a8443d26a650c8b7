"""What each kind of mail about an order says, and why it would not be sent."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import QuerySet, Sum
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bookings.models import Booking, Entry
from cartsite.models import Case, Message, kind_of
from cartsite.plain_text import for_mail
from cartsite.refusals import Refusal
from orders import calendar_files, told
from orders.models import LineAllocation, Order, OrderEvent, OrderLine
from orders.offers import CollectionSlot

# The same as in the room that sends it back: this one may not ask that one.
LATE_MONEY_GOES_BACK_AFTER = timedelta(days=3)
# Who is told of a problem with so much time left can still pay.
WORTH_TRYING_AGAIN = timedelta(minutes=10)
# How the occurrence of a mail begins that says what the co-operative called off: a batch's UUID follows.
CALLED_OFF = "called-off-"
NOTHING = Decimal("0.00")


class NotNeeded(Refusal):
    """What the mail would say is not so (any more), or nobody is left to tell. The text says why, to staff."""


@dataclass(frozen=True)
class Kind:
    """One kind of mail. Its functions take the order and the occurrence, which names what exactly it is about."""

    name: str | Promise  # to staff
    subject: str | Promise
    why_not: Callable[[Order, str], str]  # why it must not be sent; nothing if all it says is so
    # For its templates, besides order and greeting; also another subject, where it is a special case.
    facts: Callable[[Order, str], dict[str, Any]]
    files: Callable[[Order], dict[str, str]] = lambda _order: {}  # calendar files by their method
    on_request: bool = False  # anybody can have it sent, so it goes only where such mail may go
    example: Callable[[Order], str] = lambda _order: ""  # the occurrence that staff are shown; raises NotNeeded


def mail_of(order: Order) -> QuerySet[Message]:
    """All mail that was ever owed about the order."""
    return Message.objects.filter(subject_type=kind_of(Order), subject_uuid=order.uuid)


def _all_of_it(order: Order, _occurrence: str = "") -> dict[str, Any]:
    """The order as it stands: lines, discounts, fees, how goods are handed over, and its tax."""
    lines = told.tell_lines(order)
    extras = [each.line for each in lines if each.line.kind not in OrderLine.GOODS]
    return {
        "stalls": told.by_stall(lines),
        "extras": extras,
        "has_tickets": any(each.codes for each in lines),
        "slots": [(slot, told.window(slot.local_start, slot.local_end)) for slot in _slots_of(extras)],
        "brought": _brought(order) if any(line.zone for line in extras) else None,
        "taxes": _taxes_of(order),
    }


def _slots_of(fees: Iterable[OrderLine]) -> list[CollectionSlot]:
    return [line.slot for line in fees if line.slot]


def _brought(order: Order) -> dict[str, str] | None:
    """Where the goods are brought, in one line, and what the driver was told; None if neither may be mailed."""
    address = getattr(order, "address", None)
    if address is None:
        return None
    parts = [order.contact.name, address.street, address.town, address.postcode]
    where = ", ".join(filter(None, map(for_mail, parts)))
    return {"where": where, "instructions": for_mail(address.instructions)} if where else None


def _taxes_of(order: Order) -> list[tuple[str, Decimal]]:
    """The rates (per cent) with the tax within the total at each, as it was shared out when the order was placed."""
    shares = LineAllocation.objects.filter(line__order=order).values("tax_rate").order_by("tax_rate")
    return [(told.trim(row["tax_rate"]), row["sum"]) for row in shares.annotate(sum=Sum("tax")) if row["sum"]]


def _always(_order: Order, _occurrence: str) -> str:
    return ""


def _nothing(_order: Order, _occurrence: str) -> dict[str, Any]:
    return {}


# --- Confirmation and reminder ----------------------------------------------------------------------------------------


def _unless_sold(order: Order, _occurrence: str) -> str:
    return "" if order.is_sold else _("The order is not confirmed.")


def _places(order: Order) -> dict[str, str]:
    return {method: text for method, text in [("PUBLISH", calendar_files.write_places(order))] if text}


def _at(order: Order, entry: str) -> dict[str, Any]:
    """The places of the order at an entry, by its UUID."""
    return {"places": told.tell_entry(order, entry)}


def _unless_ahead(order: Order, entry: str) -> str:
    places = told.tell_entry(order, entry) if order.is_sold else None
    if places is None or not places.codes:
        return _("The order has no places there any more.")
    if places.is_called_off:
        return _("It is called off.")
    return "" if places.entry.starts_at > timezone.now() else _("It has begun.")


def _next_entry(order: Order) -> str:
    """The UUID of the entry that the order has places at and that begins next."""
    ahead = Booking.objects.filter(
        order_line__order=order, status=Booking.Status.CONFIRMED, entry__starts_at__gt=timezone.now()
    )
    first = ahead.order_by("entry__starts_at", "entry").values_list("entry__uuid", flat=True).first()
    if first is None:
        raise NotNeeded(_("The order has no places that lie ahead."))
    return str(first)


# --- Places that were moved, and entries whose time was changed -------------------------------------------------------


def _last_event(order: Order, kind: str) -> OrderEvent:
    """The last event of a kind. Raises NotNeeded."""
    event = order.events.filter(kind=kind).last()
    if event is None:
        raise NotNeeded(_("No such thing happened to the order."))
    return event


def _move_of(order: Order, occurrence: str) -> OrderEvent | None:
    """The event that a mail about moved places is about: the occurrence ends with its key."""
    key = occurrence.rpartition("-")[2]
    return order.events.filter(kind="place_moved", pk=key).first() if key.isdigit() else None


def _unless_moved(order: Order, occurrence: str) -> str:
    event = _move_of(order, occurrence)
    if event is None:
        return _("No places were moved.")
    return "" if "order" in event.data else _unless_ahead(order, event.data["to"])


def _moved(order: Order, occurrence: str) -> dict[str, Any]:
    """Where the places were and where they are; whether the co-operative called off where they were; and the number
    of the order that they moved on to, since they cost more there."""
    event = _move_of(order, occurrence)
    data = event.data if event else {}
    before = Entry.objects.select_related("calendar").get(uuid=data["from"])
    into = data.get("order", "")
    return (_there(data["to"]) if into else _at(order, data["to"])) | {
        "into": into,
        "quantity": data["quantity"],
        "before": before,
        "was": told.when_is(before),
        "back": Decimal(data.get("back", "0")),
    }


def _there(entry: str) -> dict[str, Any]:
    """An entry, by its UUID, where another order has the places: that one's own mail tells their codes and rule."""
    to = Entry.objects.select_related("calendar").get(uuid=entry)
    return {"places": told.Places(to, [], told.when_is(to), rule="")}


def _last_move(order: Order) -> str:
    return f"moved-{_last_event(order, 'place_moved').pk}"


def _moved_files(order: Order) -> dict[str, str]:
    """What goes from the shopper's calendar, and what is there instead."""
    return {method: text for method, text in [("CANCEL", calendar_files.write_gone(order))] if text} | _places(order)


def _unless_rescheduled(order: Order, occurrence: str) -> str:
    uuid, _dash, sequence = occurrence.rpartition("-")
    places = told.tell_entry(order, uuid)
    if places is None or not (places.codes or order.is_awaiting_payment):
        return _("The order has no places there any more.")
    if places.is_called_off:
        return _("It is called off.")
    if places.entry.sequence != int(sequence):
        return _("Its time was changed again: the mail about that says so.")
    return "" if places.entry.starts_at > timezone.now() else _("It has begun.")


def _rescheduled(order: Order, occurrence: str) -> dict[str, Any]:
    """The entry as it is now, and when (in words) it was to begin."""
    uuid = occurrence.rpartition("-")[0]
    changes = [event for event in order.events.filter(kind="entry_rescheduled") if event.data["entry"] == uuid]
    data = changes[-1].data if changes else None
    was = told.moment(datetime.fromisoformat(data["from"]), ZoneInfo(data["zone"])) if data else ""
    return _at(order, uuid) | {"was": was}


def _last_rescheduling(order: Order) -> str:
    uuid = _last_event(order, "entry_rescheduled").data["entry"]
    return f"{uuid}-{Entry.objects.get(uuid=uuid).sequence}"


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
    return any(each.cancelled for each in told.tell_lines(order))


def _what_is_cancelled(order: Order, occurrence: str) -> dict[str, Any]:
    """Each line with how many of it are cancelled, what the co-operative called off, and the money on its way back."""
    is_whole = order.status == Order.Status.CANCELLED
    goes_back = order.refunds.filter(status__in=["requested", "sending", "unknown"]).aggregate(sum=Sum("amount"))["sum"]
    facts = _over(order, occurrence) | {
        "is_whole": is_whole,
        "cancelled": [
            each
            for each in told.tell_lines(order)
            if each.line.kind in OrderLine.GOODS and (is_whole or each.cancelled)
        ],
        "called_off": _called_off(order, occurrence),
        "goes_back": goes_back or NOTHING,
        "by_hand": _due_by_hand(order),
    }
    return facts if is_whole else facts | {"subject": _("Cancelled: a part of your order %(number)s")}


def _due_by_hand(order: Order) -> Decimal:
    """What of the order's money did not come by card, and must go back by hand: its open case says so."""
    standing = Case.objects.unresolved().filter(kind=Case.Kind.OVERPAID).about(order)
    return standing.aggregate(sum=Sum("at_stake"))["sum"] or NOTHING


def _called_off(order: Order, occurrence: str) -> list[dict[str, Any]]:
    """What the co-operative called off that this mail tells of: title, when, what goes back, and where the rest is."""
    return [
        {
            "title": event.data["title"],
            "when": told.moment(datetime.fromisoformat(event.data["begins"]), ZoneInfo(event.data["zone"])),
            "was_paid": event.data["was_paid"],
            "by_hand": Decimal(event.data["by_hand"]),
            "rest": event.data["rest"],
        }
        for event in order.events.filter(kind="entry_called_off")
        if _tells_of(occurrence, event.data, order)
    ]


def _tells_of(occurrence: str, data: dict[str, Any], order: Order) -> bool:
    """Whether the mail of this occurrence is about what was called off then: by name, or as that ended the order."""
    if occurrence.startswith(CALLED_OFF):
        return occurrence == f"{CALLED_OFF}{data['batch']}"
    is_about_all = not occurrence.startswith("part-") and order.status == Order.Status.CANCELLED
    return is_about_all and bool(data["ends"])


def _last_cancelling(order: Order) -> str:
    """All of the order, or what was called off of it last."""
    event = order.events.filter(kind="entry_called_off", data__moved=False, data__ends=False).last()
    return f"{CALLED_OFF}{event.data['batch']}" if event and order.status != Order.Status.CANCELLED else ""


def _changed_places(order: Order) -> dict[str, str]:
    """What goes from the shopper's calendar, and what stays there with fewer places."""
    files = {"CANCEL": calendar_files.write_gone(order)}
    if any(each.cancelled and each.codes for each in told.tell_lines(order)):
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
        example=_last_cancelling,
    ),
    "rescheduled": Kind(
        gettext_lazy("New time"),
        gettext_lazy("A new time for what is in your order %(number)s"),
        _unless_rescheduled,
        _rescheduled,
        files=_places,
        example=_last_rescheduling,
    ),
    "moved": Kind(
        gettext_lazy("Places moved"),
        gettext_lazy("Places of your order %(number)s were moved"),
        _unless_moved,
        _moved,
        files=_moved_files,
        example=_last_move,
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
        _at,
        example=_next_entry,
    ),
    "link": Kind(
        gettext_lazy("The link again"),
        gettext_lazy("The link to your order %(number)s"),
        _always,
        _nothing,
        on_request=True,
    ),
}
