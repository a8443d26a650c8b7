"""The back office of this room, one module for each thing that staff look after."""

from orders.admin import offers, orders

__all__ = ["offers", "orders"]
