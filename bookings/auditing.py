"""Does what the pools count agree with what holds and bookings say? It reports, and repairs nothing.

Every check is one statement, and what it finds is read a few rows at a time: so it takes the same few queries and the
same little memory in a shop of any size. What a higher room knows of a hold is asked for by the names of relations.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce, Greatest

from bookings.models import Booking, Hold, Pool, Waiter

AT_A_TIME = 500  # rows
# Orders that do not hold anything any more.
LET_GO = ("expired", "cancelled")


@dataclass(frozen=True)
class Finding:
    """Something that does not agree: in which pool, what must be so, and what is."""

    pool: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.pool}: expected {self.expected}, found {self.found}"


def audit(progress: Callable[[str], None] = lambda _what: None) -> Iterator[Finding]:
    """All that is wrong; `progress` is told what is looked at. Everything is seen as it was at one moment."""
    with _as_of_one_moment():
        for check in CHECKS:
            progress((check.__doc__ or "").splitlines()[0].rstrip("."))
            yield from check()


@contextmanager
def _as_of_one_moment() -> Iterator[None]:
    """What others commit meanwhile is not seen, and nothing can be written; within a transaction that is its own."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _name(row: dict[str, Any], prefix: str = "pool__") -> str:
    """A pool's name and key: names are not unique."""
    return f"{row[f'{prefix}name']} ({row[f'{prefix}pk']})"


def _rows(found: QuerySet[Any, Any], *names: str) -> Iterator[dict[str, Any]]:
    return found.values(*names).iterator(AT_A_TIME)


# --- Pools ------------------------------------------------------------------------------------------------------------


def check_taken() -> Iterator[Finding]:
    """What is taken from each pool is the sum of its live holds."""
    of_pool = Hold.objects.live().filter(pool=OuterRef("pk")).order_by().values("pool")
    held = Subquery(of_pool.annotate(sum=Sum("quantity")).values("sum"), output_field=IntegerField())
    wrong = Pool.objects.annotate(held=Coalesce(held, 0)).exclude(taken=F("held")).order_by("pk")
    for row in _rows(wrong, "pk", "name", "taken", "held"):
        yield Finding(_name(row, ""), f"{row['held']} taken, as is held", f"{row['taken']} taken")


def check_capacity() -> Iterator[Finding]:
    """A pool's capacity is what is wanted of it, or what is taken if that is more."""
    due = Case(When(wanted=None, then=None), default=Greatest("wanted", "taken"), output_field=IntegerField())
    limitless = Q(wanted=None, capacity=None)
    limited = Q(wanted__isnull=False, capacity__isnull=False, capacity=F("due"))
    wrong = Pool.objects.annotate(due=due).exclude(limitless | limited, taken__gte=0).order_by("pk")
    for row in _rows(wrong, "pk", "name", "wanted", "taken", "capacity", "due"):
        found = f"{row['capacity']} (wanted {row['wanted']}, taken {row['taken']})"
        yield Finding(_name(row, ""), f"a capacity of {row['due']}", found)


# --- Holds ------------------------------------------------------------------------------------------------------------


def check_reasons() -> Iterator[Finding]:
    """Each live hold has exactly one reason: a basket, an order, a place or an offer that stands."""
    reasons = sum((_counted(reason) for reason in REASONS.values()), Value(0))
    held = Hold.objects.live().annotate(reasons=reasons).exclude(reasons=1).order_by("pk")
    shown = held.annotate(**{name: _counted(reason) for name, reason in REASONS.items()})
    for row in _rows(shown, "uuid", "quantity", "pool__pk", "pool__name", *REASONS):
        reasons_found = [name.replace("_", " ") for name in REASONS if row[name]]
        what = f"hold {row['uuid']} of {row['quantity']} for {' and '.join(reasons_found) or 'nothing'}"
        yield Finding(_name(row), "one reason for each live hold", what)


def _counted(reason: Q) -> Case:
    return Case(When(reason, then=Value(1)), default=Value(0))


REASONS = {
    "a_basket": Q(cart_item__isnull=False, cart_item__saved_at=None, cart_item__cart__ordered_at=None),
    "an_order": Q(order_line__isnull=False) & ~Q(order_line__order__status__in=LET_GO),
    "a_place": Q(booking__isnull=False, booking__status__in=Booking.OCCUPYING),
    "an_offer": Q(waiter__isnull=False, waiter__status=Waiter.Status.OFFERED),
}


# --- Places -----------------------------------------------------------------------------------------------------------


def check_places() -> Iterator[Finding]:
    """A place that somebody has holds 1, and one that was cancelled or moved holds nothing."""
    wrong = Booking.objects.filter(
        Q(status__in=Booking.OCCUPYING) & ~Q(hold__quantity=1) | Q(status__in=Booking.LOST) & ~Q(hold__quantity=0)
    )
    names = ("uuid", "status", "hold__quantity", "hold__pool__pk", "hold__pool__name")
    for row in _rows(wrong.order_by("pk"), *names):
        due = 1 if row["status"] in Booking.OCCUPYING else 0
        what = f"{due} held by {row['status']} booking {row['uuid']}"
        yield Finding(_name(row, "hold__pool__"), what, f"{row['hold__quantity']} held")


def check_where() -> Iterator[Finding]:
    """A place that somebody has takes from the pool of its own entry."""
    wrong = Booking.objects.filter(status__in=Booking.OCCUPYING).exclude(hold__pool=F("entry__pool")).order_by("pk")
    names = ("uuid", "hold__pool__name", "hold__pool__pk", "entry__pool__pk", "entry__pool__name")
    for row in _rows(wrong, *names):
        what = f"it holds in {_name(row, 'hold__pool__')}"
        yield Finding(_name(row, "entry__pool__"), f"booking {row['uuid']} to hold in this pool", what)


CHECKS = (check_taken, check_capacity, check_reasons, check_places, check_where)
