"""Shoppers move places to another date: what it comes to, to the penny, and what becomes of it."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings import capacity
from bookings.models import Attendee, Booking, Entry, PriceKind, Scan
from cart.models import Cart
from cartsite.models import Case, Message, User
from cartsite.refusals import Conflict
from orders import door
from orders import services as orders
from orders.models import LineFact, Order, OrderLine
from orders.moving import CannotMove
from orders.quoting import Choices
from payments import cancelling, casework, events, giving_back, ledger, moving, refunds, releasing, starting
from payments import sumup as door_to_sumup
from payments.cancelling import CannotCancel, Part
from payments.desk import order_money
from payments.models import Payment, Refund
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.bookings.lines import join
from tests.concurrency import run_at_once
from tests.factories import EntryFactory, VoucherFactory
from tests.invariants import assert_books_balance
from tests.orders.acts import all_rows, place_cart
from tests.payments.money import balances, pay, pounds, sweep_money, transaction_of, went_back
from tests.payments.records import Later, events_of, fresh, open_cases, sweep_until_quiet, taken

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once

Shop = Callable[..., Payment]
Date = Callable[..., Entry]


@pytest.fixture
def date(workshop: Entry) -> Date:
    """The same workshop at another time: `date(3, price="20.00")`, so many weeks later."""

    def make(weeks: int, price: str = "35.00", **more: Any) -> Entry:
        starts_at = workshop.starts_at + timedelta(weeks=weeks)
        same = {"calendar": workshop.calendar, "title": workshop.title}
        return EntryFactory(**same | {"starts_at": starts_at, "price": Decimal(price)} | more)

    return make


@pytest.fixture
def shop(fill_cart: Callable[..., tuple[Cart, str]], sumup: Simulator) -> Shop:
    """Order these things, with these choices at the checkout, and pay; the payment."""

    def order(*things: tuple[Any, int], **choices: Any) -> Payment:
        cart, token = fill_cart(*things)
        return pay(starting.start(place_cart(cart, token, chosen=Choices(**choices))), sumup)

    return order


@pytest.fixture
def paid(shop: Shop, workshop: Entry) -> Payment:
    """Two places at the workshop, paid: £70."""
    return shop((workshop, 2))


def plan(order: Order, to: Entry, quantity: int = 1, key: cancelling.Key = 0) -> moving.Plan:
    return moving.plan_for(fresh(order), key, quantity, to.pk)


def move(order: Order, to: Entry, quantity: int = 1, key: cancelling.Key = 0) -> Order | None:
    """See what it comes to and say yes; the order to be paid, if it is dearer."""
    agreed = plan(order, to, quantity, key).fingerprint
    _plan, dearer = moving.move_for_shopper(order, key, quantity, to.pk, agreed=agreed, by=None)
    assert_books_balance()
    return dearer


def move_up(order: Order, to: Entry, quantity: int = 1, key: cancelling.Key = 0) -> Order:
    """Move to a dearer date; the order that is to be paid for that."""
    dearer = move(order, to, quantity, key)
    assert dearer is not None
    return dearer


def pay_for(order: Order, sumup: Simulator) -> Payment:
    payment = pay(starting.start(order), sumup)
    assert_books_balance()
    return payment


def cancel(order: Order, wanted: dict[cancelling.Key, int]) -> cancelling.Plan:
    """See what cancelling comes to and say yes."""
    agreed = cancelling.plan_for(fresh(order), wanted).fingerprint
    done = cancelling.cancel_for_shopper(order, wanted, agreed=agreed, by=None)
    assert_books_balance()
    return done


def standing(order: Order) -> list[Entry]:
    """Where the order's places are now."""
    bookings = Booking.objects.filter(order_line__order=order, status="confirmed").select_related("entry")
    return [booking.entry for booking in bookings.order_by("pk")]


def asked() -> list[Decimal]:
    """All refunds, oldest first."""
    return list(Refund.objects.order_by("pk").values_list("amount", flat=True))


# --- What may be moved, and where to ----------------------------------------------------------------------------------


def test_places_may_go_to_other_dates_of_the_same_thing(paid: Payment, workshop: Entry, date: Date) -> None:
    later, last = date(1), date(2)
    date(3, title="Something else")
    date(4, calendar=EntryFactory().calendar)

    (offer,) = moving.offers_for(paid.order)

    assert (offer.open, offer.entry, offer.key) == (2, workshop, 0)
    assert [found.to for found in moving.moves_for(offer)] == [later, last]


def test_places_of_a_series_stay_in_their_series(paid: Payment, workshop: Entry, date: Date) -> None:
    date(1)
    other = date(2)
    series = _series_of(workshop)
    for entry, day in ((workshop, 0), (other, 14)):
        first = series.first_day + timedelta(days=day)
        Entry.objects.filter(pk=entry.pk).update(series=series, series_day=first)

    (offer,) = moving.offers_for(paid.order)

    assert [found.to for found in moving.moves_for(offer)] == [other]


