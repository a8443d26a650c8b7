"""What shoppers do: fill baskets with little left of anything, order, pay in two tabs, and change their minds."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from hypothesis import strategies as st

from cart import services as carts
from cart.models import Cart
from cartsite.models import Case, User
from orders.models import Order
from orders.placing import NOTHING_CHOSEN, CartChanged, place
from orders.quoting import make_quote
from payments import late, releasing, schedule, starting, sweeping
from payments.models import Payment
from tests.machine.acts import DICE, Acts, Idle, act, one_of, some

WHO = st.integers(0, 2)
LINES = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 2)), min_size=1, max_size=3)
SHOWN = ("payment:open", "payment:declined", "payment:closed")


class Shoppers(Acts):
    """Two who are signed in, and a visitor; each has a cart and its token."""

    tokens: dict[int, str]
    placed: list[tuple[Cart, str, User | None, str, Order]]

    def _cart_of(self, who: int) -> tuple[Cart, User | None]:
        user = self.world.shoppers[who]
        cart, token = carts.open_cart(self.tokens.get(who, ""), user)
        self.tokens[who] = token or self.tokens[who]
        return cart, user

    def _fill(self, who: int, lines: list[tuple[int, int]]) -> None:
        for thing, quantity in lines:
            with transaction.atomic():
                cart, _user = self._cart_of(who)
                carts.add(cart, some(self.world.things, thing), quantity)

    def _place(self, who: int) -> Order:
        user, token = self.world.shoppers[who], self.tokens.get(who, "")
        basket = carts.basket_of(token, user)
        if not basket.items:
            raise Idle
        cart, agreed = basket.items[0].cart, make_quote(basket, NOTHING_CHOSEN).fingerprint
        order, is_new = place(cart.uuid, token=token, user=user, agreed=agreed, name="Ada", email="ada@example.org")
        assert is_new
        assert order.total == basket.total, "14: it costs what the database said when it was shown"
        assert not carts.basket_of(token, None).items, "13: placing ends the cart"
        self.placed.append((cart, token, user, agreed, order))
        return order

    @act(who=WHO, lines=LINES, agree=st.booleans())
    def fill_cart(self, who: int, lines: list[tuple[int, int]], agree: bool) -> None:
        self._fill(who, lines)
        if agree:
            with transaction.atomic():
                carts.accept_prices(self._cart_of(who)[0])

    @act(who=WHO, lines=LINES)
    def order_at_once(self, who: int, lines: list[tuple[int, int]]) -> None:
        self._fill(who, lines)
        order = self._place(who)
        if order.is_awaiting_payment:
            starting.start(order)

    def buy_at_once(self, who: int, lines: list[tuple[int, int]], pays: bool) -> None:
        """Order, go to SumUp's page, and perhaps pay there; what the shop hears of it is another matter."""
        self._fill(who, lines)
        payment = starting.start(self._place(who))
        if pays and payment.checkout_id:
            self.world.wait(2 * schedule.BETWEEN_LOOKS)
            self.world.simulator.pay(payment.checkout_id)
            sweeping.look_now(payment.pk)

    @act(who=WHO, lines=LINES)
    def buy(self, who: int, lines: list[tuple[int, int]]) -> None:
        self.buy_at_once(who, lines, pays=True)

    @act("cart:full", who=WHO)
    def place_order(self, who: int) -> None:
        self._place(who)

    @act("order", dice=DICE)
    def place_the_same_cart_again(self, dice: int) -> None:
        cart, token, user, agreed, first = some(self.placed, dice)
        order, is_new = place(cart.uuid, token=token, user=user, agreed=agreed, name="Ada", email="ada@example.org")
        assert (order, is_new) == (first, False), "15: one cart makes one order"
        eve = next(who for who in self.world.shoppers if who not in (user, None))
        with pytest.raises(CartChanged):  # 13: another visitor's cart
            place(cart.uuid, token=token if user else "", user=eve, agreed=agreed, name="Eve", email="eve@example.org")

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
        who = self.world.shoppers.index(order.user)
        with transaction.atomic():
            cart = self._cart_of(who)[0] if into_cart else None
            releasing.begin(order, to="cancelled", by=Order.Closer.SHOPPER, user=order.user, cart=cart)
        releasing.step(order)

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
