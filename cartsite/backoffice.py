"""What all pages of the back office share: records are read, and steps are taken through services."""

from typing import Any, TypeVar

from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

Row = TypeVar("Row", bound=Model)


class KeptAdmin(ModelAdmin):
    """Rows that are never deleted."""

    list_per_page = 50
    show_full_result_count = False  # counting a million rows helps nobody
    list_filter_submit = True

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RecordAdmin(KeptAdmin):
    """Rows that staff read, and change by actions only: no form assigns a status or an amount."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """A record has nothing to save."""
        nothing = {"show_save": False, "show_save_and_continue": False}
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
