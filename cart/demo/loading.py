"""Loading the demo shop: what is missing is made, what is there stays as people left it.

Each row's UUID is derived from its name in the demo's data. So the loader knows it again whatever was changed about it.
"""

import uuid
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from bookings.capacity import new_pool
from bookings.models import Calendar, Entry, Question
from cart.demo.events import PROGRAMMES, Series
from cart.demo.goods import HOUSE, SELLERS, Good
from cart.models import Product, Stall
from cartsite.models import User

AHEAD = timedelta(weeks=8)
NAMESPACE = uuid.UUID("0f5b3a52-6f0e-5a0c-9d57-2c1f8f6f6e1d")
PASSWORD = "demo"  # noqa: S105 - public, and refused by cartsite.signin wherever DEMO is off
PEOPLE: tuple[dict[str, Any], ...] = (
    {"username": "staff", "email": "staff@demo.test", "name": "Sam Steward", "is_staff": True, "is_superuser": True},
    {"username": "shopper", "email": "shopper@demo.test", "name": "Ada Shopper"},
    {"username": "door", "email": "door@demo.test", "name": "Vic Volunteer", "is_staff": True},
)
# Who may do just one thing in the back office.
PERMITTED = {"door": "check_in"}
SIGN_INS = [f"{person['username']} / {PASSWORD}" for person in PEOPLE]

Row = TypeVar("Row", Stall, Product, Calendar)


@transaction.atomic
def load() -> dict[str, int]:
    """Make what is missing of the demo shop; how many rows of each kind were made."""
    return {
        "stalls": load_stalls(),
        "products": load_products(),
        "calendars": load_calendars(),
        "questions": load_questions(),
        "entries": load_entries(),
        "sign-ins": load_people(),
    }


def demo_uuid(kind: type[models.Model], name: str) -> uuid.UUID:
    """The UUID that a row of the demo has on every machine."""
    return uuid.uuid5(NAMESPACE, f"{kind._meta.label_lower}/{name}")


def present(kind: type[Row], key: str, names: Iterable[str]) -> dict[str, Row]:
    """The rows of the demo that are there, by their name in its data; also one that a person made under that name."""
    by_uuid = {demo_uuid(kind, name): name for name in names}
    rows = kind._default_manager.filter(Q(uuid__in=by_uuid) | Q(**{f"{key}__in": by_uuid.values()}))
    return {by_uuid.get(row.uuid) or getattr(row, key): row for row in rows}


def stalls() -> dict[str, Stall]:
    """The demo's stalls that are there, by slug; the house stall is whichever the shop has."""
    there = present(Stall, "slug", [seller.slug for seller in SELLERS])
    house = Stall.objects.filter(is_house=True).first()
    return there | ({HOUSE.slug: house} if house else {})


def load_stalls() -> int:
    """Make the stalls that are missing."""
    there = stalls()
    missing = [seller for seller in SELLERS if seller.slug not in there]
    Stall.objects.bulk_create(
        Stall(
            uuid=demo_uuid(Stall, seller.slug),
            slug=seller.slug,
            name=seller.name,
            description=seller.description,
            is_house=seller is HOUSE,
        )
        for seller in missing
    )
    return len(missing)


def load_products() -> int:
    """Make the products that are missing, each with a pool if its stock is counted."""
    there = present(Product, "sku", [good.sku for seller in SELLERS for good in seller.goods])
    stall_by_slug = stalls()
    made = [
        new_product(good, stall_by_slug[seller.slug])
        for seller in SELLERS
        for good in seller.goods
        if good.sku not in there
    ]
    return len(Product.objects.bulk_create(made))


def new_product(good: Good, stall: Stall) -> Product:
    """A product that is not saved yet; its pool is."""
    return Product(
        uuid=demo_uuid(Product, good.sku),
        sku=good.sku,
        title=good.title,
        description=good.description,
        stall=stall,
        price=Decimal(good.price),
        tax_rate=Decimal(good.vat),
        pool=None if good.stock is None else new_pool(good.title, good.stock),
        picture=good.picture,
    )


