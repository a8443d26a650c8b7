"""What shoppers' clicks do when the process that serves them is killed: all or nothing, and a second click helps."""

from contextlib import suppress
from decimal import Decimal
from typing import Any, ClassVar

from django.db import transaction

from bookings.models import Booking, Entry, Pool
from cart import services as carts
from cart.models import Cart, CartMerge, Product
from cartsite.models import Message, User
from cartsite.refusals import Refusal
from orders import mail
from orders.models import LineFact, Order
from orders.placing import place
from orders.quoting import Choices, make_quote
from payments import cancelling, settling, starting
from payments.cancelling import Plan
from payments.models import Refund
from tests.cart.baskets import lines_of, saved_in
from tests.crash.aftermath import open_cases, refunds_at_sumup, statuses
from tests.crash.plays import Play
from tests.factories import CollectionSlotFactory, ProductFactory, UserFactory, VoucherFactory

Things = tuple[tuple[Product | Entry, int], ...]


class Shopping(Play):
    """Somebody with a basket; £2.20 a loaf, of which there are eight."""

    def stock_up(self) -> None:
        self.loaf: Product = ProductFactory.create(title="Rye loaf", sku="LOAF", stock=8, price=Decimal("2.20"))

    def fill(self, *things: tuple[Product | Entry, int], user: User | None = None, saved: Things = ()) -> str:
        """A cart of these; its token."""
        with transaction.atomic():
            cart, token = carts.open_cart("", user)
            for thing, quantity in saved:
                item = carts.add(cart, thing, quantity).items[-1]
                carts.save_for_later(cart, item.pk)
            for thing, quantity in things:
                carts.add(cart, thing, quantity)
        return token or ""

    def how_many_taken(self) -> dict[str, int]:
        """Of each pool of which anything is taken."""
        return dict(Pool.objects.filter(taken__gt=0).values_list("name", "taken"))


# --- Placing


class Place(Shopping):
    """An order with the last use of a voucher and the last place in a window; something stays saved for later."""

    modules: ClassVar[tuple[str, ...]] = ("orders.placing", "cart.ending")
    per_cent: ClassVar[Decimal] = Decimal("10.00")

    def prepare(self) -> None:
        self.stock_up()
        self.prepare_checkout(saved=((self.loaf, 3),))

    def prepare_checkout(self, saved: Things = ()) -> None:
        VoucherFactory(code="ONCE", uses=1, value=self.per_cent)
        slot = CollectionSlotFactory(name="Market day", orders=1)
        self.chosen = Choices(handover=str(slot.uuid), voucher="ONCE")
        self.token = self.fill((self.world.honey, 1), (self.world.workshop, 2), saved=saved)
        basket = carts.basket_of(self.token, None)
        self.cart = basket.items[0].cart
        self.agreed = make_quote(basket, self.chosen).fingerprint

    def act(self) -> Any:
        self.order, is_new = place(
            self.cart.uuid,
            token=self.token,
            user=None,
            agreed=self.agreed,
            name="Ada",
            email="ada@example.org",
            chosen=self.chosen,
        )
        return is_new

    def people(self) -> None:
        """They click again, twice, and pay."""
        self.act()
        assert self.act() is False
        self.sumup.pay(starting.start(self.order).checkout_id or "")

    def check(self) -> None:
        self.assert_confirmed_once()
        self.check_order()
        assert self.order.total == Decimal("68.85")
        after = carts.basket_of(carts.token_after_order(self.token) or "", None)
        assert [(line.thing.title, line.quantity) for line in after.saved] == [("Rye loaf", 3)]

    def check_order(self) -> None:
        assert Order.objects.count() == 1
        assert self.how_many_taken() == {"ONCE": 1, "Market day": 1, "Heather honey": 1, "Bread workshop": 2}
        assert lines_of(self.cart) == {"Heather honey": 1, "Bread workshop": 2}
        assert not self.cart.items.exclude(hold=None).exists()
        assert open_cases() == []


class PlaceForNothing(Place):
    """The voucher covers all of it: the order is confirmed with that."""

    modules = (*Place.modules, "orders.services")
    per_cent = Decimal("100.00")

    def people(self) -> None:
        self.act()

    def check(self) -> None:
        self.check_order()
        assert self.status() == "confirmed"
        assert Booking.objects.filter(status="confirmed").count() == 2
        assert self.mails() == ["confirmation"]


# --- Calling off