def _series_of(entry: Entry) -> Any:
    return entry.calendar.series.create(
        title=entry.title,
        price=entry.price,
        starts=entry.starts_at.time(),
        ends=entry.ends_at.time(),
        first_day=entry.starts_at.date(),
        last_day=entry.starts_at.date() + timedelta(days=90),
    )


@pytest.mark.parametrize("gone", ["cancelled_at", "archived_at", "booking_closes_at"])
def test_nothing_goes_to_what_is_not_on_sale(paid: Payment, date: Date, gone: str) -> None:
    to = date(1)
    seen = plan(paid.order, to).fingerprint
    Entry.objects.filter(pk=to.pk).update(**{gone: timezone.now()})
    before = all_rows()

    with pytest.raises(CannotMove):
        moving.move_for_shopper(paid.order, 0, 1, to.pk, agreed=seen, by=None)

    assert all_rows() == before
    assert moving.moves_for(moving.offers_for(paid.order)[0]) == []


def test_nothing_goes_where_there_is_no_room(paid: Payment, date: Date) -> None:
    to = date(1, places=1)

    assert plan(paid.order, to).back == 0
    with pytest.raises(CannotMove):
        plan(paid.order, to, 2)


def test_nothing_jumps_a_waiting_list(paid: Payment, date: Date) -> None:
    to = date(1, places=1)
    hold = capacity.claim(to.pool_id, 1, until=None)
    join(to, "grace")
    capacity.give_back([hold.pk])

    with pytest.raises(CannotMove):
        plan(paid.order, to)


def test_too_late_means_not_any_more(paid: Payment, workshop: Entry, date: Date) -> None:
    date(1)
    Entry.objects.filter(pk=workshop.pk).update(starts_at=timezone.now() + timedelta(hours=47))

    assert moving.offers_for(paid.order) == []


def test_a_calendar_may_allow_no_moves(paid: Payment, workshop: Entry, date: Date) -> None:
    date(1)
    type(workshop.calendar).objects.update(move_hours=None)

    assert moving.offers_for(paid.order) == []


def test_whose_time_was_changed_may_move_up_to_the_end(paid: Payment, workshop: Entry) -> None:
    type(workshop.calendar).objects.update(move_hours=None)
    Booking.objects.update(free_until=timezone.now() + timedelta(hours=1))

    assert len(moving.offers_for(paid.order)) == 1


def test_nothing_moves_from_what_was_called_off(paid: Payment, workshop: Entry) -> None:
    Entry.objects.filter(pk=workshop.pk).update(cancelled_at=timezone.now())

    assert moving.offers_for(paid.order) == []


# --- The same price, and cheaper --------------------------------------------------------------------------------------


def test_a_move_at_the_same_price_moves_no_money(paid: Payment, workshop: Entry, date: Date) -> None:
    to = date(1)

    assert move(paid.order, to) is None

    assert standing(paid.order) == [workshop, to]
    assert (taken(workshop), taken(to)) == (1, 1)
    assert asked() == []


def test_a_cheaper_date_gives_the_difference_back_at_once(paid: Payment, date: Date, sumup: Simulator) -> None:
    to = date(1, "30.50")
    seen = plan(paid.order, to, 2)
    assert (seen.back, seen.move.more, seen.by_card) == (pounds(9), pounds(0), True)

    move(paid.order, to, 2)

    assert [refund.approved_at is not None for refund in Refund.objects.all()] == [True]
    sweep_money()
    assert went_back(sumup, paid) == [pounds(9)]
    assert ledger.money_of(paid.order).net == pounds(61)


def test_a_price_of_the_same_kind_is_what_counts(paid: Payment, workshop: Entry, date: Date) -> None:
    to = date(1, "50.00")
    PriceKind.objects.create(entry=to, name="Child", price=Decimal("20.00"))
    child = PriceKind.objects.create(entry=workshop, name="Child", price=Decimal("25.00"))
    OrderLine.objects.filter(order=paid.order).update(price_kind=child)

    assert plan(paid.order, to).move.price.amount == pounds(20)


def test_with_a_discount_the_same_price_costs_nothing_more(shop: Shop, workshop: Entry, date: Date) -> None:
    payment = shop((workshop, 1), voucher=VoucherFactory().code)  # £31.50
    same, cheaper, little = date(1), date(2, "30.00"), date(3, "33.00")

    assert (plan(payment.order, same).move.more, plan(payment.order, same).back) == (0, 0)
    assert plan(payment.order, cheaper).back == pounds("1.50")
    assert plan(payment.order, little).back == 0


