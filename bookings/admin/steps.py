"""The back office: an entry is called off, once staff have seen whom that touches and what it costs."""

from dataclasses import asdict
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import SELECT_CLASSES

from bookings.admin import wording
from bookings.models import Entry
from cartsite import agreements
from cartsite.backoffice import log, path_of, person_of
from cartsite.refusals import Conflict
from payments import calling_off
from payments.calling_off import CannotCallOff, Outlook
from payments.desk import fields
from payments.models import RefundBatch

# Places are lost and money is promised: who may do either alone may not do this.
NEEDED = ("bookings.change_entry", "orders.change_order")
CALL_OFF = "call off entry"
# So many orders are put right while staff wait for the page; the worker goes on with the others.
AT_ONCE = 20


class RoomField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """One of these entries, or none, each with its free places."""

    def label_from_instance(self, obj: Any) -> str:
        return describe_room(obj)


class CallOffForm(forms.Form):
    """Why, and whether places go to another entry instead of money going back."""

    def __init__(self, entry: Entry, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = entries_to_move_to(entry)
        if others:
            rows = Entry.objects.filter(pk__in=[other.pk for other in others]).order_by("starts_at")
            self.fields["move_to"] = RoomField(
                rows.select_related("calendar", "pool"),
                label=_("Move the places to"),
                required=False,
                empty_label=_("Nowhere: money goes back"),
                widget=forms.Select(attrs={"class": " ".join(SELECT_CLASSES)}),
                help_text=_(
                    "Order by order, as long as there is room. Who is moved is told, and may have all their money back"
                    " until it begins; who finds no room gets their money back."
                ),
            )
        self.fields["reason"] = fields.reason_field()


def entries_to_move_to(entry: Entry) -> list[Entry]:
    """Coming entries of the same series at the same price, or of the same calendar for one without a series."""
    alike = {"series": entry.series} if entry.series_id else {"calendar": entry.calendar}
    coming = Entry.objects.coming().filter(**alike)[:100]
    return [other for other in coming if calling_off.may_move_to(entry, other)]


def describe_room(entry: Entry) -> str:
    """When an entry is, and how many places it has free."""
    free = _now("any number free") if entry.pool.free is None else _now("%(n)d free") % {"n": entry.pool.free}
    return f"{entry.title}, {wording.when(entry.starts_at, entry.ends_at, entry.calendar.zone)}: {free}"


def fingerprint_of(outlook: Outlook) -> str:
    """Equal if staff would read the same."""
    return agreements.fingerprint_of(asdict(outlook))


class EntrySteps:
    """For the admin of entries: the page that calls one off, and the way there."""

    change_form_outer_before_template = "admin/bookings/entry/steps.html"

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.call_off_view)  # type: ignore[attr-defined]
        return [path("<int:entry_id>/call-off/", page, name="bookings_entry_call_off"), *super().get_urls()]  # type: ignore[misc]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The entry's form, with what else may be done about it above."""
        entry = self.get_object(request, object_id)  # type: ignore[attr-defined]
        told: dict[str, Any] = {"may_call_off": False}
        if entry is not None:
            told = {
                "may_call_off": entry.cancelled_at is None and request.user.has_perms(NEEDED),
                "batches": list(entry.refund_batches.order_by("pk")) if may_see_batches(request) else [],
            }
        return super().change_view(request, object_id, form_url, (extra_context or {}) | told)  # type: ignore[misc]

    def call_off_view(self, request: HttpRequest, entry_id: int) -> HttpResponse:
        """What calling it off comes to; posted with a reason, it is done if it still comes to that."""
        entry = self.get_object(request, str(entry_id))  # type: ignore[attr-defined]
        if entry is None:
            raise Http404
        if not request.user.has_perms(NEEDED):
            raise PermissionDenied
        try:
            agreements.raise_if_done(request, CALL_OFF, entry)
            if entry.cancelled_at is not None:
                raise CannotCallOff(_now("It was called off already."))
            return self._call_off_or_ask(request, entry)
        except agreements.Repeated as repeat:
            return agreements.show_again(request, repeat)
        except CannotCallOff as refusal:
            messages.warning(request, str(refusal))
            return HttpResponseRedirect(path_of(entry))

    def _call_off_or_ask(self, request: HttpRequest, entry: Entry) -> HttpResponse:
        """Raises agreements.Repeated and CannotCallOff."""
        form, has_changed = CallOffForm(entry, request.POST or None), False
        if form.is_valid() and agreements.is_answered(request):
            try:
                return agreements.show(request, _call_off(request, entry, form))
            except Conflict:
                has_changed = True
        outlook = calling_off.look_ahead(entry)
        return self.show_page(  # type: ignore[attr-defined,no-any-return]
            request,
            "admin/bookings/entry/call_off.html",
            _now("Call off %(title)s") % {"title": entry.title},
            form=form,
            entry=entry,
            outlook=outlook,
            agreed=agreements.offer(request, CALL_OFF, entry, fingerprint_of(outlook)),
            has_changed=has_changed,
            when=wording.when(entry.starts_at, entry.ends_at, entry.calendar.zone),
            back_path=path_of(entry),
        )


def _call_off(request: HttpRequest, entry: Entry, form: CallOffForm) -> agreements.Outcome:
    """Raises Conflict, agreements.Repeated and CannotCallOff."""
    reason, move_to = form.cleaned_data["reason"], form.cleaned_data.get("move_to")
    with agreements.once(request, CALL_OFF, entry) as promise:
        promise.check(fingerprint_of(calling_off.look_ahead(entry)))
        batch = calling_off.begin(entry, by=person_of(request), reason=reason, move_to=move_to)
        log(request, entry, f"Called off: {reason}")
        log(request, batch, f"Called off: {reason}")
        words = _now("It is called off: nobody can book it any more, and everybody is being told.")
        outcome = promise.conclude(words, path_of(batch if may_see_batches(request) else entry))
    calling_off.step(batch, most=AT_ONCE)
    return outcome


def may_see_batches(request: HttpRequest) -> bool:
    """Whether this person may look at the refunds that were prepared."""
    return request.user.has_perm(f"payments.view_{RefundBatch._meta.model_name}")
