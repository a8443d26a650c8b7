"""The back office: pools to size, and holds to read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from bookings import capacity
from bookings.models import Hold, Pool
from cartsite.backoffice import KeptAdmin, RecordAdmin


@admin.register(Pool)
class PoolAdmin(KeptAdmin):
    list_display = ["name", "wanted", "taken", "free", "archived_at"]
    search_fields = ["name", "=uuid"]
    list_filter = ["archived_at"]
    readonly_fields = ["uuid", "capacity", "taken"]
    ordering = ["name", "pk"]

    def save_model(self, request: HttpRequest, pool: Pool, form: Any, change: bool) -> None:
        """A new size goes through the one service that may set it."""
        wanted = form.cleaned_data["wanted"]
        if not change:
            pool.pk = capacity.new_pool(pool.name, wanted).pk
            return
        pool.save(update_fields=["name", "archived_at"])
        if "wanted" in form.changed_data:
            capacity.set_capacity(pool, wanted)


@admin.register(Hold)
class HoldAdmin(RecordAdmin):
    list_display = ["pool", "quantity", "until", "claimed_at"]
    list_select_related = ["pool"]
    search_fields = ["pool__name", "=uuid"]
    list_filter = ["until"]
    ordering = ["-pk"]
