"""A workshop today with people who have places, and somebody at its door: shared by the tests about doors."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

from django.contrib.auth.models import Permission
from django.utils import timezone

from bookings.models import Booking, Entry, Scan
from cartsite.models import User
from orders import door, services
from orders.models import LineFact, Order
from tests.factories import UserFactory

PlaceOrder = Callable[..., Order]


def begin(entry: Entry, *, hours_ago: int = 0) -> None:
    """It begins in five minutes, or began some hours ago."""
    starts_at = timezone.now() + timedelta(minutes=5) - timedelta(hours=hours_ago)
    Entry.objects.filter(pk=entry.pk).update(starts_at=starts_at, ends_at=starts_at + timedelta(hours=3))
    entry.refresh_from_db()


def hire(name: str = "val", *permissions: str) -> User:
    """A volunteer who may check people in, and whatever else is named."""
    person = UserFactory(username=name, email=f"{name}@example.org", name=name.title(), is_staff=True)
    for codename in ("check_in", *permissions):
        person.user_permissions.add(Permission.objects.get(codename=codename))
    return person


def sell(place_order: PlaceOrder, *things: tuple[object, int]) -> Order:
    order = place_order(*things)
    services.confirm(order, cause="paid")
    return order


def places_of(order: Order) -> list[Booking]:
    return list(Booking.objects.filter(order_line__order=order).order_by("pk"))


def scan(entry: Entry, code: str, by: User) -> Scan:
    """A scan of its own, with a fresh UUID."""
    return door.check_in(entry, code, uuid4(), by=by)


def let_in_early(booking: Booking, by: User) -> Scan:
    """Somebody is let in although the door is not open yet."""
    return door.let_in(booking, uuid4(), by=by, even_early=True)


def facts_of(order: Order) -> list[tuple[str, int]]:
    return list(LineFact.objects.filter(line__order=order).order_by("pk").values_list("kind", "quantity"))


def statuses_of(order: Order) -> list[str]:
    return [booking.status for booking in places_of(order)]
