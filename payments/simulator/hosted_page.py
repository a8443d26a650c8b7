"""The page on which the payer pays. It offers the outcomes instead of asking for a card."""

from payments.simulator.checkouts import Checkout, CheckoutStatus
from payments.simulator.exchange import Answer, Request, see_other
from payments.simulator.refusals import AlreadyProcessed, BeingProcessed, NoChallenge, SessionExpired
from payments.simulator.rendering import Markup, answer_message, answer_page, fill
from payments.simulator.transactions import Transaction
from payments.simulator.world import Simulator

DECLINED = "The payment was declined. You can try again."


def show_page(world: Simulator, request: Request, page: str) -> Answer:
    """GET: the page as it stands for this checkout."""
    checkout = world.read_page(page)
    if attempt := checkout.in_flight:
        return _show_attempt(checkout, attempt)
    if checkout.status is CheckoutStatus.PAID:
        return _show_success(checkout)
    if checkout.status is CheckoutStatus.EXPIRED or world.is_page_closed(checkout):
        return _show_expired()
    return _show_choices(checkout)


def post_page(world: Simulator, request: Request, page: str) -> Answer:
    """POST: do what the payer chose, then show the page again."""
    checkout = world.read_page(page)
    try:
        if not _act(world, checkout, request):
            return answer_message(400, "No such choice", "Choose one of the buttons on the page.")
    except AlreadyProcessed:
        return answer_message(409, "Already processed", "This checkout was already paid. Nothing was charged again.")
    except SessionExpired:
        return _show_expired()
    except (BeingProcessed, NoChallenge):
        # Somebody was faster, in another tab perhaps: the page shows what came of it.
        pass
    return see_other(f"/pay/{page}")


def _act(world: Simulator, checkout: Checkout, request: Request) -> bool:
    """Do what the form asks; False when it asks for nothing known."""
    outcomes = {"pay": world.pay, "decline": world.decline, "challenge": world.challenge}
    answers = {"approve": True, "decline": False}
    if (outcome := request.field("outcome")) in outcomes:
        outcomes[outcome](checkout.id)
    elif (answer := request.field("challenge")) in answers:
        world.answer_challenge(checkout.id, approve=answers[answer])
    else:
        return False
    return True


def _show_choices(checkout: Checkout) -> Answer:
    notice = fill("notice.html", sentence=DECLINED) if checkout.status is CheckoutStatus.FAILED else Markup()
    return answer_page(200, "pay.html", "Pay", notice=notice, **_describe(checkout))


def _show_attempt(checkout: Checkout, attempt: Transaction) -> Answer:
    if attempt.challenged:
        return answer_page(200, "challenge.html", "Your bank asks back", **_describe(checkout))
    # The money is on its way but not there yet: the payer sees success, the API still says PENDING.
    return _show_success(checkout)


def _show_success(checkout: Checkout) -> Answer:
    address = checkout.redirect_url
    way_back = fill("way_back.html", address=address) if address else Markup()
    return answer_page(200, "success.html", "Payment successful", way_back=way_back, **_describe(checkout))


def _show_expired() -> Answer:
    return answer_message(410, "Expired", "This payment page has expired. Nothing was charged.")


def _describe(checkout: Checkout) -> dict[str, str]:
    return {
        "amount": f"{checkout.amount:.2f} {checkout.currency}",
        "description": checkout.description or checkout.reference,
        "reference": checkout.reference,
    }
