"""The back office: people, mail that is owed, cases a person must look at."""

from functools import partial
from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import truncatechars
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import RadioFilter
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from cartsite import agreements, mail_on_request
from cartsite.backoffice import GuardedAdmin, RecordAdmin, WithPages, age_of, log, may_erase, path_of, person_of
from cartsite.editing import EditedAdmin
from cartsite.models import Case, Message, Suppression, User, kind_of
from cartsite.reauthentication import require_recent_sign_in
from cartsite.refusals import Conflict
from cartsite.staff_actions import Refused, RowPreview, StaffAction, confirm
from orders import privacy
from orders.access import read_number
from orders.models import Order
from payments import casework, giving_back, ledger
from payments.casework import Step
from payments.desk import case_steps, money_states, steps

admin.site.unregister([Group, EmailAddress, SocialAccount, SocialApp, SocialToken])


@admin.register(Group)
class GroupAdmin(GuardedAdmin):
    """What whole groups of staff may do: whoever could change that could give themselves everything."""

    search_fields = ["name"]
    filter_horizontal = ["permissions"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


RIGHTS = ["is_staff", "is_superuser", "groups", "user_permissions"]


@admin.register(User)
class PersonAdmin(WithPages, UserAdmin, EditedAdmin):  # type: ignore[misc, type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "name", "email", "is_staff", "is_active", "date_joined"]
    list_filter = ["is_staff", "is_active", "groups"]
    search_fields = ["username", "name", "email", "uuid"]
    readonly_fields = ["uuid", "last_login", "date_joined", "erased_at"]
    actions = ["erase"]
    change_form_outer_before_template = "admin/cartsite/user/steps.html"
    fieldsets = [
        (None, {"fields": ["username", "email", "name", "password", "uuid"]}),
        (_("May do"), {"fields": ["is_active", *RIGHTS]}),
        (_("Dates"), {"fields": ["last_login", "date_joined", "erased_at"]}),
    ]
    add_fieldsets = [(None, {"fields": ["username", "email", "name", "password1", "password2"]})]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # what a person did stays on record; switch them off instead

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Only who may do everything says who may do what: nobody gives rights to themselves."""
        return [*self.readonly_fields, *([] if request.user.is_superuser else RIGHTS)]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """An address that staff replace opens the account no more."""
        super().save_model(request, obj, form, change)
        EmailAddress.objects.filter(user=obj).exclude(email=obj.email.lower()).delete()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who was erased stays so: there is nobody left to be given a name, a password or rights.

        Those who work in the back office are changed by who may do everything: a new password is as good as their
        rights.
        """
        may_change = bool(super().has_change_permission(request, obj))
        if not isinstance(obj, User):
            return may_change
        is_beyond = (obj.is_staff or obj.is_superuser) and not request.user.is_superuser
        return may_change and obj.erased_at is None and not is_beyond

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return may_erase(request)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The person, with a button that erases them; a change takes a recent sign-in."""
        if request.method == "POST":
            require_recent_sign_in(request)
        person = self.get_object(request, object_id)
        can_go = person is not None and person.erased_at is None and may_erase(request)
        more = {"buttons": [("erase", _("Erase"))] if can_go else [], "list_path": self.list_path}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | more)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """A new password for somebody else lets whoever knows it in."""
        require_recent_sign_in(request)
        answer: HttpResponse = super().user_change_password(request, id, form_url)
        return answer

    @admin.action(description=_("Erase"), permissions=["erase"])
    def erase(self, request: HttpRequest, people: QuerySet[User]) -> HttpResponse:
        """Their personal data goes, because they ask for it; what the books need stays."""
        return confirm(self, request, people, ERASE)


def _erase(request: HttpRequest, person: User, note: str) -> str:
    try:
        if privacy.erase_person(person, by=person_of(request)):
            person.refresh_from_db()
            log(request, person, f"Erased: {note}")
    except privacy.CannotErase as refusal:
        raise Refused(str(refusal)) from refusal
    return "The person is erased."


def _preview_erasing(_request: HttpRequest, person: User) -> RowPreview:
    """What is in the way of it, before anything is typed."""
    return RowPreview(facts=str(person.erased_at), in_the_way=privacy.hindrances_of(person))


ERASE = StaffAction(
    "erase person",
    "Erase",
    "Their account, their baskets, and name and addresses on all their orders are erased for good. What was ordered and"
    " paid stays. Nothing is done while an order of theirs is not over.",
    _erase,
    lambda n: f"{n} people are erased.",
    preview=_preview_erasing,
)


@admin.register(EmailAddress)
class AddressAdmin(RecordAdmin):
    list_display = ["email", "user", "verified"]
    list_filter = ["verified"]
    search_fields = ["email", "user__username", "user__name"]


@admin.register(SocialAccount)
class ConnectionAdmin(RecordAdmin):
    list_display = ["user", "provider", "last_login", "date_joined"]
    search_fields = ["uid", "user__username", "user__name", "user__email"]
    exclude = ["extra_data"]


@admin.register(Message)
class MessageAdmin(RecordAdmin):
    list_display = ["kind", "subject_type", "subject_uuid", "status", "tries", "created_at", "sent_at"]
    list_filter = ["status", "kind", "created_at"]
    search_fields = ["=subject_uuid", "=uuid"]
    ordering = ["-pk"]
    actions = ["send_again"]

    def search_words(self, request: HttpRequest, queryset: QuerySet[Any], words: str) -> tuple[QuerySet[Any], bool]:
        """All mail about an order, if its number was typed."""
        order = Order.objects.filter(number=read_number(words)).first()
        if order is None:
            return super().search_words(request, queryset, words)
        return queryset.filter(subject_type=kind_of(order), subject_uuid=order.uuid), False

    @admin.action(description=_("Try to send again now"), permissions=["change"])
    def send_again(self, request: HttpRequest, owed: QuerySet[Message]) -> None:
        """Mail that failed or waits is due at once; mail that was sent stays sent."""
        due = 0
        for message in owed:
            if message.try_again():
                log(request, message, "Sent again")
                due += 1
        words = ngettext("%(n)d mail will be sent in a moment.", "%(n)d mails will be sent in a moment.", due)
        self.say(request, words, due)


@admin.register(Suppression)
class SuppressionAdmin(RecordAdmin):
    """Found by typing the address, of which only a hash is kept."""

    list_display = ["__str__", "since"]
    search_fields = ["=address_hash"]
    search_help_text = _("The whole e-mail address. The list shows only what is kept of it.")
    ordering = ["-since"]
    actions = ["lift"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        typed = mail_on_request.hash_of(search_term) if "@" in search_term else search_term
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, typed)
        return found

    @admin.action(description=_("Write to them again"), permissions=["change"])
    def lift(self, request: HttpRequest, suppressed: QuerySet[Suppression]) -> None:
        """Codes and links may be sent there again: its owner has asked for that."""
        rows = list(suppressed)
        for row in rows:
            log(request, row, "Written to again")
            mail_on_request.lift(row.address_hash)
        words = ngettext("%(n)d address is written to again.", "%(n)d addresses are written to again.", len(rows))
        self.say(request, words, len(rows))


# --- Cases ------------------------------------------------------------------------------------------------------------


class StandingFilter(RadioFilter):
    """Open cases, unless others are asked for."""

    title = _("standing")
    parameter_name = "standing"
    all_option = ("", _("Open"))

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("snoozed", _("Snoozed")), ("resolved", _("Resolved")), ("all", _("All"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        chosen = self.value() or Case.Status.OPEN
        return queryset if chosen == "all" else queryset.filter(status=chosen)


@admin.register(Case)
class CaseAdmin(RecordAdmin):
    list_display = ["kind", "what", "at_stake", "age", "shown_status", "snoozed_until"]
    list_filter = [StandingFilter, "kind", "opened_at"]
    search_fields = ["what_happened", "=subject_uuid", "note"]
    ordering = ["status", "opened_at"]
    actions = ["accept"]

    def search_words(self, request: HttpRequest, queryset: QuerySet[Any], words: str) -> tuple[QuerySet[Any], bool]:
        """The cases about an order, its attempts and its refunds, if its number was typed."""
        order = Order.objects.filter(number=read_number(words)).first()
        if order is None:
            return super().search_words(request, queryset, words)
        cases = Case.objects.about(order, *order.payments.all(), *order.refunds.all())
        return queryset.filter(pk__in=cases.values("pk")), False

    @admin.display(description=_("what happened"))
    def what(self, case: Case) -> str:
        return truncatechars(case.what_happened, 120)

    @admin.display(description=_("age"), ordering="opened_at")
    def age(self, case: Case) -> str:
        return age_of(case.opened_at)

    @display(
        description=_("status"),
        ordering="status",
        label={"open": "danger", "snoozed": "warning", "resolved": "success"},
    )
    def shown_status(self, case: Case) -> tuple[str, Any]:
        return case.status, case.get_status_display()

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """What happened, what it is about, and a form for each step that may be taken now."""
        case = self.get_object(request, object_id)
        if case is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if not self.has_view_or_change_permission(request, case):
            raise PermissionDenied
        chosen = self._read_step(request)
        offers = case_steps.offers_for(request, case, chosen)
        if chosen:
            offer = next((offer for offer in offers if offer.step == chosen), None)
            if (answer := self._answer(request, case, chosen, offer)) is not None:
                return answer
        told = _tell_about(case) | {"offers": offers, "chosen": chosen, "original": case}
        return self.show_page(request, "admin/cartsite/case/detail.html", str(case), **told)

    def _read_step(self, request: HttpRequest) -> Step | None:
        """The step whose button was pressed, if this person may press it."""
        if request.method != "POST":
            return None
        pressed = request.POST.get("step", "")
        if pressed not in list(Step) or not case_steps.may_take(request, Step(pressed)):
            raise PermissionDenied
        return Step(pressed)

    def _answer(
        self, request: HttpRequest, case: Case, step: Step, offer: case_steps.Offer | None
    ) -> HttpResponse | None:
        """The next page: the one that asks once more, or the case's when it is done; None to show the form again."""
        try:
            agreements.raise_if_done(request, case_steps.name_of(step), case)
            if offer is None:
                return self._say_too_late(request, case)
            return self._take(request, case, offer) if offer.form.is_valid() else None
        except agreements.Repeated as repeat:
            return self.show_repeat(request, repeat)

    def _say_too_late(self, request: HttpRequest, case: Case) -> HttpResponse:
        self.message_user(request, _("This cannot be done about the case any more."), messages.ERROR)
        return HttpResponseRedirect(path_of(case))

    def _take(self, request: HttpRequest, case: Case, offer: case_steps.Offer) -> HttpResponse | None:
        """Do it, or show first what it comes to; None if it was refused. Raises agreements.Repeated."""
        try:
            if not case_steps.is_previewed(offer.step):
                case_steps.take_at_once(request, case, offer)
                self.message_user(request, _("Done: %(step)s.") % {"step": offer.title}, messages.SUCCESS)
                return HttpResponseRedirect(path_of(case))
            if not agreements.is_answered(request):
                return self._ask_once_more(request, case, offer)
            return self.show_outcome(request, case_steps.take(request, case, offer))
        except Conflict as conflict:
            return self._show_changed(request, case, offer, conflict)
        except steps.Refused as refusal:
            _refuse(offer, refusal)
            return None

    def _show_changed(
        self, request: HttpRequest, case: Case, offer: case_steps.Offer, conflict: Conflict
    ) -> HttpResponse | None:
        """What the step comes to now, unless it cannot be taken any more."""
        case.refresh_from_db()
        if offer.step not in casework.steps_for(case):
            return self._say_too_late(request, case)
        try:
            return self._ask_once_more(request, case, offer, conflict)
        except steps.Refused as refusal:
            _refuse(offer, refusal)
            return None

    def _ask_once_more(
        self, request: HttpRequest, case: Case, offer: case_steps.Offer, conflict: Conflict | None = None
    ) -> HttpResponse:
        """Raises Refused."""
        shown = case_steps.preview(request, case, offer)
        agreed = agreements.offer(request, case_steps.name_of(offer.step), case, shown.fingerprint)
        told = {"case": case, "original": case, "offer": offer, "preview": shown, "agreed": agreed}
        more = {"conflict": conflict, "case_path": path_of(case)}
        return self.show_page(request, "admin/cartsite/case/confirm.html", offer.title, **told, **more)

    @admin.action(description=_("Accept with a note"), permissions=["change"])
    def accept(self, request: HttpRequest, cases: QuerySet[Case]) -> HttpResponse:
        """Leave things as they are, and say why that is right."""
        return confirm(self, request, cases, ACCEPT)


def _refuse(offer: case_steps.Offer, refusal: steps.Refused) -> None:
    """Say beside the amount, or above the form, why it cannot be done."""
    offer.form.add_error("amount" if "amount" in offer.form.fields else None, str(refusal))


def _accept(request: HttpRequest, case: Case, note: str) -> str:
    accept = partial(casework.accept, case, by=person_of(request), note=note)
    steps.take(request, case, accept, f"{case_steps.TITLES[Step.ACCEPT]}: {note}")
    return f"Resolved: {case}."


def _preview_case(_request: HttpRequest, case: Case) -> RowPreview:
    return RowPreview([case.what_happened], case.status)


ACCEPT = StaffAction(
    "accept case",
    "Accept with a note",
    str(case_steps.CONSEQUENCES[Step.ACCEPT]),
    _accept,
    lambda n: f"{n} cases are resolved.",
    preview=_preview_case,
)


def _tell_about(case: Case) -> dict[str, Any]:
    """What a person must know to decide."""
    order = casework.order_of(case)
    money = ledger.money_of(order) if order else None
    return {
        "case": case,
        "age": age_of(case.opened_at),
        "subject": _find_subject(case),
        "order": order,
        "order_path": path_of(order) if order else "",
        "money": money,
        "money_state": money_states.IN_WORDS[money.state] if money else "",
        "money_colour": money_states.COLOURS.get(money.state.value, "") if money else "",
        "by_card": giving_back.by_card(order) if order else None,
        "history": _history_of(case),
    }


def _find_subject(case: Case) -> dict[str, str] | None:
    """What the case is about, with a link to it."""
    model: type[Model] = apps.get_model(case.subject_type)
    row = model._default_manager.filter(uuid=case.subject_uuid).first()
    if row is None or isinstance(row, Order):
        return None  # an order is shown with its money anyway
    return {"kind": str(model._meta.verbose_name), "name": str(row), "path": path_of(row)}


def _history_of(case: Case) -> QuerySet[LogEntry]:
    """Who did what about it, and when."""
    kind = ContentType.objects.get_for_model(Case)
    entries = LogEntry.objects.filter(content_type=kind, object_id=str(case.pk))
    return entries.select_related("user").order_by("action_time", "pk")
