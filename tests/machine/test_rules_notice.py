"""Each rule of the machine about what shoppers keep, are promised and call off notices when it is broken."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from bookings.models import Entry, Hold, Pool
from cart.models import Cart, CartItem, Product
from cartsite.models import User
from orders.models import LineAllocation, Order, OrderLine
from orders.quoting import Choices
from payments import cancelling, settling, starting
from payments.cancelling import Part
from payments.models import Movement, Payment, Refund, Taking, TakingsDay
from payments.simulator import Simulator
from tests.factories import CollectionSlotFactory, UserFactory, VoucherFactory
from tests.machine.invariants import find_breaches
from tests.machine.money_back import find_wrong_money_back
from tests.machine.staff import CALLED_OFF
from tests.orders.acts import place_cart

pytestmark = pytest.mark.django_db


@pytest.fixture
def sold(
    sumup: Simulator, fill_cart: Callable[..., tuple[Cart, str]], honey: Product, workshop: Entry, shopper: User
) -> Order:
    """Two jars and a place, with the last use of a voucher and the last place in a window, paid; and a cart beside."""
    VoucherFactory(code="ONCE", uses=1)
    slot = CollectionSlotFactory(orders=1)
    cart, token = fill_cart((honey, 2), (workshop, 1), user=shopper)
    order = place_cart(cart, token, user=shopper, chosen=Choices(handover=str(slot.uuid), voucher="ONCE"))
    payment = starting.start(order)
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    fill_cart((workshop, 1))
    return order


def broken_rules() -> list[str]:
    return [rule for rule, _what in find_breaches()]


def test_no_rule_is_broken_by_an_order_with_a_voucher_and_a_window(sold: Order) -> None:
    assert broken_rules() == []


def give_the_use_back() -> None:
    Hold.objects.filter(pool__name="ONCE").update(quantity=0)


def shrink_the_window() -> None:
    Pool.objects.filter(name="Saturday market").update(wanted=0, capacity=0, taken=0)


def let_shares_be_changed() -> None:
    """What the database forbids: its trigger is off until the test ends."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE orders_lineallocation DISABLE TRIGGER USER")


def take_money_from_a_stall() -> None:
    LineAllocation.objects.filter(about=None).update(amount=Decimal("-100.00"))


def forget_what_it_is_about() -> None:
    LineAllocation.objects.filter(about__isnull=False).update(about=None)


def discount_too_much() -> None:
    LineAllocation.objects.filter(about__isnull=False).update(amount=Decimal("-100.00"))


def tax_too_much() -> None:
    LineAllocation.objects.update(tax=F("tax") + 1)


def agree_on_less() -> None:
    LineAllocation.objects.update(amount=0)


def send_more_back() -> None:
    payment, line = Payment.objects.get(), OrderLine.objects.get(kind="entry")
    Refund.objects.create(
        order=line.order, payment=payment, line=line, amount=line.total, currency=payment.currency, reason="-"
    )


def hold_too_long() -> None:
    Hold.objects.filter(until__isnull=False).update(until=F("claimed_at") + timedelta(minutes=61))


def hold_too_many() -> None:
    Hold.objects.filter(until__isnull=False).update(quantity=F("quantity") + 1)


def leave_things_behind() -> None:
    ordered, other = Cart.objects.order_by("pk")
    Cart.objects.filter(pk=other.pk).update(merged_into=ordered)


def save_in_an_ordered_cart() -> None:
    CartItem.objects.filter(cart__ordered_at__isnull=False).update(saved_at=timezone.now())


def erase_only_half() -> None:
    User.objects.filter(orders__isnull=False).update(erased_at=timezone.now())


def erase_and_write_it_down_only() -> None:
    Order.objects.get().record("contact_erased")


def tell_nobody_of_the_end() -> None:
    Order.objects.get().record("cancelled")


def keep_what_was_paid_while_staff_cancelled() -> None:
    order, payment = Order.objects.get(), Payment.objects.get()
    order.record("closing", cause="staff")
    order.record("captured", payment=str(payment.uuid))
    order.record("cancelled", cause="staff")


