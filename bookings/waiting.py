"""The waiting list: places that come free are offered to those who wait for them, strictly in their order.

Anybody may type anybody's address. So a place in the line is taken only by somebody who is known to read the mail that
goes there: they are signed in with that address, or they open the link that is mailed to it and confirm (ADR 0022).

One line stands for each pool, whichever of its entries somebody waits for. Waiters are locked after carts and orders
and before holds and pools: all of a line at once, by primary key. An offer is a hold that ends; what is not taken in
time goes to the next.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bookings import capacity
from bookings.models import Entry, Hold, Pool, PriceKind, Waiter, WaiterQuerySet
from cartsite.models import Case, Message, User, kind_of
from cartsite.refusals import Refusal

logger = logging.getLogger(__name__)

MOST_PLACES = 10
SHORTEST_OFFER = timedelta(minutes=15)
# How long the link works that confirms an address. Who has not confirmed by then is forgotten.
CONFIRM_WITHIN = timedelta(hours=24)
# Asking for the same again sends another mail only after so long.
SAME_WISH_FOR = timedelta(hours=1)
# Who somebody was is forgotten so long after their place in the line came to its end.
KEPT_FOR = timedelta(days=30)
Step = Literal["first", "up", "down", "last"]


class CannotJoin(Refusal):
    """The line is not open to them; the text says why, in words for people."""


class Queued(capacity.SoldOut):
    """There may be room in these pools, but it belongs to those who wait for it."""


# --- Who is served first ----------------------------------------------------------------------------------------------


def is_over(entry: Entry) -> bool:
    """Whether nobody will ever get a place there any more."""
    gone = entry.cancelled_at or entry.archived_at or entry.calendar.archived_at
    return gone is not None or entry.closes_at <= timezone.now()


def offer_ends(entry: Entry) -> datetime | None:
    """Until when (UTC) an offer made now would last; None if there is no time for one, or nothing is on sale."""
    now = timezone.now()
    lasts = max(timedelta(hours=entry.calendar.offer_hours), SHORTEST_OFFER)
    until = min(now + lasts, entry.closes_at)
    return until if entry.is_on_sale and until - now >= SHORTEST_OFFER else None


def is_queued(pools: Collection[int]) -> set[int]:
    """In which of these pools (by primary key) free places belong to those who wait, and not to the public."""
    return _queued(Q(pool__in=pools)) if pools else set()


def all_queued() -> set[int]:
    """The pools (by primary key) of which `is_queued` says so; in one query, and few entries are waited for."""
    return _queued(Q())


def _queued(which: Q) -> set[int]:
    waiting = Waiter.objects.filter(entry=OuterRef("pk"), status=Waiter.Status.WAITING)
    entries = Entry.objects.filter(which, Exists(waiting), starts_at__gt=timezone.now())
    return {entry.pool_id for entry in entries.select_related("calendar") if offer_ends(entry)}


def refuse_if_queued(pools: Collection[int]) -> None:
    """Raise Queued if somebody waits for what is free in one of these pools (by primary key).

    Call it after the public has claimed there, in the same transaction: whoever joins a line waits for the pool's
    lock, so they came either before this look, or after the claim.
    """
    if queued := is_queued(pools):
        raise Queued(queued)


def turn_of(waiter: Waiter) -> int:
    """The place in the line of somebody who waits, from 1."""
    turn: int = Waiter.objects.with_turn().get(pk=waiter.pk).turn  # type: ignore[attr-defined]
    return turn


# --- Joining ----------------------------------------------------------------------------------------------------------


def most_places(entry: Entry) -> int:
    """How many places one may ask for at most: no more than may be in one basket."""
    limits = (entry.max_per_order, entry.max_per_person, entry.calendar.most_held, MOST_PLACES)
    return min(most for most in limits if most is not None)


def why_closed(entry: Entry) -> str:
    """Why nobody can join the line for this entry now, in words for them; nothing if they can."""
    title = {"title": entry.title}
    if entry.cancelled_at is not None:
        return _("%(title)s was called off.") % title
    if is_over(entry):
        return _("Booking for %(title)s is closed.") % title
    if not entry.is_on_sale:
        return _("Places at %(title)s are not on sale yet.") % title
    if offer_ends(entry) is None:
        return (
            _("Booking for %(title)s closes in a few minutes: what comes free goes to whoever books it first.") % title
        )
    free = Pool.objects.get(pk=entry.pool_id).free
    if (free is None or free > 0) and not is_queued([entry.pool_id]):
        return _("There are places free at %(title)s: you can book now.") % title
    return ""


@transaction.atomic
def join(
    entry: Entry, quantity: int, *, email: str, user: User | None = None, price_kind: PriceKind | None = None
) -> Waiter:
    """Put a user who has confirmed this address at the end of the line; ask anybody else, by mail, to confirm it first.

    An address that is in the line already keeps its place and what it asked for first; its link is mailed to it again,
    once an hour. Raises CannotJoin if the line is not open.
    """
    capacity.lock_pools([entry.pool_id])  # one after another: nobody stands in the line twice
    if reason := why_closed(entry):
        raise CannotJoin(reason)
    _check_quantity(entry, quantity)
    if standing := _find_in_line(entry, email):
        Message.owe(standing, "waiting_again", f"{timezone.now():%Y-%m-%dT%H}")
        return standing
    wish = Waiter(entry=entry, price_kind=price_kind, email=email, quantity=quantity, place=_next_place(entry))
    if user is None or not _is_theirs(user, email):
        return _ask_to_confirm(wish)
    wish.user, wish.name = user, user.name
    wish.save()
    Message.owe(wish, "waiting_joined")
    return wish


def _find_in_line(entry: Entry, email: str) -> Waiter | None:
    """The one with this address who waits for the entry, or has an offer."""
    return Waiter.objects.active().filter(entry=entry, email__iexact=email).exclude(email="").first()


def _next_place(entry: Entry) -> int:
    """The place behind everybody in the line of the entry's locked pool."""
    last: int | None = Waiter.objects.filter(entry__pool=entry.pool_id).aggregate(last=Max("place"))["last"]
    return (last or 0) + 1


