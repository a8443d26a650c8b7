"""An order's mail, for staff: what went out and when, and what each kind would say about this very order."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _

from cartsite.backoffice import log, may_see
from cartsite.models import Message
from cartsite.staff_actions import RowPreview, StaffAction
from orders import letters, services
from orders.models import Order

COLOURS = {
    Message.Status.OWED: "info",
    Message.Status.SENT: "success",
    Message.Status.FAILED: "danger",
    Message.Status.DROPPED: "default",
}


@dataclass(frozen=True)
class Row:
    """One mail of an order."""

    name: str
    status: str
    colour: str
    when: datetime | None  # sent, or to be tried next
    trouble: str  # what went wrong last, without addresses


@dataclass(frozen=True)
class Preview:
    """What a kind of mail would say now, or why it would not be sent."""

    kind: str
    name: str
    why_not: str = ""
    subject: str = ""
    text: str = ""
    html: str = ""
    files: list[tuple[str, str]] = field(default_factory=list)  # name and content


def list_mail(order: Order) -> list[Row]:
    """All mail about the order, oldest first."""
    return [
        Row(
            name=name_of(message.kind),
            status=message.get_status_display(),
            colour=COLOURS[Message.Status(message.status)],
            when=message.sent_at or (message.next_try_at if message.status == Message.Status.OWED else None),
            trouble=message.last_error,
        )
        for message in letters.mail_of(order).order_by("pk")
    ]


def name_of(kind: str) -> str:
    """The kind of mail in words; as it is where that kind is gone."""
    return str(letters.KINDS[kind].name) if kind in letters.KINDS else kind


def preview(order: Order, kind: str) -> Preview:
    """Nothing is sent, owed or written by it."""
    name = name_of(kind)
    try:
        mail = letters.preview(order, kind)
    except letters.NotNeeded as reason:
        return Preview(kind, name, why_not=str(reason))
    except Exception as error:  # a broken template: the others can still be looked at
        return Preview(kind, name, why_not=_("It cannot be composed: %(error)s.") % {"error": type(error).__name__})
    files = [(part.get_filename(), part.get_payload(decode=True).decode()) for part in mail.attachments]
    return Preview(kind, name, "", str(mail.subject), str(mail.body), str(mail.alternatives[0][0]), files)


class MailPages:
    """For the admin of orders: the page with an order's mail."""

    def get_urls(self) -> list[URLPattern]:
        page = self.admin_site.admin_view(self.mail_view)  # type: ignore[attr-defined]
        return [path("<int:order_id>/mail/", page, name="orders_order_mail"), *super().get_urls()]  # type: ignore[misc]

    def mail_view(self, request: HttpRequest, order_id: int) -> HttpResponse:
        """The order's mail, every kind of mail with why it would not be sent, and (?kind=) one of them in full."""
        order = self.get_object(request, str(order_id))  # type: ignore[attr-defined]
        if order is None:
            raise Http404
        may_see_whom = request.user.has_perms(["orders.view_ordercontact", "orders.view_deliveryaddress"])
        if not may_see_whom or not self.has_view_permission(request, order):  # type: ignore[attr-defined]
            raise PermissionDenied
        previews = [preview(order, kind) for kind in letters.KINDS]
        chosen = next((each for each in previews if each.kind == request.GET.get("kind") and not each.why_not), None)
        told: dict[str, Any] = {"mails": list_mail(order), "previews": previews, "chosen": chosen, "original": order}
        return self.show_page(request, "admin/orders/order/mail.html", _("Mail"), **told)  # type: ignore[attr-defined,no-any-return]


# --- Sending the confirmation again -----------------------------------------------------------------------------------


def _preview_resend(request: HttpRequest, order: Order) -> RowPreview:
    if order.status not in (Order.Status.CONFIRMED, Order.Status.COMPLETED):
        return RowPreview(why_not=f"Its status is: {order.get_status_display()}.")
    if not hasattr(order, "contact"):
        return RowPreview(why_not="Who ordered has been erased.")
    whom = order.contact.email if may_see(request, "orders.ordercontact") else "its shopper"
    sent = letters.mail_of(order).filter(kind="confirmation").count()
    return RowPreview([f"Its confirmation goes to {whom} again, as the order stands now."], sent)


def _resend(request: HttpRequest, order: Order, _note: str) -> str:
    services.owe_mail(order, "confirmation", occurrence=timezone.now().isoformat())
    log(request, order, "Confirmation resent")
    return "1 confirmation will be sent in a moment."


RESEND = StaffAction(
    "resend confirmation",
    "Resend the confirmation",
    "The shopper gets it once more by email.",
    _resend,
    lambda n: f"{n} confirmations will be sent in a moment.",
    preview=_preview_resend,
    needs_note=False,
    lock=lambda _request, order: services.lock(order.pk),
)
