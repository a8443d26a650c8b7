"""What sibling services tell us: about stock, and about mail that came back."""

from typing import Annotated, Literal

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Path, Router, Schema

from cart.models import Product
from cartsite.siblings import Given, describe_problems
from orders import mail, stock

router = Router(tags=["stock"])
mail_router = Router(tags=["mail"])

Sku = Annotated[str, Path(pattern=r"^[^\x00]+$", max_length=60)]


class Count(Given):
    """How much of a product there is."""

    on_hand: int = Field(ge=0, le=10**9, description="What lies there, without our uncollected sales up to as_of.")
    as_of: int = Field(0, ge=0, le=2**63 - 1, description="The last of our order events that was subtracted; 0: none.")


class Room(Schema):
    """What that means for sales."""

    sku: str
    wanted: int
    taken: int


@router.put("/{sku}", response=Room, openapi_extra=describe_problems(400, 404))
def set_stock(request: HttpRequest, sku: Sku, count: Count) -> dict[str, object]:
    """Take over the market's count of a product; more promised than there is opens a case for staff."""
    product = get_object_or_404(Product.objects.select_related("pool"), sku=sku)
    pool = stock.set_stock(product, count.on_hand, count.as_of)
    return {"sku": sku, "wanted": pool.wanted, "taken": pool.taken}


class Bounce(Given):
    """What became of a mail that we sent."""

    message_id: str = Field(max_length=200, description="The mail's Message-ID, with its <> or without.")
    kind: Literal["hard", "soft"] = Field(
        description="hard: it came back for good, such as from an address that does not exist; soft: it is late."
    )
    reason: str = Field("", max_length=200, description="What the other mail server said. Addresses in it are struck.")


class Heard(Schema):
    """How the mail stands now."""

    status: str = Field(description="sent, failed (it came back for good, or could not be sent), owed or dropped.")


@mail_router.post("/bounces", response=Heard, openapi_extra=describe_problems(400, 404))
def take_bounce(request: HttpRequest, bounce: Bounce) -> dict[str, object]:
    """For whoever relays what the mail provider says. A hard bounce ends the mail and opens a case for staff; a soft
    one is only noted. The same bounce may be told any number of times. 404: no mail about an order has this Message-ID.
    """
    message = mail.find_by_message_id(bounce.message_id)
    if message is None:
        raise Http404("No mail about an order went out under this Message-ID.")
    mail.take_bounce(message, is_hard=bounce.kind == "hard", reason=bounce.reason)
    message.refresh_from_db()
    return {"status": message.status}
