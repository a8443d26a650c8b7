"""Time: calendars, what recurs in them, and the dated things that people book."""

import uuid
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Self
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import (
    ArrayField,
    BigIntegerRangeField,
    DateTimeRangeField,
    RangeOperators,
)
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Func, Q, Value
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from bookings.models.pools import Pool
from cartsite.constraints import ErrorsBesideFields
from cartsite.versions import Versioned

# The database says the same of prices and rates; these say it beside the field, and in words.
NOT_NEGATIVE = MinValueValidator(0)
BELOW_ALL = MaxValueValidator(Decimal("99.99"))


def check_time_zone(name: str) -> None:
    """Raise ValidationError unless the name is an IANA time zone."""
    if name not in available_timezones():
        raise ValidationError(_("%(name)s is not an IANA time zone, such as Europe/London."), params={"name": name})


class Calendar(ErrorsBesideFields, Versioned):
    """A venue or a series: a page of dated things that one stall puts on."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    stall = models.ForeignKey("cart.Stall", on_delete=models.PROTECT, related_name="calendars")
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True)
    description = models.TextField(blank=True)
    place = models.CharField(max_length=300, blank=True)
    time_zone = models.CharField(max_length=60, default="Europe/London", validators=[check_time_zone])
    picture = models.CharField(max_length=200, blank=True)
    # When its entries can be booked, unless they say otherwise.
    notice_hours = models.PositiveIntegerField(
        _("minimum notice"), default=0, help_text=_("Booking closes so many hours before it begins.")
    )
    horizon_days = models.PositiveIntegerField(
        _("horizon"), null=True, blank=True, help_text=_("Booking opens so many days before. Empty means at once.")
    )
    # So that one visitor cannot empty it.
    most_held = models.PositiveSmallIntegerField(
        _("most in one basket"), default=20, help_text=_("Places of this calendar, over all its entries.")
    )
    offer_hours = models.PositiveSmallIntegerField(
        _("a waiting-list offer lasts"), default=24, help_text=_("Hours; less where booking closes before.")
    )
    ask_names = models.BooleanField(_("ask for names"), default=False, help_text=_("Ask who comes, for each place."))
    # Until when, and at what price, shoppers may give a place back by themselves.
    cancel_hours = models.PositiveIntegerField(
        _("may be cancelled until"),
        null=True,
        blank=True,
        default=48,
        help_text=_("So many hours before it begins. Empty means that shoppers cannot cancel by themselves."),
    )
    kept_percent = models.DecimalField(
        _("kept when cancelled"),
        max_digits=5,
        decimal_places=2,
        default=Decimal("0.00"),
        validators=[NOT_NEGATIVE, MaxValueValidator(100)],
        help_text=_("Per cent of what was paid for the place."),
    )
    move_hours = models.PositiveIntegerField(
        _("may be moved until"),
        null=True,
        blank=True,
        default=48,
        help_text=_("So many hours before it begins. Empty means that shoppers cannot move by themselves."),
    )
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="calendar_kept_percent_is_a_percentage",
                condition=Q(kept_percent__gte=0, kept_percent__lte=100),
                violation_error_code="kept_percent",
                violation_error_message=_("Please give 0 to 100 per cent."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("bookings:calendar", args=[self.slug])

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class Resource(Versioned):
    """Something that only one entry can have at a time: a table, a kiln, a room."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=120, unique=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class EntryKind(models.TextChoices):
    """What sort of thing an entry is, for those who look for one."""

    WORKSHOP = "workshop", _("Workshop")
    TASTING = "tasting", _("Tasting")
    WALK = "walk", _("Walk")
    TABLE = "table", _("Stall's table")
    GATHERING = "gathering", _("Get-together")


class Offered(ErrorsBesideFields, Versioned):
    """What one entry and a whole series have in common."""

    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=10, choices=EntryKind.choices, default=EntryKind.WORKSHOP)
    price = models.DecimalField(
        max_digits=10, decimal_places=2, validators=[NOT_NEGATIVE], help_text=_("For one place, tax included.")
    )
    price_name = models.CharField(
        max_length=60, blank=True, help_text=_("Such as Adult: shown where there are other prices too.")
    )
    tax_rate = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        default=Decimal("20.00"),
        validators=[NOT_NEGATIVE, BELOW_ALL],
        help_text=_("Per cent."),
    )
    resource = models.ForeignKey(
        Resource,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        help_text=_("What it needs for itself alone. Two entries can never have it at the same time."),
    )
    max_per_order = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text=_("Empty means any number.")
    )
    max_per_person = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text=_("Over all orders. Empty: any number.")
    )
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title


