"""Forms of the back office that never undo an edit they have not seen.

Each form carries what its page showed: the version of the row and a short hash of every field. If the row is another
by the time the form is posted, nothing is saved: the page says who changed what, keeps what was typed, and can be
saved from there. The version is compared once more by the UPDATE that saves, for two people who save at once.
"""

import hashlib
import json
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from django import forms
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Max, QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator, get_text_list
from django.utils.translation import gettext as _

from cartsite.backoffice import KeptAdmin, is_money
from cartsite.templatetags.shop import in_words
from cartsite.versions import StaleVersion

# The name of the hidden field that says what the page showed.
OPENED = "opened"
LONGEST_VALUE = 60
NEVER, NEWEST = 0, 2**31 - 1  # a version that no row has, and a line of history after all others


@dataclass(frozen=True)
class Opened:
    """What a page showed of a row."""

    version: int
    mark: int  # the newest line of its history, by primary key
    fields: Mapping[str, str] = field(default_factory=dict)  # a hash of what each field showed

    def dump(self) -> str:
        return json.dumps([self.version, self.mark, dict(self.fields)])

    def shows_as_much_as(self, other: "Opened") -> bool:
        """Whether both show the same row, whatever its history says."""
        return (self.version, self.fields) == (other.version, other.fields)


def read_opened(typed: str) -> Opened:
    """What a form says that its page showed; a version that no row has, if it says nothing that can be read."""
    try:
        version, mark, fields = json.loads(typed)
        return Opened(int(version), min(int(mark), NEWEST), {str(name): str(each) for name, each in fields.items()})
    except (AttributeError, OverflowError, RecursionError, TypeError, ValueError):
        return Opened(NEVER, NEWEST)


# --- What a field shows, as a browser sends it ------------------------------------------------------------------------


def _what_is_sent(widget: forms.Widget, value: Any) -> Any:
    """What a browser sends of a field that nobody touches, in the shape in which its widget reads it."""
    widget = getattr(widget, "widget", widget)  # the admin wraps choices among related rows
    if isinstance(widget, forms.MultiWidget):
        parts: Any = value if isinstance(value, (list, tuple)) else widget.decompress(value)
        return [_what_is_sent(each, part) for each, part in zip(widget.widgets, parts, strict=True)]
    if isinstance(widget, forms.CheckboxInput):
        return bool(value)
    return cast("Any", widget).format_value(value)


def _flatten(sent: Any) -> list[str]:
    """Parts of a value as text. Line breaks are those of the browser, whatever they are in the database."""
    if isinstance(sent, (list, tuple)):
        return [part for each in sent for part in _flatten(each)]
    return [] if sent in (None, "") else ["\n".join(str(sent).splitlines())]


def _hash(sent: Any) -> str:
    return hashlib.sha256(repr(_flatten(sent)).encode()).hexdigest()[:12]


# --- The form ---------------------------------------------------------------------------------------------------------


