"""What all pages of the back office share: records are read, and steps are taken through services."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, TypeVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import AdminSite
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import BadRequest, FieldDoesNotExist, PermissionDenied, ValidationError
from django.db.models import CharField, DecimalField, ForeignKey, Model, QuerySet, TextField
from django.db.models.constants import LOOKUP_SEP
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.timesince import timesince
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminTextareaWidget

from cartsite import agreements
from cartsite.dead_ends import unlink_dead_ends
from cartsite.http import read_key
from cartsite.models import User
from cartsite.plain_text import check_line, check_note
from cartsite.templatetags.shop import in_words

Row = TypeVar("Row", bound=Model)

LONGEST_NOTE = 300
MONEY_DIGITS = 10

MOST_FOUND = 1000  # rows that one search finds

# The models that say who somebody is. Beside other things their fields are shown, searched and sorted by only to those
# who may look at these models themselves.
PERSONAL = frozenset(
    {
        "account.emailaddress",
        "bookings.answer",
        "bookings.attendee",
        "bookings.waiter",
        "cartsite.user",
        "orders.deliveryaddress",
        "orders.ordercontact",
        "socialaccount.socialaccount",
    }
)


class NoteForm(forms.Form):
    """Why a step is taken: it stays on record, and a year later it is all that anybody knows."""

    note = forms.CharField(
        label=_("Note"),
        max_length=LONGEST_NOTE,
        help_text=_("Why, without personal data. It stays on record."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        validators=[check_note],
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


def is_money(model: type[Model], name: str) -> bool:
    """Whether a field is an amount of money. (Rates have few digits; the value of a voucher may be either.)"""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return isinstance(field, DecimalField) and (field.max_digits or 0) >= MONEY_DIGITS and name != "value"


@cache  # Django compares columns by identity
def _show_money(model: type[Model], name: str) -> Callable[[Model], str]:
    """A column that shows an amount in the row's currency, or in the shop's if the row names none."""

    @admin.display(description=model._meta.get_field(name).verbose_name, ordering=name)  # type: ignore[union-attr]
    def shown(row: Model) -> str:
        amount = getattr(row, name)
        return "-" if amount is None else in_words(amount, getattr(row, "currency", ""))

    shown.__name__ = name
    return shown


def with_currency(model: type[Model], columns: Iterable[Any], only: Collection[Any] | None = None) -> list[Any]:
    """Columns, or fields of which some stand side by side in a list, with amounts (or `only` these) as `£1,234.50`."""
    shown: list[Any] = []
    for each in columns:
        if isinstance(each, (list, tuple)):
            shown.append(tuple(with_currency(model, each, only)))
            continue
        is_shown = isinstance(each, str) and is_money(model, each) and (only is None or each in only)
        shown.append(_show_money(model, each) if is_shown else each)
    return shown


def _read_with_currency(part: Any, model: type[Model], *, is_only_read: bool) -> None:
    """Show the amounts of a form, or of the rows below it, with their currency where nobody can type them."""
    read = flatten_fieldsets(part.fieldsets) if is_only_read else part.readonly_fields
    part.fieldsets = [
        (name, {**options, "fields": with_currency(model, options["fields"], only=read)})
        for name, options in part.fieldsets
    ]
    part.readonly_fields = with_currency(model, part.readonly_fields)


def path_of(row: Model) -> str:
    """The row's page in the back office."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


