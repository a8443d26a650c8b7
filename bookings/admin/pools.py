"""The back office: pools to size, with what they serve and who has it, and holds to read."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Case, CharField, Sum, Value, When
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from bookings import capacity
from bookings.admin import wording
from bookings.admin.asking import ArchivableForm
from bookings.models import Entry, Hold, Pool, Waiter
from cartsite.backoffice import RecordAdmin, path_of
from cartsite.editing import EditedAdmin, claim

MOST_SHOWN = 50
HOLDERS = {
    "sold": _("Sold places"),
    "unpaid": _("Orders that are not paid yet, or wait to be handed over"),
    "offered": _("Offered to the waiting list"),
    "baskets": _("In baskets"),
}


class PoolForm(ArchivableForm):
    class Meta:
        model = Pool
        fields = ["name", "wanted"]
        labels = {"wanted": _("How many")}
        help_texts = {
            "wanted": _("Empty means any number. If more are taken already, it sinks to this as they are given back.")
        }


@admin.register(Pool)
class PoolAdmin(EditedAdmin):
    form = PoolForm
    list_display = ["name", "wanted", "taken", "free", "archived_at"]
    search_fields = ["name", "=uuid"]
    list_filter = ["archived_at"]
    readonly_fields = ["serves", "taken", "capacity", "holders", "waiting", "uuid"]
    ordering = ["name", "pk"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        sized = (None, {"fields": ["name", "wanted"]})
        if obj is None:
            return [sized]
        taken = (_("Who has it"), {"fields": ["serves", ("taken", "capacity"), "holders", "waiting"]})
        return [sized, taken, (_("Record"), {"fields": ["archived", "uuid"]})]

    def save_model(self, request: HttpRequest, obj: Pool, form: Any, change: bool) -> None:
        """A new size goes through the one service that may set it."""
        wanted = form.cleaned_data["wanted"]
        if not change:
            obj.pk = capacity.new_pool(obj.name, wanted).pk
            return
        claim(form)
        if form.changed_data:
            obj.save(update_fields=["name", "archived_at"])
        if "wanted" in form.changed_data:
            capacity.set_capacity(obj, wanted)
            tell_shortfall(request, obj)

    @admin.display(description=_("serves"), empty_value="-")
    def serves(self, pool: Pool) -> str:
        """The entries that take from it, soonest first, and whatever else does."""
        entries = list(Entry.objects.filter(pool=pool).select_related("calendar").order_by("starts_at")[:MOST_SHOWN])
        links = [
            (path_of(entry), entry.title, wording.moment(entry.starts_at, entry.calendar.zone)) for entry in entries
        ]
        if product := getattr(pool, "product", None):
            links.append((path_of(product), product.title, product.sku))
        return format_html_join("", '<p><a class="text-link" href="{}">{}</a> {}</p>', links)

    @admin.display(description=_("taken by"))
    def holders(self, pool: Pool) -> str:
        """How many are with whom, without saying who."""
        held = dict(count_holders(pool))
        lines = [(words, held[kind]) for kind, words in HOLDERS.items() if kind in held]
        return format_html_join("", "<p>{}: {}</p>", lines) or _now("Nobody")

    @admin.display(description=_("waiting list"))
    def waiting(self, pool: Pool) -> str:
        """How many people wait for how many places of it."""
        line = Waiter.objects.in_turn().filter(entry__pool=pool)
        wanted = line.aggregate(Sum("quantity"))["quantity__sum"] or 0
        return format_html(_now("{} waiting, for {} places"), line.count(), wanted)


def tell_shortfall(request: HttpRequest, pool: Pool) -> None:
    """Say so at once, besides the case, if more are taken than there are to be."""
    if pool.wanted is not None and pool.taken > pool.wanted:
        words = _now("%(taken)d are taken or promised already: it sinks to %(wanted)d as they are given back.")
        messages.warning(request, words % {"taken": pool.taken, "wanted": pool.wanted})


def count_holders(pool: Pool) -> Any:
    """How much each kind of holder has of a pool."""
    kinds = [
        When(booking__isnull=False, then=Value("sold")),
        When(order_line__isnull=False, then=Value("unpaid")),
        When(cart_item__isnull=False, then=Value("baskets")),
        When(waiter__isnull=False, then=Value("offered")),
    ]
    kind = Case(*kinds, default=Value("baskets"), output_field=CharField())
    return Hold.objects.live().filter(pool=pool).annotate(kind=kind).values_list("kind").annotate(Sum("quantity"))


@admin.register(Hold)
class HoldAdmin(RecordAdmin):
    list_display = ["pool", "quantity", "until", "claimed_at"]
    list_select_related = ["pool"]
    search_fields = ["pool__name", "=uuid"]
    list_filter = ["until"]
    exclude = ["network"]
    ordering = ["-pk"]
