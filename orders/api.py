"""What sibling services tell us about stock."""

from typing import Annotated

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Path, Router, Schema

from cart.models import Product
from orders import stock

router = Router(tags=["stock"])

Sku = Annotated[str, Path(pattern=r"^[^\x00]+$", max_length=60)]


class Count(Schema):
    """How much of a product there is."""

    on_hand: int = Field(ge=0, le=10**9, description="What lies there, without our uncollected sales up to as_of.")
    as_of: int = Field(0, ge=0, le=2**63 - 1, description="The last of our order events that was subtracted; 0: none.")


class Room(Schema):
    """What that means for sales."""

    sku: str
    wanted: int
    taken: int


@router.put("/{sku}", response=Room)
def set_stock(request: HttpRequest, sku: Sku, count: Count) -> dict[str, object]:
    """Take over the market's count of a product; more promised than there is opens a case for staff."""
    product = get_object_or_404(Product.objects.select_related("pool"), sku=sku)
    pool = stock.set_stock(product, count.on_hand, count.as_of)
    return {"sku": sku, "wanted": pool.wanted, "taken": pool.taken}
