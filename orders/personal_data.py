"""What the shop keeps about a person: counted for a page, and whole for a file."""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.contrib.postgres.aggregates import JSONBAgg
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Count, F, JSONField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import JSONObject
from django.utils import timezone

from bookings import waiting
from bookings.models import Attendee, Booking, WaiterQuerySet
from cart.models import CartItem
from cartsite.models import Message, User, kind_of
from orders.models import Order, OrderLine

AT_A_TIME = 500  # rows
# Fees and payouts are between SumUp and us.
SHOPPERS_MONEY = ("capture", "refund", "chargeback", "cash")

Row = dict[str, Any]


def count(person: User) -> dict[str, int]:
    """How much of each kind we keep about a person."""
    orders = Order.objects.filter(user=person)
    kept = orders.aggregate(orders=Count("pk"), contacts=Count("contact"), addresses=Count("address"))
    saved = Q(saved_at__isnull=False)
    items = CartItem.objects.filter(cart__user=person, cart__ordered_at=None)
    return {
        **kept,
        "bookings": Booking.objects.filter(order_line__order__user=person).count(),
        "attendees": Attendee.objects.filter(order_line__order__user=person).count(),
        "waiting": _waiting_of(person).count(),
        **items.aggregate(lines=Count("pk", filter=~saved), saved_lines=Count("pk", filter=saved)),
        "emails": EmailAddress.objects.filter(user=person).exclude(email__iexact=person.email).count(),
        "sign_ons": SocialAccount.objects.filter(user=person).count(),
    }


# --- The whole of it --------------------------------------------------------------------------------------------------


def export(person: User) -> Iterator[str]:
    """One JSON document in pieces: the person, their baskets, and each order with all that hangs on it.

    The same few statements for any number of orders, and never more than some hundred rows at once in memory.
    """
    yield '{\n"made_at": ' + _as_json(timezone.now())
    yield ',\n"person": ' + _as_json(_tell_person(person))
    yield ',\n"baskets": ' + _as_json(list(_tell_baskets(person)))
    yield ',\n"waiting_lists": ' + _as_json(list(_tell_waiting(person)))
    yield ',\n"orders": ['
    for position, order in enumerate(_tell_orders(person)):
        yield (",\n" if position else "\n") + _as_json(order)
    yield "\n]\n}\n"


def _as_json(value: Any) -> str:
    """Money as strings, moments in UTC."""
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False, indent=1)


def _tell_person(person: User) -> Row:
    emails = EmailAddress.objects.filter(user=person).order_by("pk")
    return {
        "id": person.uuid,
        "name": person.name,
        "sign_in_name": person.username,
        "email": person.email,
        "joined_at": person.date_joined,
        "last_signed_in_at": person.last_login,
        "emails": list(emails.values("email", "verified", "primary")),
        "sign_on_connections": list(
            SocialAccount.objects.filter(user=person).order_by("pk").values("provider", "uid", "date_joined")
        ),
    }


def _tell_baskets(person: User) -> Iterator[Row]:
    items = CartItem.objects.loaded().filter(cart__user=person, cart__ordered_at=None).order_by("cart_id", "pk")
    for cart, lines in groupby(items, key=lambda item: item.cart):
        yield {"begun_at": cart.created_at, "lines": [_tell_item(item) for item in lines]}


def _tell_item(item: CartItem) -> Row:
    return {
        "title": item.thing.title,
        "quantity": item.quantity,
        "price_seen": item.seen_price,
        "saved_for_later_at": item.saved_at,
        "changed_at": item.changed_at,
    }


def _waiting_of(person: User) -> WaiterQuerySet:
    """What somebody waits or waited for, with their account or with an address that is theirs."""
    own = EmailAddress.objects.filter(user=person, verified=True)
    return waiting.of_person(person, own.values_list("email", flat=True))


def _tell_waiting(person: User) -> QuerySet[Any, Any]:
    told = {"for_entry": F("entry__title"), "starts_at": F("entry__starts_at"), "price": F("price_kind__name")}
    kept = ("name", "email", "quantity", "status", "joined_at", "offer_until", "ended_at")
    rows: QuerySet[Any, Any] = _waiting_of(person).order_by("pk").values(*kept, **told)
    return rows


class Alongside:
    """Rows that belong to orders, read beside these in the same order, a few at a time."""

    def __init__(self, rows: QuerySet[Any, Any]) -> None:
        self._groups = groupby(rows.iterator(AT_A_TIME), key=lambda row: row["of_order"])
        self._next = next(self._groups, None)

    def of(self, order: int) -> list[Row]:
        """The rows of an order (by primary key); to be asked for in the order of the keys."""
        while self._next is not None and self._next[0] < order:
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != order:
            return []
        rows = [
            {name.removeprefix("its_"): value for name, value in row.items() if name != "of_order"}
            for row in self._next[1]
        ]
        self._next = next(self._groups, None)
        return rows


