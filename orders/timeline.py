"""What happened to an order, told to its shopper in plain words: from its events and its money."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cartsite.templatetags.shop import in_words
from orders import told
from orders.models import Order, OrderEvent, OrderLine

Sentence = str | Promise

# Each kind of event that shoppers are told about.
EVENTS: dict[str, Sentence] = {
    "placed": _("The order was placed."),
    "confirmed": _("The order was confirmed."),
    "expired": _("The time to pay was over, and the order ended."),
    "cancelled": _("The order was cancelled."),
    "completed": _("Nothing of the order was open any more."),
    "closing": _("We began to let the order go."),
    "closing_withdrawn": _("You kept the order after all."),
    "closing_stopped": _("We could not let the order go yet, since its money is looked into first."),
    "shopper_waits": _("You chose to wait for the co-operative."),
    "attempt_open": _("A payment page over %(amount)s was opened."),
    "declined": _("The bank said no to a payment. Nothing was taken."),
    "line_collected": _("%(title)s: %(quantity)s collected."),
    "line_attended": _("%(title)s: %(quantity)s attended."),
    "line_missed": _("%(title)s: %(quantity)s missed."),
    "line_cancelled": _("%(title)s: %(quantity)s cancelled."),
    "line_undone": _("%(title)s: the last entry at the door was a mistake, and was taken back."),
    "place_moved": _("%(title)s: %(quantity)s moved from %(left)s to %(there)s."),
    "entry_called_off": _("The co-operative called off %(title)s."),
    "entry_rescheduled": _("The co-operative changed the time of %(title)s from %(was)s to %(now)s."),
    "mail_failed": _("A mail to you could not be delivered."),
    "attendees_changed": _("It was changed who comes."),
    "joined_account": _("The order was added to your account."),
    "refund_approved": _("A refund of %(amount)s was approved."),
    "refund_turned_down": _("The refund of %(amount)s was not sent after all."),
    "refund_failed": _("The refund of %(amount)s did not go through."),
}
# Where the places went to another order, since they cost more there.
MOVED_ON = _("%(title)s: %(quantity)s moved from %(left)s to %(there)s, into order %(order)s.")
# Of these, only what became of refunds that shoppers were told of.
ONCE_APPROVED = {"refund_turned_down", "refund_failed"}
# Kinds of events that are told by the order's money, which knows when it moved.
TOLD_AS_MONEY = {"captured", "cash", "charged_back", "money_attached", "refunded"}
# Kinds of events that only staff need to know.
INTERNAL = {"attempt_closed", "move_begun", "refund_given_up", "refund_requested", "refund_sending", "refund_unknown"}

# What came in and what went out, by the movement's kind.
CAME: dict[str, Sentence] = {
    "capture": _("%(amount)s was paid."),
    "cash": _("%(amount)s was paid by hand."),
}
WENT: dict[str, Sentence] = {
    "cash": _("%(amount)s was given back by hand."),
    "refund": _("%(amount)s went back to your card."),
    "chargeback": _("Your bank took %(amount)s back from us."),
}

# A mail that went out, by its kind.
MAIL_SENT = "mail_sent"
MAILS: dict[str, Sentence] = {
    "confirmation": _("We sent you the confirmation."),
    "payment_problem": _("We wrote to you that the payment had not worked."),
    "expired": _("We wrote to you that the order had ended."),
    "cancelled": _("We wrote to you what was cancelled."),
    "refund": _("We wrote to you about your money back."),
    "late_payment": _("We wrote to you that your money had come too late."),
    "reminder": _("We sent you a reminder of what you booked."),
    "moved": _("We wrote to you that places were moved."),
    "rescheduled": _("We wrote to you about the new time."),
    "link": _("We sent you the link to this order again."),
}


@dataclass(frozen=True)
class Moment:
    """One thing that happened, and when (UTC)."""

    at: datetime
    said: str


def tell(order: Order, lines: Iterable[OrderLine], movements: Iterable[Any]) -> list[Moment]:
    """What happened to the order, the oldest first; what is not known here is left out.

    `lines` are all of the order's, `movements` those of its shopper's money: the page has both already.
    """
    moments = _of_events(order, {str(line.uuid): line.title for line in lines})
    moments += [moment for movement in movements if (moment := _of_money(movement))]
    return sorted(moments, key=lambda moment: moment.at)


def _of_events(order: Order, titles: dict[str, str]) -> list[Moment]:
    """`titles` are the lines' by their UUIDs."""
    events = list(order.events.all())
    asked = {event.data["refund"]: event.data["amount"] for event in events if event.kind == "refund_requested"}
    approved = {event.data["refund"] for event in events if event.kind == "refund_approved"}
    return [
        Moment(event.at, sentence % _facts_of(event, titles, asked, order.currency))
        for event in events
        if (sentence := _sentence_for(event)) and (event.kind not in ONCE_APPROVED or event.data["refund"] in approved)
    ]


def _sentence_for(event: OrderEvent) -> Sentence:
    """What is said of such an event; nothing if that is not known here, or follows from another."""
    if event.cause == Order.REOPENED:
        return ""
    if event.kind == "place_moved" and "order" in event.data:
        return MOVED_ON
    return MAILS.get(event.data["mail"], "") if event.kind == MAIL_SENT else EVENTS.get(event.kind, "")


def _facts_of(event: OrderEvent, titles: dict[str, str], asked: dict[str, str], currency: str) -> dict[str, Any]:
    """What the sentence about an event may name. `asked` are the refunds' amounts by their UUIDs."""
    data = event.data
    amount = data.get("amount") or asked.get(data.get("refund", ""), "0")
    return {
        "amount": in_words(Decimal(amount), currency),
        "quantity": data.get("quantity", ""),
        "title": titles.get(data.get("line", ""), data.get("title", "")),
        "was": _moment(data, "from"),
        "now": _moment(data, "to"),
        "left": _moment(data, "left", "clock"),
        "there": _moment(data, "there", "clock"),
        "order": data.get("order", ""),
    }


def _moment(data: dict[str, Any], name: str, zone: str = "zone") -> str:
    """A moment that an event names, on the clock of the zone that it names; nothing if it names none."""
    if zone not in data or name not in data:
        return ""
    return told.moment(datetime.fromisoformat(data[name]), ZoneInfo(data[zone]))


def _of_money(movement: Any) -> Moment | None:
    """Of a movement of the shopper's money; nothing for one between SumUp and us."""
    sentence = (CAME if movement.amount > 0 else WENT).get(movement.kind)
    if sentence is None:
        return None
    return Moment(movement.happened_at, sentence % {"amount": in_words(abs(movement.amount), movement.currency)})
