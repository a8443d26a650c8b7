"""How money comes and goes back in tests, in few words."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bookings import capacity
from bookings.models import Entry, Hold
from cart.models import Stall
from cartsite.models import Case, User
from orders.models import OrderLine
from payments import history, late, refunds, settling, starting
from payments.models import Movement, MovementShare, Payment, Refund
from payments.refunds import Wish
from payments.simulator import Simulator
from tests.factories import held_by_another
from tests.payments.records import Later, fresh, sweep
from tests.payments.wire import Wire


def pounds(amount: str | float) -> Decimal:
    """An amount to the penny."""
    return Decimal(str(amount)).quantize(Decimal("0.01"))


def pay(payment: Payment, sumup: Simulator) -> Payment:
    """The shopper pays, and we hear of it."""
    sumup.pay(payment.checkout_id or "")
    settling.settle(payment)
    return fresh(payment)


def ask_back(payment: Payment, amount: str, by: User, line: OrderLine | None = None) -> Refund:
    """Staff ask for money to go back and approve that; it is not sent yet."""
    refund = refunds.request(payment, Wish(pounds(amount), "Too much honey", by, line))
    assert refunds.approve(refund, by=by)
    return fresh(refund)


def pay_a_part(payment: Payment, wire: Wire, amount: str) -> Payment:
    """SumUp takes another amount than it was asked for, nobody knows why; and we hear of it."""
    taken = wire.simulator.take_stray_payment(Decimal(amount))

    def tell(answer: dict[str, Any]) -> dict[str, Any]:
        tried = {
            "id": taken.id,
            "transaction_code": taken.code,
            "amount": float(taken.amount),
            "currency": "GBP",
            "timestamp": taken.started_at.isoformat(),
            "status": "SUCCESSFUL",
        }
        is_it = answer.get("checkout_reference") == payment.reference
        return answer | {"status": "PAID", "transactions": [tried]} if is_it else answer

    wire.change(tell)
    settling.settle(payment)
    return fresh(payment)


def pay_twice(later: Later, wire: Wire, payment: Payment) -> Payment:
    """The first attempt was paid, but looked closed, so a second one was begun and paid as well; that second one."""
    second = pay_unseen_and_start_again(later, wire, payment)
    settling.settle(fresh(payment))
    return pay(second, wire.simulator)


def pay_unseen_and_start_again(later: Later, wire: Wire, payment: Payment) -> Payment:
    """SumUp calls a paid checkout EXPIRED until its attempt is closed and another one has begun; that other one."""

    def hide(answer: dict[str, Any]) -> dict[str, Any]:
        is_it = answer.get("id") == payment.checkout_id
        return answer | {"status": "EXPIRED", "transactions": []} if is_it else answer

    wire.simulator.pay(payment.checkout_id or "")
    wire.change(hide)
    for _look in range(2):
        settling.settle(fresh(payment))
        later(minutes=1)
    second = starting.start(payment.order)
    show_all(wire)
    return second


def transaction_of(payment: Payment) -> str:
    """The id of the transaction by which it was paid."""
    return str(payment.movements.get(kind=Movement.Kind.CAPTURE).sumup_id)


def went_back(sumup: Simulator, payment: Payment) -> list[Decimal]:
    """The refunds that SumUp has really made of a payment, oldest first."""
    events = sumup._shelf.ledger.statement(sumup._existing(transaction_of(payment))).events
    return [event.amount for event in events if event.type == "REFUND"]


def posts(sumup: Simulator) -> int:
    """How many times SumUp was asked to refund anything."""
    return sum(call.method == "POST" and call.path.endswith("/refunds") for call in sumup.requests)


def case(kind: Case.Kind) -> Case:
    """The one case of this kind that a person has yet to look at."""
    return Case.objects.unresolved().get(kind=kind)


def sweep_money() -> None:
    """All that the timers do about money, refunds and history included."""
    sweep()
    refunds.sweep()
    history.sweep()
    late.send_back_by_itself()


def sweep_for_days(later: Later, days: int, *, every: int = 6) -> None:
    """Let the timers run for so many days, every few hours."""
    for _round in range(days * 24 // every):
        later(hours=every)
        sweep_money()


def hide_events(wire: Wire) -> None:
    """From now on SumUp shows nothing of what became of its transactions."""

    def hide(answer: dict[str, Any]) -> dict[str, Any]:
        nothing: dict[str, Any] = {"transaction_events": [], "events": []}
        return answer | nothing if "transaction_events" in answer else answer

    wire.change(hide)


def show_all(wire: Wire) -> None:
    """SumUp tells the truth again."""
    wire._changes.clear()


def pay_unseen_until_over(later: Later, wire: Wire, payment: Payment, meanwhile: Callable[[], Any]) -> Payment:
    """The shopper pays in time, but SumUp calls the checkout EXPIRED until the order has ended and something else has
    happened; only then do we hear of the money."""

    def hide(answer: dict[str, Any]) -> dict[str, Any]:
        return answer | {"status": "EXPIRED", "transactions": []} if "checkout_reference" in answer else answer

    wire.change(hide)
    wire.simulator.pay(payment.checkout_id or "")
    for _round in range(6):
        later(minutes=10)
        sweep()
    assert not fresh(payment.order).is_awaiting_payment
    meanwhile()
    show_all(wire)
    settling.settle(fresh(payment))
    return fresh(payment)


def fill_up(entry: Entry) -> None:
    """Somebody else takes nine of its ten places."""
    held_by_another(entry, 9)


def make_room(entry: Entry) -> None:
    """They do not want them any more."""
    capacity.give_back(Hold.objects.filter(pool=entry.pool_id, quantity=9).values_list("pk", flat=True))


def balances(payment: Payment) -> dict[str, Decimal]:
    """What each stall has of the order's money now, by its name; stalls that have nothing are left out."""
    shares = MovementShare.objects.filter(movement__order=payment.order, movement__kind__in=Movement.SHOPPERS)
    sums = {stall.name: pounds(0) for stall in Stall.objects.all()}
    for share in shares.select_related("stall"):
        sums[share.stall.name] += share.amount
    return {name: amount for name, amount in sums.items() if amount}
