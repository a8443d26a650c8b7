"""The door: whoever may check people in lets them in by code, by camera or by name, also over a bad line."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from bookings.models import Booking, Entry, Scan
from cartsite.backoffice import person_of
from cartsite.http import is_htmx, wants_fragment
from orders import door as doors_
from orders import guest_list

PERMISSION = "bookings.check_in"
# Which entries are on the list of doors: those that are not over for long, and those that begin soon.
OVER_FOR = timedelta(hours=12)
AHEAD = timedelta(days=7)
# So many people fit on a phone's page; the others are found by name.
MOST_SHOWN = 200

View = Callable[..., HttpResponse]


def for_the_door(view: View) -> View:
    """Let in only staff who may check people in; to others there is nothing at this address. The camera is theirs."""

    @wraps(view)
    def guarded(request: HttpRequest, **parts: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path() if request.method == "GET" else reverse("bookings:doors"))
        if not (request.user.is_staff and request.user.has_perm(PERMISSION)):
            raise Http404
        response = view(request, **parts)
        response.headers["Permissions-Policy"] = "camera=(self)"
        return response

    return guarded


class ScanForm(forms.Form):
    """A ticket's code as it was typed or scanned, or the place of somebody who gave their name; and the scan's UUID."""

    code = forms.CharField(
        label=gettext_lazy("Ticket code"),
        max_length=200,
        required=False,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false", "enterkeyhint": "go"}
        ),
    )
    booking = forms.UUIDField(required=False)
    scan = forms.UUIDField()
    early = forms.BooleanField(required=False)  # they are let in although the door is not open yet

    def clean(self) -> dict[str, Any]:
        typed: dict[str, Any] = super().clean() or {}
        if "code" in typed and not typed["code"] and not typed.get("booking"):
            self.add_error("code", _("Type the code of a ticket, or scan it."))
        return typed


@dataclass(frozen=True)
class Answer:
    """What is said to a scan, with what the door should know of whoever came."""

    scan: Scan
    before: Scan | None  # by which they were let in, if they are in already
    strange: str  # letters and digits that were typed, and that no code has
    next_scan: UUID  # of letting them in all the same

    @property
    def booking(self) -> Booking | None:
        return self.scan.booking

    @property
    def name(self) -> str:
        """Of whoever comes, or of whoever ordered the place; empty if neither is known."""
        return guest_list.name_of(self.scan.booking) if self.scan.booking else ""

    @property
    def price_name(self) -> str:
        return guest_list.price_name(self.scan.booking) if self.scan.booking else ""

    @property
    def is_welcome(self) -> bool:
        return self.scan.outcome == Scan.Outcome.WELCOME and self.scan.undone_at is None


@never_cache
@require_safe
@for_the_door
def doors(request: HttpRequest) -> HttpResponse:
    """The entries of today and of the next days, soonest first, with how many are in."""
    now = timezone.now()
    entries = (
        Entry.objects.listed()
        .filter(cancelled_at=None, ends_at__gt=now - OVER_FOR, starts_at__lt=now + AHEAD)
        .annotate(
            inside=Count("bookings", filter=Q(bookings__status=Booking.Status.ATTENDED)),
            every=Count("bookings", filter=Q(bookings__status__in=Booking.OCCUPYING)),
        )
        .order_by("starts_at", "pk")
    )
    return render(request, "bookings/door/doors.html", {"entries": entries})


@never_cache
@require_safe
@for_the_door
def door(request: HttpRequest, entry_id: int) -> HttpResponse:
    """One entry's door: the field for codes, the camera, the counts and the list; htmx asks for the latter two."""
    entry = _find_entry(entry_id)
    template = "bookings/door/_people.html" if wants_fragment(request) else "bookings/door/door.html"
    return render(request, template, _context(request, entry))