def _is_theirs(user: User, email: str) -> bool:
    """Whether this user has confirmed this very address."""
    return user.emailaddress_set.filter(email__iexact=email, verified=True).exists()  # type: ignore[attr-defined,no-any-return]


def _ask_to_confirm(wish: Waiter) -> Waiter:
    """Mail the link that confirms this wish; if the same was asked for within the hour, that one is on its way.

    A different wish gets a row and a link of its own: nobody can change what somebody else's link confirms.
    """
    since = timezone.now() - SAME_WISH_FOR
    same = Waiter.objects.filter(status=Waiter.Status.ASKED, entry=wish.entry, email__iexact=wish.email)
    asked = same.filter(quantity=wish.quantity, price_kind=wish.price_kind, joined_at__gt=since).first()
    if asked is not None:
        return asked
    wish.status = Waiter.Status.ASKED
    wish.save()
    Message.owe(wish, "waiting_confirm")
    return wish


@transaction.atomic
def confirm(waiter: Waiter) -> Waiter:
    """Put somebody who opened the link in their mail at the end of the line, and return who stands there.

    That is another one, if this address is in the line already. Raises CannotJoin if the link is too old or the line is
    not open any more.
    """
    asked = lock(waiter)
    capacity.lock_pools([asked.entry.pool_id])
    if standing := _find_in_line(asked.entry, asked.email):
        return standing
    if not may_confirm(asked):
        raise CannotJoin(_("This link is too old. You may join the waiting list again."))
    if reason := why_closed(asked.entry):
        raise CannotJoin(reason)
    Waiter.objects.filter(pk=asked.pk, status=Waiter.Status.ASKED).update(
        status=Waiter.Status.WAITING, place=_next_place(asked.entry), joined_at=timezone.now()
    )
    Message.owe(asked, "waiting_joined")
    return lock(asked)


def may_confirm(waiter: Waiter) -> bool:
    """Whether somebody has asked, and their link still works."""
    return waiter.status == Waiter.Status.ASKED and waiter.joined_at > timezone.now() - CONFIRM_WITHIN


def _check_quantity(entry: Entry, quantity: int) -> None:
    most = most_places(entry)
    if not 1 <= quantity <= most:
        raise CannotJoin(
            ngettext("You can ask for %(most)d place.", "You can ask for 1 to %(most)d places.", most) % {"most": most}
        )


# --- Offering what came free ------------------------------------------------------------------------------------------


@transaction.atomic
def offer_freed(pool_id: int) -> list[Waiter]:
    """End what is over in a pool's line, and offer what is free there to the first ones in it; who got an offer."""
    return _offer(pool_id, _end_what_is_over(_lock_line(pool_id)))


