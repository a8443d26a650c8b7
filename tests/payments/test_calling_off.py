"""The co-operative calls an entry off: every order with places there is put right once, and all its money goes back."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings import capacity
from bookings.models import Booking, Entry
from cart.models import Cart, CartItem, Product
from cartsite.models import Case, Message, User
from orders import moving
from orders import services as orders
from orders.models import LineFact, Order
from orders.quoting import Choices
from payments import calling_off, cancelling, casework, refunds, starting
from payments import moving as shopper_moves
from payments.calling_off import CannotCallOff
from payments.cancelling import Part
from payments.models import Payment, Refund, RefundBatch
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.bookings.lines import join
from tests.concurrency import results_of, run_at_once
from tests.factories import EntryFactory, ProductFactory, UserFactory, VoucherFactory, held_by_another
from tests.invariants import assert_books_balance
from tests.orders.acts import place_cart
from tests.payments.money import case, pay, pounds, sweep_money, went_back
from tests.payments.records import events_of, fresh, open_cases, taken

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)

PlaceOrder = Callable[..., Order]
Shop = Callable[..., Payment]


@pytest.fixture
def shop(fill_cart: Callable[..., tuple[Cart, str]], sumup: Simulator) -> Shop:
    """Order these things, with these choices at the checkout, and pay by card; the payment."""

    def order(*things: tuple[Product | Entry, int], user: User | None = None, **choices: Any) -> Payment:
        cart, token = fill_cart(*things, user=user)
        placed = place_cart(cart, token, user=user, chosen=Choices(**choices))
        return pay(starting.start(placed), sumup)

    return order


def call_off(entry: Entry, staff: User, move_to: Entry | None = None) -> RefundBatch:
    """Begin, and go through all orders."""
    batch = calling_off.begin(entry, by=staff, reason="The baker is away", move_to=move_to)
    assert calling_off.step(batch)
    return fresh(batch)


def asked(batch: RefundBatch) -> list[Decimal]:
    return sorted(batch.refunds.values_list("amount", flat=True))


def statuses(order: Order) -> list[str]:
    """Of its bookings, the oldest first."""
    return list(Booking.objects.filter(order_line__order=order).order_by("pk").values_list("status", flat=True))


def mails(order: Order, kind: str = "cancelled") -> int:
    return Message.objects.filter(kind=kind, subject_uuid=order.uuid).count()


# --- What becomes of orders -------------------------------------------------------------------------------------------


def test_claims_stop_at_once(workshop: Entry, staff: User) -> None:
    calling_off.begin(workshop, by=staff, reason="The baker is away")

    assert not fresh(workshop).is_on_sale


def test_an_order_of_places_and_goods_keeps_its_goods(
    shop: Shop, workshop: Entry, honey: Product, staff: User, sumup: Simulator
) -> None:
    payment = shop((honey, 1), (workshop, 2))

    batch = call_off(workshop, staff)

    assert fresh(payment.order).status == "confirmed"
    assert statuses(payment.order) == ["cancelled", "cancelled"]
    assert taken(workshop) == 0
    (refund,) = batch.refunds.all()
    assert (refund.amount, refund.status, refund.approved_at) == (pounds(70), "requested", None)
    assert (refund.reason, refund.requested_by, refund.line) == (
        "The baker is away",
        staff,
        payment.order.lines.get(kind="entry"),
    )
    assert LineFact.objects.get().quantity == 2
    assert mails(payment.order) == 1
    assert events_of(payment.order).count("entry_called_off") == 1
    assert batch.prepared_at is not None
    assert open_cases() == []


def test_an_order_of_nothing_else_is_cancelled_as_a_whole(shop: Shop, workshop: Entry, staff: User) -> None:
    payment = shop((workshop, 2))

    batch = call_off(workshop, staff)

    assert fresh(payment.order).status == "cancelled"
    assert asked(batch) == [pounds(70)]
    assert mails(payment.order) == 1


def test_nothing_is_kept_whatever_the_rule(shop: Shop, workshop: Entry, staff: User) -> None:
    workshop.calendar.cancel_hours, workshop.calendar.kept_percent = None, Decimal(100)
    workshop.calendar.save()
    shop((workshop, 1))

    assert asked(call_off(workshop, staff)) == [pounds(35)]


def test_what_was_saved_by_a_voucher_does_not_go_back(shop: Shop, workshop: Entry, honey: Product, staff: User) -> None:
    VoucherFactory(code="TEN", value=10)
    shop((honey, 1), (workshop, 2), voucher="TEN")

    assert asked(call_off(workshop, staff)) == [pounds(63)]


def test_what_was_called_off_before_does_not_go_back_again(
    shop: Shop, workshop: Entry, honey: Product, staff: User
) -> None:
    payment = shop((honey, 1), (workshop, 3))
    cancelling.cancel_parts([Part(payment.order.lines.get(kind="entry"), 1)], by=staff, reason="One is ill")

    batch = call_off(workshop, staff)

    assert asked(batch) == [pounds(70)]
    assert Refund.objects.count() == 2


def test_what_went_back_before_is_not_sent_twice(shop: Shop, workshop: Entry, staff: User) -> None:
    payment = shop((workshop, 1))
    refunds.request(payment, Wish(pounds(5), "Kindness", staff))

    assert asked(call_off(workshop, staff)) == [pounds(30)]
    assert open_cases() == []


def test_whoever_was_let_in_keeps_their_place(shop: Shop, workshop: Entry, staff: User) -> None:
    payment = shop((workshop, 2))
    Booking.objects.filter(pk=Booking.objects.earliest("pk").pk).update(status="attended")
    orders.record_fact(payment.order.lines.get(), LineFact.Kind.ATTENDED, 1, by=staff)

    batch = call_off(workshop, staff)

    assert statuses(payment.order) == ["attended", "cancelled"]
    assert asked(batch) == [pounds(35)]
    assert fresh(payment.order).status == "completed"


def test_what_was_missed_is_not_paid_back(shop: Shop, workshop: Entry, staff: User) -> None:
    payment = shop((workshop, 2))
    orders.record_fact(payment.order.lines.get(), LineFact.Kind.MISSED, 1, by=staff)

    assert asked(call_off(workshop, staff)) == [pounds(35)]


def test_cash_goes_back_by_hand_and_a_case_says_so(
    place_order: PlaceOrder, workshop: Entry, honey: Product, staff: User
) -> None:
    order = place_order((honey, 1), (workshop, 2))
    casework.take_cash(order, order.total, by=staff)

    batch = call_off(workshop, staff)

    assert asked(batch) == []
    assert (case(Case.Kind.OVERPAID).subject_uuid, case(Case.Kind.OVERPAID).at_stake) == (order.uuid, pounds(70))
    assert order.events.get(kind="entry_called_off").data["by_hand"] == "70.00"


def test_of_an_order_paid_both_ways_the_card_goes_first(
    place_order: PlaceOrder, workshop: Entry, honey: Product, staff: User, sumup: Simulator
) -> None:
    order = place_order((honey, 1), (workshop, 2))
    casework.take_cash(order, pounds("26.50"), by=staff)
    pay(starting.start(order), sumup)

    batch = call_off(workshop, staff)

    assert asked(batch) == [pounds(50)]
    assert case(Case.Kind.OVERPAID).at_stake == pounds(20)


def test_a_place_of_nothing_needs_no_refund(place_order: PlaceOrder, staff: User) -> None:
    talk = EntryFactory(price=0)
    order = place_order((talk, 2))

    batch = call_off(talk, staff)

    assert (asked(batch), fresh(order).status, open_cases()) == ([], "cancelled", [])


def test_places_that_were_moved_there_are_called_off_and_those_that_were_moved_away_are_not(
    shop: Shop, workshop: Entry, honey: Product, staff: User
) -> None:
    other = EntryFactory(price=35)
    here, away = shop((honey, 1), (other, 1)), shop((honey, 1), (workshop, 1))
    moving.move_in_place(list(Booking.objects.filter(entry=other)), workshop, by=None, cause="shopper")
    moving.move_in_place(list(Booking.objects.filter(order_line__order=away.order)), other, by=None, cause="shopper")

    batch = call_off(workshop, staff)

    assert [refund.order for refund in batch.refunds.all()] == [here.order]
    assert statuses(here.order) == ["moved", "cancelled"]
    assert statuses(away.order) == ["moved", "confirmed"]


def move_up(order: Order, to: Entry, sumup: Simulator) -> Order:
    """One of its places goes to a dearer date, and that is paid; the order that has it now."""
    agreed = shopper_moves.plan_for(fresh(order), 0, 1, to.pk).fingerprint
    _plan, dearer = shopper_moves.move_for_shopper(order, 0, 1, to.pk, agreed=agreed, by=None)
    assert dearer is not None
    return pay(starting.start(dearer), sumup).order


def dearer_date(workshop: Entry) -> Entry:
    """The same workshop a week later, for £50."""
    week = timedelta(days=7)
    same = {"title": workshop.title, "calendar": workshop.calendar}
    return EntryFactory(**same, starts_at=workshop.starts_at + week, price=Decimal("50.00"))


def test_what_another_order_counts_on_stays(shop: Shop, workshop: Entry, staff: User, sumup: Simulator) -> None:
    """Of £70, £20 went back for other reasons; the place that moved on is worth £35 of the rest."""
    order = shop((workshop, 2)).order
    dearer = move_up(order, dearer_date(workshop), sumup)
    refunds.request_from_order(order, Wish(pounds(20), "Sorry", staff))
    seen = calling_off.look_ahead(workshop)

    batch = call_off(workshop, staff)

    assert asked(batch) == [pounds(15)]
    assert seen.back == pounds(15)
    assert cancelling.plan_for(fresh(dearer), {0: 1}).back == pounds(50)


def test_an_order_whose_other_place_moved_on_is_over_but_not_cancelled(
    shop: Shop, workshop: Entry, staff: User, sumup: Simulator
) -> None:
    order = shop((workshop, 2)).order
    dearer = move_up(order, dearer_date(workshop), sumup)

    batch = call_off(workshop, staff)

    assert asked(batch) == [pounds(35)]
    assert (fresh(order).status, fresh(dearer).status) == ("completed", "confirmed")


def test_a_dearer_date_called_off_sends_both_orders_money_back(
    shop: Shop, workshop: Entry, staff: User, sumup: Simulator
) -> None:
    order = shop((workshop, 2)).order
    to = dearer_date(workshop)
    dearer = move_up(order, to, sumup)
    seen = calling_off.look_ahead(to)
    batch = calling_off.begin(to, by=staff, reason="Ill")

    with CaptureQueriesContext(connection) as queries:
        assert calling_off.step(batch)

    assert {(r.order_id, r.amount) for r in batch.refunds.all()} == {(dearer.pk, pounds(15)), (order.pk, pounds(35))}
    assert seen.back == pounds(50)
    assert_orders_come_before_holds([query["sql"] for query in queries])


def assert_orders_come_before_holds(said: list[str]) -> None:
    """The order that the place was paid with is held still before any hold is: as everywhere."""
    locked = [sql for sql in said if "FOR NO KEY UPDATE" in sql]
    before = next(n for n, sql in enumerate(locked) if 'FROM "orders_order"' in sql and "moving_to" in sql)
    assert before < next(n for n, sql in enumerate(locked) if "bookings_hold" in sql or "bookings_pool" in sql)


def test_other_entries_are_left_alone(shop: Shop, workshop: Entry, staff: User) -> None:
    other = shop((EntryFactory(), 1))

    batch = call_off(workshop, staff)

    assert (asked(batch), statuses(other.order), events_of(other.order).count("entry_called_off")) == (
        [],
        ["confirmed"],
        0,
    )


# --- Orders that are not paid -----------------------------------------------------------------------------------------


def test_an_unpaid_order_of_a_user_goes_back_to_their_basket_without_it(
    place_order: PlaceOrder, workshop: Entry, honey: Product, shopper: User, staff: User
) -> None:
    order = place_order((honey, 1), (workshop, 2), user=shopper)

    batch = call_off(workshop, staff)
    sweep_money()

    assert fresh(order).status == "cancelled"
    (item,) = CartItem.objects.filter(cart__user=shopper, cart__ordered_at=None)
    assert (item.product, item.quantity) == (honey, 1)
    assert taken(workshop) == 0
    assert (asked(batch), mails(order)) == ([], 1)


def test_an_unpaid_order_of_a_guest_ends_and_they_are_told(
    place_order: PlaceOrder, workshop: Entry, staff: User
) -> None:
    order = place_order((workshop, 2))

    call_off(workshop, staff)
    sweep_money()

    assert (fresh(order).status, taken(workshop), mails(order)) == ("cancelled", 0, 1)


def test_who_pays_all_the_same_gets_their_money_back_with_the_batch(
    payment: Payment, workshop: Entry, staff: User, sumup: Simulator
) -> None:
    batch = calling_off.begin(workshop, by=staff, reason="The baker is away")
    calling_off.step(batch)

    pay(payment, sumup)

    assert fresh(payment.order).status == "confirmed"
    assert statuses(payment.order) == []
    assert asked(batch) == [pounds(70)]
    assert case(Case.Kind.ENTRY_CANCELLED).at_stake == pounds(70)


def test_what_was_sold_at_the_very_moment_is_found_by_the_next_sweep(shop: Shop, workshop: Entry, staff: User) -> None:
    batch = call_off(workshop, staff)
    Entry.objects.filter(pk=workshop.pk).update(cancelled_at=None)
    payment = shop((fresh(workshop), 1))
    Entry.objects.filter(pk=workshop.pk).update(cancelled_at=timezone.now())

    calling_off.sweep()

    assert statuses(payment.order) == ["cancelled"]
    assert asked(batch) == [pounds(35)]


# --- Moved instead ----------------------------------------------------------------------------------------------------


def test_places_move_as_long_as_there_is_room_and_the_rest_gets_its_money_back(
    shop: Shop, workshop: Entry, staff: User
) -> None:
    other = EntryFactory(places=3)
    first, second, third = shop((workshop, 2)), shop((workshop, 2)), shop((workshop, 1))

    batch = call_off(workshop, staff, move_to=other)

    assert statuses(first.order) == ["moved", "moved", "confirmed", "confirmed"]
    assert statuses(second.order) == ["cancelled", "cancelled"]
    assert statuses(third.order) == ["moved", "confirmed"]
    assert (taken(workshop), taken(other)) == (0, 3)
    assert set(Booking.objects.filter(entry=other).values_list("free_until", flat=True)) == {other.starts_at}
    assert asked(batch) == [pounds(70)]
    assert [(mails(p.order, "moved"), mails(p.order)) for p in (first, second, third)] == [(1, 0), (0, 1), (1, 0)]


@pytest.mark.parametrize("shared", [False, True])
def test_places_that_others_wait_for_are_theirs_but_a_move_within_them_takes_none(
    shop: Shop, workshop: Entry, staff: User, *, shared: bool
) -> None:
    order = shop((workshop, 2)).order
    held_by_another(workshop, 8)
    other = EntryFactory(pool=workshop.pool) if shared else EntryFactory(places=3)
    rest = held_by_another(other, 3) if not shared else None
    ada = join(other, "ada")
    if rest is not None:
        capacity.give_back([rest.pk])  # a moment before it is offered to Ada

    call_off(workshop, staff, move_to=other)

    assert statuses(order) == (["moved", "moved", "confirmed", "confirmed"] if shared else ["cancelled", "cancelled"])
    assert fresh(ada).status == "waiting"


@pytest.mark.parametrize("wrong", ["price", "over", "called off", "itself", "archived"])
def test_places_go_nowhere_that_does_not_fit(workshop: Entry, staff: User, wrong: str) -> None:
    now = timezone.now()
    changes: dict[str, dict[str, Any]] = {
        "price": {"price": 36},
        "over": {"starts_at": now - timezone.timedelta(days=1), "ends_at": now},
        "called off": {"cancelled_at": now},
        "archived": {"archived_at": now},
    }
    other = workshop if wrong == "itself" else EntryFactory(**changes[wrong])

    with pytest.raises(CannotCallOff):
        calling_off.begin(workshop, by=staff, reason="The baker is away", move_to=other)

    assert fresh(workshop).cancelled_at is None
    assert not RefundBatch.objects.exists()


# --- Interrupted, twice, at once --------------------------------------------------------------------------------------


def test_it_is_called_off_once(workshop: Entry, staff: User) -> None:
    call_off(workshop, staff)

    with pytest.raises(CannotCallOff):
        calling_off.begin(workshop, by=staff, reason="Again")

    assert RefundBatch.objects.count() == 1


def test_whoever_goes_on_after_a_crash_does_nothing_twice(
    shop: Shop, workshop: Entry, honey: Product, staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought = [shop((honey, 1), (workshop, 1)) for _order in range(4)]
    batch = calling_off.begin(workshop, by=staff, reason="The baker is away")
    real, calls = refunds.request_from_order, []

    def die_at_the_third(order: Order, wish: Wish) -> list[Refund]:
        calls.append(order)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(order, wish)

    monkeypatch.setattr(refunds, "request_from_order", die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        calling_off.step(batch)
    assert (fresh(batch).prepared_at, len(asked(batch))) == (None, 2)
    assert_books_balance()
    monkeypatch.undo()

    calling_off.sweep()
    calling_off.sweep()

    assert fresh(batch).prepared_at is not None
    assert asked(batch) == [pounds(35)] * 4
    assert [(mails(p.order), events_of(p.order).count("entry_called_off")) for p in bought] == [(1, 1)] * 4


def test_an_order_that_cannot_be_put_right_delays_no_other(
    shop: Shop, workshop: Entry, staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = shop((workshop, 1)), shop((workshop, 1))
    batch = calling_off.begin(workshop, by=staff, reason="The baker is away")
    real = orders.cancel_confirmed

    def fail_for_the_first(order: Order, **more: Any) -> bool:
        if order.pk == first.order_id:
            raise RuntimeError("Something is wrong with it")
        return real(order, **more)

    monkeypatch.setattr(orders, "cancel_confirmed", fail_for_the_first)

    assert not calling_off.step(batch)

    assert (fresh(first.order).status, fresh(second.order).status) == ("confirmed", "cancelled")
    assert fresh(batch).prepared_at is None


def test_step_by_step_it_comes_to_an_end(shop: Shop, workshop: Entry, staff: User) -> None:
    for _order in range(3):
        shop((workshop, 1))
    batch = calling_off.begin(workshop, by=staff, reason="The baker is away")

    done = [calling_off.step(batch, most=1) for _turn in range(3)]

    assert done == [False, False, True]
    assert asked(batch) == [pounds(35)] * 3


@committed
def test_two_workers_at_once_do_it_once(shop: Shop, workshop: Entry, honey: Product, staff: User) -> None:
    bought = [shop((honey, 1), (workshop, 1)) for _order in range(5)]
    batch = calling_off.begin(workshop, by=staff, reason="The baker is away")

    results_of(run_at_once(*[lambda: calling_off.step(fresh(batch))] * 3))

    assert asked(batch) == [pounds(35)] * 5
    assert [(mails(p.order), statuses(p.order)) for p in bought] == [(1, ["cancelled"])] * 5
    assert [events_of(p.order).count("entry_called_off") for p in bought] == [1] * 5
    assert taken(workshop) == 0


@committed
def test_of_two_who_call_it_off_at_once_one_does(workshop: Entry, staff: User) -> None:
    begin = [lambda: calling_off.begin(fresh(workshop), by=staff, reason="The baker is away")] * 2

    outcomes = run_at_once(*begin)

    assert sorted(type(outcome.error).__name__ for outcome in outcomes) == ["CannotCallOff", "NoneType"]
    assert RefundBatch.objects.count() == 1


@committed
def test_a_shopper_who_cancels_at_the_same_moment_gets_their_money_once(
    shop: Shop, workshop: Entry, honey: Product, staff: User
) -> None:
    payment = shop((honey, 1), (workshop, 2))
    batch = calling_off.begin(workshop, by=staff, reason="The baker is away")
    line = payment.order.lines.get(kind="entry")

    run_at_once(
        lambda: calling_off.step(fresh(batch)),
        lambda: cancelling.cancel_parts([Part(line, 1)], by=staff, reason="One is ill"),
    )

    assert sum(Refund.objects.values_list("amount", flat=True)) == pounds(70)
    assert statuses(payment.order) == ["cancelled", "cancelled"]


# --- Approving --------------------------------------------------------------------------------------------------------


def test_approved_in_one_step_all_of_it_goes_back(
    shop: Shop, workshop: Entry, honey: Product, staff: User, sumup: Simulator
) -> None:
    bought = [shop((honey, 1), (workshop, 1)) for _order in range(3)]
    batch = call_off(workshop, staff)

    assert calling_off.approve(batch, by=staff) == 3
    sweep_money()

    assert [went_back(sumup, payment) for payment in bought] == [[pounds(35)]] * 3
    assert calling_off.progress_of(batch).done == calling_off.Heap(3, pounds(105))
    assert (fresh(batch).approved_by, fresh(batch).approved_at is not None) == (staff, True)
    assert all(refund.approved_by == staff for refund in Refund.objects.all())
    assert all(events_of(payment.order).count("refund_approved") == 1 for payment in bought)


def test_nothing_is_approved_before_all_is_prepared(shop: Shop, workshop: Entry, staff: User) -> None:
    for _order in range(2):
        shop((workshop, 1))
    batch = calling_off.begin(workshop, by=staff, reason="The baker is away")
    calling_off.step(batch, most=1)

    with pytest.raises(CannotCallOff):
        calling_off.approve(batch, by=staff)

    assert not Refund.objects.exclude(approved_at=None).exists()


def test_approving_again_approves_only_what_came_on_top(
    shop: Shop, workshop: Entry, staff: User, payment: Payment, sumup: Simulator
) -> None:
    shop((workshop, 1))
    batch = call_off(workshop, staff)
    other = UserFactory()

    assert calling_off.approve(batch, by=staff) == 1
    assert calling_off.approve(batch, by=other) == 0
    pay(payment, sumup)  # who was about to pay when it was called off
    assert calling_off.progress_of(batch).waiting.count == 1
    assert calling_off.approve(batch, by=other) == 1

    assert (fresh(batch).approved_by, Refund.objects.latest("pk").approved_by) == (staff, other)


def test_what_was_turned_down_is_not_approved_with_the_rest(shop: Shop, workshop: Entry, staff: User) -> None:
    shop((workshop, 1))
    batch = call_off(workshop, staff)
    refunds.turn_down(batch.refunds.get(), by=staff, note="They were paid in kind")

    assert calling_off.approve(batch, by=staff) == 0

    assert calling_off.progress_of(batch).failed.count == 1


@committed
def test_of_two_who_approve_at_once_one_does(shop: Shop, workshop: Entry, staff: User) -> None:
    for _order in range(3):
        shop((workshop, 1))
    batch = call_off(workshop, staff)

    approved = results_of(run_at_once(*[lambda: calling_off.approve(batch, by=staff)] * 2))

    assert sorted(approved) == [0, 3]


def test_one_that_failed_and_was_sent_again_counts_once(
    shop: Shop, workshop: Entry, staff: User, sumup: Simulator
) -> None:
    shop((workshop, 1))
    batch = call_off(workshop, staff)
    calling_off.approve(batch, by=staff)
    sumup.behave(refund="422")
    sweep_money()
    assert calling_off.progress_of(batch).failed.count == 1
    sumup.behave(refund="201")

    refunds.retry(batch.refunds.get(), by=staff, note="SumUp is well again")
    sweep_money()

    progress = calling_off.progress_of(batch)
    assert (progress.all.count, progress.done) == (1, calling_off.Heap(1, pounds(35)))


# --- Looking ahead ----------------------------------------------------------------------------------------------------


def test_what_it_comes_to_is_known_before_to_the_penny(
    shop: Shop, place_order: PlaceOrder, fill_cart: Callable[..., tuple[Cart, str]], workshop: Entry, staff: User
) -> None:
    VoucherFactory(code="TEN", value=10)
    shop((ProductFactory(price="6.50"), 1), (workshop, 2), voucher="TEN")
    cash = place_order((workshop, 1))
    casework.take_cash(cash, cash.total, by=staff)
    place_order((workshop, 1))
    fill_cart((workshop, 1))

    ahead = calling_off.look_ahead(workshop)
    batch = call_off(workshop, staff)

    assert (ahead.orders, ahead.places, ahead.unpaid, ahead.baskets, ahead.waiting) == (2, 3, 1, 1, 0)
    assert (ahead.by_card, ahead.by_hand) == (pounds(63), pounds(35))
    assert sum(asked(batch)) == ahead.by_card
    assert case(Case.Kind.OVERPAID).at_stake == ahead.by_hand