@never_cache
@require_POST
@for_the_door
def scan(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Try to let somebody in; the same scan sent again is answered the same. A script gets the answer alone."""
    entry = _find_entry(entry_id)
    form = ScanForm(request.POST)
    if not form.is_valid():
        template = "bookings/door/_unreadable.html" if is_htmx(request) else "bookings/door/door.html"
        return render(request, template, _context(request, entry) | {"form": form}, status=422)
    answer = tell(_take(request, entry, form.cleaned_data))
    if is_htmx(request):
        return render(request, "bookings/door/_answer.html", {"answer": answer, "entry": entry})
    return render(request, "bookings/door/door.html", _context(request, entry) | {"answer": answer})


@never_cache
@require_POST
@for_the_door
def undo(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Take back that somebody was let in (a scan), or that they did not come (a booking)."""
    entry = _find_entry(entry_id)
    taken_back, answer = _take_back(request, entry)
    said = _("Taken back.") if taken_back is True else taken_back or _("That was taken back before.")
    if is_htmx(request):
        # Even if that changed nothing, it is news.
        context = _context(request, entry) | {"answer": answer, "undone": said, "news": "undone"}
        return render(request, "bookings/door/_undone.html", context)
    messages.add_message(request, messages.SUCCESS if taken_back is True else messages.WARNING, said)
    return redirect("bookings:door", entry_id)


@never_cache
@require_POST
@for_the_door
def rest(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Say of everybody who is not in that they did not come, or that they did."""
    entry = _find_entry(entry_id)
    try:
        if request.POST.get("came") == "yes":
            count = doors_.mark_rest_attended(entry, by=person_of(request))
            said = ngettext("%(n)d more person is in.", "%(n)d more people are in.", count)
        else:
            count = doors_.mark_rest_missed(entry, by=person_of(request))
            said = ngettext("%(n)d person did not come.", "%(n)d people did not come.", count)
        messages.success(request, said % {"n": count})
    except (doors_.NotBegun, doors_.NotOpen) as refusal:
        messages.warning(request, str(refusal))
    return redirect("bookings:door", entry_id)


# --- Parts ------------------------------------------------------------------------------------------------------------


def _find_entry(entry_id: int) -> Entry:
    return get_object_or_404(Entry.objects.select_related("calendar"), pk=entry_id)


def _context(request: HttpRequest, entry: Entry) -> dict[str, Any]:
    """What the page of a door says; its form has a fresh UUID, and each row of the list one of its own."""
    said = (request.GET.get("q") or request.POST.get("q", "")).replace("\x00", "")[:100].strip()
    people: QuerySet[Any] = guest_list.find_people(entry, said)
    shown = list(people[: MOST_SHOWN + 1])
    for row in shown:
        row.fresh = uuid4()
    counts = guest_list.count_people(entry)
    news = repr(([(row.pk, row.status, row.who) for row in shown], counts, said))
    return {
        "entry": entry,
        "counts": counts,
        "people": shown[:MOST_SHOWN],
        "has_more": len(shown) > MOST_SHOWN,
        "said": said,
        "news": zlib.crc32(news.encode()),
        "form": ScanForm(initial={"scan": uuid4()}),
        "has_begun": entry.starts_at <= timezone.now(),
        "is_open": doors_.is_open(entry),
        "opens_at": doors_.opens_at(entry),
    }


def _take(request: HttpRequest, entry: Entry, typed: dict[str, Any]) -> Scan:
    if typed["booking"]:
        booking = get_object_or_404(Booking, uuid=typed["booking"], entry=entry)
        return doors_.let_in(booking, typed["scan"], by=person_of(request), even_early=typed["early"])
    return doors_.check_in(entry, typed["code"], typed["scan"], by=person_of(request))


def _take_back(request: HttpRequest, entry: Entry) -> tuple[bool | str, Answer | None]:
    """Whether it was taken back just now, or why not; and the answer that is not so any more."""
    person = person_of(request)
    try:
        if "booking" in request.POST:
            booking = get_object_or_404(Booking, uuid=_uuid(request.POST["booking"]), entry=entry)
            return doors_.undo_missed(booking, by=person), None
        scan = get_object_or_404(Scan, uuid=_uuid(request.POST.get("scan", "")), entry=entry)
        done = doors_.undo(scan, by=person)
    except doors_.CannotUndo as refusal:
        return str(refusal), None
    scan.refresh_from_db()
    return done, tell(scan)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Http404 from None


def tell(scan: Scan) -> Answer:
    """What is said to a scan."""
    before = None
    if scan.outcome == Scan.Outcome.ALREADY_IN:
        welcomes = Scan.objects.filter(booking=scan.booking, outcome=Scan.Outcome.WELCOME, pk__lt=scan.pk)
        before = welcomes.select_related("by").order_by("pk").last()
    strange = doors_.strange_letters(scan.typed) if scan.outcome == Scan.Outcome.UNKNOWN else ""
    return Answer(scan, before, strange, next_scan=uuid4())
