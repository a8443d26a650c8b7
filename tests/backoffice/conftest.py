"""More of the cast: an order that is paid, what may be done about its money, and staff who may not do everything."""

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from time_machine import TimeMachineFixture

from bookings.models import Entry
from cart.models import Cart
from cartsite.models import Case, User
from orders.models import Order
from payments import calling_off, closing, history, refunds, settling
from payments.models import DailyClose, Payment, Refund, RefundBatch
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.factories import UserFactory
from tests.invariants import assert_books_balance
from tests.payments.conftest import later, wire
from tests.payments.days import DAY, NEXT_MORNING, NOON
from tests.payments.money import pay_unseen_until_over
from tests.payments.records import Later, fresh
from tests.payments.wire import Wire

__all__ = ["later", "wire"]  # fixtures, for the tests here


@pytest.fixture(autouse=True)
def _books_balance(db: None) -> Iterator[None]:
    """Whatever staff do, the books balance after it."""
    yield
    assert_books_balance()


@pytest.fixture
def paid(payment: Payment, sumup: Simulator) -> Payment:
    """The captured payment of a confirmed order: one jar of honey and two places, £76.50."""
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    payment.refresh_from_db()
    return payment


@pytest.fixture
def sold(paid: Payment) -> Order:
    return Order.objects.get(pk=paid.order_id)


@pytest.fixture
def hire(db: None) -> Callable[..., Client]:
    """Staff with just these permissions: `hire("orders.change_order")`."""

    def hire(*names: str) -> Client:
        person = UserFactory(username="kim", email="kim@example.org", is_staff=True)
        for name in names:
            app, codename = name.split(".")
            person.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        client = Client()
        client.force_login(person)
        return client

    return hire


@pytest.fixture
def asked(paid: Payment, staff: User) -> Refund:
    """A refund of £10 that waits for approval."""
    return refunds.request(paid, Wish(Decimal("10.00"), "One jar was broken.", staff))


@pytest.fixture
def doubted(asked: Refund, staff: User, sumup: Simulator) -> Refund:
    """Sent, but SumUp only said that it was out of order, and it shows nothing."""
    refunds.approve(asked, by=staff)
    sumup.behave(refund="500")
    refunds.look_now(asked)
    assert fresh(asked).status == Refund.Status.UNKNOWN
    return asked


@pytest.fixture
def failed(asked: Refund, staff: User, sumup: Simulator) -> Refund:
    """SumUp said no."""
    refunds.approve(asked, by=staff)
    sumup.behave(refund="422")
    refunds.look_now(asked)
    sumup.behave(refund="201")
    assert fresh(asked).status == Refund.Status.FAILED
    return asked


@pytest.fixture
def noon(time_machine: TimeMachineFixture) -> None:
    """Noon of a market day."""
    time_machine.move_to(NOON, tick=False)


@pytest.fixture
def traded(noon: None, paid: Payment, sumup: Simulator, time_machine: TimeMachineFixture) -> Payment:
    """A day on which £76.50 came in; now it is the morning after."""
    time_machine.shift(NEXT_MORNING)
    return paid


@pytest.fixture
def closed(traded: Payment) -> DailyClose:
    return closing.close_day(DAY)


@pytest.fixture
def batch(sold: Order, workshop: Entry, staff: User) -> RefundBatch:
    """The workshop is called off; £70 waits to be approved."""
    batch = calling_off.begin(workshop, by=staff, reason="The baker is away")
    assert calling_off.step(batch)
    return fresh(batch)


@pytest.fixture
def stray(sumup: Simulator) -> Case:
    """£20 at SumUp that belongs to no order."""
    sumup.take_stray_payment(Decimal("20.00"))
    history.sweep()
    return Case.objects.get(kind=Case.Kind.UNKNOWN_MONEY)


@pytest.fixture
def late(
    payment: Payment,
    wire: Wire,
    later: Later,
    fill_cart: Callable[..., tuple[Cart, str]],
    workshop: Entry,
) -> Case:
    """£76.50 for an order that had expired, and whose places somebody else has in a basket."""
    pay_unseen_until_over(later, wire, payment, lambda: fill_cart((workshop, 9)))
    return Case.objects.get(kind=Case.Kind.LATE_PAYMENT)


@pytest.fixture
def overpaid(sold: Order) -> Case:
    Case.open(Case.Kind.OVERPAID, sold, "Ten pounds were too much.", at_stake=Decimal("10.00"))
    return Case.objects.get(kind=Case.Kind.OVERPAID)
