"""How goods get to their shopper: fetched in a window of time, or brought to a postcode that we go to."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from django.db.models import Exists, Q
from django.utils import formats
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cartsite.refusals import Refusal
from orders.offers import CollectionSlot, DeliveryZone

DELIVERY = "delivery"
OUTWARD = r"[A-Z]{1,2}\d[A-Z\d]?"
BRITISH = re.compile(rf"({OUTWARD})(\d[A-Z]{{2}})")
# A second half of a postcode, which does not stand by itself: the 4 of BA2 4.
SECOND_HALF = re.compile(r"\d[A-Z]{0,2}")


@dataclass(frozen=True)
class Address:
    """Where to bring things: personal data."""

    street: str = ""
    town: str = ""
    postcode: str = ""
    instructions: str = ""


@dataclass(frozen=True)
class Options:
    """What may be chosen for some goods."""

    slots: Sequence[CollectionSlot] = field(default_factory=list)
    zones: Sequence[DeliveryZone] = field(default_factory=list)
    # Whether the shop hands over in any such way at all; if it does not, nothing is asked.
    is_asked: bool = False


class CannotHandOver(Refusal):
    """It cannot be handed over like this. `field` is the one that is wrong; `is_gap` if nothing was chosen yet."""

    def __init__(self, field: str, reason: str | Promise, *, is_gap: bool = False) -> None:
        super().__init__(reason, field=field)
        self.is_gap = is_gap


NEEDED = {
    "street": gettext_lazy("Please tell us the street and the number of the house."),
    "town": gettext_lazy("Please tell us the town."),
    "postcode": gettext_lazy("Please tell us the postcode, so that we know whether and for how much we deliver there."),
}


def is_offered() -> Q:
    """Whether the shop hands over in any such way: to be read along with something else, without a query of its own."""
    return Exists(CollectionSlot.objects.open()) | Exists(DeliveryZone.objects.filter(archived_at=None))


def options_for(stalls: Collection[int]) -> Options:
    """The ways open to goods of these stalls (primary keys): a stall's own window only where all are of that stall."""
    slots = list(CollectionSlot.objects.open())
    zones = list(DeliveryZone.objects.filter(archived_at=None).order_by("pk"))
    fitting = [slot for slot in slots if slot.stall_id is None or {slot.stall_id} == set(stalls)]
    return Options(fitting, zones, is_asked=bool(slots or zones))


def find_slot(uuid: str, options: Options) -> CollectionSlot:
    """The window that was chosen, by its UUID. Raises CannotHandOver if it cannot be (any more)."""
    if not options.slots and not options.zones:
        raise CannotHandOver(
            "handover",
            _("These goods cannot be handed over together at present. Please order each stall's by themselves."),
        )
    if not uuid:
        raise CannotHandOver("handover", _("Please choose how you get your goods."), is_gap=True)
    slot = next((slot for slot in options.slots if str(slot.uuid) == uuid), None)
    if slot is None:
        raise CannotHandOver("handover", _("This can no longer be chosen. Please choose again."))
    if slot.is_full:
        raise CannotHandOver("handover", say_full(slot))
    return slot


def say_full(slot: CollectionSlot) -> str:
    """The sentence for a window that nobody else may choose."""
    return _("%(title)s is full. Please choose another time.") % {"title": describe(slot)}


def describe(slot: CollectionSlot) -> str:
    """A window in words, such as `Saturday market, Sat 5 Dec 10:00 to 13:00, Town hall`, in its own zone."""
    begins, ends = slot.local_start, slot.local_end
    until = ends.strftime("%H:%M") if begins.date() == ends.date() else formats.date_format(ends, "D j M H:i")
    return f"{slot.name}, {formats.date_format(begins, 'D j M H:i')} to {until}, {slot.place}"


# --- Postcodes --------------------------------------------------------------------------------------------------------


def find_zone(address: Address, options: Options) -> DeliveryZone:
    """The zone that an address lies in. Raises CannotHandOver if we do not go there, or cannot say yet."""
    if not address.postcode.strip():
        raise CannotHandOver("postcode", NEEDED["postcode"], is_gap=True)
    postcode = normalise_postcode(address.postcode)
    zone = _zone_of(postcode, options.zones)
    if zone is None:
        raise CannotHandOver("postcode", _("We do not deliver to %(postcode)s.") % {"postcode": postcode})
    return zone


def _zone_of(postcode: str, zones: Iterable[DeliveryZone]) -> DeliveryZone | None:
    """The zone with the longest beginning of a normalised postcode; None if none has any."""
    fitting = [
        (len(beginning), zone)
        for zone in zones
        for beginning in parse_beginnings(zone.postcodes)
        if _begins_with(postcode, beginning)
    ]
    return max(fitting, key=lambda pair: pair[0], default=(0, None))[1]


def _begins_with(postcode: str, beginning: str) -> bool:
    """Whether it does, as people mean it: BS1 is neither BS13 nor BS16, and B is not BS.

    (Postcodes of other countries that begin with a digit are compared as they stand.)
    """
    if not postcode.startswith(beginning):
        return False
    last, rest = beginning[-1], postcode[len(beginning) :]
    if not rest or " " in beginning or postcode[0].isdigit():
        return True
    return not ((last.isdigit() and rest[0].isdigit()) or (last.isalpha() and rest[0].isalpha()))


def normalise_postcode(typed: str) -> str:
    """A postcode in capitals with one space: `bs13ab` is `BS1 3AB`."""
    words = typed.upper().split()
    british = BRITISH.fullmatch("".join(words))
    return " ".join(british.groups() if british else words)


def parse_beginnings(text: str) -> list[str]:
    """The beginnings of postcodes in a text, parted by spaces or commas; `BA2 4` is one of them, not two."""
    found: list[str] = []
    for part in text.upper().split(","):
        words = part.split()
        for before, word in pairwise(["", *words]):
            if re.fullmatch(OUTWARD, before) and SECOND_HALF.fullmatch(word):
                found[-1] += f" {word}"
            else:
                found.append(word)
    return found
