"""Claiming room and giving it back: the only writer of pools' counts and of holds.

At every commit a pool's `taken` is the sum of its holds and never above its capacity. Holds are locked before pools,
each by primary key, and whoever needs several pools names them in one call: so no two callers wait for each other.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case as Choice
from django.db.models import F, Q, Sum, Value, When
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings.models import Hold, HoldQuerySet, Pool
from cartsite.models import Case
from cartsite.versions import EDITED, StaleVersion

CART_HOLD = timedelta(minutes=15)
LONGEST_CART_HOLD = timedelta(hours=1)
LARGEST = 2_147_483_647  # no pool counts any further

# Both statements lock the pools in the order of their keys first, then change them all at once.
LOCKED = """
    WITH asked AS (SELECT * FROM unnest(%s::bigint[], %s::int[]) AS asked(id, quantity)),
         locked AS (SELECT pool.id, asked.quantity, pool.capacity FROM bookings_pool pool JOIN asked USING (id)
                    ORDER BY pool.id FOR NO KEY UPDATE OF pool)
    UPDATE bookings_pool pool SET """
TAKE = f"""{LOCKED} taken = pool.taken + locked.quantity
    FROM locked WHERE pool.id = locked.id
     AND (pool.capacity IS NULL OR pool.taken + locked.quantity <= pool.capacity)
    RETURNING pool.id"""
# What was sold beyond the wanted capacity goes for good: the capacity sinks towards it. Told are the pools that had
# more taken than is wanted, and have no more.
RETURN = f"""{LOCKED} taken = pool.taken - locked.quantity,
        capacity = CASE WHEN pool.wanted IS NOT NULL THEN greatest(pool.wanted, pool.taken - locked.quantity) END
    FROM locked WHERE pool.id = locked.id
    RETURNING CASE WHEN locked.capacity > pool.wanted AND pool.capacity = pool.wanted THEN pool.id END"""


class SoldOut(Exception):
    """Some pools have less room than was asked for."""

    def __init__(self, pools: Iterable[int]) -> None:
        self.pools = set(pools)  # primary keys
        super().__init__(f"No room in pools {sorted(self.pools)}")


class HeldByOneNetwork(Exception):
    """A visitor's network holds more of a pool (by primary key) than the `most` that one may without having paid."""

    def __init__(self, pool: int, most: int) -> None:
        self.pool, self.most = pool, most
        super().__init__(f"At most {most} of pool {pool}")


def _change_pools(statement: str, quantities: Mapping[int, int]) -> set[int]:
    """Run TAKE or RETURN for a quantity per pool; the primary keys that it tells."""
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(quantities), list(quantities.values())])
        return {pk for (pk,) in cursor.fetchall() if pk is not None}


def _return(quantities: Mapping[int, int]) -> None:
    """Lower `taken` in every pool named; where that ends a shortfall, its case is over."""
    for pool in Pool.objects.filter(pk__in=_change_pools(RETURN, quantities)):
        Case.settle(Case.Kind.OVERSOLD, pool, _("Enough was given back."))


def _take(wanted: Mapping[int, int], *, sparing: int = 0) -> None:
    """Raise `taken` in every pool named, giving expired holds back where there is no room; SoldOut if some lack it.

    The hold `sparing` (a primary key) is the caller's own: it stays, expired or not.
    """
    lacking = wanted.keys() - _change_pools(TAKE, wanted)
    if lacking:
        _give_back(Hold.objects.expired().filter(pool__in=lacking).exclude(pk=sparing), patient=False)
        # Even with none of them: the first try judged the pools as they were before it waited for their locks.
        lacking -= _change_pools(TAKE, {pk: wanted[pk] for pk in lacking})
    if lacking:
        raise SoldOut(lacking)


def cart_hold_ends(claimed_at: datetime | None = None) -> datetime:
    """Until when (UTC) a cart keeps what it claims or changes now: 15 minutes, an hour at most in all."""
    now = timezone.now()
    return min(now + CART_HOLD, (claimed_at or now) + LONGEST_CART_HOLD)


