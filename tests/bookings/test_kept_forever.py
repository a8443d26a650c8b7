"""What money or promises point to is archived, never deleted: the database itself refuses, whoever asks."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.db.models import ProtectedError

from bookings import capacity
from bookings.models import Booking, Entry, Hold, Pool
from bookings.services import Sale, issue
from cart.models import Product, Stall
from orders.models import Order
from tests.factories import ProductFactory, StallFactory

pytestmark = pytest.mark.django_db


def a_hold(pool: Pool) -> Hold:
    return capacity.claim(pool.pk, 1, None)


@pytest.mark.parametrize(
    ("model", "make"),
    [
        (Pool, lambda pool: pool),
        (Hold, a_hold),
        (Product, lambda pool: ProductFactory.create()),
        (Stall, lambda pool: StallFactory.create()),
    ],
)
def test_rows_are_never_deleted(pool: Pool, model: type[models.Model], make: Callable[[Pool], models.Model]) -> None:
    row = make(pool)

    with (
        pytest.raises(IntegrityError, match=r"DELETE of .* is refused"),
        transaction.atomic(),
        connection.cursor() as c,
    ):
        c.execute(f"DELETE FROM {model._meta.db_table} WHERE id = %s", [row.pk])

    assert model._default_manager.filter(pk=row.pk).exists()


def test_entries_are_never_deleted(workshop: Entry) -> None:
    with pytest.raises(IntegrityError, match="DELETE of bookings_entry is refused"), transaction.atomic():
        Entry.objects.filter(pk=workshop.pk).delete()

    assert Entry.objects.filter(pk=workshop.pk).exists()


def test_bookings_are_never_deleted(order: Order, workshop: Entry) -> None:
    line = order.lines.get(entry=workshop)
    issue([Sale(line.pk, workshop.pk, line.hold_id or 0)])

    with pytest.raises(IntegrityError, match="DELETE of bookings_booking is refused"), transaction.atomic():
        Booking.objects.all().delete()

    assert Booking.objects.count() == 2


def test_a_pool_that_is_held_cannot_go_by_way_of_the_models_either(pool: Pool) -> None:
    a_hold(pool)

    with pytest.raises(ProtectedError):
        pool.delete()
