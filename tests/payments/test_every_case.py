"""Every kind of case: one way in which it comes to be, and one in which it is resolved, through the front doors.

`LIVES` is the list. A kind that is missing there fails the first test below.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

import pytest

from bookings import capacity
from bookings.models import Entry
from cart.models import Product
from cartsite.models import Case, Message, User
from orders import mail, services
from orders.models import Order
from payments import cancelling, casework, history, late, refunds, settling, starting, sweeping
from payments.models import Payment, Refund
from payments.simulator import Simulator
from tests.payments.money import (
    ask_back,
    case,
    fill_up,
    pay,
    pay_a_part,
    pay_twice,
    pay_unseen_until_over,
    show_all,
    sweep_for_days,
    sweep_money,
    transaction_of,
)
from tests.payments.records import Later, fresh
from tests.payments.wire import Wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]

NOWHERE = "tests.nowhere.MailServer"
LOCAL = "django.core.mail.backends.locmem.EmailBackend"


@dataclass
class Shop:
    """All that the lives of cases need."""

    later: Later
    wire: Wire
    sumup: Simulator
    place_order: Callable[..., Order]
    honey: Product
    workshop: Entry
    staff: User
    settings: Any

    def start(self) -> Payment:
        """A jar of honey and two places, and a page to pay them."""
        return starting.start(self.place_order((self.honey, 1), (self.workshop, 2)))

    def paid(self) -> Payment:
        """The same, paid."""
        return pay(self.start(), self.sumup)


@pytest.fixture
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(**{field.name: request.getfixturevalue(field.name) for field in fields(Shop)})


# --- How they come to be ----------------------------------------------------------------------------------------------


def pay_when_the_places_are_gone(shop: Shop) -> None:
    pay_unseen_until_over(shop.later, shop.wire, shop.start(), lambda: fill_up(shop.workshop))


def cancel_what_was_paid_in_cash(shop: Shop) -> None:
    order = shop.place_order((shop.honey, 1))
    casework.take_cash(order, order.total, by=shop.staff)
    cancelling.cancel_order(order, by=shop.staff, reason="The stall is ill")


def take_less_than_was_asked_for(shop: Shop) -> None:
    pay_a_part(shop.start(), shop.wire, "6.50")
    show_all(shop.wire)


def pay_on_two_pages(shop: Shop) -> None:
    pay_twice(shop.later, shop.wire, shop.start())


def take_payments_at_a_card_reader(shop: Shop) -> None:
    for amount in (6, 7):
        shop.sumup.take_reader_payment(amount, "Honey")
    history.sweep()


def pay_at_a_card_reader(shop: Shop) -> None:
    shop.sumup.take_stray_payment(Decimal("6.50"), "Honey")
    history.sweep()


def forget_a_checkout(shop: Shop) -> None:
    payment = shop.start()
    shop.wire.reply(404, b"{}")
    settling.settle(payment)


def refund_without_an_answer(shop: Shop) -> None:
    payment = shop.paid()
    shop.sumup.behave(refund="500", times={"refund": 1})
    ask_back(payment, "20.00", shop.staff)
    sweep_for_days(shop.later, 2)


def refund_and_be_refused(shop: Shop) -> None:
    payment = shop.paid()
    shop.sumup.behave(refund="422", times={"refund": 1})
    ask_back(payment, "20.00", shop.staff)
    sweep_money()


def refund_in_the_dashboard(shop: Shop) -> None:
    shop.sumup.refund_in_dashboard(transaction_of(shop.paid()), Decimal(20))
    history.sweep()


def charge_back(shop: Shop) -> None:
    shop.sumup.charge_back(transaction_of(shop.paid()))
    history.sweep()


def lose_the_answer_to_a_create(shop: Shop) -> None:
    shop.sumup.behave(create="500", times={"create": 2})
    shop.start()


def call_an_entry_off_while_it_is_paid(shop: Shop) -> None:
    payment = shop.start()
    Entry.objects.filter(pk=shop.workshop.pk).update(cancelled_at=shop.later())
    pay(payment, shop.sumup)


def want_fewer_places_than_are_sold(shop: Shop) -> None:
    shop.paid()
    capacity.set_capacity(shop.workshop.pool, 1)  # type: ignore[arg-type]


def lose_the_mail_server(shop: Shop) -> None:
    shop.settings.EMAIL_BACKEND = NOWHERE
    services.owe_mail(shop.paid().order, "confirmation")
    for _try in range(Message.MOST_TRIES):
        mail.send_owed()
        shop.later(hours=7)


# --- How they are resolved --------------------------------------------------------------------------------------------


def send_it_back(shop: Shop, about: Case) -> None:
    late.send_back(about, by=None, note="The shopper asked for it")


def give_it_by_hand(shop: Shop, about: Case) -> None:
    casework.give_by_hand(about, Decimal("6.50"), by=shop.staff, note="At the stall")


def take_the_rest_in_cash(shop: Shop, about: Case) -> None:
    casework.take_cash(Order.objects.get(), Decimal(70), by=shop.staff)


def refund_the_second(shop: Shop, about: Case) -> None:
    casework.refund(about, Decimal("76.50"), by=shop.staff, note="Paid twice")


def attach_it(shop: Shop, about: Case) -> None:
    order = shop.place_order((shop.honey, 1))
    casework.attach(about, order.number, by=shop.staff, note="They paid at the stall")
    assert fresh(order).status == "confirmed"


def find_it_again(shop: Shop, about: Case) -> None:
    shop.later(minutes=1)
    casework.ask(about)


def give_it_up(shop: Shop, about: Case) -> None:
    casework.give_up(about, by=shop.staff, note="I looked")


def send_it_again(shop: Shop, about: Case) -> None:
    casework.retry(about, by=shop.staff, note="It had just been paid")


def accept_it(shop: Shop, about: Case) -> None:
    casework.accept(about, by=shop.staff, note="They asked for it by telephone")


def sweep_until_it_is_made(shop: Shop, about: Case) -> None:
    shop.later(minutes=1)
    sweeping.sweep()


def approve_what_was_prepared(shop: Shop, about: Case) -> None:
    refunds.approve(Refund.objects.get(), by=shop.staff)
    sweep_money()


def find_a_larger_room(shop: Shop, about: Case) -> None:
    capacity.set_capacity(shop.workshop.pool, 20)  # type: ignore[arg-type]


def find_the_mail_server(shop: Shop, about: Case) -> None:
    shop.settings.EMAIL_BACKEND = LOCAL
    for message in Message.objects.all():
        message.try_again()
    mail.send_owed()


LIVES: dict[Case.Kind, tuple[Callable[[Shop], None], Callable[[Shop, Case], None]]] = {
    Case.Kind.LATE_PAYMENT: (pay_when_the_places_are_gone, send_it_back),
    Case.Kind.OVERPAID: (cancel_what_was_paid_in_cash, give_it_by_hand),
    Case.Kind.AMOUNT_MISMATCH: (take_less_than_was_asked_for, take_the_rest_in_cash),
    Case.Kind.DUPLICATE_CAPTURE: (pay_on_two_pages, refund_the_second),
    Case.Kind.UNKNOWN_MONEY: (pay_at_a_card_reader, attach_it),
    Case.Kind.TAKINGS: (take_payments_at_a_card_reader, accept_it),
    Case.Kind.MISSING_AT_SUMUP: (forget_a_checkout, find_it_again),
    Case.Kind.REFUND_UNKNOWN: (refund_without_an_answer, give_it_up),
    Case.Kind.REFUND_FAILED: (refund_and_be_refused, send_it_again),
    Case.Kind.EXTERNAL_REFUND: (refund_in_the_dashboard, accept_it),
    Case.Kind.CHARGEBACK: (charge_back, accept_it),
    Case.Kind.ATTEMPT_STUCK: (lose_the_answer_to_a_create, sweep_until_it_is_made),
    Case.Kind.ENTRY_CANCELLED: (call_an_entry_off_while_it_is_paid, approve_what_was_prepared),
    Case.Kind.OVERSOLD: (want_fewer_places_than_are_sold, find_a_larger_room),
    Case.Kind.MAIL_FAILED: (lose_the_mail_server, find_the_mail_server),
}


def test_every_kind_of_case_has_its_life_here() -> None:
    assert set(LIVES) == set(Case.Kind)


@pytest.mark.parametrize("kind", Case.Kind)
def test_every_kind_of_case_is_opened_once_and_says_what_happened(shop: Shop, kind: Case.Kind) -> None:
    begin, _end = LIVES[kind]

    begin(shop)

    about = case(kind)
    assert about.status == "open"
    assert about.what_happened
    assert "@" not in about.what_happened
    assert Case.objects.filter(kind=kind).count() == 1


@pytest.mark.parametrize("kind", Case.Kind)
def test_every_kind_of_case_is_resolved(shop: Shop, kind: Case.Kind) -> None:
    begin, end = LIVES[kind]
    begin(shop)
    about = case(kind)

    end(shop, about)

    resolved = fresh(about)
    assert resolved.status == "resolved"
    assert resolved.resolved_at is not None
    assert resolved.note
