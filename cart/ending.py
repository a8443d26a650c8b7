"""The end of a cart: it was ordered, or nobody came back to it."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from bookings import capacity
from cart.basket import Basket, next_token
from cart.models import BurntToken, Cart, CartItem, CartMerge, hash_token, new_token

ABANDONED_AFTER = timedelta(days=30)


# --- What was saved outlives an order ---------------------------------------------------------------------------------


def carry_saved_over(basket: Basket, token: str) -> None:
    """Move what an ordered cart had saved for later into the next cart of its visitor, or of its user.

    Call it in the transaction that ended the (locked) cart. The visitor finds it by `token_after_order`.
    """
    cart = basket.cart
    if cart is None or not basket.saved:
        return
    was_presented = bool(token) and cart.token_hash == hash_token(token)
    # The user's row is not locked: whoever adopts for them has it, and waits for the cart that was ordered.
    following = Cart.objects.create(
        user=cart.user, token_hash=hash_token(next_token(token) if was_presented else new_token())
    )
    CartItem.objects.filter(cart=cart, saved_at__isnull=False).update(cart=following)


def token_after_order(token: str) -> str | None:
    """What the cart's cookie must be after the cart of this token was ordered; None if it had nothing saved."""
    if not token:
        return None
    fresh = next_token(token)
    return fresh if Cart.objects.open().filter(token_hash=hash_token(fresh)).exists() else None


# --- Nobody came back -------------------------------------------------------------------------------------------------


def purge_abandoned(most: int = 200) -> int:
    """Delete up to `most` carts nobody touched for 30 days, and give back their holds; how many.

    Ordered ones stay, and so do users' own unless they are empty: their users find them again when they sign in.
    """
    long_ago = timezone.now() - ABANDONED_AFTER
    BurntToken.objects.filter(burnt_at__lt=long_ago).delete()
    filled = Exists(CartItem.objects.filter(cart=OuterRef("pk")))
    told = Exists(Cart.objects.filter(last_merge=OuterRef("pk")))
    CartMerge.objects.filter(~told, made_at__lt=long_ago).delete()
    with transaction.atomic():
        abandoned = (
            Cart.objects.filter(Q(user=None) | ~filled, ordered_at=None, created_at__lt=long_ago)
            .exclude(items__changed_at__gte=long_ago)
            .select_for_update(no_key=True, skip_locked=True)
        )
        carts = list(abandoned[:most])
        holds = list(CartItem.objects.filter(cart__in=carts, hold__isnull=False).values_list("hold_id", flat=True))
        Cart.objects.filter(pk__in=[cart.pk for cart in carts]).delete()
        capacity.give_back(holds)
    return len(carts)