def count_a_sale_twice() -> None:
    day = TakingsDay.objects.create(merchant_code="MROSEASH", day=timezone.localdate())
    paid = Movement.objects.get(kind="capture")
    facts = {name: getattr(paid, name) for name in ("kind", "sumup_id", "transaction_id", "amount", "currency")}
    Taking.objects.create(day=day, merchant_code="MROSEASH", happened_at=paid.happened_at, **facts)


def tell_nobody_of_a_sale() -> None:
    day = TakingsDay.objects.create(merchant_code="MROSEASH", day=timezone.localdate())
    facts = {"kind": "capture", "sumup_id": "t", "transaction_id": "t", "amount": 12, "currency": "GBP"}
    Taking.objects.create(day=day, merchant_code="MROSEASH", happened_at=timezone.now(), **facts)


@pytest.mark.parametrize(
    ("breaking", "rule"),
    [
        (give_the_use_back, "a voucher and a window are used"),
        (shrink_the_window, "a voucher and a window are used"),
        (take_money_from_a_stall, "9 no stall and no tax rate"),
        (forget_what_it_is_about, "9 a discount is about lines"),
        (discount_too_much, "9 a discount is about lines"),
        (tax_too_much, "9 a discount is about lines"),
        (agree_on_less, "9 no stall but the house"),
        (send_more_back, "what goes back by itself"),
        (hold_too_long, "a cart's holds end"),
        (hold_too_many, "a cart's holds end"),
        (leave_things_behind, "nothing is left in a cart"),
        (save_in_an_ordered_cart, "nothing is left in a cart"),
        (erase_only_half, "whoever was erased"),
        (erase_and_write_it_down_only, "whoever was erased"),
        (tell_nobody_of_the_end, "12 what is to be told"),
        (keep_what_was_paid_while_staff_cancelled, "what was paid while staff cancelled"),
        (count_a_sale_twice, "1 every transaction is one"),
        (tell_nobody_of_a_sale, "what the cases of a day say"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_broken_rule_is_noticed(sold: Order, breaking: Callable[[], None], rule: str) -> None:
    let_shares_be_changed()

    breaking()

    assert any(broken.startswith(rule) for broken in broken_rules())


def test_a_penny_too_much_for_what_was_called_off_is_noticed(sold: Order, staff: User) -> None:
    porter: User = UserFactory.create()
    line = OrderLine.objects.get(kind="product")
    (refund,) = cancelling.cancel_parts([Part(line, 1)], by=staff, reason=CALLED_OFF)
    assert find_wrong_money_back(staff.pk, porter.pk) == []

    Refund.objects.filter(pk=refund.pk).update(amount=F("amount") + Decimal("0.01"))

    assert len(find_wrong_money_back(staff.pk, porter.pk)) == 1


def test_what_is_kept_by_the_rule_counts_only_for_what_its_shopper_called_off(sold: Order, staff: User) -> None:
    porter: User = UserFactory.create()
    OrderLine.objects.filter(kind="product").update(kept_percent=Decimal("12.50"))
    plan = cancelling.plan_for(sold_again(sold), {0: 1})
    cancelling.cancel_for_shopper(sold, {0: 1}, agreed=plan.fingerprint, by=sold.user)
    cancelling.cancel_parts([Part(OrderLine.objects.get(kind="product"), 1)], by=staff, reason=CALLED_OFF)

    assert [refund.amount for refund in Refund.objects.order_by("pk")] == [Decimal("5.12"), Decimal("5.85")]
    assert find_wrong_money_back(staff.pk, porter.pk) == []
    Refund.objects.filter(amount=Decimal("5.12")).update(amount=Decimal("5.85"))
    assert len(find_wrong_money_back(staff.pk, porter.pk)) == 1


def sold_again(order: Order) -> Order:
    """The order as it is now."""
    return Order.objects.get(pk=order.pk)