@transaction.atomic
def claim_all(requests: Sequence[tuple[int, int]], until: datetime | None, *, network: str = "") -> list[Hold]:
    """Take quantities out of pools (by primary key), or raise SoldOut and take nothing; a new hold for each request.

    `network` is whose they are (`check_network`).
    """
    if not requests:
        return []
    wanted: Counter[int] = Counter()
    for pool, quantity in requests:
        wanted[pool] += quantity
    _take(wanted)
    return Hold.objects.bulk_create(
        Hold(pool_id=pool, quantity=n, until=until, network=network) for pool, n in requests
    )


def claim(pool: int, quantity: int, until: datetime | None, *, network: str = "") -> Hold:
    """Take a quantity out of one pool (by primary key), or raise SoldOut; never more than there is."""
    return claim_all([(pool, quantity)], until, network=network)[0]


@transaction.atomic
def resize(hold: Hold, quantity: int, *, network: str = "") -> Hold:
    """Make a cart's hold fit a quantity: claim what is missing, or raise SoldOut; give back the rest.

    A hold that grows becomes that of the visitor's `network` (`check_network`). It lasts 15 minutes from now at least,
    as far as its hour goes, and never shorter than before.
    """
    hold = Hold.objects.select_for_update(no_key=True).get(pk=hold.pk)
    if quantity > hold.quantity:
        _take({hold.pool_id: quantity - hold.quantity}, sparing=hold.pk)
        hold.network = network or hold.network
    elif quantity < hold.quantity:
        _return({hold.pool_id: hold.quantity - quantity})
    if not hold.quantity or hold.is_over:  # it starts a new hour
        hold.claimed_at, hold.until = timezone.now(), None
    ends = cart_hold_ends(hold.claimed_at)
    hold.quantity, hold.until = quantity, max(hold.until or ends, ends)
    hold.save(update_fields=["quantity", "until", "claimed_at", "network"])
    return hold


