"""What the records say now, in few words."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from django.db import models

from bookings.models import Booking, Entry, Pool
from cartsite.models import Case, Message
from orders.models import Order
from payments import releasing, sweeping
from payments.models import Movement, Payment

Row = TypeVar("Row", bound=models.Model)
Later = Callable[..., datetime]  # the fixture that lets time pass


def fresh(row: Row) -> Row:
    """The row as the database has it now."""
    return type(row)._default_manager.get(pk=row.pk)


def open_cases() -> list[str]:
    """The kinds of all cases that a person has yet to look at."""
    return sorted(Case.objects.unresolved().values_list("kind", flat=True))


def taken(entry: Entry) -> int:
    """How many places are taken."""
    return Pool.objects.get(pk=entry.pool_id).taken


def events_of(order: Order) -> list[str]:
    """What happened to the order, in order."""
    return list(order.events.values_list("kind", flat=True))


def sweep() -> None:
    """All that the timers do about money."""
    sweeping.sweep()
    releasing.sweep()


def sweep_until_quiet(later: Later, *, rounds: int = 12) -> None:
    """Let the timers run every few minutes for two hours."""
    for _round in range(rounds):
        later(minutes=10)
        sweep()


def tallies() -> dict[str, int]:
    """How often each thing happened that may happen once.

    Not the mail on the way there: that a payment was declined, or that the order ended unpaid.
    """
    told = Message.objects.exclude(kind__in=["payment_problem", "expired"])
    return {
        "movements": Movement.objects.count(),
        "bookings": Booking.objects.count(),
        "messages": told.count(),
    }


def make_due(payment: Payment) -> Payment:
    """Let the payment's next look be due, whoever looked last."""
    Payment.objects.filter(pk=payment.pk).update(
        next_look_at=models.F("created_at"), last_look_at=None, leased_until=None
    )
    return fresh(payment)
