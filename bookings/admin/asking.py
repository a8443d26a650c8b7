"""Forms of the back office that show what saving comes to, and save only what was seen and agreed to."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldBooleanWidget

from cartsite import agreements
from cartsite.backoffice import NoteForm, WithPages, path_of
from cartsite.editing import EditedAdmin
from cartsite.refusals import Conflict

BACK, NOTE = "back", "note"
OURS = {agreements.FIELD, BACK, NOTE, "csrfmiddlewaretoken"}
SAVE = "save what was asked about"


class Ask(Exception):
    """Nothing is saved yet: a page with these things on it asks whether it should be."""

    def __init__(self, template: str, title: str, **shown: Any) -> None:
        super().__init__(title)
        self.template, self.title, self.shown = template, title, shown


class Refused(Exception):
    """It cannot be saved; what is wrong, by the field that says so."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


class NoteMissing(Exception):
    """What was shown still holds, but it takes a note."""


class Changed(Exception):
    """Something happened while it was saved: it is asked again."""


def check_may_reschedule(request: HttpRequest, field: str) -> None:
    """Raise Refused, beside this field, for staff who may not change orders: of another time people are told, and they
    may have all their money back for it, as where an entry is called off."""
    if not request.user.has_perm("orders.change_order"):
        why = _now("People have places at this time: only somebody who may change orders can move it.")
        raise Refused({field: why})


class AskingForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form that can be shown again with what was refused after it was read."""

    refused: ClassVar[Mapping[str, str]] = {}

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for name, why in self.refused.items():
            self.add_error(name if name in self.fields else None, why)
        return data


class ArchivableForm(AskingForm):
    """A form with a box for what is no longer in use; nothing is ever deleted."""

    archived = forms.BooleanField(label=_("Archived"), required=False, widget=UnfoldBooleanWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["archived"] = self.instance.archived_at is not None

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        self.instance.archived_at = (self.instance.archived_at or timezone.now()) if data.get("archived") else None
        return data


class AskingAdmin(WithPages, EditedAdmin):
    """Rows whose saving may be asked about first. What was typed travels in the page that asks."""

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form)(form.__name__, (form,), {"refused": vars(request).get("refused", {})})

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """Save, ask, or show the form again; what asks or refuses has undone its transaction."""
        vars(request)["asked_about"] = self.model(pk=object_id)
        if BACK in request.POST:
            vars(request)["refused"] = {"": _now("Nothing is saved yet.")}
        try:
            agreements.raise_if_done(request, SAVE, vars(request)["asked_about"])
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Ask as question:
            return self._ask(request, question)
        except agreements.Repeated as repeat:
            return self.show_repeat(request, repeat)
        except Changed:  # what was agreed to no longer holds
            return self.changeform_view(request, object_id, form_url, extra_context)
        except Refused as refusal:
            vars(request)["refused"] = refusal.errors
            return super().changeform_view(request, object_id, form_url, extra_context)

    def _ask(self, request: HttpRequest, question: Ask) -> HttpResponse:
        kept = [(name, value) for name, values in request.POST.lists() if name not in OURS for value in values]
        return self.show_page(request, question.template, question.title, kept=kept, **question.shown)

    def make_sure(
        self,
        request: HttpRequest,
        template: str,
        title: str,
        *,
        row: Model,
        fingerprint: str,
        needs_note: bool,
        **shown: Any,
    ) -> str:
        """The note that staff gave, or nothing where none is needed, for saving this row.

        Raises Ask unless they agreed to just this, and agreements.Repeated where that form has saved it before.
        """
        form, has_changed = NoteForm() if needs_note else None, False
        about = vars(request)["asked_about"]
        if agreements.is_answered(request):
            try:
                with agreements.once(request, SAVE, about) as promise:  # inside the transaction that saves it
                    promise.check(fingerprint)
                    form = NoteForm(request.POST) if needs_note else None
                    if form is None or form.is_valid():
                        promise.conclude(_now("%(row)s was saved.") % {"row": row}, path_of(row))
                        return form.cleaned_data[NOTE] if form else ""
                    raise NoteMissing
            except NoteMissing:  # which leaves the token unspent
                pass
            except Conflict:
                has_changed = True
        agreed = agreements.offer(request, SAVE, about, fingerprint)
        raise Ask(template, title, form=form, agreed=agreed, has_changed=has_changed, **shown)
