"""Erasing people: what is personal goes, what the books need stays, and both wait while something is open.

Orders, their lines, money, events and bookings hold no personal data and stay for good. What a higher room knows of an
order (its payments and refunds) is asked for by the names of their relations.
"""

import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings import capacity, waiting
from bookings.models import Attendee, Booking
from cart.models import BurntToken, Cart, CartItem, hash_token, new_token
from cartsite.models import Case, Message, User, kind_of
from cartsite.refusals import Refusal
from orders.models import DeliveryAddress, Order, OrderContact, OrderEvent, OrderLine, OrderQuerySet
from orders.services import take_over_guest_orders

MONEY_ON_ITS_WAY = ("requested", "sending", "unknown")  # a refund's states in which its money may still leave
GONE = "[erased]"
MOST_NAMED = 20  # orders for each reason: the next ones are named when these are over


class Hindrance(NamedTuple):
    """Why somebody cannot be erased yet: a sentence, and the order that it names if it is about one."""

    words: str
    order: Order | None


class CannotErase(Refusal):
    """Nothing was erased; `reasons` are sentences for whoever asked."""


# --- What must be over first ------------------------------------------------------------------------------------------


def hindrances_of_orders(orders: OrderQuerySet) -> list[Hindrance]:
    """Why the people of these orders cannot be erased yet; empty if they can."""
    return [
        Hindrance(sentence % {"number": order.number}, order)
        for sentence, held_up in _hindrances(orders)
        for order in held_up.only("number").order_by("pk").distinct()[:MOST_NAMED]
    ]


def hindrances_of(person: User) -> list[Hindrance]:
    """Why this person cannot be erased now; empty if they can."""
    if person.is_staff or person.is_superuser:
        words = _("This person works in the back office. Their staff rights must be taken away first.")
        return [Hindrance(words, None)]
    return hindrances_of_orders(Order.objects.filter(user=person))


def _hindrances(orders: OrderQuerySet) -> Iterator[tuple[str, OrderQuerySet]]:
    """A sentence, and the orders it is true of."""
    open_cases = Case.objects.unresolved().values("subject_uuid")
    looked_into = Q()
    for about in ("uuid", "lines__uuid", "payments__uuid", "refunds__uuid"):
        looked_into |= Q(**{f"{about}__in": open_cases})
    ahead = Q(lines__bookings__status=Booking.Status.CONFIRMED, lines__bookings__entry__ends_at__gt=timezone.now())

    yield _("Order %(number)s awaits payment."), orders.awaiting()
    yield _("Money of order %(number)s is on its way back."), orders.filter(refunds__status__in=MONEY_ON_ITS_WAY)
    yield _("Somebody at the co-operative is looking into order %(number)s."), orders.filter(looked_into)
    yield _("A place booked with order %(number)s lies ahead."), orders.filter(ahead)
    yield _("Goods of order %(number)s are not handed over yet."), _with_goods_to_fetch(orders)


def _with_goods_to_fetch(orders: OrderQuerySet) -> OrderQuerySet:
    confirmed = orders.filter(status=Order.Status.CONFIRMED)
    goods = OrderLine.objects.filter(kind=OrderLine.Kind.PRODUCT, order__in=confirmed)
    accounted_for = Coalesce(Sum("facts__quantity"), 0)
    left = goods.annotate(accounted_for=accounted_for).filter(accounted_for__lt=F("quantity"))
    return confirmed.filter(pk__in=left.values("order"))


# --- A person ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def erase_person(person: User, *, by: User) -> bool:
    """Erase a person's account, baskets and who they were on all their orders; False if that was done before.

    Raises CannotErase with nothing moved. Whoever gives them a basket or an order holds their row still too (see
    `cart.basket.hold_still`): so an order placed meanwhile either stops this, or is refused after it.
    """
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    if person.erased_at is not None:
        return False
    carts = list(Cart.objects.select_for_update(no_key=True).filter(user=person).order_by("pk"))
    addresses = list(EmailAddress.objects.filter(user=person, verified=True).values_list("email", flat=True))
    take_over_guest_orders(person, addresses)  # those since their last sign-in are about them as well
    orders = _hold_still(Order.objects.filter(user=person))
    if hindrances := hindrances_of(person):
        raise CannotErase(*(hindrance.words for hindrance in hindrances))
    _strike_out([person.email, *EmailAddress.objects.filter(user=person).values_list("email", flat=True)])
    _strike_out([person.name, person.username], LogEntry.objects.filter(_about(person)))
    _erase_contacts(orders, by)
    _empty_carts(carts, waiting.forget(waiting.of_person(person, addresses)))
    _close_account(person)
    return True


