"""Calendars and their entries, for shoppers."""

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.dates import WEEKDAYS
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django_htmx.http import push_url

from bookings import browsing, feeds
from bookings.availability import look_at
from bookings.browsing import AGENDA, BrowseForm
from bookings.models import Calendar, Entry, EntryQuerySet, Question
from cartsite.http import wants_fragment
from cartsite.paging import page_of
from orders import rules

PER_PAGE = 30
MOST_OTHER_DATES = 5


@require_safe
def calendars(request: HttpRequest) -> HttpResponse:
    """All calendars, with who puts them on."""
    listed = Calendar.objects.filter(archived_at=None).select_related("stall").order_by("name", "pk")
    page = page_of(listed, ("name", "pk"), request.GET.get("after", ""), PER_PAGE)
    return render(request, "bookings/calendars.html", {"page": page})


@require_safe
def whats_on(request: HttpRequest) -> HttpResponse:
    """What is on in all calendars: a list, a week or a month by the shop's clock, narrowed down as the query says."""
    return _browse(request, None, Entry.objects.all())


@require_safe
def calendar(request: HttpRequest, slug: str) -> HttpResponse:
    """What is on in one calendar, by its own clock."""
    shown = _find(slug)
    return _browse(request, shown, Entry.objects.filter(calendar=shown))


def _find(slug: str) -> Calendar:
    return get_object_or_404(Calendar.objects.select_related("stall"), slug=slug, archived_at=None)


def _browse(request: HttpRequest, shown: Calendar | None, entries: EntryQuerySet) -> HttpResponse:
    """The page of these entries; its panel alone for htmx, or the rest of a list that it asks for."""
    form = BrowseForm(request.GET, shown)
    zone = shown.zone if shown else timezone.get_default_timezone()
    list_it = _list if form.view_name == AGENDA else _lay_out
    context = {"calendar": shown, "form": form, "zone": zone, **list_it(request, form, zone, entries)}
    if not wants_fragment(request):
        context["subscribe"] = feeds.subscribe_address(shown) if shown else ""
        return render(request, "bookings/calendar.html" if shown else "bookings/whats_on.html", context)
    if request.GET.get("after"):
        return render(request, "bookings/_entries.html", context)
    return push_url(render(request, "bookings/_swapped.html", context), _address(request))


def _list(request: HttpRequest, form: BrowseForm, zone: Any, entries: EntryQuerySet) -> dict[str, Any]:
    """A page of what is coming."""
    asked_for = form.within(form.narrow(entries.coming()), zone)
    page = page_of(asked_for, ("starts_at", "pk"), request.GET.get("after", ""), PER_PAGE)
    browsing.load_price_kinds(page.rows)
    return {"page": page, "days": browsing.by_day(page.rows, zone)}


def _lay_out(request: HttpRequest, form: BrowseForm, zone: Any, entries: EntryQuerySet) -> dict[str, Any]:
    """All days of a week or a month, with what was, is, or would have been on then."""
    span = form.span(zone)
    found = list(span.of(form.narrow(entries.listed())))
    days = browsing.by_day(found[: browsing.MOST_AT_ONCE], zone, span.days())
    return {
        "span": span,
        "days": days,
        "weekdays": WEEKDAYS.values(),
        "found": found,
        "next_day": None if found else span.day_of_next(form.narrow(entries.coming())),
        "has_more": len(found) > browsing.MOST_AT_ONCE,
    }


def _address(request: HttpRequest) -> str:
    """Where the browser is after a swap: the page's own address, with nothing in it that says nothing."""
    query = request.GET.copy()
    query.pop("part", None)
    for name in [name for name, value in query.items() if not value]:
        del query[name]
    return f"{request.path}?{query.urlencode()}" if query else request.path


@require_safe
def entry(request: HttpRequest, entry_id: int) -> HttpResponse:
    """One entry: what, when in the calendar's own zone, where, for how much, by which rules; and how to book it."""
    shown = get_object_or_404(Entry.objects.listed().select_related("series"), pk=entry_id)
    others = _other_dates_of(shown)
    places = look_at([shown, *others])
    context = {
        "entry": shown,
        "thing": shown,
        "places": places[shown.pk],
        "rule": _rule_of(shown),
        "questions": _questions_of(shown),
        "others": [{"entry": other, "places": places[other.pk]} for other in others],
    }
    return render(request, "bookings/entry.html", context)


def _rule_of(entry: Entry) -> dict[str, Any]:
    """Until when (UTC; None: never) a place could be given back or moved by whoever books it now, and at what cost."""
    rule, hours = rules.for_places(entry), entry.calendar.move_hours
    move_until = None if hours is None else entry.starts_at - timedelta(hours=hours)
    return {"entry": entry, "move_until": move_until, **vars(rule)}


def _questions_of(entry: Entry) -> QuerySet[Question]:
    """What will be asked about everybody who comes."""
    asked = Question.objects.filter(calendar=entry.calendar_id, archived_at=None)
    return asked.filter(Q(series=None) | Q(series__isnull=False, series=entry.series_id))


def _other_dates_of(entry: Entry) -> list[Entry]:
    """The next dates of the series that it belongs to, but for itself."""
    if entry.series_id is None:
        return []
    others = Entry.objects.coming().filter(series=entry.series_id).exclude(pk=entry.pk)
    return list(others[:MOST_OTHER_DATES])


@require_safe
@cache_control(public=True, max_age=int(feeds.FRESH_FOR.total_seconds()))
def feed(request: HttpRequest, slug: str) -> HttpResponse:
    """A calendar's entries for calendar programs, which ask for it again from time to time."""
    shown = _find(slug)
    answer = HttpResponse(feeds.write_feed(shown), content_type="text/calendar; charset=utf-8")
    answer["Content-Disposition"] = f'inline; filename="{shown.slug}.ics"'
    return answer
