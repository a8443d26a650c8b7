"""Tickets: what a sold place shows at the door, for whoever bought it and for the friend it is handed to."""

from dataclasses import dataclass
from uuid import UUID

import segno
from django.conf import settings
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from bookings.models import Booking, BookingQuerySet, Entry
from orders.guest_list import price_name
from orders.models import Order


@dataclass(frozen=True)
class Ticket:
    """One place, and what it is worth at the door at this moment."""

    booking: Booking
    name: str  # of whoever comes, if we were told

    @property
    def entry(self) -> Entry:
        return self.booking.entry

    @property
    def order(self) -> Order:
        return self.booking.order_line.order

    @property
    def price_name(self) -> str:
        return price_name(self.booking)

    @property
    def is_valid(self) -> bool:
        """Whether it lets somebody in, or has done so: only then is there anything to scan."""
        return not self.booking.is_lost and self.entry.cancelled_at is None

    @property
    def moved_to(self) -> Booking | None:
        """The place that came instead of it; None where there is none, or one of several in another order."""
        inside = getattr(self.booking, "moved_to", None)
        there = list(self.booking.moving_to.bookings.all()[:2]) if self.booking.moving_to else []
        return inside or (there[0] if len(there) == 1 else None)

    @property
    def secret_link(self) -> str:
        """The address (with host) that shows it to whoever has it."""
        return f"{settings.PUBLIC_URL}{reverse('bookings:ticket', args=[self.booking.uuid])}"

    @property
    def code(self) -> str:
        """Its code in groups that can be read aloud, such as BCDFG-HJKMN."""
        return f"{self.booking.code[:5]}-{self.booking.code[5:]}"

    @property
    def qr(self) -> SafeString:
        """Its bare code as a QR code: SVG for the page, black on nothing, named for those who cannot see it."""
        return draw(self.booking.code, _("Code %(code)s") % {"code": self.code})


def draw(code: str, name: str) -> SafeString:
    """A QR code as SVG without styles, as wide as what it stands in; `name` is what a screen reader says."""
    matrix = segno.make(code, micro=False)  # cameras of browsers read no Micro QR
    svg = matrix.svg_inline(omitsize=True, title=name, svgclass="qr", lineclass="")
    return mark_safe(svg.replace("<svg ", '<svg role="img" ', 1))  # segno escapes the title


def of_order(order: Order) -> list[Ticket]:
    """A ticket for every place of the order that stands, the soonest first."""
    standing = _loaded().filter(order_line__order=order, entry__cancelled_at=None).occupying()
    return [_ticket(booking) for booking in standing.order_by("entry__starts_at", "entry", "pk")]


def of_booking(uuid: UUID) -> Ticket | None:
    """The ticket of one place, by the booking's UUID; None if there is none."""
    booking = _loaded().filter(uuid=uuid).first()
    return _ticket(booking) if booking else None


def _loaded() -> BookingQuerySet:
    return Booking.objects.select_related(
        "entry__calendar", "order_line__price_kind", "order_line__order", "attendee", "moved_to", "moving_to"
    )


def _ticket(booking: Booking) -> Ticket:
    attendee = getattr(booking, "attendee", None)
    return Ticket(booking, attendee.name if attendee else "")
