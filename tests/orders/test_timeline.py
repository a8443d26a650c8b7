"""What happened to an order, in plain words: every kind of event has a sentence, or is known to be internal."""

import ast
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from cart.models import Product
from cartsite.models import User
from orders import letters, mail, services, timeline
from orders.models import LineFact, Order
from payments import casework, refunds
from payments.models import Movement, Payment
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.orders.acts import holder_of
from tests.payments.money import ask_back, pay, sweep_money
from tests.payments.records import events_of

pytestmark = pytest.mark.django_db

PlaceOrder = Callable[..., Order]
ROOT = Path(__file__).resolve().parent.parent.parent
KNOWN = set(timeline.EVENTS) | timeline.TOLD_AS_MONEY | timeline.INTERNAL | {timeline.MAIL_SENT}


def recorded_kinds() -> Iterator[str]:
    """Every kind of event that is written down anywhere in the code."""
    for room in ("bookings", "cart", "cartsite", "orders", "payments"):
        for file in (ROOT / room).rglob("*.py"):
            if "simulator" not in file.parts:
                yield from kinds_in(ast.parse(file.read_text()))


def kinds_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "record":
            yield from kinds_of(node.args[0])


def kinds_of(argument: ast.expr) -> list[str]:
    """What the first argument of `order.record` may be."""
    match argument:
        case ast.Constant(value=str(kind)):
            return [kind]
        case ast.JoinedStr(values=[ast.Constant(value=str(beginning)), ast.FormattedValue()]):
            return [f"{beginning}{kind}" for kind in LineFact.Kind.values]
        case ast.Name(id="status"):
            return [status for status in Order.Status.values if status != Order.Status.AWAITING_PAYMENT]
    raise AssertionError(f"Nobody can say what kinds of events this is: {ast.unparse(argument)}")


def told(order: Order) -> list[str]:
    movements = order.movements.filter(kind__in=Movement.SHOPPERS)
    return [moment.said for moment in timeline.tell(order, order.lines.all(), movements)]


def test_every_kind_of_event_has_a_sentence_or_is_internal() -> None:
    kinds = set(recorded_kinds())

    assert {"placed", "line_collected", "refund_requested", "confirmed"} <= kinds
    assert kinds - KNOWN == set()


def test_no_kind_is_both_told_and_internal() -> None:
    assert len(KNOWN) == len(timeline.EVENTS) + len(timeline.TOLD_AS_MONEY) + len(timeline.INTERNAL) + 1


def test_every_kind_of_mail_has_a_sentence() -> None:
    assert set(timeline.MAILS) == set(letters.KINDS)


def test_a_paid_order_tells_its_story_in_order(payment: Payment, sumup: Simulator) -> None:
    order = pay(payment, sumup).order

    assert told(order) == [
        "The order was placed.",
        "A payment page over £76.50 was opened.",
        "£76.50 was paid.",
        "The order was confirmed.",
    ]


def test_money_is_told_when_it_moved_not_when_we_heard_of_it(order: Order, staff: User) -> None:
    casework.take_cash(order, order.total, by=staff)
    came_at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    movement = order.movements.get()
    movement.happened_at = came_at  # as SumUp says; it cannot be saved, and need not be

    moments = timeline.tell(order, order.lines.all(), [movement])

    assert [moment.at for moment in moments if moment.said == "£76.50 was paid by hand."] == [came_at]


def test_what_was_handed_out_or_cancelled_is_named(place_order: PlaceOrder, honey: Product, staff: User) -> None:
    order = place_order((honey, 4))
    services.confirm(order, cause="paid")
    line = order.lines.get()
    for kind in (LineFact.Kind.COLLECTED, LineFact.Kind.MISSED, LineFact.Kind.CANCELLED):
        services.record_fact(line, kind, 1, by=staff)

    assert [said for said in told(order) if "honey" in said] == [
        "Heather honey: 1 collected.",
        "Heather honey: 1 missed.",
        "Heather honey: 1 cancelled.",
    ]


def test_a_refund_is_told_once_it_is_approved_and_when_it_went_back(
    payment: Payment, sumup: Simulator, staff: User
) -> None:
    paid = pay(payment, sumup)
    ask_back(paid, "12.00", staff)
    sweep_money()

    assert told(paid.order)[-2:] == ["A refund of £12.00 was approved.", "£12.00 went back to your card."]


def test_a_refund_that_was_only_asked_for_is_no_news(payment: Payment, sumup: Simulator, staff: User) -> None:
    paid = pay(payment, sumup)
    asked = refunds.request(paid, Wish(Decimal(12), "A jar was broken", staff))
    refunds.turn_down(asked, by=staff, note="It was not.")

    assert not [said for said in told(paid.order) if "12.00" in said or "broken" in said]


def test_a_refund_that_was_approved_and_then_turned_down_is_told(
    payment: Payment, sumup: Simulator, staff: User
) -> None:
    paid = pay(payment, sumup)
    asked = refunds.request(paid, Wish(Decimal(12), "A jar was broken", staff))
    refunds.approve(asked, by=staff)
    refunds.turn_down(asked, by=staff, note="It was not.")

    assert told(paid.order)[-2:] == [
        "A refund of £12.00 was approved.",
        "The refund of £12.00 was not sent after all.",
    ]


def test_mail_is_told_once_it_was_sent(order: Order) -> None:
    services.confirm(order, cause="paid")
    assert "We sent you the confirmation." not in told(order)

    mail.send_owed()

    assert told(order)[-1] == "We sent you the confirmation."


def test_unknown_kinds_are_left_out(order: Order) -> None:
    order.record("something_new", secret="x")
    order.record("mail_sent", mail="something_new")

    assert told(order) == ["The order was placed."]


def test_the_page_tells_moments_in_the_shops_zone(order: Order, time_machine: Any, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/London"
    time_machine.move_to(datetime(2026, 7, 1, 23, 30, tzinfo=UTC), tick=False)
    services.confirm(order, cause="paid")

    with timezone.override("Europe/London"):
        said = holder_of(order).get(order.get_absolute_url()).content.decode()

    assert "Thursday 2 July 2026, 00:30</time>" in said
    assert "The order was confirmed." in said
    assert "confirmed" in events_of(order)
