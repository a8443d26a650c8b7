"""The first page: what staff look at when they rehearse."""

from collections.abc import Iterable
from decimal import Decimal

from payments.simulator.answers import page_address
from payments.simulator.behaviour import CHOICES, COUNTABLE, NUMBERS
from payments.simulator.checkouts import Checkout, CheckoutStatus
from payments.simulator.events import Event, Statement
from payments.simulator.exchange import Answer, Request
from payments.simulator.levers import STEPS
from payments.simulator.rendering import Markup, answer_page, fill
from payments.simulator.world import Simulator

SHOWN = 100
MOST_DIGITS = 9
ENDED = (CheckoutStatus.PAID, CheckoutStatus.EXPIRED)


def show_overview(world: Simulator, request: Request) -> Answer:
    """GET: the newest checkouts and transactions, or those before them, and every lever."""
    checkouts_from, transactions_from = _read_start(request, "checkouts"), _read_start(request, "transactions")
    checkouts = world.newest(checkouts_from, SHOWN + 1)
    transactions = world.newest_transactions(transactions_from, SHOWN + 1)
    ahead = round(world.clock.ahead.total_seconds())
    return answer_page(
        200,
        "overview.html",
        "SumUp simulator",
        steps=_join(fill("step.html", seconds=seconds, label=label) for seconds, label in STEPS.items()),
        now=f"{world.clock.now():%Y-%m-%d %H:%M:%S} UTC",
        ahead=f"{ahead} seconds ahead of real time" if ahead else "real time",
        checkouts=_join(_show_checkout(one, request.origin) for one in checkouts[:SHOWN]) or fill("empty_row.html"),
        transactions=_join(_show_transaction(one) for one in transactions[:SHOWN]) or fill("empty_row.html"),
        older_checkouts=_offer_older("checkouts", checkouts_from, len(checkouts)),
        older_transactions=_offer_older("transactions", transactions_from, len(transactions)),
        switches=_offer_behaviour(world),
    )


def _join(pieces: Iterable[Markup]) -> Markup:
    return Markup("".join(pieces))


def _read_start(request: Request, name: str) -> int:
    """How many of the newest are to be left out."""
    text = request.parameter(name) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else 0


def _offer_older(name: str, start: int, found: int) -> Markup:
    return fill("older.html", address=f"/?{name}={start + SHOWN}#{name}") if found > SHOWN else Markup()


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount:.2f} {currency}"


def _show_checkout(checkout: Checkout, origin: str) -> Markup:
    page = fill("page_link.html", address=page_address(checkout, origin)) if checkout.hosted else Markup()
    return fill(
        "checkout_row.html",
        reference=checkout.reference,
        description=checkout.description or "",
        amount=_money(checkout.amount, checkout.currency),
        status=f"{checkout.status}, payment under way" if checkout.in_flight else checkout.status,
        date=f"{checkout.date:%Y-%m-%d %H:%M:%S}",
        page=page,
        act=Markup() if checkout.status in ENDED else fill("pay_or_decline.html", id=checkout.id),
    )


def _show_transaction(statement: Statement) -> Markup:
    transaction = statement.transaction
    events = _join(_show_event(event, transaction.currency) for event in statement.events)
    return fill(
        "transaction_row.html",
        date=f"{transaction.started_at:%Y-%m-%d %H:%M:%S}",
        code=transaction.code,
        summary=transaction.summary,
        amount=_money(transaction.amount, transaction.currency),
        status=statement.simple_status,
        events=fill("events.html", events=events) if events else Markup(),
        act=fill("give_back.html", id=transaction.id, left=f"{statement.left:.2f}") if statement.left else Markup(),
    )


def _show_event(event: Event, currency: str) -> Markup:
    return fill("event.html", type=event.type, amount=_money(event.amount, currency))


# Every switch is a form of its own: one that was set by somebody else meanwhile is not set back by the way.


def _offer_behaviour(world: Simulator) -> Markup:
    document = world.behaviour.document()
    times = document["times"]
    switches = [_offer_switch(name, document[name], times.get(name)) for name in CHOICES]
    return _join([*switches, *(_offer_number(name, document[name]) for name in NUMBERS)])


def _offer_switch(name: str, current: str, times: int | None) -> Markup:
    options = _join(_offer_option(value, is_current=value == current) for value in CHOICES[name])
    left = fill("times.html", times=str(times or "")) if name in COUNTABLE else Markup()
    return fill("switch.html", name=name, options=options, times=left, changed=_mark(current != CHOICES[name][0]))


def _offer_option(value: str, *, is_current: bool) -> Markup:
    return fill("option.html", value=value, selected=Markup(" selected" if is_current else ""))


def _offer_number(name: str, value: float) -> Markup:
    return fill("number.html", name=name, value=f"{value:g}", changed=_mark(value != NUMBERS[name][0]))


def _mark(is_changed: bool) -> str:
    return " changed" if is_changed else ""
