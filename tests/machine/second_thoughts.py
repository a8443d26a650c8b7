"""What shoppers do afterwards: call off what they bought, as far as the rules let them, and ask to be forgotten."""

from datetime import timedelta
from functools import partial
from itertools import cycle

import pytest
from hypothesis import strategies as st

from bookings.models import Entry
from cartsite.models import User
from cartsite.refusals import Refusal
from orders import privacy
from orders import services as orders
from orders.models import DeliveryAddress, Order, OrderContact, OrderLine
from orders.worth import Some
from payments import cancelling
from payments.cancelling import Key, Offer, Plan
from tests.factories import UserFactory
from tests.machine.acts import DICE, Idle, act, one_of
from tests.machine.baskets import LINES, WHO, Device
from tests.machine.shoppers import HOW, Shoppers

COUNTS = st.lists(st.integers(0, 2), min_size=1, max_size=4)
PERSON = st.integers(0, 1)


class SecondThoughts(Shoppers):
    """Whoever thinks better of it."""

    # Calling off.

    @act("order:confirmed", dice=DICE, counts=COUNTS, everything=st.booleans())
    def call_off(self, dice: int, counts: list[int], everything: bool) -> None:
        self.call_off_something(dice, counts, everything=everything)

    @act(who=WHO, lines=LINES, how=HOW, counts=COUNTS, everything=st.booleans())
    def buy_and_call_off(
        self, who: int, lines: list[tuple[int, int]], how: tuple[str, str], counts: list[int], everything: bool
    ) -> None:
        """Some of it at once, and perhaps the rest a little later."""
        self.buy_at_once(who, lines, how, pays=True)
        for _time in range(2):
            self.quietly(partial(self._call_off, self.placed[-1].order, counts, everything=everything))

    def call_off_something(self, dice: int, counts: list[int], *, everything: bool) -> None:
        self._call_off(one_of(Order.objects.filter(status="confirmed"), dice), counts, everything=everything)

    def _call_off(self, order: Order, counts: list[int], *, everything: bool) -> None:
        """So many of each line that may be called off, or all there is; then they click once more."""
        order.refresh_from_db()
        offers = cancelling.offers_for(order)
        if not offers:
            raise Idle
        wanted = {
            offer.key: offer.open if everything else _some(offer, count)
            for offer, count in zip(offers, cycle(counts), strict=False)
        }
        plan = cancelling.plan_for(order, wanted)
        assert _do(order, wanted, plan).back == plan.back, "It comes to what was shown"
        with pytest.raises(Refusal):
            _do(order, wanted, plan)
        self.coverage.rules[f"called off, {'as a whole' if plan.is_whole else 'in part'}"] += 1
        if any(isinstance(key, tuple) and quantity for key, quantity in wanted.items()):
            self.coverage.rules["called off at a moved entry"] += 1

    # To be forgotten.

    @act("order", person=PERSON)
    def ask_to_be_forgotten(self, person: int) -> None:
        self._forget(person)

    @act("order:confirmed", "order:completed", person=PERSON)
    def ask_to_be_forgotten_when_all_is_over(self, person: int) -> None:
        """What they bought was fetched, and what they had places at was earlier than planned."""
        theirs = OrderLine.objects.filter(order__user=self.world.people[person], order__status="confirmed")
        for line in theirs.filter(kind=OrderLine.Kind.PRODUCT):
            orders.collect_rest(line, by=self.world.staff)
        past = self.now() - timedelta(hours=1)
        ahead = Entry.objects.filter(order_lines__in=theirs, ends_at__gt=past)
        ahead.update(starts_at=past - timedelta(hours=3), ends_at=past)
        self.quietly(self._forget, person)

    def _forget(self, person: int) -> None:
        """They are erased, and somebody else of their name comes in."""
        gone = self.world.people[person]
        assert privacy.erase_person(gone, by=gone)
        self.coverage.rules["erased"] += 1
        assert not privacy.erase_person(gone, by=gone), "once is enough"
        _check_gone(gone)
        self.devices = [Device() if device.user == gone else device for device in self.devices]
        self.world.people[person] = UserFactory.create()

    @act("order:completed", "order:cancelled", "order:expired", dice=DICE)
    def forget_a_guest(self, dice: int) -> None:
        order = one_of(Order.objects.filter(contact__isnull=False), dice)
        assert privacy.erase_contact(order, by=self.world.staff)
        self.coverage.rules["erased a guest"] += 1
        assert not OrderContact.objects.filter(order=order).exists()


def _some(offer: Offer, count: int) -> Some:
    """So many of an offer: of places those that were issued first, though the last ones would go by themselves."""
    count = min(offer.open, count)
    return frozenset(place.number for place in offer.places[-count:]) if offer.places and count else count


def _do(order: Order, wanted: dict[Key, Some], plan: Plan) -> Plan:
    return cancelling.cancel_for_shopper(order, wanted, agreed=plan.fingerprint, by=order.user)


def _check_gone(person: User) -> None:
    """Nothing personal is left of their orders."""
    assert not OrderContact.objects.filter(order__user=person).exists()
    assert not DeliveryAddress.objects.filter(order__user=person).exists()