class OpenedField(forms.CharField):
    """A hidden field that says what the page shows: always of the row as it is when the page is written."""

    widget = forms.HiddenInput

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class EditedForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form of a versioned row that refuses to save over what its page did not show."""

    opened = OpenedField(required=False)
    # The foreign key to the row in whose history edits are written, if it is another row.
    belongs_by: Any = None
    is_claimed = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_new = self.instance.pk is None
        if not self.is_new:
            self.now = self._look()
            self.initial[OPENED] = self.now.dump()

    @property
    def was(self) -> Opened:
        """What the page showed when it was opened."""
        return read_opened(self.data.get(self.add_prefix(OPENED), ""))

    def clean(self) -> dict[str, Any]:
        """Refuse a stale page, unless it would leave the row as it is: such as one whose button was pressed twice."""
        data = super().clean() or {}
        if not self.is_new and self.has_changed() and not self.was.shows_as_much_as(self.now):
            self._refuse()
        return data

    def _look(self) -> Opened:
        """What the page shows when it is written now."""
        shown = {name: _hash(self._sent_untouched(name)) for name in self.fields if self._can_be_typed(name)}
        newest = self._history().aggregate(newest=Max("pk"))["newest"]
        return Opened(self.instance.version, newest or 0, shown)

    def _can_be_typed(self, name: str) -> bool:
        return name != OPENED and not self.fields[name].disabled

    def _sent_untouched(self, name: str) -> Any:
        each = self.fields[name]
        return _what_is_sent(each.widget, each.prepare_value(self.get_initial_for_field(each, name)))

    def _history(self) -> QuerySet[LogEntry]:
        row, by = self.instance, self.belongs_by
        model, key = (by.related_model, getattr(row, by.attname)) if by else (type(row), row.pk)
        return LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(model), object_id=str(key))

    def _refuse(self) -> None:
        """Say who changed what, and mark it, with what was typed beside it."""
        was = self.was
        changed = [name for name, shown in self.now.fields.items() if was.fields.get(name) != shown]
        if was.version == NEVER:
            changed = [name for name in changed if name in self.changed_data]
        self.add_error(None, self._say_what_changed(was, changed))
        for name in changed:
            self._mark(name, was)

    def _say_what_changed(self, was: Opened, changed: list[str]) -> str:
        kept = _("Nothing was saved: what you typed is still here. Look at what is marked, then save again.")
        if was.version == NEVER:
            return f"{_('This page did not say what it showed of the record.')} {kept}"
        news = list(self._history().filter(pk__gt=was.mark).select_related("user").order_by("pk"))
        people = sorted({entry.user.name or entry.user.username for entry in news})
        parts = [f"{self._label(name)} {_('to')} {self._value(name)}" for name in changed]
        words = _("%(who)s changed %(what)s since you opened this page.") % {
            "who": get_text_list(people, _("and")) or _("Somebody"),
            "what": get_text_list(parts, _("and")) or _("this"),
        }
        told = "" if parts else " ".join(entry.get_change_message().rstrip(".") + "." for entry in news)
        return " ".join(part for part in (words, told, kept) if part)

    def _mark(self, name: str, was: Opened) -> None:
        """Show a field that changed: as it is now if its new value was not typed by the person who posted the form."""
        each = self.fields[name]
        typed = each.widget.value_from_datadict(self.data, self.files, self.add_prefix(name))
        if was.version != NEVER and _hash(typed) == was.fields.get(name):
            each.bound_data = lambda data, initial: initial  # type: ignore[method-assign]
            self.add_error(name, _("It is %(value)s now.") % {"value": self._value(name)})
        else:
            self.add_error(
                name, _("It is %(value)s now: save again to put this in its place.") % {"value": self._value(name)}
            )

    def _label(self, name: str) -> str:
        label = str(self[name].label)
        return label if label.isupper() else label[:1].lower() + label[1:]

    def _value(self, name: str) -> str:
        """What a field is now, in words."""
        each, value = self.fields[name], self.get_initial_for_field(self.fields[name], name)
        if value in (None, "", []):
            return _("empty")
        if isinstance(value, bool):
            return _("ticked") if value else _("not ticked")
        if is_money(self._meta.model, name):
            return in_words(value)
        if isinstance(each, forms.ChoiceField):
            return _labels_of(each, value)
        sent = " ".join(_flatten(self._sent_untouched(name)))
        return Truncator(sent).chars(LONGEST_VALUE)


def _labels_of(each: forms.ChoiceField, value: Any) -> str:
    """What is chosen, as the field offers it."""
    chosen = {str(one) for one in (value if isinstance(value, (list, tuple)) else [value])}
    labels = [str(label) for key, label in each.choices if str(key) in chosen]  # type: ignore[misc,union-attr]
    return ", ".join(labels) or str(value)


# --- The admin --------------------------------------------------------------------------------------------------------


def refuse_stale(form: type[Any]) -> type[EditedForm]:
    """The same form, but it refuses to save over what its page did not show."""
    made: type[EditedForm] = types.new_class(form.__name__, (EditedForm, form))
    return made


def claim(form: EditedForm) -> None:
    """Raise the version of the row that a form changes, once; StaleVersion if somebody else was faster."""
    if form.is_new or form.is_claimed or not form.has_changed():
        return
    if not form.instance.claim_version(form.was.version):
        raise StaleVersion
    form.is_claimed = True


class EditedAdmin(KeptAdmin):
    """Rows that staff edit: a page that was opened before somebody else's edit saves nothing, and says so."""

    change_form_before_template = "admin/_opened.html"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return refuse_stale(super().get_form(request, obj, change=change, **kwargs))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """All but the hidden field, which stands above them."""
        return [name for name in super().get_fields(request, obj) if name != OPENED]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """Save, or show the form again; what was faster has undone our transaction, and is seen by the second try."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except StaleVersion:
            return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A row that is as it was is not written again."""
        if form.changed_data or not change:
            super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Claim the versions once the rows are written, so that locks come in the order of docs/adr/0011."""
        super().save_related(request, form, formsets, change)
        rows = [row for formset in formsets for row in formset.forms if isinstance(row, EditedForm)]
        for each in [form, *rows]:
            claim(each)


class EditedInline:
    """For an inline whose rows staff edit beside the row that they belong to."""

    form: type[Any]

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, form=refuse_stale(self.form), **kwargs)  # type: ignore[misc]
        formset.form.belongs_by = formset.fk
        return formset

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Also the hidden field, for those who may save it."""
        fields = super().get_fields(request, obj)  # type: ignore[misc]
        may_save = self.has_change_permission(request, obj)  # type: ignore[attr-defined]
        return [*fields, OPENED] if may_save and OPENED not in fields else fields
