"""What the demo's stalls sell.

Prices are chosen so that no basket, whatever is in it, comes to a total that SumUp always declines while testing:
all are multiples of five pence, and no handful of them adds up to 11.00.
"""

from typing import NamedTuple

FOOD = BOOKS = "0.00"
REDUCED = "5.00"
STANDARD = "20.00"


class Good(NamedTuple):
    """A product of the demo; `stock` None means that nobody counts it."""

    sku: str
    title: str
    description: str
    price: str
    vat: str
    stock: int | None = None

    @property
    def picture(self) -> str:
        """Where its picture is among the static files."""
        return f"demo/{self.sku.lower()}.svg"


class Seller(NamedTuple):
    """A stall of the demo, with what it sells."""

    slug: str
    name: str
    description: str
    goods: tuple[Good, ...]


HOUSE = Seller(
    "rose-ash",
    "Rose Ash Co-operative",
    "The members' own table by the door: the veg box, the tea towel, and whatever keeps the lights on.",
    (
        Good(
            "BOX-VEG-SEASON",
            "Seasonal veg box",
            "Whatever the members' plots gave this week, enough for two people and a pot of soup.",
            "14.50",
            FOOD,
            stock=30,
        ),
        Good(
            "BAG-TOTE-ROSE",
            "Rose Ash tote bag",
            "Heavy organic cotton with our rose on the front. Holds a week's shopping and one good cabbage.",
            "12.50",
            STANDARD,
        ),
        Good(
            "TOWEL-TEA-ASH",
            "Ash leaf tea towel",
            "Half linen, half cotton, printed in the village hall. Better after the third wash.",
            "9.80",
            STANDARD,
        ),
        Good(
            "BOOK-COOK-MARKET",
            "The Market Day Cookbook",
            "Sixty plain recipes from stallholders, with a page at the back for your own.",
            "16.50",
            BOOKS,
            stock=18,
        ),
        Good(
            "CARDS-MARKET-5",
            "Market cards, set of five",
            "Five blank cards drawn at the market on five different mornings, with envelopes.",
            "6.40",
            STANDARD,
        ),
        Good(
            "WOOD-KINDLING",
            "Net of ash kindling",
            "Split from our own coppice and dried for two summers. Lights with one match.",
            "6.80",
            REDUCED,
        ),
    ),
)

HIVE = Seller(
    "heather-and-hive",
    "Heather & Hive",
    "Forty hives on the moor's edge, kept by two sisters who know most of the bees by sight.",
    (
        Good(
            "HONEY-HEATHER-340",
            "Heather honey, 340 g",
            "Dark, thick and a little wild, since the bees spend August on the moor. Be patient with the spoon.",
            "8.50",
            FOOD,
            stock=24,
        ),
        Good(
            "HONEY-WILDFLOWER-340",
            "Wildflower honey, 340 g",
            "Runny and bright, from clover, bramble and whatever else was open that week.",
            "7.20",
            FOOD,
        ),
        Good(
            "HONEY-ORCHARD-227",
            "Apple blossom honey, 227 g",
            "Set honey from ten days in May. There is only ever a little of it.",
            "6.25",
            FOOD,
            stock=3,
        ),
        Good(
            "HONEY-COMB-200",
            "Cut honeycomb, 200 g",
            "A square cut straight from the frame. Eat it wax and all, on hot toast.",
            "9.50",
            FOOD,
            stock=0,
        ),
        Good(
            "CANDLE-BEESWAX-PAIR",
            "Beeswax dinner candles, pair",
            "Hand-dipped, slow to burn, and they smell faintly of summer.",
            "13.50",
            STANDARD,
        ),
        Good(
            "FUDGE-HONEY-150",
            "Honey fudge, 150 g",
            "Crumbly rather than chewy, made in a copper pan on Tuesdays.",
            "4.80",
            STANDARD,
        ),
    ),
)

BAKERY = Seller(
    "millstone-bakery",
    "Millstone Bakery",
    "Bread from flour we mill ourselves, out of the oven at six and on the stall by eight.",
    (
        Good(
            "BREAD-SOURDOUGH-800",
            "Country sourdough, 800 g",
            "Two days in the making: a crackling crust and a crumb that keeps until Thursday.",
            "4.50",
            FOOD,
            stock=40,
        ),
        Good(
            "BREAD-RYE-SEEDED",
            "Seeded rye tin",
            "Close, moist and full of sunflower seeds. Slice it thin and take your time.",
            "4.80",
            FOOD,
            stock=16,
        ),
        Good(
            "BREAD-FRUIT-MALT",
            "Malted fruit loaf",
            "Sultanas soaked overnight in tea. It asks for butter.",
            "4.25",
            FOOD,
        ),
        Good(
            "BUNS-CINNAMON-4",
            "Cinnamon buns, four",
            "Soft in the middle, sticky at the edges, gone by the time you get home.",
            "7.75",
            FOOD,
            stock=2,
        ),
        Good(
            "SHORTBREAD-CHOC-6",
            "Chocolate-dipped shortbread, six",
            "All butter, half dipped in dark chocolate, and not quite straight.",
            "5.80",
            STANDARD,
        ),
        Good(
            "STARTER-RYE-100",
            "Rye sourdough starter",
            "A spoonful of our own starter, fed daily since 2009. Comes with instructions and high hopes.",
            "3.75",
            FOOD,
        ),
    ),
)