def _lock_line(pool_id: int) -> list[Waiter]:
    """All in a pool's line who wait or have an offer, in turn: they hold still until the transaction ends."""
    line = Waiter.objects.active().filter(entry__pool=pool_id)
    locked = [waiter.pk for waiter in line.select_for_update(of=("self",), no_key=True).order_by("pk")]
    # Read anew: what was joined to a row that had to be waited for is from before the wait.
    return list(Waiter.objects.active().filter(pk__in=locked).order_by("place", "pk"))


def _end_what_is_over(line: Sequence[Waiter]) -> list[Waiter]:
    """Tell those whose booking closed or whose offer lapsed, and free what they held; who of the line still waits."""
    closed = [waiter for waiter in line if is_over(waiter.entry)]
    lapsed = [w for w in line if w not in closed and w.status == Waiter.Status.OFFERED and not w.has_offer]
    _end(closed, Waiter.Status.CLOSED)
    _end(lapsed, Waiter.Status.PASSED)
    Message.owe_all(closed, "waiting_closed")
    Message.owe_all(lapsed, "waiting_passed")
    capacity.give_back([waiter.hold_id for waiter in [*closed, *lapsed] if waiter.hold_id])
    return [waiter for waiter in line if waiter.status == Waiter.Status.WAITING]


def _end(waiters: Iterable[Waiter], status: Waiter.Status) -> None:
    """This is how it ended for these locked ones. What they hold is the caller's to give back, or to hand over."""
    for waiter in waiters:
        waiter.status, waiter.ended_at = status, timezone.now()
        waiter.save(update_fields=["status", "ended_at"])
        if status in (Waiter.Status.TAKEN, Waiter.Status.LEFT):
            Case.settle(Case.Kind.MAIL_FAILED, waiter, _("There is nothing left to tell them."))


def _offer(pool_id: int, waiting: Sequence[Waiter]) -> list[Waiter]:
    """Hold what is free for the first of these, then for the next, until nothing is left; who got an offer.

    Whoever asked for more than is left is offered what there is: nobody is passed over.
    """
    if not waiting:
        return []
    capacity.give_expired_back_in(pool_id)
    capacity.lock_pools([pool_id])
    free, offered = Pool.objects.get(pk=pool_id).free, []
    for waiter in waiting:
        until = offer_ends(waiter.entry)
        if until is None:
            continue  # nobody can book that one now
        quantity = waiter.quantity if free is None else min(waiter.quantity, free)
        if quantity == 0:
            break
        free = None if free is None else free - quantity
        _make_offer(waiter, capacity.claim(pool_id, quantity, until), until)
        offered.append(waiter)
    return offered


def _make_offer(waiter: Waiter, hold: Hold, until: datetime) -> None:
    waiter.status, waiter.hold, waiter.offer_until = Waiter.Status.OFFERED, hold, until
    waiter.save(update_fields=["status", "hold", "offer_until"])
    Message.owe(waiter, "waiting_offer", str(hold.uuid))


# --- What somebody in the line may do ---------------------------------------------------------------------------------


def lock(waiter: Waiter) -> Waiter:
    """The same one as it is now; it holds still until the transaction ends."""
    Waiter.objects.select_for_update(no_key=True).get(pk=waiter.pk)
    return Waiter.objects.select_related("entry__calendar__stall", "entry__pool", "price_kind", "hold").get(
        pk=waiter.pk
    )


def mark_taken(waiter: Waiter) -> None:
    """What was offered to a locked one is in their basket: its hold is the basket's."""
    _end([waiter], Waiter.Status.TAKEN)
    waiter.hold = None
    waiter.save(update_fields=["hold"])


def decline(waiter: Waiter) -> bool:
    """They do not want what is offered: it goes to the next at once. False if they have no offer."""
    return _step_out(waiter, [Waiter.Status.OFFERED], Waiter.Status.PASSED)


def leave(waiter: Waiter) -> bool:
    """They do not wait any more, and what was offered to them goes to the next; False if that was over before."""
    if _step_out(waiter, [Waiter.Status.WAITING, Waiter.Status.OFFERED], Waiter.Status.LEFT):
        return True
    asked = Waiter.objects.filter(pk=waiter.pk, status=Waiter.Status.ASKED)
    return bool(asked.update(status=Waiter.Status.LEFT, ended_at=timezone.now()))


@transaction.atomic
def _step_out(waiter: Waiter, may_be: Sequence[Waiter.Status], to: Waiter.Status) -> bool:
    line = _lock_line(waiter.entry.pool_id)
    leaving = next((row for row in line if row.pk == waiter.pk and row.status in may_be), None)
    if leaving is None:
        return False
    _end([leaving], to)
    if leaving.hold_id:
        capacity.give_back([leaving.hold_id])
        _offer(leaving.entry.pool_id, [row for row in line if row.status == Waiter.Status.WAITING])
    return True