def test_what_went_back_with_moves_never_goes_back_again(paid: Payment, date: Date, sumup: Simulator) -> None:
    cheap, cheaper = date(1, "20.00"), date(2, "5.00")
    move(paid.order, cheap)
    move(paid.order, cheaper, key=(0, cheap.pk))

    done = cancel(paid.order, {(0, cheaper.pk): 1, 0: 1})

    assert asked() == [pounds(15), pounds(15), pounds(40)]
    assert done.is_whole
    sweep_money()
    assert ledger.money_of(paid.order).net == 0
    assert open_cases() == []


def test_pennies_that_do_not_divide_are_neither_lost_nor_doubled(shop: Shop, workshop: Entry, date: Date) -> None:
    """Three places at £35 less £5 came to £100: £33.33, £33.34 and £33.33."""
    voucher = VoucherFactory(kind="fixed", value=Decimal("5.00"))
    payment = shop((workshop, 3), voucher=voucher.code)
    to = date(1, "20.00")

    move(payment.order, to, 2)
    cancel(payment.order, {(0, to.pk): 1})
    cancel(payment.order, {0: 1})
    cancel(payment.order, {(0, to.pk): 1})

    assert asked() == [pounds("26.67"), pounds(20), pounds("33.33"), pounds(20)]
    assert sum(asked()) == pounds(100)


def test_what_is_kept_is_kept_of_what_the_place_is_worth_then(paid: Payment, date: Date) -> None:
    OrderLine.objects.filter(order=paid.order).update(kept_percent=20)
    to = date(1, "20.00")
    move(paid.order, to)

    done = cancel(paid.order, {(0, to.pk): 1})

    assert (done.back, done.kept) == (pounds(16), pounds(4))


def test_whose_time_was_changed_gets_all_of_it_back(paid: Payment, date: Date) -> None:
    OrderLine.objects.filter(order=paid.order).update(kept_percent=20, cancel_until=None)
    Booking.objects.update(free_until=timezone.now() + timedelta(hours=1))

    done = cancel(paid.order, {0: 1})

    assert (done.back, done.kept) == (pounds(35), 0)


def test_what_was_paid_by_hand_comes_back_by_hand(order: Order, date: Date, staff: User) -> None:
    casework.take_cash(order, order.total, by=staff)
    to = date(1, "30.00")
    assert not plan(order, to, key=1).by_card

    move(order, to, key=1)

    assert (asked(), open_cases()) == ([], ["overpaid"])
    assert Case.objects.get().at_stake == pounds(5)


def test_the_stall_gives_what_goes_back(paid: Payment, workshop: Entry, date: Date, sumup: Simulator) -> None:
    move(paid.order, date(1, "30.00"), 2)
    sweep_money()

    assert balances(paid) == {workshop.calendar.stall.name: pounds(60)}


def test_a_second_click_moves_nothing(paid: Payment, workshop: Entry, date: Date) -> None:
    to = date(1, "30.00")
    agreed = plan(paid.order, to).fingerprint
    moving.move_for_shopper(paid.order, 0, 1, to.pk, agreed=agreed, by=None)
    before = all_rows()

    with pytest.raises(Conflict):
        moving.move_for_shopper(paid.order, 0, 1, to.pk, agreed=agreed, by=None)

    assert all_rows() == before


def test_a_price_that_changed_is_shown_again(paid: Payment, date: Date) -> None:
    to = date(1, "30.00")
    agreed = plan(paid.order, to).fingerprint
    Entry.objects.filter(pk=to.pk).update(price=Decimal("31.00"))
    before = all_rows()

    with pytest.raises(Conflict):
        moving.move_for_shopper(paid.order, 0, 1, to.pk, agreed=agreed, by=None)

    assert all_rows() == before


# --- Dearer: a new order ----------------------------------------------------------------------------------------------


def test_a_dearer_date_is_a_new_order_of_the_difference(paid: Payment, workshop: Entry, date: Date) -> None:
    to = date(1, "50.00")

    dearer = move_up(paid.order, to, 2)

    assert (dearer.status, dearer.total) == ("awaiting_payment", pounds(30))
    place, discount = dearer.lines.all()
    assert (place.entry, place.quantity, place.total) == (to, 2, pounds(100))
    assert (discount.kind, discount.voucher, discount.total) == ("discount", None, pounds(-70))
    assert discount.title == f"Paid in order {paid.order.number}"
    assert (dearer.contact.name, dearer.contact.email) == (paid.order.contact.name, paid.order.contact.email)
    assert (taken(workshop), taken(to)) == (2, 2)
    assert standing(paid.order) == [workshop, workshop]


