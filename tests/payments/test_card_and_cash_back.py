"""Money that came partly by hand goes back so: the card part to the card, the rest by hand, whoever calls it off."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.core.mail import EmailMessage

from bookings.models import Entry
from cart.models import Product
from cartsite.models import Case, User
from orders import services as orders
from orders.models import Order
from orders.tasks import send_owed_mail
from payments import calling_off, cancelling, casework, giving_back, ledger, refunds, starting
from payments.models import Refund
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.payments.money import pay, pay_a_part, pounds, sweep_money
from tests.payments.records import fresh, open_cases
from tests.payments.wire import Wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]

PlaceOrder = Callable[..., Order]
CallOff = Callable[[Order, User], None]


def by_staff(order: Order, staff: User) -> None:
    cancelling.cancel_order(order, by=staff, reason="The baker is away")


def by_staff_in_parts(order: Order, staff: User) -> None:
    parts = [cancelling.Part(line, line.quantity) for line in order.lines.filter(kind__in=["product", "entry"])]
    cancelling.cancel_parts(parts, by=staff, reason="The baker is away")


def by_shopper(order: Order, _staff: User) -> None:
    order = fresh(order)
    wanted = {offer.key: offer.open for offer in cancelling.offers_for(order)}
    plan = cancelling.plan_for(order, wanted)
    cancelling.cancel_for_shopper(order, wanted, agreed=plan.fingerprint, by=None)


def by_calling_the_entry_off(order: Order, staff: User) -> None:
    entry = Entry.objects.get(order_lines__order=order)
    assert calling_off.step(calling_off.begin(entry, by=staff, reason="The baker is away"))


WAYS = [by_staff, by_staff_in_parts, by_shopper, by_calling_the_entry_off]


@pytest.fixture
def bought(place_order: PlaceOrder, workshop: Entry) -> Order:
    """Two places, not paid yet: £70.00."""
    workshop.calendar.cancel_hours, workshop.calendar.kept_percent = 1, Decimal(0)
    workshop.calendar.save()
    return place_order((workshop, 2))


def pay_by_hand_and_card(order: Order, by_hand: str, sumup: Simulator, staff: User) -> None:
    """Part of it in cash, then the rest by card."""
    casework.take_cash(order, pounds(by_hand), by=staff)
    pay(starting.start(order), sumup)


def pay_by_card_and_hand(order: Order, by_hand: str, wire: Wire, staff: User) -> None:
    """Less by card than was asked for, then the rest of it in cash."""
    pay_a_part(starting.start(order), wire, str(order.total - pounds(by_hand)))
    casework.take_cash(order, pounds(by_hand), by=staff)


@pytest.mark.parametrize("way", WAYS)
def test_the_card_part_goes_to_the_card_and_the_rest_by_hand(
    bought: Order, sumup: Simulator, staff: User, way: CallOff
) -> None:
    pay_by_hand_and_card(bought, "10.00", sumup, staff)

    way(bought, staff)

    assert sum(bought.refunds.filter(method="sumup").values_list("amount", flat=True)) == pounds(60)
    about = Case.objects.unresolved().get(kind=Case.Kind.OVERPAID)
    assert (about.subject_uuid, about.at_stake) == (bought.uuid, pounds(10))
    assert "10.00 of it did not come by card" in about.what_happened


@pytest.mark.parametrize("way", WAYS)
def test_it_is_the_same_where_the_cash_came_last(bought: Order, wire: Wire, staff: User, way: CallOff) -> None:
    pay_by_card_and_hand(bought, "10.00", wire, staff)

    way(bought, staff)

    assert sum(bought.refunds.filter(method="sumup").values_list("amount", flat=True)) == pounds(60)
    assert Case.objects.unresolved().get(kind=Case.Kind.OVERPAID).at_stake == pounds(10)


@pytest.mark.parametrize("way", WAYS)
def test_what_went_back_before_does_not_go_back_again(
    bought: Order, sumup: Simulator, staff: User, way: CallOff
) -> None:
    pay_by_hand_and_card(bought, "10.00", sumup, staff)
    payment = bought.payments.get(status="captured")
    before = refunds.request(payment, Wish(pounds("55.00"), "Goodwill", staff))

    way(bought, staff)

    asked = bought.refunds.filter(method="sumup").exclude(pk=before.pk)
    assert sum(asked.values_list("amount", flat=True)) == pounds(5)
    assert Case.objects.unresolved().get(kind=Case.Kind.OVERPAID).at_stake == pounds(10)


@pytest.mark.parametrize("way", WAYS)
def test_an_order_paid_in_cash_alone_asks_for_no_card(bought: Order, staff: User, way: CallOff) -> None:
    casework.take_cash(bought, bought.total, by=staff)

    way(bought, staff)

    assert not Refund.objects.exists()
    assert Case.objects.unresolved().get(kind=Case.Kind.OVERPAID).at_stake == pounds(70)


def test_once_both_parts_are_back_nothing_is_open(bought: Order, sumup: Simulator, staff: User) -> None:
    pay_by_hand_and_card(bought, "10.00", sumup, staff)
    for refund in cancelling.cancel_order(bought, by=staff, reason="Ill"):
        refunds.approve(refund, by=staff)

    sweep_money()
    refunds.give_by_hand(bought, Wish(pounds(10), "From the till", staff))

    assert (ledger.money_of(fresh(bought)).net, open_cases()) == (0, [])


def test_a_part_called_off_takes_the_card_first(
    place_order: PlaceOrder, honey: Product, workshop: Entry, sumup: Simulator, staff: User
) -> None:
    order = place_order((honey, 1), (workshop, 2))
    pay_by_hand_and_card(order, "10.00", sumup, staff)

    (refund,) = cancelling.cancel_parts([cancelling.Part(order.lines.get(kind="entry"), 1)], by=staff, reason="Ill")

    assert (refund.amount, open_cases()) == (pounds(35), [])
    assert giving_back.by_card(order) == pounds("31.50")
    assert orders.sum_facts(order) == {"cancelled": 1}


def test_the_mail_tells_both_parts(
    bought: Order, sumup: Simulator, staff: User, mailoutbox: list[EmailMessage]
) -> None:
    pay_by_hand_and_card(bought, "10.00", sumup, staff)
    cancelling.cancel_order(bought, by=staff, reason="Ill")

    send_owed_mail()

    (sent,) = mailoutbox
    assert "£60.00 is on its way back to your card." in sent.body
    assert "£10.00 was not paid by card, so we give you that back by hand." in sent.body