def _empty_carts(carts: Iterable[Cart], offered: Iterable[int]) -> None:
    """Open baskets go, with what they hold, and with what was offered (by the holds' primary keys). One that was
    ordered stays as the order's, empty and out of reach."""
    items = CartItem.objects.filter(cart__in=[cart.pk for cart in carts])
    holds = list(items.filter(hold__isnull=False).values_list("hold_id", flat=True))
    items.delete()
    capacity.give_back([*holds, *offered])
    for cart in carts:
        if cart.ordered_at is not None:
            cart.token_hash, cart.user, cart.last_merge = hash_token(new_token()), None, None
            cart.save(update_fields=["token_hash", "user", "last_merge"])
            cart.merges.all().delete()
    Cart.objects.filter(pk__in=[cart.pk for cart in carts if cart.ordered_at is None]).delete()


def _close_account(person: User) -> None:
    """What is left of the account is a row that says nothing, so that what they did stays on record."""
    BurntToken.objects.filter(user=person).delete()
    EmailAddress.objects.filter(user=person).delete()  # with what confirms them
    SocialAccount.objects.filter(user=person).delete()  # with their tokens
    _end_sessions(person)
    person.groups.clear()
    person.user_permissions.clear()
    person.name, person.last_login = "", None
    person.email, person.username = f"{person.uuid}@erased.invalid", f"erased-{person.uuid}"
    person.set_unusable_password()  # which ends any session that is begun at this moment, too
    person.is_active, person.erased_at = False, timezone.now()
    person.save()


def _end_sessions(person: User) -> None:
    """Sign them out everywhere. A session does not say in the open whose it is, so all of them are looked into."""
    store = session_store()
    for session in Session.objects.iterator():
        if session.get_decoded().get(SESSION_KEY) == str(person.pk):
            store(session.session_key).delete()


def session_store() -> Any:
    """Where sessions are kept, and perhaps cached: its class of settings.SESSION_ENGINE."""
    return import_module(settings.SESSION_ENGINE).SessionStore


# --- An order's contact -----------------------------------------------------------------------------------------------


@transaction.atomic
def erase_contact(order: Order, *, by: User) -> bool:
    """Erase who placed one order, and where it was brought; False if that was done before.

    For guests, who have no account. Raises CannotErase with nothing moved.
    """
    orders = _hold_still(Order.objects.filter(pk=order.pk))
    if hindrances := hindrances_of_orders(orders):
        raise CannotErase(*(hindrance.words for hindrance in hindrances))
    emails = list(OrderContact.objects.filter(order__in=orders).values_list("email", flat=True))
    capacity.give_back(waiting.forget(waiting.of_person(None, emails)))
    return _erase_contacts(orders, by)


def _hold_still(orders: OrderQuerySet) -> OrderQuerySet:
    """Nothing happens to these orders until the transaction ends."""
    held = orders.select_for_update(no_key=True).order_by("-pk").values_list("pk", flat=True)
    return Order.objects.filter(pk__in=list(held))


def _erase_contacts(orders: OrderQuerySet, by: User) -> bool:
    """Delete names, addresses, who came and unsent mail of these locked orders, and write that down; False if there
    were none."""
    guests = Attendee.objects.filter(order_line__order__in=orders)
    told = Q(pk__in=guests.values("order_line__order"))
    known = list(orders.filter(told | Q(contact__isnull=False) | Q(address__isnull=False)))
    contacts = OrderContact.objects.filter(order__in=known)
    _strike_out(contacts.values_list("email", flat=True))
    contacts.delete()
    DeliveryAddress.objects.filter(order__in=known).delete()
    guests.delete()  # with what they answered
    owed = Message.objects.filter(subject_type=kind_of(Order), subject_uuid__in=[order.uuid for order in known])
    owed.filter(status=Message.Status.OWED).update(status=Message.Status.DROPPED, leased_until=None, last_error="")
    OrderEvent.objects.bulk_create(OrderEvent(order=order, kind="contact_erased", by=by) for order in known)
    return bool(known)


# --- What the back office wrote down ----------------------------------------------------------------------------------


def _about(person: User) -> Q:
    """Entries of the back office's history about a person's account."""
    return Q(content_type__app_label="cartsite", content_type__model="user", object_id=str(person.pk))


def _strike_out(words: Iterable[str], entries: QuerySet[LogEntry] | None = None) -> None:
    """Blacken these words, in any case, in the back office's history, or in some entries of it."""
    said = {word for word in words if word}
    if not said:
        return
    found = Q()
    for word in said:
        found |= Q(object_repr__icontains=word) | Q(change_message__icontains=word)
    pattern = re.compile("|".join(map(re.escape, sorted(said, key=len, reverse=True))), re.IGNORECASE)
    struck = list((LogEntry.objects.all() if entries is None else entries).filter(found))
    for entry in struck:
        entry.object_repr = pattern.sub(GONE, entry.object_repr)[:200]
        entry.change_message = pattern.sub(GONE, entry.change_message)
    LogEntry.objects.bulk_update(struck, ["object_repr", "change_message"], batch_size=500)
