"""Windows of collection, delivery zones and vouchers: what staff may offer at the checkout, and how often."""

from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from bookings import capacity
from bookings.models import check_time_zone
from cartsite.backoffice import RecordAdmin, log
from cartsite.editing import EditedAdmin
from cartsite.templatetags.shop import in_words
from cartsite.versions import EDITED
from orders import handover
from orders.access import read_number
from orders.models import DeliveryAddress
from orders.offers import CollectionSlot, DeliveryZone, Voucher

TIMES = ("starts_at", "ends_at", "orders_close_at")


def limit_field(label: Any) -> forms.IntegerField:
    """How often something may be used; it is kept in the pool of that thing."""
    return forms.IntegerField(
        label=label,
        min_value=0,
        max_value=capacity.LARGEST,
        required=False,
        help_text=_("Empty means any number. Orders that wait to be paid count too."),
        widget=UnfoldAdminIntegerFieldWidget(),
    )


class SlotForm(forms.ModelForm):  # type: ignore[type-arg]
    """A window of collection; its times are those of the clock on the wall where it is."""

    limit = limit_field(_("Orders at most"))

    class Meta:
        model = CollectionSlot
        fields = ["name", "stall", "place", "time_zone", *TIMES]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        slot = self.instance
        if slot.pk:
            here = {name: getattr(slot, name).astimezone(slot.zone).replace(tzinfo=None) for name in TIMES}
            self.initial.update(here, limit=slot.pool and slot.pool.wanted)

    def full_clean(self) -> None:
        """Read the times in the zone that was typed beside them."""
        with timezone.override(self._zone()):
            super().full_clean()

    def _zone(self) -> ZoneInfo:
        typed = self.data.get(self.add_prefix("time_zone"), settings.TIME_ZONE)
        try:
            check_time_zone(typed)
        except ValidationError:
            return ZoneInfo(settings.TIME_ZONE)
        return ZoneInfo(typed)

    def clean_time_zone(self) -> str:
        zone: str = self.cleaned_data["time_zone"]
        check_time_zone(zone)
        return zone


class ZoneForm(forms.ModelForm):  # type: ignore[type-arg]
    """Where we deliver; the beginnings of postcodes are kept as they are compared."""

    class Meta:
        model = DeliveryZone
        fields = ["name", "postcodes", "fee", "tax_rate"]

    def clean_postcodes(self) -> str:
        """Each beginning once, and in no other zone: else nobody could tell which fee applies."""
        beginnings = list(dict.fromkeys(handover.parse_beginnings(self.cleaned_data["postcodes"])))
        odd = [each for each in beginnings if not each.replace(" ", "").isalnum() or not each.isascii()]
        if odd or not beginnings:
            raise ValidationError(_("These are not beginnings of postcodes: %(odd)s"), params={"odd": ", ".join(odd)})
        others = DeliveryZone.objects.filter(archived_at=None).exclude(pk=self.instance.pk)
        for zone in others:
            if both := set(beginnings) & set(handover.parse_beginnings(zone.postcodes)):
                raise ValidationError(
                    _("%(zone)s has these already: %(both)s"),
                    params={"zone": zone.name, "both": ", ".join(sorted(both))},
                )
        return ", ".join(beginnings)


