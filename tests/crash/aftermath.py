"""What must be so in the end, whoever died on the way: compared with what SumUp knows and the letter box holds."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from cartsite.models import Case, Message, kind_of
from orders.models import Order, OrderEvent
from payments import closing
from payments.models import DailyClose, Movement, Payment, Refund, Stray, Taking
from payments.simulator import Simulator
from payments.simulator.events import EventType, Statement
from tests.crash.world import START, World
from tests.invariants import assert_books_balance


def assert_all_is_well(world: World) -> None:
    """No money, seat or mail is lost or doubled, and nothing of it is unexplained."""
    assert_captures_are_sumups(world.sumup)
    assert_refunds_are_sumups(world.sumup)
    assert_each_refund_was_sent_once(world.sumup)
    assert_mail_was_sent(world)
    assert_days_close(world)
    assert_books_balance()


def assert_captures_are_sumups(sumup: Simulator) -> None:
    """Every successful transaction is one movement, one takings row, or one open case about a stray."""
    theirs = {s.transaction.id: s.transaction.amount for s in everything(sumup) if s.transaction.moved_money}
    ours = [
        *Movement.objects.filter(kind=Movement.Kind.CAPTURE).values_list("transaction_id", "amount"),
        *Taking.objects.filter(kind=Movement.Kind.CAPTURE).values_list("transaction_id", "amount"),
    ]
    asked = Case.objects.unresolved().filter(kind=Case.Kind.UNKNOWN_MONEY).values("subject_uuid")
    ours += Stray.objects.filter(uuid__in=asked).values_list("transaction_id", "amount")
    assert Counter(ours) == Counter(theirs.items())


def assert_refunds_are_sumups(sumup: Simulator) -> None:
    """Every refund at SumUp is one movement with its refund, which is done; and no other is."""
    theirs = refunds_at_sumup(sumup)
    moved = Movement.objects.filter(kind=Movement.Kind.REFUND)
    assert {name: -amount for name, amount in moved.values_list("sumup_id", "amount")} == theirs
    over = Refund.objects.filter(method=Refund.Method.SUMUP, status__in=["done", "external"])
    assert Counter(over.values_list("amount", flat=True)) == Counter(theirs.values())
    assert set(moved.values_list("refund", flat=True)) == set(over.values_list("pk", flat=True))


def assert_each_refund_was_sent_once(sumup: Simulator) -> None:
    """As many POSTs as refunds that were sent, or fewer: never one twice."""
    posts = [seen for seen in sumup.requests if seen.method == "POST" and seen.path.endswith("/refunds")]
    assert len(posts) <= Refund.objects.filter(sent_at__isnull=False).count()


def assert_mail_was_sent(world: World) -> None:
    """Every mail that is owed went out, unless what it says was not so any more; twice only if its sender died in the
    one window that is known. Each about an order is written down there, once.
    """
    over = (Message.Status.SENT, Message.Status.DROPPED)
    assert not Message.objects.exclude(status__in=over).exists(), list(Message.objects.values())
    said = Message.objects.filter(status=Message.Status.SENT)
    owed = set(said.values_list("uuid", flat=True))
    about_orders = said.filter(subject_type=kind_of(Order))
    assert OrderEvent.objects.filter(kind="mail_sent").count() == about_orders.count()
    sent = world.delivered()
    assert set(sent) == owed
    doubled = {name for name, times in sent.items() if times > 1}
    assert doubled <= world.may_double
    assert all(times <= 2 for times in sent.values())


def assert_days_close(world: World) -> None:
    """Every day since the first closes, with nothing unexplained."""
    day, today = START.date(), timezone.localdate()
    if day == today:
        world.later(days=1)
        today += timedelta(days=1)
    while day < today:
        close = closing.close_day(day)
        assert close.status == DailyClose.Status.CLOSED, [*close.findings.values("what", "case")]
        day += timedelta(days=1)


def everything(sumup: Simulator) -> list[Statement]:
    """Every payment that came to an end at SumUp, with what became of it."""
    return sumup.newest_transactions(0, 10_000)


def refunds_at_sumup(sumup: Simulator) -> dict[str, Decimal]:
    """Each refund that SumUp made, by its id."""
    events = [event for statement in everything(sumup) for event in statement.events]
    return {str(event.id): event.amount for event in events if event.type is EventType.REFUND}


def open_cases() -> list[str]:
    """The kinds of all cases that a person has yet to look at."""
    return sorted(Case.objects.unresolved().values_list("kind", flat=True))


def statuses(model: type[Payment] | type[Refund]) -> list[str]:
    """The status of each row, oldest first."""
    return list(model._default_manager.order_by("pk").values_list("status", flat=True))