def load_calendars() -> int:
    """Make the calendars that are missing."""
    there = present(Calendar, "slug", [programme.slug for programme in PROGRAMMES])
    missing = [programme for programme in PROGRAMMES if programme.slug not in there]
    stall_by_slug = stalls()
    Calendar.objects.bulk_create(
        Calendar(
            uuid=demo_uuid(Calendar, programme.slug),
            stall=stall_by_slug[programme.stall],
            name=programme.name,
            slug=programme.slug,
            description=programme.description,
            place=programme.place,
            time_zone=programme.zone,
            picture=programme.picture,
            ask_names=programme.ask_names,
        )
        for programme in missing
    )
    return len(missing)


def load_questions() -> int:
    """Make the questions that are missing."""
    calendars = present(Calendar, "slug", [programme.slug for programme in PROGRAMMES])
    asked = {
        demo_uuid(Question, f"{programme.slug}/{question.text}"): (position, question, calendars[programme.slug])
        for programme in PROGRAMMES
        for position, question in enumerate(programme.questions)
    }
    there = set(Question.objects.filter(uuid__in=asked).values_list("uuid", flat=True))
    missing = {key: value for key, value in asked.items() if key not in there}
    Question.objects.bulk_create(
        Question(
            uuid=key,
            calendar=calendar,
            text=question.text,
            help_text=question.help_text,
            kind=Question.Kind.CHOICE if question.choices else Question.Kind.TEXT,
            choices=list(question.choices),
            position=position,
        )
        for key, (position, question, calendar) in missing.items()
    )
    return len(missing)


def load_entries() -> int:
    """Make the entries of the next eight weeks that are missing, each with its pool."""
    calendars = present(Calendar, "slug", [programme.slug for programme in PROGRAMMES])
    coming = [
        (series, new_entry(f"{programme.slug}/{series.title}/{day}", series, calendars[programme.slug], day))
        for programme in PROGRAMMES
        for series in programme.series
        for day in coming_days(series, calendars[programme.slug].zone)
    ]
    there = set(Entry.objects.filter(uuid__in=[entry.uuid for _, entry in coming]).values_list("uuid", flat=True))
    missing = [(series, entry) for series, entry in coming if entry.uuid not in there]
    for series, entry in missing:
        entry.pool = new_pool(f"{series.title}, {entry.starts_at:%a %-d %b %Y, %H:%M}", series.places)
    return len(Entry.objects.bulk_create(entry for _, entry in missing))


def coming_days(series: Series, zone: ZoneInfo) -> list[date]:
    """The days in the next eight weeks on which it begins; the window ends eight weeks from now to the minute.

    So there are always as many, and a later run never adds to the weeks that an earlier one has filled.
    """
    now = timezone.now().astimezone(zone).replace(tzinfo=None)
    days = (now.date() + timedelta(days=n) for n in range(AHEAD.days + 1))
    return [day for day in days if series.falls_on(day) and now < datetime.combine(day, series.starts) <= now + AHEAD]


def new_entry(name: str, series: Series, calendar: Calendar, day: date) -> Entry:
    """An entry that is not saved yet, at the hour that the clock on the wall shows there; it lacks its pool."""
    return Entry(
        uuid=demo_uuid(Entry, name),
        calendar=calendar,
        title=series.title,
        description=series.description,
        kind=series.kind,
        price_name=series.price_name,
        starts_at=datetime.combine(day, series.starts, calendar.zone),
        ends_at=datetime.combine(day, series.ends, calendar.zone),
        price=Decimal(series.price),
        tax_rate=Decimal(series.vat),
    )


def load_people() -> int:
    """Make the staff user, the shopper and the volunteer at the door, unless somebody has that name or address."""
    missing = [person for person in PEOPLE if not is_there(person)]
    made = User.objects.bulk_create(
        User(uuid=demo_uuid(User, person["username"]), password=make_password(PASSWORD), **person) for person in missing
    )
    for person in made:
        person.user_permissions.set(Permission.objects.filter(codename=PERMITTED.get(person.username)))
    return len(missing)


def is_there(person: dict[str, Any]) -> bool:
    """Whether the demo's person exists, perhaps under a new name, or another has taken the name or the address."""
    same = Q(uuid=demo_uuid(User, person["username"]))
    return User.objects.filter(
        same | Q(username__iexact=person["username"]) | Q(email__iexact=person["email"])
    ).exists()