def test_once_it_is_paid_the_places_are_there(paid: Payment, workshop: Entry, date: Date, sumup: Simulator) -> None:
    to = date(1, "50.00")
    dearer = move_up(paid.order, to)

    pay_for(dearer, sumup)

    assert (standing(paid.order), standing(dearer)) == ([workshop], [to])
    assert (taken(workshop), taken(to)) == (1, 1)
    assert fresh(paid.order).status == fresh(dearer).status == "confirmed"
    assert list(LineFact.objects.values_list("line__order", "kind", "quantity")) == [(paid.order.pk, "cancelled", 1)]
    assert paid.order.events.get(kind="place_moved").data["order"] == dearer.number
    assert asked() == []
    assert open_cases() == []


def test_an_order_that_all_places_left_is_over(paid: Payment, date: Date, sumup: Simulator) -> None:
    pay_for(move_up(paid.order, date(1, "50.00"), 2), sumup)

    assert fresh(paid.order).status == "completed"
    assert ledger.money_of(paid.order).net == pounds(70)


def test_whoever_was_to_come_comes_there(paid: Payment, date: Date, sumup: Simulator) -> None:
    line = paid.order.lines.get()
    for number, booking in enumerate(line.bookings.order_by("pk"), start=1):
        Attendee.objects.filter(order_line=line, number=number).delete()
        Attendee.objects.create(order_line=line, number=number, booking=booking, name=f"Guest {number}")
    dearer = move_up(paid.order, date(1, "50.00"), 2)

    pay_for(dearer, sumup)

    names = Booking.objects.filter(order_line__order=dearer).values_list("attendee__name", flat=True)
    assert sorted(names) == ["Guest 1", "Guest 2"]


def test_meanwhile_the_places_can_be_neither_moved_nor_cancelled(paid: Payment, date: Date, staff: User) -> None:
    to, other = date(1, "50.00"), date(2)
    dearer = move_up(paid.order, to)
    before = all_rows()

    with pytest.raises(CannotMove):
        plan(paid.order, other, 2)
    with pytest.raises(CannotCancel):
        cancelling.plan_for(paid.order, {0: 2})
    with pytest.raises(CannotCancel, match=dearer.number):
        cancelling.cancel_order(paid.order, by=staff, reason="Ill")
    with pytest.raises(CannotCancel, match=dearer.number):
        cancelling.cancel_parts([Part(paid.order.lines.get(), 1)], by=staff, reason="Ill")

    assert all_rows() == before


def test_the_other_places_can_still_be_cancelled(paid: Payment, workshop: Entry, date: Date, sumup: Simulator) -> None:
    dearer = move_up(paid.order, date(1, "50.00"))

    done = cancel(paid.order, {0: 1})
    pay_for(dearer, sumup)

    assert (done.is_whole, asked()) == (False, [pounds(35)])
    assert taken(workshop) == 0
    assert len(standing(dearer)) == 1


def test_unpaid_it_expires_and_all_is_as_it_was(
    later: Later, paid: Payment, workshop: Entry, date: Date, sumup: Simulator
) -> None:
    to = date(1, "50.00")
    dearer = move_up(paid.order, to)

    sweep_until_quiet(later)

    assert fresh(dearer).status == "expired"
    assert (taken(workshop), taken(to)) == (2, 0)
    assert plan(paid.order, to, 2).move.more == pounds(30)


def test_let_go_it_goes_into_no_basket(
    paid: Payment, workshop: Entry, date: Date, fill_cart: Callable[..., tuple[Cart, str]]
) -> None:
    to = date(1, "50.00")
    dearer = move_up(paid.order, to)
    cart, _token = fill_cart((EntryFactory(), 1))

    releasing.release(dearer, to="cancelled", by="shopper", cart=cart)

    assert fresh(dearer).status == "cancelled"
    assert cart.items.count() == 1
    assert taken(to) == 0
    assert plan(paid.order, to).move.more == pounds(15)


@pytest.mark.parametrize("meanwhile", ["attended", "cancelled"])
def test_paid_in_vain_it_is_a_case_with_its_refund(
    paid: Payment, workshop: Entry, date: Date, sumup: Simulator, meanwhile: str
) -> None:
    to = date(1, "50.00")
    dearer = move_up(paid.order, to, 2)
    _lose_one(paid.order, meanwhile)

    pay(starting.start(dearer), sumup)

    assert (standing(dearer), taken(to)) == ([], 0)
    assert open_cases() == ["entry_cancelled"]
    assert asked() == [pounds(30)]
    assert standing(paid.order) == [workshop]
    assert not Booking.objects.filter(moving_to__isnull=False).exists()


def _lose_one(order: Order, state: str) -> None:
    """One of the order's places is used, or called off by a path that knows nothing of moves."""
    line = order.lines.get()
    booking = line.bookings.order_by("pk")[0]
    if state == "cancelled":
        orders.cancel_some(line, 1, by=None, places=[booking])
    else:
        Booking.objects.filter(pk=booking.pk).update(status=state)
        orders.record_fact(line, LineFact.Kind.ATTENDED, 1, by=None)


