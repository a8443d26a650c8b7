"""The back office: attempts to pay and facts about money, to be read; and SumUp, to be asked."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from cartsite.backoffice import RecordAdmin, RecordInline
from payments import sweeping
from payments.models import Movement, Payment


class MovementInline(RecordInline):
    model = Movement
    fields = ["kind", "amount", "currency", "sumup_id", "happened_at"]


@admin.register(Payment)
class PaymentAdmin(RecordAdmin):
    list_display = ["order", "status", "amount", "currency", "created_at", "next_look_at"]
    list_select_related = ["order"]
    list_filter = ["status", "created_at"]
    search_fields = ["order__number", "reference", "checkout_id", "transaction_code"]
    exclude = ["webhook_token", "return_token", "checkout_url"]
    inlines = [MovementInline]
    ordering = ["-pk"]
    actions = ["ask_sumup"]

    @admin.action(description=_("Ask SumUp now"), permissions=["change"])
    def ask_sumup(self, request: HttpRequest, payments: QuerySet[Payment]) -> None:
        """Settle what SumUp says of these attempts."""
        for payment in payments:
            sweeping.look_now(payment.pk)
        self.message_user(request, _("SumUp was asked."), messages.SUCCESS)


@admin.register(Movement)
class MovementAdmin(RecordAdmin):
    list_display = ["happened_at", "kind", "amount", "currency", "order", "sumup_id"]
    list_select_related = ["order"]
    list_filter = ["kind", "happened_at"]
    search_fields = ["order__number", "sumup_id", "payment__reference"]
    ordering = ["-happened_at", "-pk"]
