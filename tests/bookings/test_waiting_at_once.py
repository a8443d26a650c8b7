"""Real threads on real connections: nobody is passed over, nothing is offered twice, nobody waits for each other."""

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from bookings import capacity, waiting
from bookings.models import Entry, Hold, Pool, Waiter
from bookings.waiting import CannotJoin
from cart import services as carts
from cart.offers import take_offer
from cart.services import Unavailable
from cartsite.models import Message
from tests.bookings.blocked import wait_until_somebody_is_blocked
from tests.bookings.books import assert_pools_balance
from tests.bookings.lines import ask, free, fresh, join, offers, order_of, sold_out, statuses
from tests.concurrency import Outcome, results_of, run_at_once
from tests.factories import EntryFactory

pytestmark = pytest.mark.django_db(transaction=True)


def put_into_basket(entry: Entry) -> int:
    """What the public does: one more place into a fresh basket."""
    entry = Entry.objects.listed().get(pk=entry.pk)
    with transaction.atomic():
        cart, _token = carts.open_cart("", None)
        return carts.add(cart, entry, 1).count


def take(waiter: Waiter) -> int:
    with transaction.atomic():
        cart, _token = carts.open_cart("", None)
        return take_offer(cart, waiter).count


def refused(outcomes: list[Outcome], kind: type[Exception] = Unavailable) -> int:
    """How many were told no; whatever else went wrong is raised."""
    told_no = [outcome for outcome in outcomes if isinstance(outcome.error, kind)]
    results_of([outcome for outcome in outcomes if outcome not in told_no])
    return len(told_no)


def test_what_comes_free_goes_to_the_first_in_line_whoever_runs_for_it() -> None:
    entry, holds = sold_out(6)
    names = [f"person{n}" for n in range(9)]
    for name in names:
        join(entry, name)
    sweeps: list[Callable[[], Any]] = [waiting.sweep] * 4
    public: list[Callable[[], Any]] = [partial(put_into_basket, entry)] * 8
    newcomers = [partial(join, entry, f"late{n}") for n in range(3)]

    outcomes = run_at_once(*(partial(free, hold) for hold in holds), *sweeps, *public, *newcomers)
    waiting.sweep()

    assert refused(outcomes[10:18]) == 8
    results_of([*outcomes[:10], *outcomes[18:]])
    assert offers() == dict.fromkeys(names[:6], 1)
    assert order_of(entry)[:3] == names[6:]
    assert Pool.objects.get(pk=entry.pool_id).taken == 6


def test_with_lapses_and_refusals_all_the_time_the_offers_go_down_the_line() -> None:
    entry, holds = sold_out(3)
    line = [join(entry, f"person{n}") for n in range(12)]
    free(*holds)
    seen: list[list[str]] = []

    def decline() -> None:
        for _turn in range(6):
            for waiter in Waiter.objects.filter(status="offered").order_by("?")[:1]:
                waiting.decline(waiter)

    def watch() -> None:
        for _turn in range(30):
            seen.append(list(Waiter.objects.order_by("place", "pk").values_list("status", flat=True)))

    results_of(run_at_once(decline, decline, waiting.sweep, waiting.sweep, watch, watch))
    waiting.sweep()

    # At every moment those who wait are behind all who ever had an offer.
    assert [
        moment for moment in seen if "waiting" in moment and set(moment[moment.index("waiting") :]) != {"waiting"}
    ] == []
    assert sum(offers().values()) == min(3, sum(status != "passed" for status in statuses(*line)))


def test_sweeps_at_once_offer_a_place_once() -> None:
    entry, holds = sold_out()
    for name in ("ada", "bob", "cleo"):
        join(entry, name)
    free(holds[0])

    results_of(run_at_once(*[waiting.sweep] * 8, *[partial(waiting.offer_freed, entry.pool_id)] * 4))

    assert offers() == {"ada": 1}


def test_an_address_that_joins_many_times_at_once_stands_in_the_line_once() -> None:
    entry, _holds = sold_out()

    outcomes = run_at_once(*[partial(join, entry, "ada")] * 8)

    assert len({waiter.pk for waiter in results_of(outcomes)}) == 1
    assert Waiter.objects.count() == 1


def test_an_offer_is_taken_once_however_often_it_is_pressed() -> None:
    entry, holds = sold_out()
    waiter = join(entry, "ada", 2)
    free(*holds[:2])
    waiting.sweep()

    outcomes = run_at_once(*[partial(take, waiter)] * 6)

    assert sorted(results_of(outcomes)) == [0, 0, 0, 0, 0, 2]
    assert Pool.objects.get(pk=entry.pool_id).taken == 3


def test_an_offer_is_either_taken_or_passed_on_but_not_both() -> None:
    for _turn in range(6):
        entry, holds = sold_out()
        ada, bob = join(entry, "ada"), join(entry, "bob")
        free(holds[0])
        waiting.sweep()

        taken, declined = run_at_once(partial(take, ada), partial(waiting.decline, ada))

        assert declined.error is None
        assert refused([taken]) == int(declined.result)
        assert statuses(ada, bob) == (["passed", "offered"] if declined.result else ["taken", "waiting"])


