"""What every page shows of the cart."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from cart.visitors import basket_for


def badge(request: HttpRequest) -> dict[str, Any]:
    """`basket` for the header's badge: read in one query, and only by pages that show it."""
    return {"basket": SimpleLazyObject(lambda: basket_for(request))}
