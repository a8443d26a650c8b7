"""Calling off what was sold, and the money that goes back for it: both or neither."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bookings.models import Booking, Entry, Pool
from cart.models import Cart, Product
from cartsite.models import Case, Message, User
from cartsite.refusals import Conflict
from orders import moving
from orders import services as orders
from orders.handover import Address
from orders.models import LineFact, Order, OrderLine
from orders.quoting import Choices
from orders.worth import Some
from payments import cancelling, casework, events, ledger, refunds, releasing, starting
from payments.cancelling import CannotCancel, Part, Plan
from payments.models import Payment, Refund
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.concurrency import results_of, run_at_once
from tests.factories import (
    CollectionSlotFactory,
    DeliveryZoneFactory,
    EntryFactory,
    ProductFactory,
    VoucherFactory,
)
from tests.orders.acts import place_cart
from tests.payments.money import (
    ask_back,
    balances,
    case,
    pay,
    pay_a_part,
    posts,
    pounds,
    show_all,
    sweep_money,
    went_back,
)
from tests.payments.records import Later, fresh, open_cases, taken
from tests.payments.wire import Wire

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]
committed = pytest.mark.django_db(transaction=True)  # for tests in which others look on, or act at once

PlaceOrder = Callable[..., Order]
Shop = Callable[..., Payment]
ADDRESS = Address("1 Quay Street", "Bristol", "BS1 3AB")


@pytest.fixture
def jars(db: None) -> Product:
    """Ten jars, and no more."""
    return ProductFactory(title="Jam", price=Decimal("4.00"), stock=10)


@pytest.fixture
def shop(fill_cart: Callable[..., tuple[Cart, str]], sumup: Simulator) -> Shop:
    """Order these things, with these choices at the checkout, and pay; the payment."""

    def order(*things: tuple[Product | Entry, int], **choices: Any) -> Payment:
        cart, token = fill_cart(*things)
        return pay(starting.start(place_cart(cart, token, chosen=Choices(**choices))), sumup)

    return order


@pytest.fixture
def paid(place_order: PlaceOrder, jars: Product, workshop: Entry, sumup: Simulator) -> Payment:
    """Three jars and two places, paid: £82."""
    return pay(starting.start(place_order((jars, 3), (workshop, 2))), sumup)


def stock(product: Product) -> int:
    """How many of it are taken."""
    return Pool.objects.get(pk=product.pool_id).taken


def part(payment: Payment, kind: str, quantity: int) -> Part:
    return Part(payment.order.lines.get(kind=kind), quantity)


def standing(order: Order) -> tuple[Any, ...]:
    """All that calling off may move."""
    facts = LineFact.objects.filter(line__order=order).count()
    pools = list(Pool.objects.order_by("pk").values_list("taken", flat=True))
    bookings = list(Booking.objects.order_by("pk").values_list("status", flat=True))
    return fresh(order).status, facts, pools, bookings, Refund.objects.count(), order.events.count(), open_cases()


# --- A whole order ----------------------------------------------------------------------------------------------------


def test_a_whole_order_called_off_frees_everything_and_asks_for_its_money(
    paid: Payment, staff: User, jars: Product, workshop: Entry, sumup: Simulator
) -> None:
    (refund,) = cancelling.cancel_order(paid.order, by=staff, reason="The stall is ill")

    assert fresh(paid.order).status == "cancelled"
    assert (stock(jars), taken(workshop)) == (0, 0)
    assert set(Booking.objects.values_list("status", flat=True)) == {"cancelled"}
    assert (refund.amount, refund.status, refund.approved_at) == (pounds(82), "requested", None)
    assert (refund.reason, refund.requested_by) == ("The stall is ill", staff)
    assert posts(sumup) == 0

    refunds.approve(refund, by=staff)
    sweep_money()
    assert went_back(sumup, paid) == [pounds(82)]
    assert ledger.money_of(paid.order).net == 0
    assert open_cases() == []


def test_if_its_money_cannot_be_asked_for_an_order_is_not_called_off(
    paid: Payment, staff: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = standing(paid.order)

    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("The process dies here")

    monkeypatch.setattr(refunds, "request_from_order", fail)

    with pytest.raises(RuntimeError):
        cancelling.cancel_order(paid.order, by=staff, reason="The stall is ill")

    assert standing(paid.order) == before


def test_what_is_left_goes_back_when_a_part_has_gone_before(paid: Payment, staff: User) -> None:
    ask_back(paid, "12.00", staff)
    sweep_money()

    (refund,) = cancelling.cancel_order(paid.order, by=staff, reason="The stall is ill")

    assert refund.amount == pounds(70)


def test_cash_goes_back_by_hand_and_a_case_says_so(
    place_order: PlaceOrder, jars: Product, staff: User, sumup: Simulator
) -> None:
    order = place_order((jars, 3))
    casework.take_cash(order, Decimal(12), by=staff)

    assert cancelling.cancel_order(order, by=staff, reason="The stall is ill") == []

    told = case(Case.Kind.OVERPAID)
    assert (told.subject_uuid, told.at_stake) == (order.uuid, pounds(12))
    casework.give_by_hand(told, Decimal(12), by=staff, note="At the stall")
    assert open_cases() == []
    assert ledger.money_of(order).net == 0


def test_giving_the_cash_of_a_cancelled_order_back_ends_the_case_about_it(
    place_order: PlaceOrder, jars: Product, staff: User
) -> None:
    """Not through the case, but as any money is given back by hand."""
    order = place_order((jars, 3))
    casework.take_cash(order, Decimal(12), by=staff)
    cancelling.cancel_order(order, by=staff, reason="The stall is ill")

    refunds.give_by_hand(order, Wish(Decimal(12), "At the stall", staff))

    assert open_cases() == []


def test_an_order_of_nothing_is_called_off_without_any_refund(place_order: PlaceOrder, staff: User) -> None:
    order = place_order((EntryFactory(price=0), 1))

    assert cancelling.cancel_order(order, by=staff, reason="The stall is ill") == []

    assert fresh(order).status == "cancelled"
    assert open_cases() == []


def test_what_was_handed_out_in_part_is_not_called_off_as_a_whole(paid: Payment, staff: User) -> None:
    orders.record_fact(paid.order.lines.get(kind="product"), LineFact.Kind.COLLECTED, 1, by=staff)
    before = standing(paid.order)

    with pytest.raises(CannotCancel):
        cancelling.cancel_order(paid.order, by=staff, reason="The stall is ill")

    assert standing(paid.order) == before


def test_what_staff_call_off_in_parts_is_told_by_one_mail_each_time(paid: Payment, staff: User) -> None:
    cancelling.cancel_parts([part(paid, "product", 1), part(paid, "entry", 1)], by=staff, reason="It is broken")
    cancelling.cancel_parts([part(paid, "product", 1)], by=staff, reason="That one too")

    assert Message.objects.filter(kind="cancelled", subject_uuid=paid.order.uuid).count() == 2


def test_what_was_called_off_in_part_is_called_off_as_a_whole(paid: Payment, staff: User) -> None:
    """Nothing of it was collected or attended, so nothing speaks against it."""
    cancelling.cancel_parts([part(paid, "product", 1)], by=staff, reason="One is broken")

    (refund,) = cancelling.cancel_order(paid.order, by=staff, reason="The stall is ill")

    assert refund.amount == pounds(78)
    assert fresh(paid.order).status == "cancelled"


def test_an_unpaid_order_is_not_called_off_this_way(order: Order, staff: User) -> None:
    before = standing(order)

    with pytest.raises(CannotCancel):
        cancelling.cancel_order(order, by=staff, reason="The stall is ill")

    assert standing(order) == before


@committed
def test_of_eight_who_call_an_order_off_at_once_one_does(paid: Payment, staff: User) -> None:
    outcomes = run_at_once(*[lambda: cancelling.cancel_order(paid.order, by=staff, reason="Ill")] * 8)

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert all(isinstance(outcome.error, CannotCancel | None) for outcome in outcomes)
    assert Refund.objects.get().amount == pounds(82)


# --- Some of its lines ------------------------------------------------------------------------------------------------


def test_goods_called_off_are_on_sale_again_and_their_price_goes_back(
    paid: Payment, staff: User, jars: Product, sumup: Simulator
) -> None:
    (refund,) = cancelling.cancel_parts([part(paid, "product", 2)], by=staff, reason="Two are broken")

    line = paid.order.lines.get(kind="product")
    assert (refund.line, refund.amount, refund.status) == (line, pounds(8), "requested")
    assert stock(jars) == 1
    assert line.facts.get().kind == "cancelled"
    assert fresh(paid.order).status == "confirmed"

    refunds.approve(refund, by=staff)
    sweep_money()
    assert went_back(sumup, paid) == [pounds(8)]
    assert balances(paid)[line.stall.name] == pounds(4)


def test_places_called_off_are_free_again_and_their_bookings_cancelled(
    paid: Payment, staff: User, workshop: Entry
) -> None:
    (refund,) = cancelling.cancel_parts([part(paid, "entry", 1)], by=staff, reason="One of them is ill")

    assert refund.amount == pounds(35)
    assert taken(workshop) == 1
    assert sorted(Booking.objects.values_list("status", flat=True)) == ["cancelled", "confirmed"]


def test_once_every_line_is_called_off_the_order_is_over(
    paid: Payment, staff: User, jars: Product, workshop: Entry
) -> None:
    asked = cancelling.cancel_parts([part(paid, "product", 3), part(paid, "entry", 2)], by=staff, reason="All of it")

    assert [refund.amount for refund in asked] == [pounds(12), pounds(70)]
    assert fresh(paid.order).status == "completed"
    assert (stock(jars), taken(workshop)) == (0, 0)
    assert ledger.money_of(paid.order).net == 0


def test_more_than_there_is_cannot_be_called_off_and_nothing_moves(paid: Payment, staff: User) -> None:
    before = standing(paid.order)

    with pytest.raises(CannotCancel):
        cancelling.cancel_parts([part(paid, "entry", 1), part(paid, "product", 4)], by=staff, reason="All of it")

    assert standing(paid.order) == before


def test_what_was_handed_out_cannot_be_called_off(paid: Payment, staff: User) -> None:
    orders.record_fact(paid.order.lines.get(kind="product"), LineFact.Kind.COLLECTED, 2, by=staff)

    with pytest.raises(CannotCancel):
        cancelling.cancel_parts([part(paid, "product", 2)], by=staff, reason="Broken")

    assert not Refund.objects.exists()


def test_what_is_called_off_gives_back_no_more_than_is_left(paid: Payment, staff: User) -> None:
    """Most of the money went back before, as an amount; now the jars are called off as well."""
    ask_back(paid, "80.00", staff)

    (refund,) = cancelling.cancel_parts([part(paid, "product", 1)], by=staff, reason="Broken")

    assert refund.amount == pounds(2)


def test_what_was_paid_by_hand_is_called_off_with_a_case(order: Order, staff: User) -> None:
    casework.take_cash(order, order.total, by=staff)
    line = order.lines.get(kind="product")

    asked = cancelling.cancel_parts([Part(line, 1)], by=staff, reason="Broken")

    assert (asked, open_cases()) == ([], ["overpaid"])


@committed
def test_of_eight_who_call_the_same_places_off_at_once_one_does(paid: Payment, staff: User, workshop: Entry) -> None:
    places = part(paid, "entry", 2)

    outcomes = run_at_once(*[lambda: cancelling.cancel_parts([places], by=staff, reason="Ill")] * 8)

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert Refund.objects.get().amount == pounds(70)
    assert taken(workshop) == 0


@committed
def test_orders_whose_lines_are_called_off_in_any_sequence_never_block_each_other(
    place_order: PlaceOrder, staff: User
) -> None:
    jam, honey = ProductFactory(price=0, stock=40), ProductFactory(price=0, stock=40)
    both = [place_order((jam, 1), (honey, 1)) for _turn in range(16)]

    def call_off(order: Order, step: int) -> Callable[[], Any]:
        parts = [Part(line, 1) for line in order.lines.order_by("position")][::step]
        return lambda: cancelling.cancel_parts(parts, by=staff, reason="The stall is ill")

    results_of(run_at_once(*[call_off(order, -1 if turn % 2 else 1) for turn, order in enumerate(both)]))

    assert (stock(jam), stock(honey)) == (0, 0)


def test_staff_give_back_what_was_paid_after_the_discount(shop: Shop, jars: Product, staff: User) -> None:
    """Three jars at £4.00 with 10 % off came to £10.80."""
    payment = shop((jars, 3), voucher=VoucherFactory().code)

    one = cancelling.cancel_parts([part(payment, "product", 1)], by=staff, reason="Broken")
    two = cancelling.cancel_parts([part(payment, "product", 2)], by=staff, reason="Broken too")

    assert [refund.amount for refund in one + two] == [pounds("3.60"), pounds("7.20")]
    assert ledger.money_of(payment.order).net == 0


def test_staff_keep_nothing_whatever_the_rule_says(paid: Payment, staff: User) -> None:
    OrderLine.objects.update(kept_percent=50, cancel_until=None)

    (refund,) = cancelling.cancel_parts([part(paid, "entry", 1)], by=staff, reason="Ill")

    assert (refund.amount, refund.approved_at) == (pounds(35), None)


def test_staff_give_delivery_back_with_the_last_of_the_goods(
    shop: Shop, jars: Product, workshop: Entry, staff: User
) -> None:
    DeliveryZoneFactory(fee=Decimal("3.50"))
    order = shop((jars, 3), (workshop, 2), handover="delivery", address=ADDRESS).order
    goods, places = order.lines.get(kind="product"), order.lines.get(kind="entry")

    asked = [
        cancelling.cancel_parts([Part(line, quantity)], by=staff, reason="Not to be had.")
        for line, quantity in [(goods, 2), (goods, 1), (places, 1)]
    ]

    assert [[refund.amount for refund in each] for each in asked] == [[8], [4, Decimal("3.50")], [35]]
    assert asked[1][1].line == order.lines.get(kind="fee")


def test_all_that_must_go_back_by_hand_is_one_case_with_its_sum(order: Order, staff: User) -> None:
    casework.take_cash(order, order.total, by=staff)
    parts = [Part(order.lines.get(kind="product"), 1), Part(order.lines.get(kind="entry"), 1)]

    cancelling.cancel_parts(parts, by=staff, reason="Ill")

    assert case(Case.Kind.OVERPAID).at_stake == pounds("41.50")


def test_what_must_go_back_by_hand_another_time_is_added_to_the_case(order: Order, staff: User) -> None:
    casework.take_cash(order, order.total, by=staff)

    for kind in ("product", "entry"):
        cancelling.cancel_parts([Part(order.lines.get(kind=kind), 1)], by=staff, reason="Ill")

    assert case(Case.Kind.OVERPAID).at_stake == pounds("41.50")
    assert case(Case.Kind.OVERPAID).what_happened.count(order.number) == 2


def test_the_case_stands_until_the_money_has_gone_back_by_hand(order: Order, staff: User) -> None:
    """Nothing has moved yet, so the sum is that of the order as it was placed: but not of what is left of it."""
    casework.take_cash(order, order.total, by=staff)
    cancelling.cancel_parts([Part(order.lines.get(kind="entry"), 1)], by=staff, reason="Ill")

    events.settle_what_is_over(orders.lock(order.pk))

    assert open_cases() == ["overpaid"]


def test_what_nobody_fetches_any_more_frees_its_place_at_the_collection(shop: Shop, jars: Product, staff: User) -> None:
    slot = CollectionSlotFactory(orders=1)
    payment = shop((jars, 3), handover=str(slot.uuid))

    cancelling.cancel_parts([part(payment, "product", 2)], by=staff, reason="Broken")
    assert Pool.objects.get(pk=slot.pool_id).taken == 1
    cancelling.cancel_parts([part(payment, "product", 1)], by=staff, reason="Broken too")

    assert Pool.objects.get(pk=slot.pool_id).taken == 0


# --- By the shopper ---------------------------------------------------------------------------------------------------


def wanted(order: Order, **quantities: int) -> dict[cancelling.Key, Some]:
    """So many of the lines of a kind, by their positions."""
    return {order.lines.get(kind=kind).position: quantity for kind, quantity in quantities.items()}


def cancel(order: Order, by: User | None = None, **quantities: int) -> Plan:
    """Look at what it comes to, and say yes."""
    return cancel_these(order, wanted(order, **quantities), by)


def cancel_these(order: Order, chosen: Mapping[cancelling.Key, Some], by: User | None = None) -> Plan:
    """Look at what these come to, and say yes."""
    order = fresh(order)
    agreed = cancelling.plan_for(order, chosen).fingerprint
    return cancelling.cancel_for_shopper(order, chosen, agreed=agreed, by=by)


def test_a_shopper_gets_the_money_for_some_of_it_back_without_anybody_approving(
    paid: Payment, sumup: Simulator, workshop: Entry
) -> None:
    plan = cancel(paid.order, entry=1)

    refund = Refund.objects.get()
    assert (plan.back, plan.kept, plan.is_whole, plan.by_card) == (pounds(35), 0, False, True)
    assert (refund.amount, refund.line, refund.requested_by, refund.approved_by) == (
        pounds(35),
        paid.order.lines.get(kind="entry"),
        None,
        None,
    )
    assert refund.approved_at is not None
    assert (fresh(paid.order).status, taken(workshop)) == ("confirmed", 1)
    sweep_money()
    assert went_back(sumup, paid) == [pounds(35)]


def test_a_whole_order_cancelled_by_its_shopper_goes_back_in_one_sum(
    paid: Payment, jars: Product, workshop: Entry, shopper: User
) -> None:
    plan = cancel(paid.order, shopper, product=3, entry=2)

    assert plan.is_whole
    assert fresh(paid.order).status == "cancelled"
    assert (stock(jars), taken(workshop)) == (0, 0)
    assert set(Booking.objects.values_list("status", flat=True)) == {"cancelled"}
    assert [refund.amount for refund in Refund.objects.all()] == [pounds(82)]
    assert ledger.money_of(paid.order).net == 0


def test_what_the_rule_keeps_is_kept_rounded_half_up(paid: Payment) -> None:
    """12.5 % of £35.00 is £4.375."""
    OrderLine.objects.filter(kind="entry").update(kept_percent=Decimal("12.50"))

    plan = cancel(paid.order, entry=1)

    assert (plan.kept, plan.back) == (pounds("4.38"), pounds("30.62"))
    assert Refund.objects.get().amount == pounds("30.62")


@pytest.mark.parametrize("portions", [(3,), (1, 1, 1), (2, 1), (1, 2)])
def test_in_whatever_portions_the_same_is_kept(shop: Shop, portions: tuple[int, ...]) -> None:
    """Three at £3.33 with 10 % off came to £8.99; an eighth of that is kept."""
    payment = shop((ProductFactory(price=Decimal("3.33")), 3), voucher=VoucherFactory().code)
    OrderLine.objects.filter(kind="product").update(kept_percent=Decimal("12.50"))

    for portion in portions:
        cancel(payment.order, product=portion)

    paid_for_them = payment.order.total
    kept = (paid_for_them * Decimal("0.125")).quantize(Decimal("0.01"))
    assert ledger.money_of(payment.order).net == kept
    assert ledger.money_of(payment.order).promised == paid_for_them - kept


@pytest.mark.parametrize("portions", [[{1}, {2}, {3}], [{3}, {1}, {2}], [{2}, {1, 3}], [{2, 3}, {1}], [{1, 2, 3}]])
def test_whichever_places_go_first_together_they_cost_exactly_what_was_paid(
    shop: Shop, portions: list[set[int]]
) -> None:
    payment = shop((EntryFactory(price=Decimal("3.33")), 3), voucher=VoucherFactory().code)
    OrderLine.objects.filter(kind="entry").update(kept_percent=Decimal("12.50"))
    first_issued = dict(zip((3, 2, 1), Booking.objects.order_by("pk"), strict=True))

    for gone, portion in enumerate(portions, start=1):
        cancel_these(payment.order, {0: portion})
        called_off = {first_issued[number] for chosen in portions[:gone] for number in chosen}
        assert set(Booking.objects.filter(status="cancelled")) == called_off

    kept = (payment.order.total * Decimal("0.125")).quantize(Decimal("0.01"))
    assert ledger.money_of(payment.order).net == kept


def test_where_everything_is_kept_it_is_called_off_without_a_refund(paid: Payment, workshop: Entry) -> None:
    OrderLine.objects.filter(kind="entry").update(kept_percent=100)

    plan = cancel(paid.order, entry=2)

    assert (plan.back, plan.kept) == (0, pounds(70))
    assert (Refund.objects.count(), taken(workshop), open_cases()) == (0, 0, [])


def test_delivery_goes_back_with_the_last_of_the_goods(shop: Shop, jars: Product, workshop: Entry) -> None:
    DeliveryZoneFactory(fee=Decimal("3.50"))
    payment = shop((jars, 3), (workshop, 2), handover="delivery", address=ADDRESS)

    first = cancel(payment.order, product=2)
    last = cancel(payment.order, product=1)

    assert [plan.back for plan in (first, last)] == [pounds(8), pounds("7.50")]
    assert [promise.line.kind for promise in last.promises] == ["product", "fee"]
    assert fresh(payment.order).status == "confirmed"


def test_delivery_goes_back_only_once(shop: Shop, jars: Product, workshop: Entry) -> None:
    DeliveryZoneFactory(fee=Decimal("3.50"))
    payment = shop((jars, 3), (workshop, 2), handover="delivery", address=ADDRESS)
    cancel(payment.order, product=3)

    cancel(payment.order, entry=2)

    assert ledger.money_of(payment.order).net == 0
    assert ledger.money_of(payment.order).promised == payment.order.total


def test_delivery_does_not_go_back_while_something_was_delivered(shop: Shop, jars: Product, staff: User) -> None:
    DeliveryZoneFactory(fee=Decimal("3.50"))
    payment = shop((jars, 3), handover="delivery", address=ADDRESS)
    orders.record_fact(payment.order.lines.get(kind="product"), LineFact.Kind.COLLECTED, 1, by=staff)

    plan = cancel(payment.order, product=2)

    assert plan.back == pounds(8)
    assert fresh(payment.order).status == "completed"


def test_a_whole_order_with_everything_in_it_gives_all_of_its_money_back(
    shop: Shop, jars: Product, workshop: Entry
) -> None:
    DeliveryZoneFactory(fee=Decimal("3.50"))
    voucher = VoucherFactory(uses=1)
    payment = shop((jars, 3), (workshop, 2), handover="delivery", address=ADDRESS, voucher=voucher.code)

    plan = cancel(payment.order, product=3, entry=2)

    assert (plan.back, plan.kept) == (payment.order.total, 0)
    assert fresh(payment.order).status == "cancelled"
    assert Pool.objects.get(pk=voucher.pool_id).taken == 0
    assert ledger.money_of(payment.order).net == 0


def test_once_the_rest_was_collected_cancelling_completes_the_order(paid: Payment, staff: User) -> None:
    orders.collect_rest(paid.order.lines.get(kind="product"), by=staff)

    plan = cancel(paid.order, entry=2)

    assert not plan.is_whole
    assert fresh(paid.order).status == "completed"


def test_too_late_is_too_late_even_if_the_page_was_shown_in_time(paid: Payment, later: Later) -> None:
    order = fresh(paid.order)
    chosen = wanted(order, entry=1)
    agreed = cancelling.plan_for(order, chosen).fingerprint
    before = standing(order)
    later(days=5, seconds=1)  # the workshop is in a week, and may be cancelled until two days before

    with pytest.raises(CannotCancel):
        cancelling.cancel_for_shopper(order, chosen, agreed=agreed, by=None)

    assert standing(order) == before


@pytest.mark.parametrize("until", [None, "2020-01-01T00:00:00Z"])
def test_what_the_rules_forbid_is_not_offered(paid: Payment, until: str | None) -> None:
    OrderLine.objects.filter(kind="entry").update(cancel_until=until)

    offers = cancelling.offers_for(paid.order)

    assert [offer.line.kind for offer in offers] == ["product"]
    with pytest.raises(CannotCancel):
        cancelling.plan_for(paid.order, wanted(paid.order, entry=1))


def test_an_entry_that_was_called_off_is_not_offered_its_money_goes_back_anyway(paid: Payment, workshop: Entry) -> None:
    Entry.objects.filter(pk=workshop.pk).update(cancelled_at=timezone.now())

    assert [offer.line.kind for offer in cancelling.offers_for(paid.order)] == ["product"]


@pytest.mark.parametrize("status", ["awaiting_payment", "expired", "cancelled", "completed"])
def test_only_a_confirmed_order_is_cancelled_this_way(order: Order, status: str) -> None:
    Order.objects.filter(pk=order.pk).update(status=status)

    assert cancelling.offers_for(fresh(order)) == []
    Order.objects.filter(pk=order.pk).update(status="awaiting_payment")


@pytest.mark.parametrize("chosen", [{}, {0: 0}, {0: 4}, {0: -1}, {1: 3}, {1: {3}}, {1: {0, 1}}, {7: {1}}, {0: 1, 7: 1}])
def test_a_made_up_choice_moves_nothing(paid: Payment, chosen: dict[cancelling.Key, Some]) -> None:
    before = standing(paid.order)

    with pytest.raises(CannotCancel):
        cancelling.cancel_for_shopper(paid.order, chosen, agreed="", by=None)

    assert standing(paid.order) == before


def test_places_at_several_entries_are_called_off_where_they_are(paid: Payment, workshop: Entry, staff: User) -> None:
    """Of a line of two places one was moved: each is offered, and goes, by itself."""
    line = paid.order.lines.get(kind="entry")
    to = EntryFactory(
        title=workshop.title, calendar=workshop.calendar, starts_at=workshop.starts_at + timedelta(days=7)
    )
    moving.move_in_place([line.bookings.earliest("pk")], to, by=None, cause="shopper")
    here: cancelling.Key = line.position
    there = (line.position, to.pk)
    places = [offer for offer in cancelling.offers_for(fresh(paid.order)) if offer.line == line]
    assert [(offer.key, offer.entry, offer.open) for offer in places] == [(here, workshop, 1), (there, to, 1)]

    seen = cancelling.plan_for(fresh(paid.order), {there: 1})
    cancelling.cancel_for_shopper(paid.order, {there: 1}, agreed=seen.fingerprint, by=None)

    assert (taken(workshop), taken(to)) == (1, 0)
    with pytest.raises(CannotCancel):
        cancelling.plan_for(fresh(paid.order), {there: 1})
    both = {here: 2}
    with pytest.raises(CannotCancel):
        cancelling.plan_for(fresh(paid.order), both)
    cancelling.cancel_parts([Part(line, 1)], by=staff, reason="Ill")
    assert (taken(workshop), taken(to)) == (0, 0)
    assert sum(Refund.objects.values_list("amount", flat=True)) == line.total


def test_a_fee_or_a_discount_is_never_cancelled_by_itself(shop: Shop, jars: Product) -> None:
    DeliveryZoneFactory(fee=Decimal("3.50"))
    payment = shop((jars, 3), handover="delivery", address=ADDRESS, voucher=VoucherFactory().code)

    for line in payment.order.lines.exclude(kind="product"):
        with pytest.raises(CannotCancel):
            cancelling.plan_for(payment.order, {line.position: 1})


def test_saying_yes_twice_gives_money_back_once(paid: Payment) -> None:
    chosen = wanted(paid.order, entry=1)
    agreed = cancelling.plan_for(paid.order, chosen).fingerprint
    cancelling.cancel_for_shopper(paid.order, chosen, agreed=agreed, by=None)
    after = standing(paid.order)

    with pytest.raises(Conflict):
        cancelling.cancel_for_shopper(paid.order, chosen, agreed=agreed, by=None)

    assert standing(paid.order) == after


def test_if_the_sum_changed_meanwhile_the_shopper_looks_again(paid: Payment, staff: User) -> None:
    chosen = wanted(paid.order, product=3, entry=2)
    agreed = cancelling.plan_for(paid.order, chosen).fingerprint
    ask_back(paid, "10.00", staff)
    before = standing(paid.order)

    with pytest.raises(Conflict):
        cancelling.cancel_for_shopper(paid.order, chosen, agreed=agreed, by=None)

    assert standing(paid.order) == before
    assert cancelling.plan_for(paid.order, chosen).back == pounds(72)


def test_what_came_by_hand_becomes_a_case_and_the_plan_says_so(order: Order, staff: User) -> None:
    casework.take_cash(order, order.total, by=staff)

    plan = cancel(order, product=1, entry=2)

    assert not plan.by_card
    assert (Refund.objects.count(), open_cases()) == (0, ["overpaid"])
    assert case(Case.Kind.OVERPAID).at_stake == order.total
    assert fresh(order).status == "cancelled"


def test_free_places_are_given_back_without_money(place_order: PlaceOrder) -> None:
    order = place_order((EntryFactory(price=0), 2))

    plan = cancel(order, entry=2)

    assert (plan.back, fresh(order).status, open_cases()) == (0, "cancelled", [])


def test_the_shopper_is_owed_one_mail_for_each_time(paid: Payment) -> None:
    cancel(paid.order, entry=1)
    cancel(paid.order, product=1)

    assert Message.objects.filter(kind="cancelled").count() == 2


def test_a_crash_while_the_money_is_asked_for_leaves_all_as_it_was(
    paid: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = standing(paid.order)

    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("The process dies here")

    monkeypatch.setattr(refunds, "approve", fail)
    with pytest.raises(RuntimeError):
        cancel(paid.order, entry=1)

    assert standing(paid.order) == before


@committed
def test_of_eight_tabs_that_say_yes_at_once_one_does(paid: Payment, workshop: Entry) -> None:
    chosen = wanted(paid.order, entry=1)
    agreed = cancelling.plan_for(paid.order, chosen).fingerprint

    outcomes = run_at_once(
        *[lambda: cancelling.cancel_for_shopper(fresh(paid.order), chosen, agreed=agreed, by=None)] * 8
    )

    assert sum(outcome.error is None for outcome in outcomes) == 1
    assert all(isinstance(outcome.error, CannotCancel | Conflict | None) for outcome in outcomes)
    assert Refund.objects.get().amount == pounds(35)
    assert taken(workshop) == 1


@committed
@pytest.mark.parametrize("rival", ["staff", "door", "counter"])
def test_shopper_and_somebody_else_at_once_never_count_the_same_thing_twice(
    paid: Payment, staff: User, rival: str
) -> None:
    chosen = wanted(paid.order, product=3, entry=2)
    agreed = cancelling.plan_for(paid.order, chosen).fingerprint
    lines = {line.kind: line for line in paid.order.lines.all()}
    does: dict[str, Callable[[], Any]] = {
        "staff": lambda: cancelling.cancel_order(paid.order, by=staff, reason="Ill"),
        "door": lambda: orders.record_fact(lines["entry"], LineFact.Kind.ATTENDED, 1, by=staff),
        "counter": lambda: orders.collect_rest(lines["product"], by=staff),
    }

    outcomes = run_at_once(
        lambda: cancelling.cancel_for_shopper(fresh(paid.order), chosen, agreed=agreed, by=None), does[rival]
    )

    shopper_did = outcomes[0].error is None
    assert isinstance(outcomes[0].error, CannotCancel | None)
    assert ledger.money_of(paid.order).promised == (pounds(82) if shopper_did or rival == "staff" else 0)
    assert LineFact.objects.count() == (0 if shopper_did or rival == "staff" else 1)


# --- A part-paid order ------------------------------------------------------------------------------------------------


def test_staff_cancel_a_part_paid_order_and_its_money_is_sent_back_with_that(
    later: Later, payment: Payment, wire: Wire, staff: User, workshop: Entry
) -> None:
    pay_a_part(payment, wire, "6.50")

    assert releasing.release(payment.order, to="cancelled", by="staff", user=staff)

    refund = Refund.objects.get()
    assert (refund.amount, refund.status, refund.approved_by) == (pounds("6.50"), "requested", staff)
    assert refund.approved_at is not None
    assert (fresh(payment.order).status, taken(workshop)) == ("cancelled", 0)
    show_all(wire)
    sweep_money()
    assert fresh(refund).status == "done"
    assert open_cases() == []


def test_a_part_paid_order_is_not_cancelled_without_its_refund(
    payment: Payment, wire: Wire, staff: User, workshop: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay_a_part(payment, wire, "6.50")

    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("The process dies here")

    monkeypatch.setattr(refunds, "approve", fail)
    with pytest.raises(RuntimeError):
        releasing.release(payment.order, to="cancelled", by="staff", user=staff)

    assert (fresh(payment.order).status, taken(workshop)) == ("awaiting_payment", 2)
    assert not Refund.objects.exists()


@pytest.mark.parametrize("by", ["shopper", "timer"])
def test_nobody_but_staff_lets_a_part_paid_order_go(payment: Payment, wire: Wire, by: str) -> None:
    pay_a_part(payment, wire, "6.50")

    with pytest.raises(releasing.CannotRelease):
        releasing.release(payment.order, to="cancelled" if by == "shopper" else "expired", by=by)

    assert not Refund.objects.exists()


def test_an_order_paid_partly_in_cash_is_cancelled_with_a_case_for_that(
    order: Order, staff: User, workshop: Entry
) -> None:
    casework.take_cash(order, Decimal(20), by=staff)

    assert releasing.release(order, to="cancelled", by="staff", user=staff)

    assert (fresh(order).status, taken(workshop)) == ("cancelled", 0)
    assert Case.objects.unresolved().get(kind=Case.Kind.OVERPAID).at_stake == 20
    assert not Refund.objects.exists()


def test_staff_do_not_cancel_an_order_that_sumup_has_lost_sight_of(
    payment: Payment, wire: Wire, staff: User, workshop: Entry
) -> None:
    Case.open(Case.Kind.MISSING_AT_SUMUP, payment, "Nobody can say.")

    with pytest.raises(releasing.CannotRelease):
        releasing.release(payment.order, to="cancelled", by="staff", user=staff)

    assert taken(workshop) == 2
