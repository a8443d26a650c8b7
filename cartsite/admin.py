"""The back office: people, mail that is owed, cases a person must look at."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from cartsite.backoffice import RecordAdmin
from cartsite.models import Case, Message, User

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(ModelAdmin):
    search_fields = ["name"]
    filter_horizontal = ["permissions"]


@admin.register(User)
class PersonAdmin(UserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "name", "email", "is_staff", "is_active", "date_joined"]
    list_filter = ["is_staff", "is_active", "groups"]
    search_fields = ["username", "name", "email", "uuid"]
    readonly_fields = ["uuid", "last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": ["username", "email", "name", "password", "uuid"]}),
        (_("May do"), {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]}),
        (_("Dates"), {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [(None, {"fields": ["username", "email", "name", "password1", "password2"]})]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # what a person did stays on record; switch them off instead


@admin.register(Message)
class MessageAdmin(RecordAdmin):
    list_display = ["kind", "subject_type", "subject_uuid", "status", "tries", "created_at", "sent_at"]
    list_filter = ["status", "kind", "created_at"]
    search_fields = ["=subject_uuid", "=uuid"]
    ordering = ["-pk"]
    actions = ["send_again"]

    @admin.action(description=_("Try to send again now"), permissions=["change"])
    def send_again(self, request: HttpRequest, owed: QuerySet[Message]) -> None:
        """Mail that failed or waits is due at once; mail that was sent stays sent."""
        due = sum(message.try_again() for message in owed)
        self.message_user(request, _("%(due)d mail(s) will be sent in a moment.") % {"due": due}, messages.SUCCESS)


@admin.register(Case)
class CaseAdmin(RecordAdmin):
    list_display = ["kind", "status", "what_happened", "at_stake", "opened_at"]
    list_filter = ["status", "kind", "opened_at"]
    search_fields = ["what_happened", "=subject_uuid", "note"]
    ordering = ["status", "opened_at"]
    actions = ["resolve"]

    @admin.action(description=_("Resolve: looked at and dealt with"), permissions=["change"])
    def resolve(self, request: HttpRequest, cases: QuerySet[Case]) -> None:
        """Close the cases in the name of whoever presses the button."""
        person = request.user
        note = str(_("Resolved in the back office."))
        done = sum(case.resolve(by=person, note=note) for case in cases if isinstance(person, User))
        self.message_user(request, _("%(done)d case(s) resolved.") % {"done": done}, messages.SUCCESS)
