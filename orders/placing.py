"""Placing an order: a cart becomes a commitment, once."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings import capacity, waiting
from bookings.availability import Held, held_in
from bookings.models import Hold, Pool
from cart.basket import hold_still
from cart.filling import say_held_by_one_network
from cart.models import Cart, CartItem, hash_token
from cart.services import Basket, carry_saved_over
from cartsite.models import User
from cartsite.refusals import Refusal
from cartsite.templatetags.shop import in_words
from orders import handover, per_person, services, vouchers
from orders.attendees import Guest, Reader, about_basket, ask_nobody, write_down
from orders.models import DeliveryAddress, LineAllocation, Order, OrderContact, OrderLine
from orders.quoting import Choices, Line, Quote, make_quote

NOTHING_CHOSEN = Choices()


class CannotPlace(Refusal):
    """The order was not placed and nothing has moved; `reasons` are sentences for the shopper."""


class CartChanged(CannotPlace):
    """The cart is not what the shopper agreed to: they must look again."""


class Dearer(CartChanged):
    """What the shopper chose last makes the order dearer than the sum they saw: they see the new sum first."""


@transaction.atomic
def place(
    cart_id: UUID,
    *,
    token: str,
    user: User | None,
    agreed: str,
    shown: Choices | None = None,
    name: str,
    email: str,
    chosen: Choices = NOTHING_CHOSEN,
    attendees: Reader = ask_nobody,
) -> tuple[Order, bool]:
    """Make an order of the cart, exactly as it was shown; the order, and whether it is new.

    `cart_id` and `agreed` (the quote's fingerprint) are what the review page showed, and `shown` is what was chosen
    there by then: without JavaScript a choice is sent together with the order, and one that makes it no dearer need not
    be shown again. `attendees` tells who comes to the places that something is asked about, and may raise CannotPlace.
    Placing the same cart again gives the first order. Raises CannotPlace with nothing moved. An order of nothing to pay
    is confirmed at once.
    """
    cart = Cart.objects.filter(_may_place(token, user), uuid=cart_id)
    limited = per_person.hold_still(cart, user, email)
    if user is not None and not hold_still(user):
        raise CartChanged(_("Your basket has changed. Please look through it again."))
    # The cart is over, and locked by that: of several who place it at once, the others wait here for the order.
    if not cart.filter(ordered_at=None).update(ordered_at=timezone.now()):
        return _order_of(cart), False
    quote = _quote(cart, chosen)
    _check_agreed(quote, agreed, shown)
    _check_per_person(quote, limited, user, email)
    guests = attendees(about_basket(quote.basket.items))
    holds = _hold_everything(quote)
    order = _write_order(quote, holds, guests, user)
    carry_saved_over(quote.basket, token)
    if quote.basket.items[0].cart.network:
        cart.update(network="")  # the holds know it for as long as they are not paid
    OrderContact.objects.create(order=order, name=name, email=email)
    if quote.is_delivered:
        DeliveryAddress.objects.create(order=order, **_address_of(quote))
    if order.total == 0:
        services.confirm(order, cause="nothing to pay")
    return order, True


def _may_place(token: str, user: User | None) -> Q:
    """Carts of this visitor: by their token, or because they are theirs."""
    mine = Q(token_hash=hash_token(token))
    return mine if user is None else Q(user=user) | mine & Q(user=None)


def _order_of(cart: QuerySet[Cart]) -> Order:
    """The order that was made of this cart before; CartChanged if there is none, or no such cart for this visitor."""
    order = Order.objects.filter(cart__in=cart).first()
    if order is None:
        raise CartChanged(_("Your basket has changed. Please look through it again."))
    return order


def _quote(cart: QuerySet[Cart], chosen: Choices) -> Quote:
    """The order that the cart comes to now. Raises CannotPlace if it cannot be placed."""
    # By the one key: with "in" the database joins the carts last, and reads the lines of all baskets there are.
    items = CartItem.objects.loaded().filter(cart=cart.values("pk")[:1])
    basket = Basket(list(items.annotate(may_ask=handover.is_offered())))
    if not basket.items:
        raise CannotPlace(_("Your basket is empty."))
    quote = make_quote(basket, chosen, may_ask=basket.items[0].may_ask)  # type: ignore[attr-defined]
    if quote.problems:
        raise CannotPlace(*(problem.sentence for problem in quote.problems))
    return quote


def _check_agreed(quote: Quote, agreed: str, shown: Choices | None) -> None:
    """Raise CartChanged unless the shopper saw this order, or saw it before their last choices and at no lower sum."""
    if quote.fingerprint == agreed:
        return
    # The sum that they saw is not taken from the request: it counts only if the same choices still come to the same.
    seen = None if shown is None else make_quote(quote.basket, shown, may_ask=quote.options.is_asked)
    if seen is None or seen.fingerprint != agreed:
        raise CartChanged(_("What it comes to has changed since you looked. Please look through it again."))
    if quote.total > seen.total:
        raise Dearer(_say_dearer(seen, quote))


def _say_dearer(seen: Quote, quote: Quote) -> str:
    """What made the order dearer than the shopper saw it, and what it comes to now."""
    said = {"total": in_words(quote.total)}
    if seen.voucher == quote.voucher and quote.is_delivered:
        fee = quote.total - seen.total
        return _("Delivery adds %(fee)s: your order is now %(total)s.") % {**said, "fee": in_words(fee)}
    if seen.voucher and not quote.voucher:
        return _("Without the voucher your order is now %(total)s.") % said
    return _("With what you chose your order is now %(total)s.") % said


def _check_per_person(quote: Quote, limited: set[int], user: User | None, email: str) -> None:
    """Raise CannotPlace if they would have more places than one person may; `limited` are the entries held still."""
    items = quote.basket.items
    if any(item.entry and item.entry.max_per_person and item.entry_id not in limited for item in items):
        raise CartChanged(_("Your basket has changed. Please look through it again."))
    if reasons := per_person.find_excess(items, user, email):
        raise CannotPlace(*reasons)


def _hold_everything(quote: Quote) -> dict[int, Hold]:
    """Hold what the order needs without end, claiming only what the basket does not hold already: things that have
    lapsed, the window of collection, the voucher. The holds by the lines' positions."""
    held = capacity.lock(item.hold_id for item in quote.basket.items if item.hold_id)
    fitting = {n: hold for n, line in enumerate(quote.lines) if (hold := _held_for(line, held)) is not None}
    scarce = {n: line for n, line in enumerate(quote.lines) if line.pool_id is not None and n not in fitting}
    # What lapsed belongs to those who wait, whether or not a sweep has taken it from the basket.
    unheld = [*scarce.values(), *(quote.lines[n] for n, hold in fitting.items() if hold.is_over)]
    stale = [hold for hold in held.values() if hold not in fitting.values() and hold.quantity]
    if late := [*stale, *(hold for hold in fitting.values() if hold.is_over)]:
        # What is freed or looked at may come after what is claimed: all pools by primary key, so that no two wait for
        # each other.
        capacity.lock_pools({hold.pool_id for hold in late} | {line.pool_id or 0 for line in scarce.values()})
    if stale:
        capacity.give_back(hold.pk for hold in stale)
    capacity.keep(hold.pk for hold in fitting.values())
    try:
        claimed = capacity.claim_all([(line.pool_id or 0, line.quantity) for line in scarce.values()], until=None)
        waiting.refuse_if_queued([line.pool_id or 0 for line in unheld if line.item and line.item.entry_id])
        _check_network(quote, unheld, dict(zip(scarce, claimed, strict=True)))
    except capacity.SoldOut as sold_out:
        left = _left_in(sold_out.pools)
        gone = [_say_gone(line, left) for line in unheld if line.pool_id in sold_out.pools]
        raise CannotPlace(*gone) from None
    return fitting | dict(zip(scarce, claimed, strict=True))


def _check_network(quote: Quote, lines: Sequence[Line], claimed: Mapping[int, Hold]) -> None:
    """Raise CannotPlace if these lines are more places than the basket's network may hold unpaid.

    `claimed` are the holds that were claimed for the order just now, by the positions of their lines.
    """
    network = quote.basket.items[0].cart.network
    places = {line.pool_id or 0: line.title for line in lines if line.item and line.item.entry_id}
    capacity.name_network([hold.pk for hold in claimed.values() if hold.pool_id in places], network)
    for pool, title in sorted(places.items()):
        try:
            capacity.check_network(pool, network)
        except capacity.HeldByOneNetwork as held:
            raise CannotPlace(say_held_by_one_network(title, held.most)) from None


def _held_for(line: Line, held: dict[int, Hold]) -> Hold | None:
    """What the basket holds for a line, if that is just what it needs."""
    if line.item is None or line.pool_id is None:
        return None
    hold = held.get(line.item.hold_id or 0)
    return hold if hold and hold.quantity == line.quantity else None


def _left_in(pools: Collection[int]) -> dict[int, int]:
    """How many anybody could still claim from these pools (by primary key); none where others wait."""
    held, queued = held_in(pools), waiting.is_queued(pools)
    free = {pool.pk: (pool.free or 0) + held.get(pool.pk, Held()).expired for pool in Pool.objects.filter(pk__in=pools)}
    return {pk: 0 if pk in queued else left for pk, left in free.items()}


def _say_gone(line: Line, left: Mapping[int, int]) -> str:
    """The sentence for what somebody else was faster to take, with how many there are left."""
    if line.slot:
        return handover.say_full(line.slot)
    if line.voucher:
        return vouchers.say_used_up(line.voucher)
    said = {"title": line.title, "left": left.get(line.pool_id or 0, 0)}
    if not said["left"]:
        return _("There is not enough left of %(title)s.") % said
    return _("There is not enough left of %(title)s: only %(left)d.") % said


def _write_order(quote: Quote, holds: dict[int, Hold], guests: Mapping[str, Guest], user: User | None) -> Order:
    """The order with its lines and who comes; what the cart held is the order's now."""
    cart = quote.basket.items[0].cart
    order = Order.objects.create(
        cart=cart,
        user=user or cart.user,
        total=quote.total,
        currency=settings.CURRENCY,
        placed_at=quote.made_at,
        terms_version=settings.TERMS_VERSION,
    )
    lines = OrderLine.objects.bulk_create(
        _line(order, position, line, holds.get(position)) for position, line in enumerate(quote.lines)
    )
    _allocate(quote, lines)
    of_basket = zip(lines, quote.lines, strict=True)
    write_down({quoted.item.pk: line for line, quoted in of_basket if quoted.item}, guests)
    cart.items.update(hold=None)
    order.record("placed", total=str(order.total))
    return order


def _line(order: Order, position: int, line: Line, hold: Hold | None) -> OrderLine:
    return OrderLine(
        order=order,
        position=position,
        kind=line.kind,
        product=line.item.product if line.item else None,
        entry=line.entry,
        price_kind=line.item.price_kind if line.item else None,
        slot=line.slot,
        zone=line.zone,
        voucher=line.voucher,
        stall=line.stall,
        title=line.title,
        unit_price=line.unit_price,
        quantity=line.quantity,
        tax_rate=line.tax_rate,
        total=line.total,
        hold=hold,
        cancel_until=line.cancel_until,
        kept_percent=line.kept_percent,
    )


def _allocate(quote: Quote, lines: Sequence[OrderLine]) -> None:
    """Whose money it is, at which tax rate: as the quote shared it out."""
    LineAllocation.objects.bulk_create(
        LineAllocation(
            line=line,
            about=None if part.about is None else lines[part.about],
            stall=part.stall,
            tax_rate=part.tax_rate,
            amount=part.amount,
            tax=part.tax,
        )
        for line, quoted in zip(lines, quote.lines, strict=True)
        for part in quoted.parts
    )


def _address_of(quote: Quote) -> dict[str, str]:
    address = quote.chosen.address
    return {
        "street": address.street.strip(),
        "town": address.town.strip(),
        "postcode": handover.normalise_postcode(address.postcode),
        "instructions": address.instructions.strip(),
    }
