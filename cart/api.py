"""The cart, as sibling services see it."""

from typing import Annotated
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest
from ninja import Field, Header, Query, Router, Schema
from ninja.errors import HttpError

from cart import services
from cartsite.models import User
from cartsite.siblings import Given, describe_problems

router = Router(tags=["cart"])


class Summary(Schema):
    """What a sibling's header shows of a cart."""

    count: int = Field(description="How many things, over all lines.")
    lines: int = Field(description="How many lines.")
    total: str = Field(description="What they cost now, tax included, such as 12.50.")
    currency: str
    holds_until: str | None = Field(description="When (UTC) the first hold on something scarce ends.")


class Adoption(Given):
    """Whose the cart is to be."""

    cart: str = Field(max_length=100, min_length=1, description="The value of the cart's cookie.")
    user: UUID
    checkout: bool = Field(
        False, description="On the way to the checkout: this cart stays as it is, and the user's other one is saved."
    )


class Adopted(Summary):
    cart: str = Field(description="The cart's fresh token, for its cookie; the one presented is burnt.")
    user: UUID
    changed: list[str] = Field(description="What the shopper finds changed, in sentences; they can undo it.")


@router.get("/summary", response=Summary, openapi_extra=describe_problems())
def summary(
    request: HttpRequest,
    cart: Annotated[str, Query(max_length=100, description="The value of the cart's cookie.")] = "",
    user: Annotated[UUID | None, Query(description="A user's UUID.")] = None,
    x_cart_token: Annotated[str, Header(alias="X-Cart-Token", max_length=100)] = "",
) -> dict[str, object]:
    """The cart of a token, of a user, or (with both) the token's if the user may use it, else the user's own.

    A cart that nobody has is an empty one: a browser may well bring the cookie of a cart that was ordered.
    """
    token = cart or x_cart_token
    if not token and user is None:
        raise HttpError(422, "Say whose cart: ?cart=<token> (or the header X-Cart-Token), ?user=<uuid>, or both.")
    return _summarise(services.basket_of(token, user))


def _summarise(basket: services.Basket) -> dict[str, object]:
    until = basket.holds_until
    return {
        "count": basket.count,
        "lines": len(basket.items),
        "total": f"{basket.total:.2f}",
        "currency": settings.CURRENCY,
        "holds_until": until.strftime("%Y-%m-%dT%H:%M:%SZ") if until else None,
    }


@router.post("/adopt", response=Adopted, openapi_extra=describe_problems(400, 404))
def adopt(request: HttpRequest, adoption: Adoption) -> dict[str, object]:
    """Make an anonymous cart the user's, joined with the one they have. Safe to repeat; the token is always fresh."""
    user = User.objects.filter(uuid=adoption.user, is_active=True).first()
    if user is None:
        raise Http404("No user has this UUID.")
    try:
        cart, token = services.adopt(adoption.cart, user, keep_presented=adoption.checkout)
    except services.UnknownCart:
        raise Http404("No open cart has this token.") from None
    changed = cart.last_merge.news if cart.last_merge and cart.last_merge.can_be_undone else []
    return _summarise(services.basket_of(token, user)) | {"cart": token, "user": user.uuid, "changed": changed}
