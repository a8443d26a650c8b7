"""What an order would be: its lines, its sums and what stands in its way. The review page shows a quote, and placing
writes that same quote down: so what is shown is what is charged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from hashlib import sha256

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from bookings.models import Entry
from cart.models import CartItem, Stall
from cart.services import Basket, Unavailable, check_line
from orders import handover, rules, vouchers
from orders.handover import DELIVERY, Address, CannotHandOver, Options
from orders.models import OrderLine
from orders.money import share_out, tax_within
from orders.offers import CollectionSlot, DeliveryZone, Voucher
from orders.rules import Rule

NOTHING = Decimal("0.00")
NOWHERE = Address()
NO_RULE = Rule()
LONGEST_TITLE = 200


@dataclass(frozen=True)
class Choices:
    """What a shopper chose on the checkout page, as they sent it."""

    handover: str = ""  # the UUID of a window of collection, or `delivery`
    address: Address = NOWHERE
    voucher: str = ""


@dataclass(frozen=True)
class Part:
    """Which stall, at which tax rate, gets how much of a line; of a discount also which line that makes cheaper."""

    stall: Stall
    tax_rate: Decimal  # per cent
    amount: Decimal  # tax included
    about: int | None = None  # the position of that line

    @property
    def tax(self) -> Decimal:
        """How much of it is tax."""
        return tax_within(self.amount, self.tax_rate)


@dataclass(frozen=True)
class Line:
    """One line of the order to be."""

    kind: OrderLine.Kind
    title: str
    stall: Stall
    unit_price: Decimal
    tax_rate: Decimal
    quantity: int = 1
    item: CartItem | None = None
    slot: CollectionSlot | None = None
    zone: DeliveryZone | None = None
    voucher: Voucher | None = None
    rule: Rule = NO_RULE
    shares: Sequence[Part] = ()

    @property
    def total(self) -> Decimal:
        return self.unit_price * self.quantity

    @property
    def entry(self) -> Entry | None:
        return self.item.entry if self.item else None

    @property
    def cancel_until(self) -> datetime | None:
        return self.rule.cancel_until

    @property
    def kept_percent(self) -> Decimal:
        return self.rule.kept_percent

    @property
    def parts(self) -> Sequence[Part]:
        """Whose it is: all of it the line's stall's, unless it was shared out."""
        return self.shares or [Part(self.stall, self.tax_rate, self.total)]

    @property
    def pool_id(self) -> int | None:
        """The pool that it takes from, if what it is about is counted."""
        source = self.item.thing if self.item else self.slot or self.voucher
        return source.pool_id if source else None


@dataclass(frozen=True)
class Problem:
    """Why the order cannot be placed as it is: a sentence, and the field that it is about (`basket` if none)."""

    about: str
    sentence: str
    is_gap: bool = False  # nothing was chosen or typed there yet


@dataclass(frozen=True)
class Tax:
    """What is charged at one tax rate."""

    rate: Decimal  # per cent
    amount: Decimal = NOTHING  # tax included
    tax: Decimal = NOTHING


@dataclass
class Quote:
    """An order to be."""

    basket: Basket
    chosen: Choices
    options: Options
    made_at: datetime
    lines: list[Line] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @cached_property
    def total(self) -> Decimal:
        """What will be charged, in the shop's currency."""
        return sum((line.total for line in self.lines), NOTHING)

    @cached_property
    def by_stall(self) -> dict[Stall, Decimal]:
        """Each stall's share of what is charged, in the order in which the stalls appear."""
        shares: dict[Stall, Decimal] = {}
        for part in self._parts():
            shares[part.stall] = shares.get(part.stall, NOTHING) + part.amount
        return shares

    @cached_property
    def by_rate(self) -> list[Tax]:
        """What is charged at each tax rate, the highest first."""
        sums: dict[Decimal, Tax] = {}
        for part in self._parts():
            so_far = sums.get(part.tax_rate, Tax(part.tax_rate))
            sums[part.tax_rate] = Tax(part.tax_rate, so_far.amount + part.amount, so_far.tax + part.tax)
        return [sums[rate] for rate in sorted(sums, reverse=True)]

    def _parts(self) -> Iterator[Part]:
        return (part for line in self.lines for part in line.parts)

    @property
    def voucher(self) -> Voucher | None:
        """The voucher that is used."""
        return next((line.voucher for line in self.lines if line.voucher), None)

    @property
    def is_delivered(self) -> bool:
        """Whether the goods are brought to an address."""
        return any(line.zone for line in self.lines)

    @property
    def is_settled(self) -> bool:
        """Whether it is known how the goods get to their shopper, or nothing is to be known."""
        return not self.options.is_asked or any(line.kind == OrderLine.Kind.FEE for line in self.lines)

    @property
    def fingerprint(self) -> str:
        """Equal if the same was agreed to: contents, prices, hand-over, voucher, rules, sums and terms."""
        said = [self.basket.fingerprint, settings.TERMS_VERSION, str(self.total), *map(_describe, self.lines)]
        return sha256("\n".join(said).encode()).hexdigest()[:16]

    def say(self, about: str, sentence: str, *, is_gap: bool = False) -> None:
        """Note why it cannot be placed."""
        self.problems.append(Problem(about, sentence, is_gap))