def test_where_it_was_to_go_is_called_off_it_stays(
    paid: Payment, workshop: Entry, date: Date, sumup: Simulator
) -> None:
    to = date(1, "50.00")
    dearer = move_up(paid.order, to)
    Entry.objects.filter(pk=to.pk).update(cancelled_at=timezone.now())

    pay(starting.start(dearer), sumup)

    assert standing(paid.order) == [workshop, workshop]
    assert (open_cases(), asked()) == (["entry_cancelled"], [pounds(15)])
    assert not Booking.objects.filter(moving_to__isnull=False).exists()


def test_late_money_moves_the_places_if_they_still_stand(
    later: Later, paid: Payment, workshop: Entry, date: Date, sumup: Simulator
) -> None:
    to = date(1, "50.00")
    dearer = move_up(paid.order, to)
    _expire(dearer)

    assert orders.revive(dearer, cause="late payment") is True

    assert (standing(paid.order), standing(dearer)) == ([workshop], [to])
    _cover(dearer)


def test_late_money_moves_nothing_once_they_do_not(paid: Payment, date: Date) -> None:
    to = date(1, "50.00")
    dearer = move_up(paid.order, to, 2)
    _expire(dearer)
    cancel(paid.order, {0: 1})
    before = all_rows()

    assert orders.revive(dearer, cause="late payment") is False

    assert all_rows() == before