DAIRY = Seller(
    "fold-dairy",
    "Fold Dairy",
    "Thirty-two cows, a dozen goats and one patient cheesemaker at the top of the valley.",
    (
        Good(
            "CHEESE-CHEDDAR-250",
            "Farmhouse cheddar, 250 g",
            "Cloth-bound and fourteen months old, with a bite at the end.",
            "7.75",
            FOOD,
            stock=22,
        ),
        Good(
            "CHEESE-BLUE-200",
            "Ash Beck Blue, 200 g",
            "Creamy and gently blue. A good first blue for those who think they do not like it.",
            "7.50",
            FOOD,
            stock=9,
        ),
        Good(
            "CHEESE-GOAT-150",
            "Goat's cheese in ash, 150 g",
            "Fresh, lemony and rolled in fine ash, as the name of the market demands.",
            "6.40",
            FOOD,
        ),
        Good(
            "CHEESE-SOFT-WASHED",
            "Little Fold, washed rind",
            "Small, orange and stronger than it looks. Bake it whole with a sprig of thyme.",
            "8.80",
            FOOD,
            stock=1,
        ),
        Good(
            "BUTTER-CULTURED-250",
            "Cultured butter, 250 g",
            "Churned on Mondays from ripened cream, with flakes of sea salt.",
            "4.50",
            FOOD,
        ),
        Good(
            "EGGS-HEN-12",
            "A dozen hens' eggs",
            "Brown, white and the odd blue one, from hens that go where they please.",
            "4.25",
            FOOD,
            stock=36,
        ),
    ),
)

ORCHARD = Seller(
    "bramble-orchard",
    "Bramble Orchard",
    "Old trees, older varieties, and a shed full of jam pans.",
    (
        Good(
            "APPLES-RUSSET-KG",
            "Russet apples, 1 kg",
            "Rough-skinned, nutty and sweet. The apple for people who like cheese.",
            "3.75",
            FOOD,
        ),
        Good(
            "APPLES-DISCOVERY-KG",
            "Discovery apples, 1 kg",
            "Small, crisp and pink right through to the middle.",
            "3.60",
            FOOD,
        ),
        Good(
            "JUICE-APPLE-750",
            "Cloudy apple juice, 750 ml",
            "Pressed the day the apples fell, and nothing added. Shake before pouring.",
            "4.80",
            STANDARD,
        ),
        Good(
            "VINEGAR-CIDER-500",
            "Cider vinegar, 500 ml",
            "Aged in oak and still alive. Splendid on a plate of beetroot.",
            "6.25",
            FOOD,
        ),
        Good(
            "JAM-DAMSON-300",
            "Damson jam, 300 g",
            "Sharp, dark and properly set. We take the stones out, mostly.",
            "4.50",
            FOOD,
            stock=15,
        ),
        Good(
            "CHUTNEY-PEAR-280",
            "Pear and ginger chutney, 280 g",
            "Three months in the jar before we let it out. It improves a ham sandwich beyond recognition.",
            "4.80",
            FOOD,
        ),
    ),
)

CLAY = Seller(
    "the-clay-room",
    "The Clay Room",
    "Stoneware thrown, glazed and fired in the old chapel. No two pieces agree exactly.",
    (
        Good(
            "MUG-SAGE",
            "Sage mug",
            "Holds a builder's tea and sits well in the hand. Safe in the dishwasher, happier in the sink.",
            "18.50",
            STANDARD,
            stock=12,
        ),
        Good(
            "MUG-ROSE",
            "Rose mug",
            "The same mug in our softest glaze, with a thumb rest for long conversations.",
            "18.50",
            STANDARD,
            stock=2,
        ),
        Good(
            "BOWL-SERVING-ASH",
            "Ash-glazed serving bowl",
            "Wide and heavy, with a glaze made from the ash of our own stove.",
            "36.50",
            STANDARD,
            stock=6,
        ),
        Good(
            "JUG-MILK-CREAM",
            "Milk jug",
            "Pours without dripping, which took us nine years.",
            "22.50",
            STANDARD,
            stock=7,
        ),
        Good(
            "POT-PLANTER-TERRA",
            "Terracotta planter",
            "Hand-thrown, frost-proof and with a hole where a hole should be.",
            "16.80",
            STANDARD,
        ),
        Good(
            "EGGCUPS-PAIR",
            "Egg cups, pair",
            "One speckled, one plain, so nobody argues at breakfast.",
            "13.80",
            STANDARD,
            stock=10,
        ),
    ),
)

