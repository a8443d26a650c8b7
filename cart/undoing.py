"""Taking the meeting of two carts back, for a day."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from bookings import capacity
from bookings.models import Entry
from cart.basket import find_cart
from cart.merging import hold_what_fits, key_of
from cart.models import Cart, CartItem, CartMerge, Product, hash_token
from cartsite.models import User
from cartsite.refusals import Refusal


class CannotUndo(Refusal):
    """Nothing was moved; the text says why, in words for the shopper."""


@transaction.atomic
def undo_merge(token: str, user: User | None, merge: UUID) -> str:
    """Give both carts back what they held before they met; the token of the one the shopper had looked at.

    That one is a new cart without a user, and has also what was added since. Doing it again gives the same token.
    Raises CannotUndo with nothing moved.
    """
    cart = find_cart(token, user)
    record = CartMerge.objects.filter(uuid=merge).select_related("cart").first()
    if cart is None or record is None:  # in the words for another's, so that nobody finds out which there are
        raise CannotUndo(_("This can no longer be undone: that basket was ordered, or has changed too much."))
    fresh = _token_after(record)
    if _was_undone(cart, record, hash_token(fresh)):
        return fresh
    _check(cart, record)
    _part(cart, record, Cart.objects.create(token_hash=hash_token(fresh)))
    CartMerge.objects.filter(pk=record.pk).update(ended_at=timezone.now())
    return fresh


def _token_after(record: CartMerge) -> str:
    """The token of the cart that undoing makes: always the same, so that a second click finds it."""
    return salted_hmac("cart.undoing", str(record.uuid)).hexdigest()[:48]


def _was_undone(cart: Cart, record: CartMerge, token_hash: str) -> bool:
    """Whether this cart was parted already from the one of this token, which is still there."""
    mine = cart.token_hash == token_hash or cart.pk == record.cart_id
    return mine and Cart.objects.open().filter(token_hash=token_hash, user=None).exists()


def _check(cart: Cart, record: CartMerge) -> None:
    """Raise CannotUndo unless this is how the cart last met another, not long ago, and it has not been ordered."""
    if record.cart_id != cart.pk or cart.last_merge_id != record.pk:
        raise CannotUndo(_("This can no longer be undone: that basket was ordered, or has changed too much."))
    if not record.can_be_undone:
        raise CannotUndo(_("This can no longer be undone."))


@transaction.atomic
def put_away(token: str, user: User | None, merge: UUID) -> None:
    """The shopper has read what changed, and is content: nothing more is said of it."""
    if cart := find_cart(token, user):
        CartMerge.objects.filter(uuid=merge, cart=cart, ended_at=None).update(ended_at=timezone.now())


# --- Dividing what there is -------------------------------------------------------------------------------------------


def _part(cart: Cart, record: CartMerge, presented: Cart) -> None:
    """Fill both carts with the lines of the record; those that came since go to the presented one."""
    lines = list(CartItem.objects.loaded().filter(cart=cart))
    holds = capacity.lock(line.hold_id for line in lines if line.hold_id)
    known = {key_of(line) for line in [*record.own_lines, *record.presented_lines]}
    restored = [*_restore(presented, record.presented_lines), *_restore(cart, record.own_lines)]
    _load_things(restored)
    for line in lines:
        line.hold = holds.get(line.hold_id or 0)
    old = [line for line in lines if line.key in known]
    CartItem.objects.filter(pk__in=[line.pk for line in old]).delete()
    cart.items.update(cart=presented)
    _share_out([line for line in old if line.hold], restored)
    CartItem.objects.bulk_create(restored)


def _restore(cart: Cart, lines: Iterable[dict[str, Any]]) -> list[CartItem]:
    """The lines of a record, for this cart, not saved to the database yet."""
    now = timezone.now()
    return [
        CartItem(
            cart=cart,
            product_id=line["product"],
            entry_id=line["entry"],
            price_kind_id=line.get("price_kind"),
            quantity=line["quantity"],
            seen_price=Decimal(line["seen_price"]),
            saved_at=now if line["saved"] else None,
        )
        for line in lines
    ]


def _load_things(lines: list[CartItem]) -> None:
    """Read what the lines are about, in two queries."""
    products = Product.objects.in_bulk({line.product_id for line in lines if line.product_id})
    entries = Entry.objects.in_bulk({line.entry_id for line in lines if line.entry_id})
    for line in lines:
        if line.product_id:
            line.product = products[line.product_id]
        else:
            line.entry = entries[line.entry_id or 0]


def _share_out(old: list[CartItem], restored: list[CartItem]) -> None:
    """Divide what the old lines held (locked): first the presented lines get theirs, then the user's own.

    What is short is claimed if there is room, what is too much is given back. In each pool giving back comes first,
    and the pools come by primary key, so that no two who do this wait for each other.
    """
    scarce = [line for line in restored if line.saved_at is None and line.thing.pool_id is not None]
    spare = []
    for line in old:
        takers = [taker for taker in scarce if taker.key == line.key]
        if not takers:
            spare.append(line)
            continue
        _divide(line, takers)
    steps = [(line.thing.pool_id or 0, 0, line) for line in spare]
    steps += [(line.thing.pool_id or 0, 2 if _lacks(line) else 1, line) for line in scarce]
    for _pool, kind, line in sorted(steps, key=lambda step: step[:2]):  # stable: presented lines before the others
        if kind == 0:
            capacity.give_back([line.hold_id or 0])
        else:
            hold_what_fits(line)


def _divide(old: CartItem, takers: list[CartItem]) -> None:
    """Hand an old line's hold to the lines that take its place: all that the first one wants, and the rest."""
    assert old.hold is not None  # noqa: S101 - for mypy
    first, *others = takers
    first.hold = old.hold
    rest = old.hold.quantity - first.quantity
    if others and rest > 0:
        others[0].hold = capacity.divide(old.hold, rest)


def _lacks(line: CartItem) -> bool:
    """Whether a line's hold is too small for it."""
    return line.hold is None or line.hold.quantity < line.quantity