class VoucherForm(forms.ModelForm):  # type: ignore[type-arg]
    """A code that makes orders cheaper."""

    limit = limit_field(_("Uses at most"))

    class Meta:
        model = Voucher
        fields = ["code", "title", "kind", "value", "stall", "minimum", "valid_from", "valid_until"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["limit"] = self.instance.pool and self.instance.pool.wanted

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"].strip().upper()
        if " " in code:
            raise ValidationError(_("A code is one word."))
        return code

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        begins, ends = data.get("valid_from"), data.get("valid_until")
        if begins and ends and ends <= begins:
            self.add_error("valid_until", _("It ends before it begins."))
        return data


class OfferAdmin(EditedAdmin):
    """An offer of the checkout: archived, never deleted, since orders name it."""

    actions = ["archive", "restore"]
    readonly_fields = ["uuid", "archived_at"]

    @admin.action(description=_("Archive"), permissions=["change"])
    def archive(self, request: HttpRequest, offers: QuerySet[Any]) -> None:
        """Nobody may choose it any more; orders that did keep it."""
        for offer in offers.filter(archived_at=None):
            offer.archived_at = timezone.now()
            offer.version = EDITED
            offer.save(update_fields=["archived_at", "version"])
            log(request, offer, "Archived")
        self.message_user(request, _now("It can no longer be chosen at the checkout."))

    @admin.action(description=_("Offer again"), permissions=["change"])
    def restore(self, request: HttpRequest, offers: QuerySet[Any]) -> None:
        """It may be chosen again, as far as its times and its limit allow."""
        for offer in offers.filter(archived_at__isnull=False):
            offer.archived_at = None
            offer.version = EDITED
            offer.save(update_fields=["archived_at", "version"])
            log(request, offer, "Offered again")
        self.message_user(request, _now("It may be chosen again, as far as its times and its limit allow."))


class CountedAdmin(OfferAdmin):
    """An offer that so many orders may have: its pool counts them from the first one on, limited or not."""

    def save_model(self, request: HttpRequest, offer: Any, form: Any, change: bool) -> None:
        """The limit goes through the one service that may set it."""
        if change and not form.changed_data:
            return
        limit = form.cleaned_data["limit"]
        if offer.pool is None:
            offer.pool = capacity.new_pool(str(offer), limit)
        elif "limit" in form.changed_data:
            capacity.change_capacity(offer.pool, limit, shown=form.initial["limit"])
        super().save_model(request, offer, form, change)

    @admin.display(description=_("used"))
    def used(self, offer: Any) -> int:
        return offer.pool.taken if offer.pool else 0

    @admin.display(description=_("of"))
    def limit(self, offer: Any) -> str:
        is_limited = offer.pool and offer.pool.wanted is not None
        return str(offer.pool.wanted) if is_limited else _now("any number")


@admin.register(CollectionSlot)
class CollectionSlotAdmin(CountedAdmin):
    form = SlotForm
    list_display = ["name", "window", "stall", "place", "used", "limit", "archived_at"]
    list_select_related = ["stall", "pool"]
    search_fields = ["name", "place", "stall__name"]
    list_filter = ["stall", "starts_at", "archived_at"]
    ordering = ["-starts_at", "-pk"]

    @admin.display(description=_("when (there)"), ordering="starts_at")
    def window(self, slot: CollectionSlot) -> str:
        return f"{formats.date_format(slot.local_start, 'D j M Y, H:i')} to {slot.local_end:%H:%M %Z}"


@admin.register(DeliveryZone)
class DeliveryZoneAdmin(OfferAdmin):
    form = ZoneForm
    list_display = ["name", "postcodes", "fee", "tax_rate", "archived_at"]
    search_fields = ["name", "postcodes"]
    list_filter = ["archived_at"]


@admin.register(Voucher)
class VoucherAdmin(CountedAdmin):
    form = VoucherForm
    list_display = [
        "code",
        "title",
        "kind",
        "shown_value",
        "stall",
        "minimum",
        "used",
        "limit",
        "valid_until",
        "archived_at",
    ]
    list_select_related = ["stall", "pool"]
    search_fields = ["code", "title", "stall__name"]
    list_filter = ["kind", "stall", "valid_until", "archived_at"]
    ordering = ["-pk"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """As the list has it for those who only read."""
        fields = self.get_fields(request, obj)
        if obj is not None and not self.has_change_permission(request, obj):
            fields = ["shown_value" if name == "value" else name for name in fields]
        return [(None, {"fields": fields})]

    @admin.display(description=_("value"), ordering="value")
    def shown_value(self, voucher: Voucher) -> str:
        """An amount, or so many per cent."""
        return f"{voucher.value:f}%" if voucher.kind == Voucher.Kind.PERCENT else in_words(voucher.value)


@admin.register(DeliveryAddress)
class DeliveryAddressAdmin(RecordAdmin):
    list_display = ["order", "street", "town", "postcode"]
    list_select_related = ["order"]
    search_fields = ["order__number", "postcode", "street", "town"]
    found_by = [("order__number", read_number)]
    ordering = ["-pk"]