def check_network(pool: int, network: str) -> None:
    """Raise HeldByOneNetwork if a network (`cartsite.limits.network_key`) holds more of a pool (by primary key) than
    one may without having paid.

    Call it after the claim and in its transaction: it locks the pool, so that claims are judged one after another. It
    reads that network's own holds, and no others.
    """
    if not network:
        return
    (size,) = Pool.objects.select_for_update(no_key=True).values_list("capacity").get(pk=pool)
    if size is None:
        return
    around = Hold.objects.live().filter(pool=pool, network__startswith=f"{network.partition('.')[0]}.")
    lasting = around.exclude(network="").filter(Q(until=None) | Q(until__gt=timezone.now()))
    near = Sum("quantity", filter=Q(network=network), default=0)
    held = lasting.aggregate(near=near, wide=Sum("quantity", default=0))
    most = max(size * settings.UNPAID_PERCENT // 100, settings.UNPAID_ALWAYS)
    if held["near"] > most or held["wide"] > max(most + most // 2, 2 * settings.UNPAID_ALWAYS):
        raise HeldByOneNetwork(pool, most)


def name_network(holds: Iterable[int], network: str) -> None:
    """Write down whose network has just claimed these holds (by primary key)."""
    if network:
        Hold.objects.filter(pk__in=holds).update(network=network)


def renew(holds: Iterable[int]) -> int:
    """Let cart holds (by primary key) that are not over last the full hour since they were claimed; how many."""
    live = Hold.objects.live().filter(pk__in=holds, until__gt=timezone.now())
    return live.update(until=Greatest("until", F("claimed_at") + LONGEST_CART_HOLD))


def lock(holds: Iterable[int]) -> dict[int, Hold]:
    """Hold still: nobody gives these holds (by primary key) back until the transaction ends."""
    rows = Hold.objects.select_for_update(no_key=True).filter(pk__in=holds).order_by("pk")
    return {hold.pk: hold for hold in rows}


def lock_pools(pools: Iterable[int]) -> None:
    """Hold still: nobody takes from these pools (by primary key) until the transaction ends. Lock the holds first."""
    list(Pool.objects.select_for_update(no_key=True).filter(pk__in=pools).order_by("pk"))


def keep(holds: Iterable[int]) -> None:
    """What a cart held is now an order's: it lasts without end."""
    Hold.objects.filter(pk__in=holds).update(until=None)


def hand_back_to_cart(holds: Iterable[int]) -> None:
    """What an order held is a cart's again, as if claimed now."""
    Hold.objects.filter(pk__in=holds).update(until=cart_hold_ends(), claimed_at=timezone.now())


def hand_to_cart(hold: Hold, promised: datetime) -> None:
    """What was offered to somebody is their cart's, as if claimed now: for as long as was promised (UTC), but 15
    minutes at least and an hour at most."""
    now = timezone.now()
    hold.claimed_at, hold.until = now, min(max(promised, now + CART_HOLD), now + LONGEST_CART_HOLD)
    hold.save(update_fields=["claimed_at", "until"])


def join(into: Hold, other: Hold) -> None:
    """Move what `other` holds into `into`, a hold of the same pool; the first claim's time survives.

    Both must be locked. What the pool counts does not change. The larger one's network has all of it.
    """
    into.network, other.network = max(into, other, key=lambda hold: hold.quantity).network, ""
    into.claimed_at = min((hold.claimed_at for hold in (into, other) if hold.quantity), default=into.claimed_at)
    if into.until is not None:  # the younger one's time may end after the older one's hour
        into.until = min(into.until, into.claimed_at + LONGEST_CART_HOLD)
    into.quantity, other.quantity = into.quantity + other.quantity, 0
    Hold.objects.bulk_update([into, other], ["quantity", "claimed_at", "until", "network"])


def follow(entry: int, left: Pool, there: Pool) -> None:
    """An entry (by primary key) takes from another pool now: what baskets held of the one that it left, and have given
    back, they claim there the next time.

    Call it with those holds and the pool that is left locked, and only where none of them takes up room.
    """
    Hold.objects.filter(pool=left, cart_item__entry=entry, quantity=0).update(pool=there)


def divide(hold: Hold, quantity: int) -> Hold:
    """Move so much of what a hold takes up into a new one of the same pool and the same time; the new one.

    It must be locked. What the pool counts does not change. Raises ValueError if it takes up less.
    """
    if not 0 < quantity <= hold.quantity:
        raise ValueError(f"{quantity} of a hold of {hold.quantity}")
    hold.quantity -= quantity
    hold.save(update_fields=["quantity"])
    return Hold.objects.create(
        pool_id=hold.pool_id,
        quantity=quantity,
        until=hold.until,
        claimed_at=hold.claimed_at,
        network=hold.network,
    )


def give_back(holds: Iterable[int]) -> int:
    """Free all that these holds (by primary key) still take up; the number of holds that took up any."""
    return _give_back(Hold.objects.live().filter(pk__in=holds), patient=True)


@transaction.atomic
def give_back_some(hold: Hold, quantity: int) -> None:
    """Free a part of what a hold takes up. Raises ValueError if it takes up less."""
    hold = lock([hold.pk])[hold.pk]
    if quantity > hold.quantity:
        raise ValueError(f"{quantity} given back, but only {hold.quantity} held")
    Hold.objects.filter(pk=hold.pk).update(quantity=F("quantity") - quantity)
    _return({hold.pool_id: quantity})


def give_expired_back(most: int = 500) -> int:
    """Free up to `most` cart holds whose time is over; the number of holds given back."""
    return _give_back(Hold.objects.expired().filter(pk__in=Hold.objects.expired().values("pk")[:most]), patient=False)


def give_expired_back_in(pool: int) -> int:
    """Free what expired holds take up in one pool (by primary key); the number of holds given back."""
    return _give_back(Hold.objects.expired().filter(pool=pool), patient=False)


@transaction.atomic
def _give_back(holds: HoldQuerySet, *, patient: bool) -> int:
    """Set the holds to 0 and lower their pools by just that; impatient, skip those somebody else is working on."""
    rows = list(holds.order_by("pk").select_for_update(skip_locked=not patient, no_key=True))
    if not rows:
        return 0
    freed: Counter[int] = Counter()
    for hold in rows:
        freed[hold.pool_id] += hold.quantity
    Hold.objects.filter(pk__in=[hold.pk for hold in rows]).update(quantity=0, network="")
    _return(freed)
    return len(rows)


@transaction.atomic
def split(holds: Iterable[int]) -> dict[int, list[Hold]]:
    """Turn each hold (by primary key) of n into n of 1 without end, for bookings; the new ones by the old one's key."""
    whole = lock(holds)
    ones = Hold.objects.bulk_create(
        Hold(pool_id=hold.pool_id, quantity=1, claimed_at=hold.claimed_at)
        for hold in whole.values()
        for _ in range(hold.quantity)
    )
    Hold.objects.filter(pk__in=whole).update(quantity=0, network="")
    parts = iter(ones)
    return {pk: [next(parts) for _ in range(hold.quantity)] for pk, hold in whole.items()}


@transaction.atomic
def hand_over(hold: Hold, quantity: int) -> None:
    """Goods have left the building: they are neither taken nor there any more.

    Raises ValueError if the hold covers less than the quantity.
    """
    hold = lock([hold.pk])[hold.pk]
    if quantity > hold.quantity:
        raise ValueError(f"{quantity} handed over, but only {hold.quantity} held")
    Hold.objects.filter(pk=hold.pk).update(quantity=F("quantity") - quantity)
    wanted = Greatest(F("wanted") - quantity, 0)
    taken = F("taken") - quantity
    Pool.objects.filter(pk=hold.pool_id, wanted=None).update(taken=taken)
    Pool.objects.filter(pk=hold.pool_id, wanted__isnull=False).update(
        taken=taken, wanted=wanted, capacity=Greatest(wanted, taken)
    )


def new_pool(name: str, wanted: int | None) -> Pool:
    """A pool that nothing is taken from yet; wanted None means without limit."""
    return Pool.objects.create(name=name, wanted=wanted, capacity=wanted)


@transaction.atomic
def set_capacity(pool: Pool, wanted: int | None) -> None:
    """Ask for a new capacity (None: unlimited); where more is taken already, it is reached as that is given back.

    A shortfall opens an `oversold` case, and enough room again resolves it.
    """
    capacity = None if wanted is None else Greatest(Value(wanted), F("taken"))
    version = Choice(When(wanted=wanted, then=F("version")), default=EDITED)  # the same number again is no edit
    Pool.objects.filter(pk=pool.pk).update(wanted=wanted, capacity=capacity, version=version)
    pool.refresh_from_db()
    if wanted is None or pool.taken <= wanted:
        Case.settle(Case.Kind.OVERSOLD, pool, _("There is room enough again."))
    else:
        Case.open(
            Case.Kind.OVERSOLD,
            pool,
            _("%(name)s: %(taken)d are taken or promised, but there are only %(wanted)d.")
            % {"name": pool.name, "taken": pool.taken, "wanted": wanted},
        )


@transaction.atomic
def change_capacity(pool: Pool, wanted: int | None, *, shown: int | None) -> None:
    """Set the size of a pool from a page that showed another size of it.

    Raises StaleVersion if it has neither of the two: the pool has a page of its own, where somebody was faster.
    """
    if Pool.objects.select_for_update(no_key=True).get(pk=pool.pk).wanted not in (shown, wanted):
        raise StaleVersion
    set_capacity(pool, wanted)
