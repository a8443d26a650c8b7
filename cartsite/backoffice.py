"""What all pages of the back office share: records are read, and steps are taken through services."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.timesince import timesince
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminTextareaWidget

from cartsite.agreements import Outcome, Repeated
from cartsite.http import read_key
from cartsite.models import User

Row = TypeVar("Row", bound=Model)

LONGEST_NOTE = 300


class NoteForm(forms.Form):
    """Why a step is taken: it stays on record, and a year later it is all that anybody knows."""

    note = forms.CharField(
        label=_("Note"),
        max_length=LONGEST_NOTE,
        help_text=_("Why, without personal data. It stays on record."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
    )


def person_of(request: HttpRequest) -> User:
    """Whoever works in the back office: always somebody who signed in."""
    return User.objects.get(pk=request.user.pk or 0)


def may_erase(request: HttpRequest) -> bool:
    """Whether this person may erase people's personal data."""
    return request.user.has_perm("cartsite.erase_person")


def log(request: HttpRequest, row: Model, what: str) -> None:
    """Write down in the person's name what was done about a row; everybody finds it in the row's history."""
    LogEntry.objects.log_actions(request.user.pk or 0, [row], CHANGE, change_message=what, single_object=True)


def age_of(moment: datetime) -> str:
    """How long ago a moment was, such as `3 days`."""
    return timesince(moment, depth=1)


def path_of(row: Model) -> str:
    """The row's page in the back office."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


class WithPages:
    """Pages of our own, and steps that ask for a note, in the admin of one model."""

    model: type[Model]
    admin_site: AdminSite
    message_user: Callable[..., None]

    def show_page(self, request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
        """A page of our own, dressed as one of the admin's."""
        frame = self.admin_site.each_context(request)
        shared = {"title": title, "opts": self.model._meta, "list_path": self.list_path}
        return TemplateResponse(request, template, frame | shared | context)

    @property
    def list_path(self) -> str:
        """Where this model's list is."""
        return reverse(f"admin:{self.model._meta.app_label}_{self.model._meta.model_name}_changelist")

    def take_with_note(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        step: Callable[[HttpRequest, Any, str], object],
        *,
        title: str,
        consequence: str,
    ) -> HttpResponse:
        """An action that asks for a note on a page of its own, and then takes its step with each row and the note."""
        form = NoteForm(request.POST if "confirmed" in request.POST else None)
        if not form.is_valid():
            return self._ask_for_note(request, rows, form, title, consequence)
        for row in rows:
            step(request, row, form.cleaned_data["note"])
        return self.go_back(request, rows)

    def _ask_for_note(
        self, request: HttpRequest, rows: QuerySet[Any], form: NoteForm, title: str, consequence: str
    ) -> HttpResponse:
        kept = [(name, request.POST.get(name, "")) for name in ("action", "select_across", "from_record")]
        chosen = [(ACTION_CHECKBOX_NAME, row.pk) for row in rows]
        return self.show_page(
            request, "admin/with_note.html", title, rows=rows, form=form, consequence=consequence, kept=[*kept, *chosen]
        )

    def show_outcome(self, request: HttpRequest, outcome: Outcome) -> HttpResponse:
        """To the page that shows what came of a confirmed step, with the words for it."""
        self.message_user(request, outcome.words, messages.SUCCESS)
        return HttpResponseRedirect(outcome.path)

    def show_repeat(self, request: HttpRequest, repeat: Repeated) -> HttpResponse:
        """The page that the first post of the form led to."""
        self.message_user(request, repeat.words, messages.INFO)
        return HttpResponseRedirect(repeat.outcome.path)

    def go_back(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse:
        """To the record whose page the button was on, or else to the list."""
        row = rows.first() if request.POST.get("from_record") else None
        return HttpResponseRedirect(request.get_full_path() if row is None else path_of(row))

    def say(self, request: HttpRequest, sentence: Any, count: int) -> None:
        """How many rows a step was taken with; `sentence` names them `%(n)d`."""
        self.message_user(request, sentence % {"n": count}, messages.SUCCESS if count else messages.INFO)


class KeptAdmin(ModelAdmin):
    """Rows that are never deleted."""

    list_per_page = 50
    show_full_result_count = False  # counting a million rows helps nobody
    list_filter_submit = True

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """What a list sends are keys of its rows. Over anything else, which was made by hand, Django would fail."""
        for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
            if read_key(key) is None:
                raise BadRequest(f"No row has the key {key!r}")
        return super().response_action(request, queryset)


class RecordAdmin(WithPages, KeptAdmin):
    """Rows that staff read, and change by actions only: no form assigns a status or an amount."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """A record has nothing to save: saving it as it was read would undo what happened since."""
        if request.method == "POST":
            raise PermissionDenied
        nothing = {"show_save": False, "show_save_and_continue": False, "list_path": self.list_path}
        return super().changeform_view(request, object_id, form_url, (extra_context or {}) | nothing)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        shown = [field.name for field in self.model._meta.fields if field.name not in (self.exclude or ())]
        return [*shown, *self.readonly_fields]


class RecordInline(TabularInline):
    """Rows that belong to a record, to be read beside it."""

    extra = 0
    can_delete = False
    show_change_link = True
    tab = True

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return list(self.fields)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