def _describe(line: Line) -> str:
    """What of a line the shopper agrees to."""
    offer = line.slot or line.zone or line.voucher
    until = line.cancel_until if line.entry else None  # that of goods may be reckoned from the moment of ordering
    begins = line.entry.starts_at if line.entry else None
    title = line.title if offer else ""
    return f"{offer and offer.uuid} {title} {line.total} {line.tax_rate} {begins} {until} {line.kept_percent}"


# --- Making one -------------------------------------------------------------------------------------------------------


def make_quote(basket: Basket, chosen: Choices, *, may_ask: bool = True) -> Quote:
    """The order that this basket would be now, with what was chosen for it.

    `may_ask` False if it is known already that the shop has neither windows of collection nor zones.
    """
    goods = [item for item in basket.items if item.product]
    options = handover.options_for({item.stall.pk for item in goods}) if goods and may_ask else Options()
    quote = Quote(basket, chosen, options, made_at=timezone.now())
    _check_basket(quote)
    fee = _hand_over(quote)
    quote.lines += [_line_of(quote, item, fee.slot if fee else None) for item in basket.items]
    discount = _discount(quote)
    quote.lines += [line for line in (discount, fee) if line]
    return quote


def _check_basket(quote: Quote) -> None:
    for item in quote.basket.items:
        try:
            check_line(item.thing, item.quantity, item.price_kind)
        except Unavailable as unavailable:
            quote.say("basket", str(unavailable))
    for sentence in quote.basket.beyond_caps:
        quote.say("basket", _("%(reason)s Please take fewer.") % {"reason": sentence})
    if quote.basket.prices_rose:
        quote.say("basket", _("Some prices have gone up. Please look at them before you go on."))


def _line_of(quote: Quote, item: CartItem, slot: CollectionSlot | None) -> Line:
    return Line(
        kind=OrderLine.Kind.PRODUCT if item.product else OrderLine.Kind.ENTRY,
        title=item.title[:LONGEST_TITLE],
        stall=item.stall,
        unit_price=item.unit_price,
        quantity=item.quantity,
        tax_rate=item.thing.tax_rate,
        item=item,
        rule=rules.for_places(item.entry) if item.entry else rules.for_goods(slot, quote.made_at),
    )


# --- How it is handed over --------------------------------------------------------------------------------------------


def _hand_over(quote: Quote) -> Line | None:
    """The line of how the goods get to the shopper; None if nothing is asked, or it is not known yet."""
    if not quote.options.is_asked:
        return None
    try:
        if quote.chosen.handover == DELIVERY and quote.options.zones:
            _check_address(quote)
            return _delivery(handover.find_zone(quote.chosen.address, quote.options))
        return _collection(handover.find_slot(quote.chosen.handover, quote.options))
    except CannotHandOver as refusal:
        quote.say(refusal.field, str(refusal), is_gap=refusal.is_gap)
        return None


def _check_address(quote: Quote) -> None:
    for name in ("street", "town"):
        if not getattr(quote.chosen.address, name).strip():
            quote.say(name, str(handover.NEEDED[name]), is_gap=True)


def _delivery(zone: DeliveryZone) -> Line:
    """To bring things costs a fee, which is the house's."""
    title = _("Delivery: %(zone)s") % {"zone": zone.name}
    house = Stall.objects.house()
    return Line(OrderLine.Kind.FEE, title[:LONGEST_TITLE], house, zone.fee, zone.tax_rate, zone=zone)


def _collection(slot: CollectionSlot) -> Line:
    """To fetch them costs nothing; but it is a line, so that it holds its place in the window."""
    title = _("Collection: %(window)s") % {"window": handover.describe(slot)}
    stall = slot.stall or Stall.objects.house()
    return Line(OrderLine.Kind.FEE, title[:LONGEST_TITLE], stall, NOTHING, NOTHING, slot=slot)


# --- What makes it cheaper --------------------------------------------------------------------------------------------


def _discount(quote: Quote) -> Line | None:
    """The voucher's line; None without a voucher, or if it cannot be used. It never covers fees."""
    if not quote.chosen.voucher.strip():
        return None
    try:
        voucher = vouchers.find(quote.chosen.voucher)
        return discount_line(voucher, quote.lines, voucher.stall or Stall.objects.house())
    except vouchers.CannotUse as refusal:
        quote.say("voucher", str(refusal))
        return None


def discount_line(voucher: Voucher, lines: Sequence[Line], stall: Stall) -> Line:
    """What a voucher takes off the lines it is for, shared out among them by what they cost. Raises CannotUse.

    Whose money that is, and at which tax rates, is told by its shares: the line's own stall and rate are only for show
    where several have a part in it.
    """
    eligible = {n: line for n, line in enumerate(lines) if voucher.stall in (None, line.stall)}
    amount = vouchers.discount_on(voucher, sum((line.total for line in eligible.values()), NOTHING))
    parts = share_out(amount, {position: line.total for position, line in eligible.items()})
    rates = {line.tax_rate for line in eligible.values()}
    return Line(
        kind=OrderLine.Kind.DISCOUNT,
        title=voucher.title,
        stall=stall,
        unit_price=-amount,
        tax_rate=rates.pop() if len(rates) == 1 else NOTHING,
        voucher=voucher,
        shares=[Part(eligible[n].stall, eligible[n].tax_rate, -part, about=n) for n, part in sorted(parts.items())],
    )