class WithPages:
    """Pages of our own in the admin of one model."""

    model: type[Model]
    admin_site: AdminSite
    message_user: Callable[..., None]

    def show_page(self, request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
        """A page of our own, dressed as one of the admin's."""
        frame = self.admin_site.each_context(request)
        shared = {"title": title, "opts": self.model._meta, "list_path": self.list_path}
        page: TemplateResponse = unlink_dead_ends(
            request, TemplateResponse(request, template, frame | shared | context)
        )
        return page

    @property
    def list_path(self) -> str:
        """Where this model's list is."""
        return reverse(f"admin:{self.model._meta.app_label}_{self.model._meta.model_name}_changelist")

    def show_outcome(self, request: HttpRequest, outcome: agreements.Outcome) -> HttpResponse:
        """To the page that shows what came of a confirmed step, with the words for it."""
        return agreements.show(request, outcome)

    def show_repeat(self, request: HttpRequest, repeat: agreements.Repeated) -> HttpResponse:
        """To the page that the first post of the form led to."""
        return agreements.show_again(request, repeat)

    def go_back(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse:
        """To the record whose page the button was on, or else to the list."""
        row = rows.first() if request.POST.get("from_record") else None
        return HttpResponseRedirect(request.get_full_path() if row is None else path_of(row))

    def say(self, request: HttpRequest, sentence: Any, count: int) -> None:
        """How many rows a step was taken with; `sentence` names them `%(n)d`."""
        self.message_user(request, sentence % {"n": count}, messages.SUCCESS if count else messages.INFO)


# --- What is shown to whom --------------------------------------------------------------------------------------------


def may_see(request: HttpRequest, label: str) -> bool:
    """Whether this person may look at the rows of a model: `may_see(request, "orders.ordercontact")`."""
    app, _dot, name = label.partition(".")
    return any(request.user.has_perm(f"{app}.{verb}_{name}") for verb in ("view", "change"))


def people_on_the_way(model: type[Model], path: str) -> set[str]:
    """The models that say who somebody is among those that a path such as `order__contact__name` enters."""
    entered = set()
    for part in path.lstrip("=^@").split(LOOKUP_SEP):
        try:
            related = model._meta.get_field(part).related_model
        except FieldDoesNotExist:
            break
        if not isinstance(related, type):
            break
        model = related
        entered.add(model._meta.label_lower)
    return entered & PERSONAL


def read_address(typed: str) -> str:
    """What was typed if it looks like a whole e-mail address; else empty."""
    address = typed.strip()
    name, _at, host = address.rpartition("@")
    return address if name and "." in host and " " not in address else ""


@cache  # Django compares columns by identity
def _show_colleague(field: ForeignKey[Any, Any]) -> Callable[[Model], str | None]:
    """A column that names staff, but not shoppers, to those who may not look at people."""

    @admin.display(description=field.verbose_name)
    def shown(row: Model) -> str | None:
        person: User | None = getattr(row, field.name)
        if person is None:
            return None
        return person.username if person.is_staff else _now("a shopper")

    shown.__name__ = field.name
    return shown


class DiscreetMixin:
    """For the admin or the inline of a model: who somebody is, is shown only to those who may look at people."""

    model: type[Model]
    # What it takes to see a column that is reckoned from other models: `{"who": ["orders.ordercontact"]}`.
    reveals: ClassVar[Mapping[str, Sequence[str]]] = {}

    def show_discreetly(self, request: HttpRequest, columns: Iterable[Any]) -> list[Any]:
        """The columns that this person may see; of those that name a person, perhaps only the ones of colleagues."""
        hidden = self._people_hidden(request)
        allowed = [name for name in columns if all(may_see(request, label) for label in self.reveals.get(name, []))]
        return [_show_colleague(hidden[name]) if name in hidden else name for name in allowed]

    def _people_hidden(self, request: HttpRequest) -> dict[Any, ForeignKey[Any, Any]]:
        """The model's references to people, by name, if this person may not look at people."""
        if may_see(request, "cartsite.user"):
            return {}
        fields = (field for field in self.model._meta.fields if isinstance(field, ForeignKey))
        return {field.name: field for field in fields if field.related_model is User}

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        """Also those that `show_discreetly` replaces: Django would offer them as fields to fill in."""
        excluded, hidden = super().get_exclude(request, obj), self._people_hidden(request)  # type: ignore[misc]
        return [*(excluded or []), *hidden] if hidden else excluded


class PlainTextMixin:
    """For the admin or the inline of a model: no control characters in what staff write, since much of it is mailed."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[misc]
        if isinstance(field, forms.CharField) and isinstance(db_field, (CharField, TextField)):
            field.validators.append(check_note if isinstance(field.widget, forms.Textarea) else check_line)
        return field


class GuardedList(ChangeList):
    """A list that only its declared filters narrow.

    Django narrows a list by any field that is named in the address. So what no page shows, such as the key of an
    order, could be read by asking for its letters one by one.
    """

    def get_filters(self, request: HttpRequest) -> Any:
        """The filters; raises DisallowedModelAdminLookup (a 400) for a lookup that none of them reads.

        A NUL byte, which PostgreSQL refuses only when the list is read, is a value that no filter can read.
        """
        if any("\0" in value for values in request.GET.lists() for value in values[1]):
            raise IncorrectLookupParameters("A NUL byte")
        found = super().get_filters(request)
        if found[2]:
            raise DisallowedModelAdminLookup(f"No filter of this list reads {', '.join(sorted(found[2]))}")
        return found


class GuardedAdmin(DiscreetMixin, PlainTextMixin, ModelAdmin):
    """What every admin of ours is: nothing that is hidden can be found out by filtering, sorting or searching."""

    # What names a row exactly: a path with an index, and how to read what was typed (empty if it cannot be meant).
    found_by: ClassVar[Sequence[tuple[str, Callable[[str], str]]]] = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return GuardedList

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return unlink_dead_ends(request, super().changelist_view(request, extra_context))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        _read_with_currency(context["adminform"], self.model, is_only_read=False)
        for rows in context["inline_admin_formsets"]:
            may_type = rows.has_change_permission or rows.has_add_permission
            _read_with_currency(rows, rows.opts.model, is_only_read=not may_type)
        return unlink_dead_ends(request, super().render_change_form(request, context, *args, **kwargs))

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> Any:
        """Say on a page of its own that there is no such row; Django would lead to its first page."""
        raise Http404

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the address fills in on the form of a new row, without what its field cannot read."""
        fields = self.get_form(request).base_fields
        offered = super().get_changeform_initial_data(request)
        read = {name: self._read_offered(name, fields[name], offered[name]) for name in offered if name in fields}
        return {name: value for name, value in read.items() if value is not None}

    def _read_offered(self, name: str, field: forms.Field, offered: Any) -> Any:
        """A value of the address as its field shows it; None if the field cannot read it.

        A field in several parts takes a value in one piece only if it has the type that the model stores.
        """
        try:
            if isinstance(field, forms.MultiValueField):
                return self.opts.get_field(name).to_python(offered)
            field.to_python(offered)
        except ValidationError:
            return None
        return offered

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return with_currency(self.model, self.show_discreetly(request, super().get_list_display(request)))

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return [path for path in super().get_search_fields(request) if self._may_follow(request, path)]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Rows that were named exactly, such as by a number, which an index finds; where there are none, by words."""
        if not search_term.strip():  # Django asks for every list, also without a search
            return queryset, False
        names = [(path, read(search_term)) for path, read in self.found_by if self._may_follow(request, path)]
        keys = {key for path, name in names if name for key in self._find(path, name)}
        if keys:
            return queryset.filter(pk__in=keys), False
        return self.search_words(request, queryset, search_term)

    def search_words(self, request: HttpRequest, queryset: QuerySet[Any], words: str) -> tuple[QuerySet[Any], bool]:
        """Rows that have every word in one of their search fields; whether a row may be found twice."""
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, words)
        return found

    def _find(self, path: str, name: str) -> QuerySet[Any, Any]:
        """The keys of the rows that have this name; at most MOST_FOUND."""
        rows = self.model._default_manager.filter(**{path: name})
        return rows.order_by().values_list("pk", flat=True)[:MOST_FOUND]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """The filters, but for those that lead to people whom this person may not look at."""
        return [
            each
            for each in super().get_list_filter(request)
            if not isinstance(each, str) or self._may_follow(request, each)
        ]

    def _may_follow(self, request: HttpRequest, path: str) -> bool:
        return all(may_see(request, label) for label in people_on_the_way(self.model, path))


class KeptAdmin(GuardedAdmin):
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
        return self.show_discreetly(request, [*shown, *self.readonly_fields])


class RecordInline(DiscreetMixin, TabularInline):
    """Rows that belong to a record, to be read beside it."""

    extra = 0
    can_delete = False
    show_change_link = True
    tab = True

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.show_discreetly(request, self.fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.get_fields(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