def _expire(order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(closing_since=timezone.now(), closing_to="expired", closing_by="timer")
    order.refresh_from_db()
    assert orders.let_go(order, None)


def _cover(order: Order) -> None:
    """The money that the test left out, so that the books balance."""
    ledger.record_cash(order, order.total)


# --- What a place is worth after that ---------------------------------------------------------------------------------


def test_cancelled_after_a_dearer_move_both_orders_give_back(
    paid: Payment, workshop: Entry, date: Date, sumup: Simulator
) -> None:
    to = date(1, "50.00")
    dearer = move_up(paid.order, to)
    second = pay_for(dearer, sumup)
    seen = cancelling.plan_for(fresh(dearer), {0: 1})
    assert (seen.back, seen.promises[0].worth, seen.by_card) == (pounds(50), pounds(50), True)

    cancel(dearer, {0: 1})

    sweep_money()
    assert (went_back(sumup, second), went_back(sumup, paid)) == ([pounds(15)], [pounds(35)])
    assert ledger.money_of(paid.order).net == pounds(35)
    assert balances(paid) == {workshop.calendar.stall.name: pounds(35)}
    assert open_cases() == []


def test_what_is_kept_is_kept_of_the_sum(paid: Payment, workshop: Entry, date: Date, sumup: Simulator) -> None:
    type(workshop.calendar).objects.update(kept_percent=20)
    to = date(1, "50.00")
    dearer = move_up(paid.order, to)
    pay_for(dearer, sumup)

    done = cancel(dearer, {0: 1})

    assert (done.back, done.kept) == (pounds(40), pounds(10))
    assert asked() == [pounds(15), pounds(25)]


def test_a_chain_of_dearer_moves_goes_back_from_every_order(paid: Payment, date: Date, sumup: Simulator) -> None:
    first = move_up(paid.order, date(1, "50.00"), 2)
    pay_for(first, sumup)
    second = move_up(first, date(2, "52.00"))
    pay_for(second, sumup)
    assert second.total == pounds(2)

    done = cancel(second, {0: 1})

    assert done.back == pounds(52)
    back = {refund.order_id: refund.amount for refund in Refund.objects.all()}
    assert back == {second.pk: pounds(2), first.pk: pounds(15), paid.order.pk: pounds(35)}
    cancel(first, {0: 1})
    sweep_money()
    assert [ledger.money_of(order).net for order in (paid.order, first, second)] == [0, 0, 0]


def test_cheaper_again_the_last_money_goes_back_first(paid: Payment, date: Date, sumup: Simulator) -> None:
    to, cheap = date(1, "50.00"), date(2, "30.00")
    dearer = move_up(paid.order, to)
    pay_for(dearer, sumup)

    move(dearer, cheap)

    back = {refund.order_id: refund.amount for refund in Refund.objects.all()}
    assert back == {dearer.pk: pounds(15), paid.order.pk: pounds(5)}
    assert cancel(dearer, {(0, cheap.pk): 1}).back == pounds(30)
    sweep_money()
    assert ledger.money_of(dearer).net == 0
    assert ledger.money_of(paid.order).net == pounds(35)


def test_a_dearer_move_after_a_cheaper_one_pays_what_went_back(paid: Payment, date: Date, sumup: Simulator) -> None:
    cheap, dear = date(1, "20.00"), date(2, "40.00")
    move(paid.order, cheap)

    dearer = move_up(paid.order, dear, key=(0, cheap.pk))

    assert dearer.total == pounds(20)
    pay_for(dearer, sumup)
    assert cancel(dearer, {0: 1}).back == pounds(40)


def test_places_that_were_not_paid_alike_move_one_at_a_time(paid: Payment, workshop: Entry, date: Date) -> None:
    """One of two at the same date had become cheaper on its way."""
    cheap, middle = date(1, "20.00"), date(2, "30.00")
    move(paid.order, cheap)
    Entry.objects.filter(pk=workshop.pk).update(price=Decimal("20.00"))
    move(paid.order, workshop, key=(0, cheap.pk))

    with pytest.raises(CannotMove, match="one at a time"):
        plan(paid.order, middle, 2)

    assert plan(paid.order, middle, 1).move.more == pounds(10)


def test_with_a_discount_a_dearer_date_costs_its_price_less_what_was_paid(
    shop: Shop, workshop: Entry, date: Date, sumup: Simulator
) -> None:
    payment = shop((workshop, 3), voucher=VoucherFactory(kind="fixed", value=Decimal("5.00")).code)  # £100
    to = date(1, "40.00")

    dearer = move_up(payment.order, to, 3)
    pay_for(dearer, sumup)

    assert dearer.total == pounds(20)
    parts = [cancel(dearer, {0: 1}).back for _turn in range(3)]
    assert parts == [pounds(40)] * 3
    sweep_money()
    assert ledger.money_of(payment.order).net == ledger.money_of(dearer).net == 0


def test_an_order_that_another_counts_on_is_not_called_off_as_a_whole(
    paid: Payment, date: Date, sumup: Simulator, staff: User
) -> None:
    dearer = move_up(paid.order, date(1, "50.00"))
    pay_for(dearer, sumup)
    before = all_rows()

    with pytest.raises(CannotCancel):
        cancelling.cancel_order(paid.order, by=staff, reason="Ill")

    assert all_rows() == before
    (refund,) = cancelling.cancel_parts([Part(paid.order.lines.get(), 1)], by=staff, reason="Ill")
    assert refund.amount == pounds(35)
    assert cancelling.plan_for(fresh(dearer), {0: 1}).back == pounds(50)


def test_staff_who_call_the_dearer_order_off_send_all_of_it_back(
    paid: Payment, date: Date, sumup: Simulator, staff: User
) -> None:
    dearer = move_up(paid.order, date(1, "50.00"), 2)
    pay_for(dearer, sumup)

    cancelling.cancel_order(dearer, by=staff, reason="Ill")

    back = {refund.order_id: refund.amount for refund in Refund.objects.all()}
    assert back == {dearer.pk: pounds(30), paid.order.pk: pounds(70)}


def test_staff_call_off_some_of_a_dearer_order(paid: Payment, date: Date, sumup: Simulator, staff: User) -> None:
    dearer = move_up(paid.order, date(1, "50.00"), 2)
    pay_for(dearer, sumup)

    asked_for = cancelling.cancel_parts([Part(dearer.lines.get(kind="entry"), 1)], by=staff, reason="Ill")

    assert [(refund.order, refund.amount) for refund in asked_for] == [(dearer, pounds(15)), (paid.order, pounds(35))]


def test_cancelling_the_rest_leaves_what_the_other_order_counts_on(
    paid: Payment, date: Date, sumup: Simulator, staff: User
) -> None:
    """Staff gave £20 of the first order back for other reasons: that is not taken from who moved on."""
    dearer = move_up(paid.order, date(1, "50.00"))
    pay_for(dearer, sumup)
    refunds.request_from_order(paid.order, Wish(pounds(20), "Sorry", staff))

    done = cancel(paid.order, {0: 1})

    assert done.back == pounds(15)
    assert cancelling.plan_for(fresh(dearer), {0: 1}).back == pounds(50)


def test_staff_call_off_moved_places_by_where_they_are(paid: Payment, workshop: Entry, date: Date, staff: User) -> None:
    to = date(1, "20.00")
    move(paid.order, to)

    stays, moved = order_money.open_lines(paid.order)
    assert [(heap.moved_to, heap.left) for heap in (stays, moved)] == [(None, 1), (to, 1)]
    assert stays.name != moved.name

    (refund,) = cancelling.cancel_parts([Part(moved.line, 1, moved.places)], by=staff, reason="Ill")
    assert refund.amount == pounds(20)
    assert standing(paid.order) == [workshop]


def test_what_must_go_back_by_hand_is_not_offered_to_the_card_as_well(
    order: Order, staff: User, sumup: Simulator
) -> None:
    """£40 was paid by hand and £36.50 by card; then both places, £70, were called off: all that the card had."""
    casework.take_cash(order, pounds(40), by=staff)
    pay_for(order, sumup)
    assert order_money.free_for_card(order) == pounds("36.50")

    cancelling.cancel_parts([Part(order.lines.get(kind="entry"), 2)], by=staff, reason="Ill")

    assert open_cases() == ["overpaid"]
    assert giving_back.due_by_hand(order) == pounds("33.50")
    assert order_money.free_for_card(order) == 0


def test_a_dearer_date_keeps_no_less_than_the_rule_that_it_was_bought_with(
    paid: Payment, date: Date, sumup: Simulator
) -> None:
    OrderLine.objects.filter(order=paid.order).update(kept_percent=50)
    dearer = move_up(paid.order, date(1, "36.00"))
    pay_for(dearer, sumup)

    assert cancel(dearer, {0: 1}).kept == pounds(18)


def test_what_must_go_back_by_hand_stands_until_a_person_has_done_it(
    order: Order, date: Date, staff: User, sumup: Simulator
) -> None:
    """£40 was paid by hand; moved to where it costs £1 each, £68 goes back, which is more than came by card."""
    casework.take_cash(order, pounds(40), by=staff)
    payment = pay_for(order, sumup)
    move(order, date(1, "1.00"), 2, key=1)
    assert open_cases() == ["overpaid"]

    events.take_in(payment, door_to_sumup.get_transaction(transaction_of(payment)))

    assert open_cases() == ["overpaid"]


def test_what_goes_back_by_hand_already_is_not_asked_for_again(order: Order, date: Date, staff: User) -> None:
    casework.take_cash(order, order.total, by=staff)
    move(order, date(1, "30.00"), key=1)

    cancelling.cancel_order(order, by=staff, reason="Ill")

    assert Case.objects.get().at_stake == order.total


def test_staff_cannot_call_places_off_that_have_just_moved_away(paid: Payment, date: Date, staff: User) -> None:
    stale = list(Booking.objects.order_by("-pk")[:1])
    move(paid.order, date(1))
    before = all_rows()

    with pytest.raises(CannotCancel):
        cancelling.cancel_parts([Part(paid.order.lines.get(), 1, stale)], by=staff, reason="Ill")

    assert all_rows() == before


def test_nobody_moves_to_more_places_than_one_person_may_have(shop: Shop, workshop: Entry, date: Date) -> None:
    to = date(1, max_per_person=3)
    shop((to, 2))
    mine = shop((workshop, 2)).order

    assert plan(mine, to, 1).back == 0
    with pytest.raises(CannotMove, match="One person"):
        plan(mine, to, 2)


def test_paid_for_what_was_called_off_it_takes_no_room_from_what_shares_it(
    paid: Payment, workshop: Entry, date: Date, sumup: Simulator
) -> None:
    to = date(1, "50.00", pool=workshop.pool)
    dearer = move_up(paid.order, to)
    Entry.objects.filter(pk=to.pk).update(cancelled_at=timezone.now())

    pay_for(dearer, sumup)

    assert taken(workshop) == 2


def test_the_order_that_places_left_is_told_so_once(paid: Payment, date: Date, sumup: Simulator) -> None:
    dearer = move_up(paid.order, date(1, "50.00"), 2)
    assert not Message.objects.filter(kind="moved").exists()

    pay_for(dearer, sumup)

    moved = paid.order.events.get(kind="place_moved")
    (mail,) = Message.objects.filter(kind="moved")
    assert (mail.subject_uuid, mail.occurrence) == (paid.order.uuid, f"moved-{moved.pk}")
    further = move_up(dearer, date(2, "52.00"), 2)
    pay_for(further, sumup)
    assert list(Message.objects.filter(kind="moved").order_by("pk").values_list("subject_uuid", flat=True)) == [
        paid.order.uuid,
        dearer.uuid,
    ]


def test_where_to_is_found_with_the_same_few_queries_for_any_number_of_dates(paid: Payment, date: Date) -> None:
    counts = []
    for weeks in (range(1, 3), range(3, 20)):
        for n in weeks:
            date(n)
        with CaptureQueriesContext(connection) as seen:
            assert len(moving.moves_for(moving.offers_for(fresh(paid.order))[0])) == weeks[-1]
        counts.append(len(seen))

    assert counts[1] <= counts[0]


def test_late_money_holds_the_order_before_still_before_it_claims_anything(paid: Payment, date: Date) -> None:
    """Who moves or cancels something of that order has it first, and then wants the same pools."""
    dearer = move_up(paid.order, date(1, "50.00"))
    _expire(dearer)

    with CaptureQueriesContext(connection) as seen:
        assert orders.revive(dearer, cause="late payment")

    locked = [query["sql"] for query in seen if "FOR NO KEY UPDATE" in query["sql"]]
    first = {table: next(n for n, sql in enumerate(locked) if table in sql) for table in ("orders_order", "_pool")}
    assert first["orders_order"] < first["_pool"]
    _cover(dearer)


# --- At once ----------------------------------------------------------------------------------------------------------


@committed
def test_of_two_tabs_that_move_the_same_place_one_does(paid: Payment, date: Date) -> None:
    here, there = date(1, "30.00"), date(2, "25.00")
    agreed = {to: plan(paid.order, to, 2).fingerprint for to in (here, there)}

    outcomes = run_at_once(
        *[lambda to=to: moving.move_for_shopper(paid.order, 0, 2, to.pk, agreed=agreed[to], by=None) for to in agreed]
    )

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert all(isinstance(outcome.error, CannotMove | None) for outcome in outcomes)
    assert len(set(standing(paid.order))) == 1
    assert len(asked()) == 1


@committed
def test_of_eight_who_say_yes_to_a_dearer_date_one_order_is_made(paid: Payment, date: Date) -> None:
    to = date(1, "50.00")
    agreed = plan(paid.order, to, 2).fingerprint

    outcomes = run_at_once(*[lambda: moving.move_for_shopper(paid.order, 0, 2, to.pk, agreed=agreed, by=None)] * 8)

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert Order.objects.count() == 2
    assert taken(to) == 2


@committed
def test_a_place_is_moved_or_cancelled_but_never_both(paid: Payment, workshop: Entry, date: Date) -> None:
    to = date(1, "30.00")
    agreed = plan(paid.order, to, 2).fingerprint
    wanted: dict[cancelling.Key, int] = {0: 2}
    gone = cancelling.plan_for(paid.order, wanted).fingerprint

    outcomes = run_at_once(
        lambda: moving.move_for_shopper(paid.order, 0, 2, to.pk, agreed=agreed, by=None),
        lambda: cancelling.cancel_for_shopper(paid.order, wanted, agreed=gone, by=None),
    )

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert asked() in ([pounds(10)], [pounds(70)])
    assert taken(workshop) == 0


@committed
def test_of_eight_who_want_the_last_place_one_gets_it(shop: Shop, workshop: Entry, date: Date) -> None:
    to = date(1, places=1)
    sold = [shop((workshop, 1)).order for _turn in range(8)]
    agreed = [plan(order, to).fingerprint for order in sold]

    outcomes = run_at_once(
        *[
            lambda order=order, seen=seen: moving.move_for_shopper(order, 0, 1, to.pk, agreed=seen, by=None)
            for order, seen in zip(sold, agreed, strict=True)
        ]
    )

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert all(isinstance(outcome.error, CannotMove | None) for outcome in outcomes)
    assert (taken(to), taken(workshop)) == (1, 7)


@committed
def test_the_dearer_order_is_paid_while_its_old_place_is_used(
    paid: Payment, workshop: Entry, date: Date, staff: User, sumup: Simulator
) -> None:
    to = date(1, "50.00")
    dearer = move_up(paid.order, to, 2)

    run_at_once(
        lambda: casework.take_cash(dearer, dearer.total, by=staff),
        lambda: _lose_one(paid.order, "cancelled"),
    )

    where = (len(standing(paid.order)), len(standing(dearer)))
    assert where in ((1, 0), (0, 2))
    assert events_of(dearer).count("confirmed") == 1
    assert Message.objects.filter(kind="confirmation", subject_uuid=dearer.uuid).count() == 1


@committed
def test_a_place_is_moved_or_let_in_but_never_both(paid: Payment, workshop: Entry, date: Date, staff: User) -> None:
    to = date(1)
    agreed = plan(paid.order, to, 2).fingerprint
    code = Booking.objects.earliest("pk").code

    move_, scan = run_at_once(
        lambda: moving.move_for_shopper(paid.order, 0, 2, to.pk, agreed=agreed, by=None),
        lambda: door.check_in(workshop, code, uuid4(), by=staff),
    )

    let_in = scan.result.outcome == Scan.Outcome.WELCOME
    assert let_in == isinstance(move_.error, CannotMove)
    assert (taken(workshop), taken(to)) == ((2, 0) if let_in else (0, 2))
    assert LineFact.objects.count() == let_in


@committed
def test_the_dearer_order_is_paid_while_its_old_place_is_let_in(
    paid: Payment, workshop: Entry, date: Date, staff: User
) -> None:
    dearer = move_up(paid.order, date(1, "50.00"), 2)
    code = Booking.objects.earliest("pk").code

    _paid, scan = run_at_once(
        lambda: casework.take_cash(dearer, dearer.total, by=staff),
        lambda: door.check_in(workshop, code, uuid4(), by=staff),
    )

    let_in = scan.result.outcome == Scan.Outcome.WELCOME
    assert len(standing(dearer)) == (0 if let_in else 2)
    assert open_cases() == (["entry_cancelled"] if let_in else [])
    assert fresh(dearer).status == "confirmed"