class CallOff(Place):
    """They cancel one of two places, which cost £35.00 less 10 %; an eighth of that is kept."""

    modules = ("payments.cancelling", "payments.giving_back", "orders.services", "payments.refunds")
    wanted: ClassVar[dict[int, int]] = {1: 1}

    def prepare(self) -> None:
        calendar = self.world.workshop.calendar
        calendar.cancel_hours, calendar.kept_percent = 24, Decimal("12.50")
        calendar.save()
        self.prepare_checkout()
        super().act()
        payment = starting.start(self.order)
        self.sumup.pay(payment.checkout_id or "")
        settling.settle(payment)
        mail.send_owed()
        self.world.later(hours=1)
        self.plan = cancelling.plan_for(Order.objects.get(), self.wanted)

    def act(self) -> Plan:
        order = Order.objects.get()
        return cancelling.cancel_for_shopper(order, self.wanted, agreed=self.plan.fingerprint, by=None)

    def people(self) -> None:
        """They click again, and once more."""
        for _click in range(2):
            with suppress(Refusal):
                self.act()

    def check(self) -> None:
        assert self.status() == "confirmed"
        assert list(refunds_at_sumup(self.sumup).values()) == [Decimal("27.56")]
        assert list(LineFact.objects.values_list("kind", "quantity")) == [("cancelled", 1)]
        assert self.how_many_taken() == {"ONCE": 1, "Market day": 1, "Heather honey": 1, "Bread workshop": 1}
        self.check_news()

    def check_news(self) -> None:
        assert set(statuses(Refund)) == {"done"}
        assert sorted(set(self.mails())) == ["cancelled", "confirmation", "refund"]
        assert Message.objects.filter(kind="cancelled").count() == 1
        assert open_cases() == []


class CallAllOff(CallOff):
    """They cancel all of it."""

    wanted = {0: 1, 1: 2}

    def check(self) -> None:
        assert self.status() == "cancelled"
        assert sorted(refunds_at_sumup(self.sumup).values()) == [Decimal("5.85"), Decimal("55.12")]
        assert self.how_many_taken() == {}
        assert not Booking.objects.filter(status="confirmed").exists()
        self.check_news()


# --- Two baskets


class SignIn(Shopping):
    """A visitor's cart meets their own: together they would want more loaves than there are."""

    modules: ClassVar[tuple[str, ...]] = ("cart.merging", "cart.filling")
    to_checkout: ClassVar[bool] = False

    def prepare(self) -> None:
        self.stock_up()
        honey, workshop, loaf = self.world.honey, self.world.workshop, self.loaf
        self.user: User = UserFactory.create()
        self.fill((loaf, 3), (honey, 1), user=self.user, saved=((workshop, 1),))
        self.token = self.burnt = self.fill((loaf, 5), (workshop, 2), saved=((honey, 2),))
        self.mine, self.found = Cart.objects.order_by("pk")

    def act(self) -> tuple[Cart, str]:
        return carts.adopt(self.token, self.user, keep_presented=self.to_checkout)

    def people(self) -> None:
        """They present the same cookie again, having got no other."""
        cart, self.token = self.act()
        assert cart == self.mine

    def check(self) -> None:
        assert lines_of(self.mine) == {"Rye loaf": 5, "Heather honey": 1, "Bread workshop": 2}
        assert saved_in(self.mine) == {"Bread workshop": 1, "Heather honey": 2}
        assert self.how_many_taken() == {"Rye loaf": 5, "Heather honey": 1, "Bread workshop": 2}
        self.check_they_met()

    def check_they_met(self) -> None:
        assert list(Cart.objects.open()) == [self.mine]
        assert carts.basket_of(self.burnt, None).count == 0
        assert carts.basket_of(self.token, self.user).cart == self.mine
        record = CartMerge.objects.get()
        assert Cart.objects.get(pk=self.mine.pk).last_merge == record
        assert record.news
        assert not self.found.items.exists()


class SignInOnTheWayToTheCheckout(SignIn):
    """They go on with what they looked at; the rest is saved."""

    to_checkout = True

    def check(self) -> None:
        assert lines_of(self.mine) == {"Rye loaf": 5, "Bread workshop": 2}
        assert saved_in(self.mine) == {"Rye loaf": 3, "Heather honey": 2, "Bread workshop": 1}
        assert self.how_many_taken() == {"Rye loaf": 5, "Bread workshop": 2}
        self.check_they_met()


class Undo(SignIn):
    """They take it back."""

    modules: ClassVar[tuple[str, ...]] = ("cart.undoing", "cart.merging")

    def prepare(self) -> None:
        super().prepare()
        _cart, self.token = super().act()
        self.record = CartMerge.objects.get()

    def act(self) -> Any:
        return carts.undo_merge(self.token, self.user, self.record.uuid)

    def people(self) -> None:
        """They click again with the cookie they had, and then with the one they got."""
        self.token = self.act()
        assert self.act() == self.token

    def check(self) -> None:
        other = carts.basket_of(self.token, None).cart
        assert other is not None
        assert set(Cart.objects.open()) == {self.mine, other}
        assert lines_of(self.mine) == {"Rye loaf": 3, "Heather honey": 1}
        assert lines_of(other) == {"Rye loaf": 5, "Bread workshop": 2}
        assert (saved_in(self.mine), saved_in(other)) == ({"Bread workshop": 1}, {"Heather honey": 2})
        assert self.how_many_taken() == {"Rye loaf": 8, "Heather honey": 1, "Bread workshop": 2}


class UndoWhatWasSetAside(Undo):
    """The same, of what was saved on the way to the checkout."""

    to_checkout = True


SHOPPING: list[type[Play]] = [
    Place,
    PlaceForNothing,
    CallOff,
    CallAllOff,
    SignIn,
    SignInOnTheWayToTheCheckout,
    Undo,
    UndoWhatWasSetAside,
]
