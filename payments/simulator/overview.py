"""The first page: what staff look at when they rehearse."""

from payments.simulator.answers import page_address
from payments.simulator.behaviour import CHOICES
from payments.simulator.checkouts import Checkout
from payments.simulator.exchange import Answer, Request, see_other
from payments.simulator.rendering import Markup, answer_message, answer_page, fill
from payments.simulator.world import Refused, Simulator

SHOWN = 100
STEPS = {"60": "1 minute", "300": "5 minutes", "1800": "30 minutes", "7200": "2 hours"}


def show_overview(world: Simulator, request: Request) -> Answer:
    """GET: the newest checkouts and the levers that are of use to people."""
    rows = Markup().join(_show_row(checkout, request.origin) for checkout in world.newest(SHOWN))
    ahead = round(world.clock.ahead.total_seconds())
    return answer_page(
        200,
        "overview.html",
        "Checkouts",
        rows=Markup(rows),
        webhooks=_offer_switch("webhooks", CHOICES["webhooks"], world.behaviour.choice("webhooks")),
        steps=_offer_steps(),
        now=f"{world.clock.now():%Y-%m-%d %H:%M:%S} UTC",
        ahead=f"{ahead} seconds ahead of real time" if ahead else "real time",
    )


def post_overview(world: Simulator, request: Request) -> Answer:
    """POST: pull a lever, then show the page again."""
    try:
        pulled = _pull(world, request)
    except Refused as error:
        return answer_message(409, "Not possible", str(error))
    except ValueError as error:
        return answer_message(400, "Not possible", str(error))
    return see_other("/") if pulled else answer_message(400, "No such choice", "Choose one of the buttons.")


def _pull(world: Simulator, request: Request) -> bool:
    """Do what the form asks; False when it asks for nothing known."""
    outcomes = {"pay": world.pay, "decline": world.decline}
    if (outcome := request.field("outcome")) in outcomes:
        outcomes[outcome](request.field("checkout") or "")
    elif mode := request.field("webhooks"):
        world.behave(webhooks=mode)
    elif (step := request.field("advance")) in STEPS:
        world.advance(int(step))
    else:
        return False
    return True


def _show_row(checkout: Checkout, origin: str) -> Markup:
    page = fill("page_link.html", address=page_address(checkout, origin)) if checkout.hosted else Markup()
    return fill(
        "row.html",
        id=checkout.id,
        reference=checkout.reference,
        description=checkout.description or "",
        amount=f"{checkout.amount:.2f} {checkout.currency}",
        status=f"{checkout.status}, payment under way" if checkout.in_flight else checkout.status,
        date=f"{checkout.date:%Y-%m-%d %H:%M:%S}",
        page=page,
    )


def _offer_switch(name: str, choices: tuple[str, ...], current: str) -> Markup:
    """A row of buttons of which one is down."""
    buttons = (fill("switch.html", name=name, value=value, pressed=str(value == current).lower()) for value in choices)
    return Markup("".join(buttons))


def _offer_steps() -> Markup:
    """A row of buttons that move the clock."""
    return Markup("".join(fill("step.html", seconds=seconds, label=label) for seconds, label in STEPS.items()))
