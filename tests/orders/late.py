"""Money that comes when its order is over and somebody else has its places."""

from collections.abc import Callable

from django.utils import timezone

from bookings.models import Entry
from cartsite.models import Case
from orders import services
from orders.models import Order
from payments import settling
from payments.models import Payment
from payments.simulator import Simulator


def expire(order: Order) -> Order:
    """Let the order go, as the timer does once its time is over."""
    Order.objects.filter(pk=order.pk).update(closing_since=timezone.now(), closing_to="expired", closing_by="timer")
    order.refresh_from_db()
    services.let_go(order, None)
    return order


def come_late(payment: Payment, sumup: Simulator, place_order: Callable[..., Order], entry: Entry) -> Order:
    """Pay an expired order whose places at the entry all went to somebody else; the order."""
    order = expire(payment.order)
    place_order((entry, 10))
    sumup.pay(payment.checkout_id)
    settling.settle(payment)
    return order


def late_case() -> Case:
    """The one case about late money that there is."""
    return Case.objects.get(kind=Case.Kind.LATE_PAYMENT)