LATHER = Seller(
    "wick-and-lather",
    "Wick & Lather",
    "Soap cut by hand and candles poured in a back kitchen that always smells of something lovely.",
    (
        Good(
            "SOAP-LAVENDER",
            "Lavender soap",
            "Real lavender oil and a few ground buds, cured for six weeks so that it lasts.",
            "5.80",
            STANDARD,
            stock=28,
        ),
        Good(
            "SOAP-OAT-HONEY",
            "Oat and honey soap",
            "Unscented and gentle, with local oats for hands that have been gardening.",
            "5.80",
            STANDARD,
        ),
        Good(
            "SOAP-ROSE-CLAY",
            "Rose clay soap",
            "Pink clay and rose geranium. It makes a very respectable present.",
            "6.25",
            STANDARD,
        ),
        Good(
            "CANDLE-TIN-FIG",
            "Fig leaf candle",
            "Green and slightly peppery, like sitting under the tree. Burns for about thirty hours.",
            "14.80",
            STANDARD,
            stock=14,
        ),
        Good(
            "CANDLE-GLASS-ROSE",
            "Rose and ash candle",
            "Garden roses and a trace of wood smoke, in a glass you will want to keep.",
            "17.50",
            STANDARD,
            stock=11,
        ),
        Good(
            "BALM-HANDS-60",
            "Gardener's hand balm, 60 ml",
            "Beeswax, calendula and nothing that stings. Put it by the back door.",
            "8.80",
            STANDARD,
        ),
    ),
)

NURSERY = Seller(
    "green-lane-nursery",
    "Green Lane Nursery",
    "Hardy plants raised without peat, by people who will happily tell you where not to put them.",
    (
        Good(
            "PLANT-LAVENDER-1L",
            "Lavender 'Hidcote', 1 litre",
            "Deep blue, neat and loved by bees. Give it sun and forget about it.",
            "6.80",
            STANDARD,
            stock=20,
        ),
        Good(
            "PLANT-ROSEMARY-1L",
            "Rosemary, 1 litre",
            "Upright and sturdy. Plant it near the kitchen door and you will never buy rosemary again.",
            "4.80",
            FOOD,
        ),
        Good(
            "PLANT-STRAWBERRY-3",
            "Strawberry plants, three",
            "An old variety that fruits for weeks and tastes as you remember.",
            "7.50",
            FOOD,
            stock=17,
        ),
        Good(
            "PLANT-FERN-2L",
            "Soft shield fern, 2 litres",
            "For the dark corner where everything else has sulked.",
            "12.80",
            STANDARD,
        ),
        Good(
            "SEEDS-MEADOW",
            "Wildflower meadow seed",
            "Cornflower, poppy and yarrow, enough for two square metres of happy untidiness.",
            "3.60",
            STANDARD,
        ),
        Good(
            "SEEDS-TOMATO-HERITAGE",
            "Heritage tomato seed",
            "Twenty seeds saved from the best plant of last summer.",
            "3.20",
            FOOD,
        ),
    ),
)

SPINDLE = Seller(
    "spindle-and-page",
    "Spindle & Page",
    "Local wool on one side of the table, local words on the other.",
    (
        Good(
            "SCARF-LAMBSWOOL-ASH",
            "Lambswool scarf",
            "Woven eight miles from the sheep, in the grey of a January sky.",
            "38.50",
            STANDARD,
            stock=8,
        ),
        Good(
            "BOOTIES-BABY-SAGE",
            "Baby booties",
            "Soft merino, knitted by Margaret, who has knitted four hundred pairs and counting.",
            "12.80",
            FOOD,
            stock=3,
        ),
        Good(
            "YARN-DK-PLUM",
            "Hand-dyed yarn, 100 g",
            "Double knitting in a plum that changes with the light. One skein makes a hat.",
            "15.50",
            STANDARD,
        ),
        Good(
            "BOOK-WALKS-TWELVE",
            "Twelve Walks from the Market Cross",
            "Each ends where it began, and eight of them pass a tea room.",
            "9.80",
            BOOKS,
        ),
        Good(
            "BOOK-CHILD-HEDGEHOG",
            "The Hedgehog Who Kept Shop",
            "A picture book for reading aloud, slowly, twice.",
            "8.80",
            BOOKS,
            stock=13,
        ),
        Good(
            "NOTEBOOK-PLAIN-A5",
            "Hand-bound notebook",
            "Ninety-six plain pages, sewn so that it lies flat.",
            "12.50",
            STANDARD,
        ),
    ),
)

SELLERS = (HOUSE, HIVE, BAKERY, DAIRY, ORCHARD, CLAY, LATHER, NURSERY, SPINDLE)
