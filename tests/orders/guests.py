"""What a browser sends about those who come, and who is kept."""

from bookings.models import Attendee, Question
from cart.models import Cart, CartItem
from orders.models import Order


def place_field(item: CartItem, number: int, about: Question | str = "name") -> str:
    """The checkout page's field about one place of a basket's line."""
    return f"place-{item.pk}-{number}-{about.uuid if isinstance(about, Question) else about}"


def names_for(cart: Cart, *names: str) -> dict[str, str]:
    """Names for the places of the one line of places in a basket."""
    item = cart.items.get(entry__isnull=False)
    return {place_field(item, number): name for number, name in enumerate(names, start=1)}


def who_comes(order: Order) -> list[tuple[str, dict[str, str]]]:
    """Each attendee of an order with what they answered, line by line."""
    rows = Attendee.objects.filter(order_line__order=order).order_by("order_line__position", "number")
    return [(row.name, dict(row.answers.values_list("question__text", "text"))) for row in rows]
