"""Staff and siblings change how much there is, whatever is taken already."""

import pytest

from bookings import capacity
from bookings.models import Pool
from cartsite.models import Case

pytestmark = pytest.mark.django_db


def numbers(pool: Pool) -> tuple[int | None, int | None, int]:
    pool.refresh_from_db()
    return pool.wanted, pool.capacity, pool.taken


def test_more_room_can_be_sold(pool: Pool) -> None:
    capacity.claim(pool.pk, 10, None)

    capacity.set_capacity(pool, 12)

    capacity.claim(pool.pk, 2, None)
    assert numbers(pool) == (12, 12, 12)


def test_less_room_stops_sales(pool: Pool) -> None:
    capacity.claim(pool.pk, 2, None)

    capacity.set_capacity(pool, 2)

    with pytest.raises(capacity.SoldOut):
        capacity.claim(pool.pk, 1, None)
    assert numbers(pool) == (2, 2, 2)
    assert not Case.objects.exists()


def test_capacity_does_not_fall_below_what_is_taken(pool: Pool) -> None:
    capacity.claim(pool.pk, 6, None)

    capacity.set_capacity(pool, 4)

    assert numbers(pool) == (4, 6, 6)
    assert pool.free == 0


def test_too_much_sold_opens_one_case_that_names_the_shortfall(pool: Pool) -> None:
    capacity.claim(pool.pk, 6, None)

    capacity.set_capacity(pool, 4)
    capacity.set_capacity(pool, 4)

    case = Case.objects.get()
    assert (case.kind, case.subject_uuid, case.status) == ("oversold", pool.uuid, "open")
    assert case.what_happened == "Ten places: 6 are taken or promised, but there are only 4."


def test_giving_enough_back_resolves_the_case(pool: Pool) -> None:
    some, more = capacity.claim(pool.pk, 1, None), capacity.claim(pool.pk, 5, None)
    capacity.set_capacity(pool, 4)

    capacity.give_back([some.pk])
    still_short = Case.objects.unresolved().count()
    capacity.give_back_some(more, 1)

    assert (still_short, Case.objects.unresolved().count()) == (1, 0)
    assert numbers(pool) == (4, 4, 4)


def test_room_enough_again_resolves_the_case(pool: Pool) -> None:
    capacity.claim(pool.pk, 6, None)
    capacity.set_capacity(pool, 4)

    capacity.set_capacity(pool, 6)

    assert Case.objects.get().status == "resolved"


def test_a_shortfall_after_a_resolved_one_is_a_new_case(pool: Pool) -> None:
    capacity.claim(pool.pk, 6, None)
    capacity.set_capacity(pool, 4)
    capacity.set_capacity(pool, 6)

    capacity.set_capacity(pool, 5)

    assert sorted(Case.objects.values_list("status", flat=True)) == ["open", "resolved"]


def test_without_limit_there_is_always_room(pool: Pool) -> None:
    capacity.claim(pool.pk, 6, None)
    capacity.set_capacity(pool, 4)

    capacity.set_capacity(pool, None)

    capacity.claim(pool.pk, 1000, None)
    assert numbers(pool) == (None, None, 1006)
    assert Case.objects.get().status == "resolved"


def test_a_limit_where_there_was_none_counts_what_was_taken_before(pool: Pool) -> None:
    capacity.set_capacity(pool, None)
    capacity.claim(pool.pk, 30, None)

    capacity.set_capacity(pool, 20)

    assert numbers(pool) == (20, 30, 30)
    assert Case.objects.get().kind == "oversold"