# --- What staff may do ------------------------------------------------------------------------------------------------


@transaction.atomic
def move(waiter: Waiter, step: Step) -> bool:
    """Move somebody who waits within their line; False if they do not wait, or stay where they are."""
    line = [row for row in _lock_line(waiter.entry.pool_id) if row.status == Waiter.Status.WAITING]
    here = next((n for n, row in enumerate(line) if row.pk == waiter.pk), None)
    if here is None:
        return False
    there = {"first": 0, "up": max(here - 1, 0), "down": min(here + 1, len(line) - 1), "last": len(line) - 1}[step]
    capacity.lock_pools([waiter.entry.pool_id])  # nobody joins meanwhile
    first = min(row.place for row in line)
    line.insert(there, line.pop(here))
    for place, row in enumerate(line, start=first):
        row.place = place
    Waiter.objects.bulk_update(line, ["place"])
    return there != here


# --- On a timer -------------------------------------------------------------------------------------------------------


def sweep() -> None:
    """Look at every line where something is over, or that has room for who waits; one that fails delays no other."""
    for pool_id in sorted(_lines_with_something_over() | _lines_with_room()):
        try:
            offer_freed(pool_id)
        except Exception:
            logger.exception("The waiting list of pool %s could not be looked at; the sweep goes on.", pool_id)


def _lines_with_something_over() -> set[int]:
    """Pools with a lapsed offer, or with somebody in line for what is over."""
    active = Waiter.objects.active()
    lapsed = Q(offer_until__lte=timezone.now()) | Q(hold__quantity=0)
    pools = set(active.filter(lapsed, status=Waiter.Status.OFFERED).values_list("entry__pool", flat=True))
    awaited = Entry.objects.filter(pk__in=active.values("entry")).select_related("calendar")
    return pools | {entry.pool_id for entry in awaited if is_over(entry)}


def _lines_with_room() -> set[int]:
    """Pools that somebody waits for, and where something is free or has expired."""
    waiting = Waiter.objects.filter(status=Waiter.Status.WAITING).values("entry__pool")
    expired = Hold.objects.expired().filter(pool=OuterRef("pk"))
    has_room = Q(wanted=None) | Q(taken__lt=F("wanted")) | Exists(expired)
    return set(Pool.objects.filter(has_room, pk__in=waiting).values_list("pk", flat=True))


# --- Personal data ----------------------------------------------------------------------------------------------------


def of_person(user: User | None, emails: Iterable[str]) -> WaiterQuerySet:
    """All that somebody ever waited for: signed in, or with one of these addresses."""
    theirs = Q(pk__in=[]) if user is None else Q(user=user)
    for email in emails:
        theirs |= Q(email__iexact=email) if email else Q()
    return Waiter.objects.filter(theirs)


@transaction.atomic
def forget(waiters: WaiterQuerySet) -> list[int]:
    """Erase who these were: nobody is left to offer anything to, so they leave their lines. What they were offered is
    the caller's to give back: the keys of those holds."""
    owed = Message.objects.filter(subject_type=kind_of(Waiter), subject_uuid__in=waiters.values("uuid"))
    owed.filter(status=Message.Status.OWED).update(status=Message.Status.DROPPED, leased_until=None, last_error="")
    rows = list(waiters.select_for_update(of=("self",), no_key=True).order_by("pk"))
    active = [row for row in rows if row.ended_at is None]
    held = [row.hold_id for row in active if row.hold_id]
    _end(active, Waiter.Status.LEFT)
    Waiter.objects.filter(pk__in=[row.pk for row in rows]).update(name="", email="", user=None)
    return held


@transaction.atomic
def forget_unconfirmed() -> int:
    """Forget who those were that did not confirm their address in time; how many."""
    late = Waiter.objects.filter(status=Waiter.Status.ASKED, joined_at__lte=timezone.now() - CONFIRM_WITHIN)
    locked = list(late.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True))
    over = {"status": Waiter.Status.LAPSED, "ended_at": timezone.now(), "email": ""}
    return Waiter.objects.filter(pk__in=locked, status=Waiter.Status.ASKED).update(**over)


def purge_personal_data() -> int:
    """Forget who those were whose place in a line came to its end 30 days ago; how many."""
    ended = Waiter.objects.filter(ended_at__lt=timezone.now() - KEPT_FOR)
    named = ended.exclude(name="", email="", user=None)
    return named.update(name="", email="", user=None)
