"""What pages may mention of the visitor's orders."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from orders.unpaid import find_unpaid


def unpaid(request: HttpRequest) -> dict[str, Any]:
    """`unpaid`, the order that waits to be paid: looked for only by pages that show it."""
    return {"unpaid": SimpleLazyObject(lambda: find_unpaid(request))}