class Series(Offered):
    """A thing that recurs on days of the week, at the same hour on the wall's clock: the plan of many entries."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    calendar = models.ForeignKey(Calendar, on_delete=models.PROTECT, related_name="series")
    # In the calendar's own zone. It ends on the next day if `ends` is not after `starts`.
    starts = models.TimeField()
    ends = models.TimeField()
    weekdays = ArrayField(
        models.PositiveSmallIntegerField(validators=[MaxValueValidator(6)]),
        default=list,
        blank=True,
        help_text=_("0 is Monday."),
    )
    every = models.PositiveSmallIntegerField(_("every so many weeks"), default=1, validators=[MinValueValidator(1)])
    first_day = models.DateField()
    last_day = models.DateField()
    skipped_days = ArrayField(models.DateField(), default=list, blank=True)
    extra_days = ArrayField(models.DateField(), default=list, blank=True)
    places = models.PositiveIntegerField(null=True, blank=True, help_text=_("Of each entry. Empty means unlimited."))
    # One pool for all of its entries; if empty, each has its own.
    pool = models.ForeignKey(Pool, null=True, blank=True, on_delete=models.PROTECT, related_name="series")

    class Meta:
        verbose_name_plural = "series"
        ordering = ["title", "pk"]
        constraints = [
            models.CheckConstraint(
                name="series_last_day_not_before_first",
                condition=Q(last_day__gte=F("first_day")),
                violation_error_code="last_day",
                violation_error_message=_("It is before the first day."),
            ),
            models.CheckConstraint(
                name="series_every_at_least_one_week",
                condition=Q(every__gte=1),
                violation_error_code="every",
                violation_error_message=_("Please give at least one week."),
            ),
            models.CheckConstraint(
                name="series_price_not_negative",
                condition=Q(price__gte=0),
                violation_error_code="price",
                violation_error_message=_("Please give a price of 0 or more."),
            ),
            models.CheckConstraint(
                name="series_tax_rate_is_a_percentage",
                condition=Q(tax_rate__gte=0, tax_rate__lt=100),
                violation_error_code="tax_rate",
                violation_error_message=_("Please give a rate from 0 to 99.99 per cent."),
            ),
        ]


class EntryQuerySet(models.QuerySet["Entry"]):
    def listed(self) -> Self:
        """Entries shoppers may see: not archived, with all that a page says of them loaded."""
        return self.filter(archived_at=None, calendar__archived_at=None).select_related(
            "calendar", "calendar__stall", "pool"
        )

    def coming(self) -> Self:
        """Listed entries that have not begun, soonest first."""
        return self.listed().filter(starts_at__gt=timezone.now(), cancelled_at=None).order_by("starts_at", "pk")


def _itself(name: str) -> Func:
    """A column as a range that holds nothing else."""
    return Func(F(name), F(name), Value("[]"), function="int8range", output_field=BigIntegerRangeField())


def _between(starts: str, ends: str) -> Func:
    """A span of time that does not include its end."""
    return Func(F(starts), F(ends), function="tstzrange", output_field=DateTimeRangeField())


class Entry(Offered):
    """One dated, bookable thing with a booking window and a price for each place."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    calendar = models.ForeignKey(Calendar, on_delete=models.PROTECT, related_name="entries")
    pool = models.ForeignKey(Pool, on_delete=models.PROTECT, related_name="entries")
    # Which day of which series it is; one that was changed by hand is left as it is when its series changes.
    series = models.ForeignKey(Series, null=True, blank=True, on_delete=models.PROTECT, related_name="entries")
    series_day = models.DateField(null=True, blank=True, editable=False)
    by_hand = models.BooleanField(_("changed by hand"), default=False, editable=False)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    # How often its time was changed after people could book it, and when (UTC) it last was.
    sequence = models.PositiveIntegerField(default=0, editable=False)
    rescheduled_at = models.DateTimeField(null=True, blank=True, editable=False)
    booking_opens_at = models.DateTimeField(null=True, blank=True, help_text=_("Empty means as its calendar says."))
    booking_closes_at = models.DateTimeField(null=True, blank=True, help_text=_("Empty means as its calendar says."))
    cancelled_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = EntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "entries"
        constraints = [
            models.CheckConstraint(
                name="entry_ends_after_it_starts",
                condition=Q(ends_at__gt=F("starts_at")),
                violation_error_code="ends_at",
                violation_error_message=_("It must end after it begins."),
            ),
            models.CheckConstraint(
                name="entry_price_not_negative",
                condition=Q(price__gte=0),
                violation_error_code="price",
                violation_error_message=_("Please give a price of 0 or more."),
            ),
            models.CheckConstraint(
                name="entry_tax_rate_is_a_percentage",
                condition=Q(tax_rate__gte=0, tax_rate__lt=100),
                violation_error_code="tax_rate",
                violation_error_message=_("Please give a rate from 0 to 99.99 per cent."),
            ),
            models.CheckConstraint(
                name="entry_of_a_series_knows_its_day",
                condition=Q(series=None, series_day=None) | Q(series__isnull=False, series_day__isnull=False),
            ),
            models.UniqueConstraint(fields=["series", "series_day"], name="entry_once_per_series_and_day"),
            # The resource as a range of itself alone: ranges need no extension of the database.
            ExclusionConstraint(
                name="entry_never_shares_its_resource",
                expressions=[
                    (_itself("resource"), RangeOperators.OVERLAPS),
                    (_between("starts_at", "ends_at"), RangeOperators.OVERLAPS),
                ],
                condition=Q(resource__isnull=False, cancelled_at=None, archived_at=None),
                violation_error_code="resource",
                violation_error_message=_("Another entry has this resource at that time."),
            ),
        ]
        indexes = [
            models.Index(fields=["starts_at", "id"], name="entry_by_start"),
            models.Index(fields=["calendar", "starts_at", "id"], name="entry_by_calendar_and_start"),
        ]

    def get_absolute_url(self) -> str:
        return reverse("bookings:entry", args=[self.pk])

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """Also in a form without what says whether it stands: nobody can judge who has the resource without that."""
        super().validate_constraints(set(exclude or ()) - {"cancelled_at", "archived_at"})

    @property
    def opens_at(self) -> datetime | None:
        """The moment (UTC) from which places are sold; None if that is at once.

        A horizon is counted in days on the calendar's own clock: a clock change does not shift the hour.
        """
        if self.booking_opens_at is not None or self.calendar.horizon_days is None:
            return self.booking_opens_at
        return (self.local_start - timedelta(days=self.calendar.horizon_days)).astimezone(UTC)

    @property
    def closes_at(self) -> datetime:
        """The moment (UTC) from which no more places are sold."""
        noticed = self.starts_at - timedelta(hours=self.calendar.notice_hours)
        return min(self.booking_closes_at or noticed, self.starts_at)

    @property
    def is_on_sale(self) -> bool:
        """Whether places are on sale at this moment, if any are free."""
        now = timezone.now()
        opened = self.opens_at is None or self.opens_at <= now
        stands = self.cancelled_at is None and self.archived_at is None and self.calendar.archived_at is None
        return stands and opened and now < self.closes_at

    @property
    def local_start(self) -> datetime:
        """When it begins, in the calendar's own zone."""
        return self.starts_at.astimezone(self.calendar.zone)

    @cached_property
    def price_kinds(self) -> list["PriceKind"]:
        """What a place may cost besides its own price: its own kinds if it has any, else its series'."""
        kinds = PriceKind.objects.filter(
            Q(entry=self) | Q(series__isnull=False, series=self.series_id), archived_at=None
        ).order_by("position", "pk")
        own = [kind for kind in kinds if kind.entry_id]
        return own or list(kinds)

    @property
    def local_end(self) -> datetime:
        """When it ends, in the calendar's own zone."""
        return self.ends_at.astimezone(self.calendar.zone)