def _tell_orders(person: User) -> Iterator[Row]:
    orders = Order.objects.filter(user=person).order_by("pk")
    lines, bookings = Alongside(_lines_of(person)), Alongside(_bookings_of(person))
    rest = {
        "attendees": Alongside(_attendees_of(person)),
        "money": Alongside(_money_of(orders)),
        "refunds": Alongside(_refunds_of(orders)),
        "mails": Alongside(_mails_to(person)),
    }
    for order in orders.select_related("contact", "address").iterator(AT_A_TIME):
        told = {name: rows.of(order.pk) for name, rows in rest.items()}
        yield _tell_order(order) | {"lines": _with_bookings(lines.of(order.pk), bookings.of(order.pk))} | told


def _tell_order(order: Order) -> Row:
    return {
        "number": order.number,
        "is_test": order.is_test,
        "status": order.status,
        "placed_at": order.placed_at,
        "total": order.total,
        "currency": order.currency,
        "terms_version": order.terms_version,
        "contact": _fields(order, "contact", "name", "email"),
        "address": _fields(order, "address", "street", "town", "postcode", "instructions"),
    }


def _fields(order: Order, beside: str, *names: str) -> Row | None:
    """These fields of the row beside an order; None if it has none (any more)."""
    row = getattr(order, beside, None)
    return row and {name: getattr(row, name) for name in names}


def _lines_of(person: User) -> QuerySet[Any, Any]:
    lines = OrderLine.objects.filter(order__user=person).order_by("order_id", "position")
    named = {"of_order": F("order_id"), "sold_by": F("stall__name")}
    return lines.values("pk", "kind", "title", "unit_price", "quantity", "tax_rate", "total", **named)


def _bookings_of(person: User) -> QuerySet[Any, Any]:
    bookings = Booking.objects.filter(order_line__order__user=person).order_by("order_line__order_id", "pk")
    named = {
        "of_order": F("order_line__order_id"),
        "for_entry": F("entry__title"),
        "starts_at": F("entry__starts_at"),
        "ends_at": F("entry__ends_at"),
    }
    return bookings.values("order_line_id", "code", "status", "created_at", **named)


def _attendees_of(person: User) -> QuerySet[Any, Any]:
    """Who comes with each order, and what they answered."""
    theirs = Attendee.objects.filter(order_line__order__user=person)
    answer = JSONObject(question="answers__question__text", answer="answers__text")
    answered = JSONBAgg(answer, filter=Q(answers__isnull=False), order_by="answers__pk", default=Value([], JSONField()))
    named = {
        "of_order": F("order_line__order_id"),
        "comes_to": F("order_line__title"),
        "booking_code": F("booking__code"),
        "its_answers": answered,
    }
    return theirs.values("number", "name", **named).order_by("order_line__order_id", "order_line", "number")


def _with_bookings(lines: list[Row], bookings: list[Row]) -> list[Row]:
    """The lines of one order, each with its bookings; our own keys are nobody's business."""
    of_line: dict[int, list[Row]] = {line["pk"]: [] for line in lines}
    for booking in bookings:
        of_line.setdefault(booking.pop("order_line_id"), []).append(booking)
    for line in lines:
        line["bookings"] = of_line[line.pop("pk")]
    return lines


def _money_of(orders: QuerySet[Order]) -> QuerySet[Any, Any]:
    moved = orders.filter(movements__kind__in=SHOPPERS_MONEY).order_by("pk", "movements__pk")
    fields = ("kind", "amount", "currency", "happened_at")
    return moved.values(of_order=F("pk"), **{f"its_{name}": F(f"movements__{name}") for name in fields})


def _refunds_of(orders: QuerySet[Order]) -> QuerySet[Any, Any]:
    asked = orders.filter(refunds__isnull=False).order_by("pk", "refunds__pk")
    fields = ("status", "method", "amount", "currency", "requested_at", "done_at")
    return asked.values(of_order=F("pk"), **{f"its_{name}": F(f"refunds__{name}") for name in fields})


def _mails_to(person: User) -> QuerySet[Any, Any]:
    theirs = Order.objects.filter(user=person).values("uuid")
    mails = Message.objects.filter(subject_type=kind_of(Order), subject_uuid__in=theirs)
    whose = Order.objects.filter(uuid=OuterRef("subject_uuid")).values("pk")
    told = mails.annotate(of_order=Subquery(whose)).order_by("of_order", "pk")
    return told.values("kind", "status", "created_at", "sent_at", "of_order")
