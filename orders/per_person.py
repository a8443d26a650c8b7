"""How many places at an entry one person may have, over all that they ordered.

A person is known by their account, and by the address they typed: so this can be asked only when they order.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import sha256

from django.db import connection
from django.db.models import Q, QuerySet, Value
from django.utils.translation import ngettext

from bookings.models import Booking, Entry
from cart.models import Cart, CartItem
from cartsite.models import User
from orders.models import Order, OrderLine


def hold_still(cart: QuerySet[Cart], user: User | None, email: str) -> set[int]:
    """Nobody else orders for this person at the cart's limited entries until the transaction ends; those entries' keys.

    Two orders at once would not see each other. Call it before anything else is locked.
    """
    limited = CartItem.objects.filter(cart__in=cart, saved_at=None, entry__max_per_person__isnull=False)
    entries = {entry for entry in limited.values_list("entry_id", flat=True) if entry is not None}
    hold_still_at(entries, user, email)
    return entries


def hold_still_at(entries: Iterable[int], user: User | None, email: str) -> None:
    """The same for these entries (by primary keys)."""
    names = [f"address {email.lower()}"] + ([f"user {user.pk}"] if user else [])
    keys = {_lock_key(f"{entry} {name}") for entry in entries for name in names}
    with connection.cursor() as cursor:
        for key in sorted(keys):
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])


def _lock_key(name: str) -> int:
    """The number of an advisory lock: 64 bits with a sign."""
    return int.from_bytes(sha256(f"max_per_person {name}".encode()).digest()[:8], signed=True)


def find_excess(items: Iterable[CartItem], user: User | None, email: str) -> list[str]:
    """A sentence for each entry of which this person would have more places than one may, with what is in the cart."""
    wanted: Counter[Entry] = Counter()
    for item in items:
        if item.entry is not None and item.entry.max_per_person is not None:
            wanted[item.entry] += item.quantity
    return find_excess_of(wanted, user, email)


def find_excess_of(wanted: Mapping[Entry, int], user: User | None, email: str) -> list[str]:
    """The same for so many more places at each of these limited entries."""
    has = _count_places({entry.pk for entry in wanted}, user, email) if wanted else Counter()
    return [_say_most(entry) for entry, n in wanted.items() if n + has[entry.pk] > (entry.max_per_person or 0)]


def _say_most(entry: Entry) -> str:
    most = entry.max_per_person or 0
    return ngettext(
        "One person can have %(most)d place at %(title)s at most, over all their orders.",
        "One person can have %(most)d places at %(title)s at most, over all their orders.",
        most,
    ) % {"most": most, "title": entry.title}


def _count_places(entries: set[int], user: User | None, email: str) -> Counter[int]:
    """How many places at each of these entries the person has, or is about to pay. Cancelled ones do not count."""
    sold = Booking.objects.occupying().filter(_of_person("order_line__order__", user, email), entry__in=entries)
    unpaid = OrderLine.objects.filter(_of_person("order__", user, email), entry__in=entries)
    rows = [
        *sold.values_list("entry_id", "order_line__order__contact__email", "order_line__order__user_id", Value(1)),
        *unpaid.filter(order__status=Order.Status.AWAITING_PAYMENT).values_list(
            "entry_id", "order__contact__email", "order__user_id", "quantity"
        ),
    ]
    has: Counter[int] = Counter()
    for entry, address, owner, quantity in rows:
        # In capitals, as the database compares, a dotless i is an I: that is another mailbox.
        if (user is not None and owner == user.pk) or (address or "").lower() == email.lower():
            has[entry] += quantity
    return has


def _of_person(order: str, user: User | None, email: str) -> Q:
    """Whose order (at this path) has the person's address, or is in their account."""
    theirs = Q(**{f"{order}contact__email__iexact": email})
    return theirs if user is None else theirs | Q(**{f"{order}user": user})
