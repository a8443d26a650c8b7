"""People with something to erase, and orders that are over."""

from datetime import timedelta

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.apps import apps
from django.contrib.sessions.models import Session
from django.utils import timezone

from bookings.models import Entry
from cartsite.models import User
from orders import services
from orders.models import DeliveryAddress, Order, OrderLine
from tests.factories import UserFactory

STREET = "7 Nowhere Lane"


def finish(order: Order) -> Order:
    """The order is confirmed, its goods are collected and its places lie behind."""
    services.confirm(order, cause="paid")
    return get_over(order)


def get_over(order: Order) -> Order:
    """A confirmed order's goods are collected and its places lie behind."""
    past = timezone.now() - timedelta(days=1)
    Entry.objects.filter(order_lines__order=order).update(starts_at=past - timedelta(hours=3), ends_at=past)
    clerk = UserFactory(username=f"clerk{order.pk}", email=f"clerk{order.pk}@example.org", name="")
    for line in order.lines.filter(kind=OrderLine.Kind.PRODUCT):
        services.collect_rest(line, by=clerk)
    order.refresh_from_db()
    return order


def deliver(order: Order) -> None:
    """The order was brought somewhere."""
    DeliveryAddress.objects.create(
        order=order, street=STREET, town="Nowhere", postcode="ZZ1 1ZZ", instructions="Ring twice"
    )


def connect(person: User) -> None:
    """The person has a second address, and signs in with another service."""
    EmailAddress.objects.create(user=person, email=person.email, verified=True, primary=True)
    EmailAddress.objects.create(user=person, email=f"second.{person.email}", verified=False, primary=False)
    SocialAccount.objects.create(user=person, provider="rose-ash", uid=f"uid-of-{person.username}")


def everything_stored() -> str:
    """All rows of all tables as one text, sessions in the clear."""
    rows = [list(model._default_manager.order_by("pk").values()) for model in apps.get_models()]
    return repr(rows) + repr([session.get_decoded() for session in Session.objects.all()])
