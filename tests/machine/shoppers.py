"""What shoppers do: order with vouchers and windows that are nearly gone, pay in two tabs, and change their minds."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from hypothesis import strategies as st

from cart import services as carts
from cart.models import Cart
from cartsite.models import Case
from orders import receipts
from orders.access import returning_token
from orders.handover import DELIVERY, Address
from orders.models import Order
from orders.placing import CartChanged, place
from orders.quoting import Choices, Quote, make_quote
from payments import late, releasing, schedule, starting, sweeping
from payments.models import Payment
from tests.machine.acts import DICE, Idle, act, one_of, some
from tests.machine.baskets import GUEST, LINES, WHO, Baskets, Device

# How it is handed over, and the voucher.
HOW = st.tuples(
    st.sampled_from(["delivery", "market", "bees", ""]), st.sampled_from(["", "", "FRIENDS", "OVEN", "GIFT"])
)
BROUGHT = ("delivery", "")
HOME = Address("1 Quay Street", "Bristol", "BS1 3AB")
SHOWN = ("payment:open", "payment:declined", "payment:closed")


@dataclass(frozen=True)
class Placed:
    """An order as it was placed, so that it can be placed again."""

    cart: Cart
    device: Device  # as it was then
    agreed: str
    chosen: Choices
    order: Order


def _place(cart: Cart, device: Device, agreed: str, chosen: Choices) -> tuple[Order, bool]:
    email = device.user.email if device.user else GUEST
    return place(cart.uuid, token=device.token, user=device.user, agreed=agreed, name="Ada", email=email, chosen=chosen)


def _check_sums(order: Order, quote: Quote) -> None:
    """9, 14: it costs what was shown, by line, by stall and by tax rate; and so says the receipt."""
    receipt = receipts.write(order)
    sums = {
        quote.total,
        sum(quote.by_stall.values()),
        sum(tax.amount for tax in quote.by_rate),
        receipt.total,
        sum(seller.gets for seller in receipt.sellers),
        sum(rate.gross for rate in receipt.rates),
    }
    assert sums == {order.total}
    assert receipt.tax == sum(tax.tax for tax in quote.by_rate)


class Shoppers(Baskets):
    """How baskets become orders, and orders are paid."""

    placed: list[Placed]

    def _choose(self, way: str, code: str) -> Choices:
        slots = {name: str(slot.uuid) for name, slot in self.world.slots.items()}
        return Choices(handover=(slots | {"delivery": DELIVERY}).get(way, ""), address=HOME, voucher=code)

    def _place(self, who: int, how: tuple[str, str] = BROUGHT) -> Order:
        device, chosen = self.devices[who], self._choose(*how)
        basket = carts.basket_of(device.token, device.user)
        if not basket.items:
            raise Idle
        quote = make_quote(basket, chosen)
        cart, saved = basket.items[0].cart, {line.key for line in basket.saved}
        order, is_new = _place(cart, device, quote.fingerprint, chosen)
        assert is_new
        _check_sums(order, quote)
        self.placed.append(Placed(cart, Device(device.user, device.token), quote.fingerprint, chosen, order))
        device.token = carts.token_after_order(device.token) or device.token
        after = carts.basket_of(device.token, device.user)
        assert after.cart != cart, "13: placing ends the cart"
        assert saved <= {line.key for line in after.lines}, "What was saved for later outlives the order"
        return order

    @act(who=WHO, lines=LINES, how=HOW)
    def order_at_once(self, who: int, lines: list[tuple[int, int]], how: tuple[str, str]) -> None:
        self._fill(who, lines)
        order = self._place(who, how)
        if order.is_awaiting_payment:
            starting.start(order)

    def buy_at_once(
        self, who: int, lines: list[tuple[int, int]], how: tuple[str, str] = BROUGHT, *, pays: bool
    ) -> None:
        """Order, go to SumUp's page, and perhaps pay there; what the shop hears of it is another matter."""
        self._fill(who, lines)
        payment = starting.start(self._place(who, how))
        if pays and payment.checkout_id:
            self.world.wait(2 * schedule.BETWEEN_LOOKS)
            self.world.simulator.pay(payment.checkout_id)
            sweeping.look_now(payment.pk)

    @act(who=WHO, lines=LINES, how=HOW)
    def buy(self, who: int, lines: list[tuple[int, int]], how: tuple[str, str]) -> None:
        self.buy_at_once(who, lines, how, pays=True)

    @act("cart:full", who=WHO, how=HOW)
    def place_order(self, who: int, how: tuple[str, str]) -> None:
        self._place(who, how)

    @act("order", dice=DICE)
    def place_the_same_cart_again(self, dice: int) -> None:
        first = some(self.placed, dice)
        assert _place(first.cart, first.device, first.agreed, first.chosen) == (first.order, False), "15: one order"
        eve = next(person for person in self.world.people if person not in (first.device.user, first.cart.user))
        there = Device(eve, first.device.token if first.cart.user else "")
        with pytest.raises(CartChanged):  # 13: another visitor's cart
            _place(first.cart, there, first.agreed, first.chosen)

    @act("order:awaiting_payment", dice=DICE)
    def start_to_pay(self, dice: int) -> None:
        starting.start(one_of(Order.objects.awaiting(), dice))

    @act("order:awaiting_payment", dice=DICE)
    def start_in_two_tabs(self, dice: int) -> None:
        """The second tab comes while SumUp is making the first one's page."""
        order = one_of(Order.objects.awaiting(), dice)
        self.world.relay.after("POST", partial(self.quietly, starting.start, order))
        starting.start(order)

    def _page(self, dice: int) -> str:
        """A checkout whose page a shopper was once shown."""
        return one_of(Payment.objects.exclude(checkout_url="").exclude(status="captured"), dice).checkout_id or ""

    @act(*SHOWN, dice=DICE)
    def pay(self, dice: int) -> None:
        self.world.simulator.pay(self._page(dice))

    @act(*SHOWN, dice=DICE)
    def pay_and_come_back(self, dice: int) -> None:
        payment = one_of(Payment.objects.exclude(checkout_url="").exclude(status="captured"), dice)
        self.world.simulator.pay(payment.checkout_id or "")
        sweeping.look_now(payment.pk)

    @act(*SHOWN, dice=DICE)
    def pay_at_the_last_moment(self, dice: int) -> None:
        """Just before the page closes; it may be long before anybody hears of it."""
        payment = one_of(Payment.objects.filter(status__in=Payment.AT_SUMUP), dice)
        left = payment.valid_until - self.now() - timedelta(seconds=1)
        self.world.wait(max(left, timedelta(0)))
        self.world.simulator.pay(payment.checkout_id or "")

    @act(*SHOWN, dice=DICE)
    def be_declined(self, dice: int) -> None:
        self.world.simulator.decline(self._page(dice))

    @act(*SHOWN, dice=DICE)
    def be_challenged(self, dice: int) -> None:
        self.world.simulator.challenge(self._page(dice))

    @act("bank", dice=DICE, approve=st.booleans())
    def answer_the_bank(self, dice: int, approve: bool) -> None:
        asked = [checkout.id for checkout in self.world.simulator.checkouts() if checkout.in_flight]
        self.world.simulator.answer_challenge(some(asked, dice), approve=approve)

    @act("payment", dice=DICE)
    def come_back_from_sumup(self, dice: int) -> None:
        sweeping.look_now(one_of(Payment.objects.all(), dice).pk)

    @act("order:awaiting_payment", dice=DICE, into_cart=st.booleans())
    def change_basket(self, dice: int, into_cart: bool) -> None:
        order = one_of(Order.objects.awaiting(), dice)
        theirs = [device for device in self.devices if device.user == order.user]
        device = some(theirs or self.devices, dice)  # by the link in the mail, if not
        with transaction.atomic():
            cart = self._cart_for_lines_of(order, device) if into_cart else None
            releasing.begin(order, to="cancelled", by=Order.Closer.SHOPPER, user=device.user, cart=cart)
        releasing.step(order)

    def _cart_for_lines_of(self, order: Order, device: Device) -> Cart:
        if cart := carts.find_cart(device.token, device.user):
            return cart
        cart, token = carts.cart_with_token(returning_token(order), device.user)
        device.token = token or device.token
        return cart

    @act("order:closing", dice=DICE)
    def keep_the_order(self, dice: int) -> None:
        releasing.withdraw(one_of(Order.objects.filter(closing_since__isnull=False), dice))

    @act("order:closing", "order:awaiting_payment", dice=DICE)
    def wait_at_the_orders_page(self, dice: int) -> None:
        order = one_of(Order.objects.awaiting(), dice)
        for payment in order.payments.filter(status__in=Payment.UNSENT):
            sweeping.look_now(payment.pk)
        releasing.go_on(order)

    @act("case:late_payment", dice=DICE)
    def ask_late_money_back(self, dice: int) -> None:
        about = Case.objects.unresolved().filter(kind=Case.Kind.LATE_PAYMENT).values("subject_uuid")
        payment = one_of(Payment.objects.filter(uuid__in=about), dice)
        if case := late.open_case(payment.order):
            late.send_back(case, by=None, note="The shopper asked for it back.")
