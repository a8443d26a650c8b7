"""The back office: who waits for what, in which order."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from bookings import waiting
from bookings.models import Waiter, WaiterQuerySet
from cartsite.backoffice import RecordAdmin, log


class EndedFilter(admin.SimpleListFilter):
    """Those who still wait or have an offer, unless all are asked for."""

    title = _("shown")
    parameter_name = "shown"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("all", _("Also those who do not wait any more"))]

    def queryset(self, request: HttpRequest, waiters: QuerySet[Waiter]) -> QuerySet[Waiter]:
        return waiters if self.value() == "all" else waiters.filter(ended_at=None)


@admin.register(Waiter)
class WaiterAdmin(RecordAdmin):
    list_display = ["entry", "line", "turn", "email", "quantity", "status", "offered", "offer_until", "joined_at"]
    list_filter = [EndedFilter, "status", "entry__calendar"]
    search_fields = ["email", "name", "entry__title", "=entry__uuid", "=uuid"]
    # Lines one after the other, each as it is served: those with an offer are before those who wait.
    ordering = ["entry__pool__name", "entry__pool", "place", "pk"]
    exclude = ["key"]
    actions = ["offer_now", "move_first", "move_up", "move_down", "move_last", "remove"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        waiters: WaiterQuerySet = super().get_queryset(request)
        return waiters.with_turn().select_related("entry__calendar", "entry__pool", "hold", "price_kind", "user")

    @admin.display(description=_("line"), ordering="entry__pool__name")
    def line(self, waiter: Waiter) -> str:
        return waiter.entry.pool.name

    @admin.display(description=_("place in line"))
    def turn(self, waiter: Any) -> int | None:
        return waiter.turn if waiter.status == Waiter.Status.WAITING else None

    @admin.display(description=_("offered"))
    def offered(self, waiter: Waiter) -> int | None:
        return waiter.hold.quantity if waiter.hold and waiter.has_offer else None

    @admin.action(description=_("Offer what is free now, in order"), permissions=["change"])
    def offer_now(self, request: HttpRequest, waiters: QuerySet[Waiter]) -> None:
        """What the timer does as well: the first in line is first, whoever was chosen here."""
        offered = [waiter for pool in _lines_of(waiters) for waiter in waiting.offer_freed(pool)]
        for waiter in offered:
            log(request, waiter, "Offered")
        self._say(request, ngettext("%(n)d offer was made.", "%(n)d offers were made.", len(offered)), len(offered))

    @admin.action(description=_("Move to the front"), permissions=["change"])
    def move_first(self, request: HttpRequest, waiters: QuerySet[Waiter]) -> None:
        self._move(request, list(reversed(waiters)), "first")

    @admin.action(description=_("Move up by one"), permissions=["change"])
    def move_up(self, request: HttpRequest, waiters: QuerySet[Waiter]) -> None:
        self._move(request, list(waiters), "up")

    @admin.action(description=_("Move down by one"), permissions=["change"])
    def move_down(self, request: HttpRequest, waiters: QuerySet[Waiter]) -> None:
        self._move(request, list(reversed(waiters)), "down")

    @admin.action(description=_("Move to the end"), permissions=["change"])
    def move_last(self, request: HttpRequest, waiters: QuerySet[Waiter]) -> None:
        self._move(request, list(waiters), "last")

    @admin.action(description=_("Take off the list"), permissions=["change"])
    def remove(self, request: HttpRequest, waiters: QuerySet[Waiter]) -> None:
        """What was offered to them goes to the next in line."""
        removed = [waiter for waiter in waiters if waiting.leave(waiter)]
        for waiter in removed:
            log(request, waiter, "Taken off the list")
        self._say(request, ngettext("%(n)d was taken off.", "%(n)d were taken off.", len(removed)), len(removed))

    def _move(self, request: HttpRequest, waiters: list[Waiter], step: waiting.Step) -> None:
        """Several keep their order among themselves."""
        moved = [waiter for waiter in waiters if waiting.move(waiter, step)]
        for waiter in moved:
            log(request, waiter, f"Moved in the line: {step}")
        self._say(request, ngettext("%(n)d was moved.", "%(n)d were moved.", len(moved)), len(moved))

    def _say(self, request: HttpRequest, sentence: str, count: int) -> None:
        self.message_user(request, sentence % {"n": count}, messages.SUCCESS if count else messages.INFO)


def _lines_of(waiters: QuerySet[Waiter]) -> list[int]:
    """The lines that these stand in, by the primary keys of their pools."""
    return sorted({waiter.entry.pool_id for waiter in waiters})
