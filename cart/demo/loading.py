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

from bookings import planning
from bookings.capacity import new_pool
from bookings.models import Calendar, Entry, PriceKind, Question, Series
from cart.demo.events import PROGRAMMES, Recurring
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
        "series": load_series(),
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


def named_series() -> dict[str, tuple[str, Recurring]]:
    """What recurs in the demo, by its name on every machine: the slug of its calendar, and what it is."""
    return {f"{each.slug}/{series.title}": (each.slug, series) for each in PROGRAMMES for series in each.series}


def series_there() -> dict[str, Series]:
    """The demo's series that are there, by name."""
    by_uuid = {demo_uuid(Series, name): name for name in named_series()}
    rows = Series.objects.filter(uuid__in=by_uuid).select_related("calendar", "pool", "resource")
    return {by_uuid[row.uuid]: row for row in rows}


def load_series() -> int:
    """Make the series that are missing, with their other prices; those that are there go on for eight weeks."""
    calendars = present(Calendar, "slug", [programme.slug for programme in PROGRAMMES])
    there, made = series_there(), []
    for name, (slug, recurring) in named_series().items():
        days = coming_days(recurring, calendars[slug].zone)
        if name not in there:
            made.append(new_series(name, recurring, calendars[slug], days))
        elif there[name].archived_at is None and there[name].last_day < days[-1]:
            Series.objects.filter(pk=there[name].pk).update(last_day=days[-1])
    Series.objects.bulk_create(made)
    load_prices(made)
    return len(made)


def new_series(name: str, recurring: Recurring, calendar: Calendar, days: list[date]) -> Series:
    """A series that is not saved yet."""
    return Series(
        uuid=demo_uuid(Series, name),
        calendar=calendar,
        title=recurring.title,
        description=recurring.description,
        kind=recurring.kind,
        price=Decimal(recurring.price),
        price_name=recurring.price_name,
        tax_rate=Decimal(recurring.vat),
        starts=recurring.starts,
        ends=recurring.ends,
        weekdays=[recurring.weekday],
        every=recurring.every,
        first_day=days[0],
        last_day=days[-1],
        places=recurring.places,
    )


def load_prices(made: Iterable[Series]) -> None:
    """The other prices of series that were just made."""
    by_uuid = {demo_uuid(Series, name): (name, recurring) for name, (_, recurring) in named_series().items()}
    PriceKind.objects.bulk_create(
        PriceKind(
            uuid=demo_uuid(PriceKind, f"{by_uuid[series.uuid][0]}/{price.name}"),
            series=series,
            name=price.name,
            note=price.note,
            price=Decimal(price.price),
            position=position,
        )
        for series in made
        for position, price in enumerate(by_uuid[series.uuid][1].prices)
    )


def load_entries() -> int:
    """Make the entries of the next eight weeks that are missing, each with its pool."""
    return sum(load_entries_of(name, series) for name, series in series_there().items())


def load_entries_of(name: str, series: Series) -> int:
    """Make the entries of one series that are missing; those of an older demo, which had no series, become its own."""
    uuids = {
        occurrence.day: demo_uuid(Entry, f"{name}/{occurrence.day}") for occurrence in planning.occurrences(series)
    }
    alone = {entry.uuid: entry for entry in Entry.objects.filter(uuid__in=uuids.values(), series=None)}
    for day, key in uuids.items():
        if key in alone:
            Entry.objects.filter(pk=alone[key].pk).update(series=series, series_day=day)
    try:
        return len(planning.apply(series, only_new=True, uuid_of=lambda day: uuids[day]).of(planning.Fate.NEW))
    except planning.CannotPlan:  # somebody's own entry has what it needs for itself alone
        return 0


def coming_days(series: Recurring, zone: ZoneInfo) -> list[date]:
    """The days in the next eight weeks on which it begins; the window ends eight weeks from now to the minute.

    So there are always as many, and a later run never adds to the weeks that an earlier one has filled.
    """
    now = timezone.now().astimezone(zone).replace(tzinfo=None)
    days = (now.date() + timedelta(days=n) for n in range(AHEAD.days + 1))
    return [day for day in days if series.falls_on(day) and now < datetime.combine(day, series.starts) <= now + AHEAD]


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
