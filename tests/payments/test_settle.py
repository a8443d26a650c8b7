"""What SumUp says becomes what our records say."""

import pytest

from bookings.models import Booking
from cartsite.models import Message
from orders.models import Order
from payments import settling
from payments.models import Movement, Payment
from payments.simulator import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_paid_checkout_confirms_its_order(payment: Payment, sumup: Simulator) -> None:
    sumup.pay(payment.checkout_id)

    settling.settle(payment)

    order = Order.objects.get(pk=payment.order_id)
    assert order.status == "confirmed"
    assert Movement.objects.get().amount == order.total
    assert Booking.objects.count() == 2
    assert Message.objects.get().kind == "confirmation"