class PriceKind(ErrorsBesideFields, Versioned):
    """Another price for a place than an entry's own: for a child, for a member. All take from the same pool.

    It is one entry's, or that of all entries of a series which have none of their own.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    series = models.ForeignKey(Series, null=True, blank=True, on_delete=models.PROTECT, related_name="price_kinds")
    entry = models.ForeignKey(Entry, null=True, blank=True, on_delete=models.PROTECT, related_name="own_price_kinds")
    name = models.CharField(max_length=60)
    note = models.CharField(max_length=200, blank=True, help_text=_("Who it is for, in a few words."))
    price = models.DecimalField(
        max_digits=10, decimal_places=2, validators=[NOT_NEGATIVE], help_text=_("For one place, tax included.")
    )
    position = models.PositiveSmallIntegerField(default=0)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.CheckConstraint(
                name="pricekind_either_of_a_series_or_an_entry",
                condition=Q(series=None, entry__isnull=False) | Q(series__isnull=False, entry=None),
            ),
            models.CheckConstraint(
                name="pricekind_price_not_negative",
                condition=Q(price__gte=0),
                violation_error_code="price",
                violation_error_message=_("Please give a price of 0 or more."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def was_price_of(self, entry: Entry) -> bool:
        """Whether it is a price of the entry, or of its series, or was one until it was withdrawn."""
        return self.entry_id == entry.pk or (self.series_id is not None and self.series_id == entry.series_id)

    def is_price_of(self, entry: Entry) -> bool:
        """Whether it still is one. (What an entry took from its series before it had prices of its own stays good for
        whoever has it in their basket.)"""
        return self.archived_at is None and self.was_price_of(entry)