def test_a_lapsed_offer_goes_to_the_next_while_its_owner_and_the_public_run_for_it() -> None:
    entry, holds = sold_out()
    ada, bob, cleo = join(entry, "ada"), join(entry, "bob"), join(entry, "cleo")
    free(holds[0])
    waiting.sweep()
    over = timezone.now() - timedelta(seconds=1)
    Waiter.objects.filter(pk=ada.pk).update(offer_until=over)
    Hold.objects.filter(waiter=ada.pk).update(until=over)

    outcomes = run_at_once(
        partial(take, ada),
        *[partial(put_into_basket, entry)] * 4,
        *[waiting.sweep] * 3,
        capacity.give_expired_back,
    )

    assert refused(outcomes[:5]) == 5
    results_of(outcomes[5:])
    waiting.sweep()
    assert statuses(ada, bob, cleo) == ["passed", "offered", "waiting"]


def test_whoever_joins_while_somebody_claims_the_last_place_is_in_line_behind_them() -> None:
    entry = EntryFactory.create(places=1)
    claimed = threading.Event()

    def claim_slowly() -> int:
        with transaction.atomic():
            cart, _token = carts.open_cart("", None)
            count = carts.add(cart, Entry.objects.listed().get(pk=entry.pk), 1).count
            claimed.set()
            wait_until_somebody_is_blocked()
        return count

    def wait_for_one() -> str:
        claimed.wait(10)
        return join(entry, "ada").status

    assert results_of(run_at_once(claim_slowly, wait_for_one)) == [1, "waiting"]


def test_whoever_claims_while_somebody_joins_comes_too_late() -> None:
    entry, holds = sold_out()
    joined = threading.Event()

    def join_slowly() -> str:
        with transaction.atomic():
            status = join(entry, "ada").status
            joined.set()
            wait_until_somebody_is_blocked()
        return status

    def claim() -> int:
        joined.wait(10)
        return put_into_basket(entry)

    def give_back() -> None:
        joined.wait(10)
        free(holds[0])

    outcomes = run_at_once(join_slowly, give_back, claim)

    assert results_of(outcomes[:2]) == ["waiting", None]
    assert refused(outcomes[2:]) == 1


def do_something(waiter: Waiter, dice: random.Random) -> None:
    """One of the things that people in a line and staff may do; or somebody else joins it."""
    happenings: list[Callable[[], object]] = [
        partial(waiting.leave, waiter),
        partial(waiting.decline, waiter),
        partial(waiting.move, waiter, dice.choice(["first", "up", "down", "last"])),
        partial(join, waiter.entry, f"late{dice.random()}"),
        partial(take, waiter),
        partial(erase, waiter.email),
    ]
    with suppress(Unavailable, CannotJoin):
        dice.choice(happenings)()


@transaction.atomic
def erase(email: str) -> None:
    capacity.give_back(waiting.forget(waiting.of_person(None, [email])))


def test_all_that_happens_to_lines_at_once_never_blocks_itself() -> None:
    (one, one_holds), (two, two_holds) = sold_out(4), sold_out(4)
    people = [join(entry, f"person{n}", 1 + n % 3) for n in range(8) for entry in (one, two)]

    def live(seed: int) -> None:
        dice = random.Random(seed)
        for _turn in range(12):
            do_something(fresh(dice.choice(people)), dice)

    outcomes = run_at_once(
        *(partial(live, seed) for seed in range(8)),
        *[waiting.sweep] * 3,
        partial(free, *one_holds),
        partial(free, *two_holds),
        capacity.give_expired_back,
    )

    results_of(outcomes)
    assert_pools_balance()


def test_of_many_presses_at_once_on_two_links_to_one_address_one_counts() -> None:
    entry, _holds = sold_out()
    first, second = ask(entry, "ada"), ask(entry, "ada", 2)

    standing = results_of(run_at_once(*[partial(waiting.confirm, first), partial(waiting.confirm, second)] * 4))

    assert len({waiter.pk for waiter in standing}) == 1
    assert order_of(entry) == ["ada"]
    assert Message.objects.filter(kind="waiting_joined").count() == 1


def test_who_confirms_comes_after_whoever_has_just_claimed_what_came_free() -> None:
    """Or before, and then the public is refused: nobody is in the line and passed over."""
    entry, holds = sold_out(6)
    waits = join(entry, "bob")
    asked = [ask(entry, f"person{n}") for n in range(4)]
    confirms = [partial(waiting.confirm, waiter) for waiter in asked]
    public: list[Callable[[], Any]] = [partial(put_into_basket, entry)] * 4
    erasing = partial(forget_all, asked[0].email)

    outcomes = run_at_once(*confirms, *(partial(free, hold) for hold in holds[:3]), waiting.sweep, erasing, *public)
    refused(outcomes[:4], CannotJoin)
    refused(outcomes[4:])
    waiting.sweep()

    assert_pools_balance()
    assert statuses(waits) == ["offered"]
    assert Pool.objects.get(pk=entry.pool_id).free == 0 or not order_of(entry)


def forget_all(email: str) -> None:
    with transaction.atomic():
        capacity.give_back(waiting.forget(waiting.of_person(None, [email])))
