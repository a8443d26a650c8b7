"""What is on in the demo: four calendars, and what recurs in each. Times are what the clock on the wall says there.

Prices keep the rule of `cart.demo.goods`. The masterclass alone has as few as five places.
"""

from datetime import date, time
from typing import NamedTuple

FREE = "0.00"
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(7)


class Price(NamedTuple):
    """Another price for a place, and whom it is for."""

    name: str
    note: str
    price: str


class Asked(NamedTuple):
    """What is asked about everybody who comes; of `choices` one is chosen."""

    text: str
    help_text: str = ""
    choices: tuple[str, ...] = ()


class Recurring(NamedTuple):
    """A thing that recurs on a weekday, every so many weeks: 1, 2, 4 or 8, so that eight weeks always hold as many."""

    title: str
    description: str
    weekday: int
    starts: time
    ends: time
    places: int
    price: str
    vat: str = "20.00"
    every: int = 1
    offset: int = 0
    kind: str = "workshop"
    price_name: str = ""
    prices: tuple[Price, ...] = ()

    def falls_on(self, day: date) -> bool:
        """Whether it takes place on that day; weeks are counted from one fixed Monday, so that the answer stands."""
        week = (day.toordinal() - 1) // 7
        return day.weekday() == self.weekday and week % self.every == self.offset


class Programme(NamedTuple):
    """A calendar of the demo, with what is on in it."""

    slug: str
    stall: str
    name: str
    description: str
    place: str
    zone: str
    series: tuple[Recurring, ...]
    questions: tuple[Asked, ...] = ()
    ask_names: bool = False

    @property
    def picture(self) -> str:
        """Where its picture is among the static files."""
        return f"demo/{self.slug}.svg"


BAKEHOUSE = Programme(
    "the-bakehouse",
    "millstone-bakery",
    "The Bakehouse",
    "Flour on your sleeves and something warm to carry home. Aprons are provided; rings are best left behind.",
    "The Old Bakehouse, Mill Lane, Rose Ash",
    "Europe/London",
    (
        Recurring(
            "Bread workshop",
            "A morning at the long table: mix, knead, shape and bake two loaves, and have soup while they rise.",
            SATURDAY,
            time(10),
            time(13, 30),
            places=12,
            price="38.50",
        ),
        Recurring(
            "Sourdough masterclass",
            "A whole day on sourdough alone, from feeding the starter to reading the crust. Five people, no hurry.",
            SUNDAY,
            time(10),
            time(16),
            places=5,
            price="85.00",
            every=8,
            offset=3,
        ),
        Recurring(
            "Family pizza evening",
            "Children make the dough, grown-ups mind the oven, everyone eats. A place feeds one person of any size.",
            FRIDAY,
            time(17, 30),
            time(19, 30),
            places=24,
            price="9.50",
            every=2,
            kind="gathering",
            price_name="Grown-up",
            prices=(
                Price("Child", "From 3 to 12 years", "5.25"),
                Price("Low income", "If money is short: nobody asks", "7.60"),
            ),
        ),
    ),
    questions=(
        Asked("What do you not eat?", "Allergies too. We bake with wheat, milk and nuts in the room."),
        Asked("Which apron fits?", choices=("Small", "Medium", "Large")),
    ),
    ask_names=True,
)

WALKS = Programme(
    "walks-and-foraging",
    "rose-ash",
    "Walks & Foraging",
    "Slow walks with people who know the hedges. Stout shoes, please; dogs on leads are welcome.",
    "The Market Cross, Rose Ash",
    "Europe/London",
    (
        Recurring(
            "Guided hedgerow walk",
            "Two gentle miles along the green lanes, with stories about what grows there and who planted it.",
            SUNDAY,
            time(9, 30),
            time(11, 30),
            places=20,
            price="6.40",
            kind="walk",
            price_name="Adult",
            prices=(
                Price("Child", "Under 16 years", "3.20"),
                Price("Low income", "If money is short: nobody asks", "4.80"),
            ),
        ),
        Recurring(
            "Foraging for beginners",
            "What to pick, what to leave and what never to touch, ending with something hot made from the basket.",
            SATURDAY,
            time(14),
            time(16, 30),
            places=14,
            price="18.50",
            every=2,
        ),
        Recurring(
            "Sunrise walk",
            "Up the beacon in the dark and down again by daylight, with a flask of cocoa at the top.",
            WEDNESDAY,
            time(5, 45),
            time(8),
            places=15,
            price="7.75",
            every=2,
            offset=1,
            kind="walk",
        ),
        Recurring(
            "Path-mending morning",
            "Bring gloves and an hour or three. We clear the paths, and the co-operative pays for the cake.",
            TUESDAY,
            time(10),
            time(12, 30),
            places=40,
            price=FREE,
            every=2,
            kind="gathering",
        ),
    ),
)

CLAY_ROOM = Programme(
    "clay-room-evenings",
    "the-clay-room",
    "Clay Room Evenings",
    "Wheels, clay and a kettle in the old chapel. Everything you make is fired and ready a fortnight later.",
    "The Old Chapel, Kiln Street, Rose Ash",
    "Europe/London",
    (
        Recurring(
            "Pottery evening",
            "Hand-building for anyone: a bowl, a tile, a small odd animal. Clay, glaze and firing are included.",
            THURSDAY,
            time(18, 30),
            time(21),
            places=10,
            price="26.50",
        ),
        Recurring(
            "First turns on the wheel",
            "A wheel to yourself and a potter at your elbow. You will get wet, and you will take home a bowl.",
            SATURDAY,
            time(13),
            time(16),
            places=6,
            price="44.50",
        ),
        Recurring(
            "Candle-pouring afternoon",
            "With Wick & Lather: choose a scent, pour two candles and learn why wicks misbehave.",
            SUNDAY,
            time(14),
            time(16),
            places=12,
            price="24.50",
            every=2,
            offset=1,
        ),
        Recurring(
            "Mending table",
            "Bring a broken pot, a torn cuff or a wobbly chair, and sit with somebody who can mend it.",
            MONDAY,
            time(18),
            time(20),
            places=16,
            price=FREE,
            every=2,
            kind="gathering",
        ),
    ),
)

CANAL = Programme(
    "canal-cellar-tastings",
    "fold-dairy",
    "Canal Cellar Tastings",
    "Our sister co-operative's cellar by the water, where British cheese and Dutch patience meet over a long table.",
    "De Kaaskelder, Brouwersgracht, Amsterdam",
    "Europe/Amsterdam",
    (
        Recurring(
            "Cheese and cider tasting",
            "Six cheeses, three ciders and a map of where they come from. Bread is passed until nobody wants more.",
            FRIDAY,
            time(19),
            time(21),
            places=18,
            price="32.50",
            kind="tasting",
        ),
        Recurring(
            "Honey tasting with the beekeepers",
            "Heather, lime, buckwheat and a few you cannot buy, with the two sisters who carried them over.",
            WEDNESDAY,
            time(19, 30),
            time(21),
            places=16,
            price="19.50",
            every=2,
            kind="tasting",
        ),
    ),
)

PROGRAMMES = (BAKEHOUSE, WALKS, CLAY_ROOM, CANAL)
