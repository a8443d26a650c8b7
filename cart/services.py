"""All that may be done with a cart, for every room and door: each verb is told in the module it comes from."""

from cart.basket import Basket, Unavailable, UnknownCart, basket_of, cart_with_token, find_cart, open_cart
from cart.ending import carry_saved_over, purge_abandoned, token_after_order
from cart.filling import (
    MOST_PER_LINE,
    accept_prices,
    add,
    add_again,
    bring_back,
    check_line,
    renew,
    save_for_later,
    set_quantities,
    set_quantity,
)
from cart.merging import Line, adopt, leave, merge
from cart.undoing import CannotUndo, put_away, undo_merge

__all__ = [
    "MOST_PER_LINE",
    "Basket",
    "CannotUndo",
    "Line",
    "Unavailable",
    "UnknownCart",
    "accept_prices",
    "add",
    "add_again",
    "adopt",
    "basket_of",
    "bring_back",
    "carry_saved_over",
    "cart_with_token",
    "check_line",
    "find_cart",
    "leave",
    "merge",
    "open_cart",
    "purge_abandoned",
    "put_away",
    "renew",
    "save_for_later",
    "set_quantities",
    "set_quantity",
    "token_after_order",
    "undo_merge",
]
