"""Drawing the demo's pictures: one small flat SVG for each product and calendar.

    python -m cart.demo.pictures

writes them to static/demo/. How one is drawn is said in its data by a few words, such as `jar amber plum`: the name of
a function here, the main colour and the accent. Things stand on a table whose edge is at y = 214.
"""

from collections.abc import Callable, Iterable, Iterator
from math import cos, pi, sin
from pathlib import Path

from cart.demo.events import PROGRAMMES
from cart.demo.goods import SELLERS

FOLDER = Path(__file__).resolve().parents[2] / "static"

PALETTE = {
    "amber": "#b8651b",
    "ash": "#8d9398",
    "bark": "#6b4a3a",
    "carrot": "#dd8145",
    "cream": "#f8eedb",
    "crust": "#c28a4e",
    "honey": "#e5a93c",
    "lavender": "#9a86b8",
    "linen": "#e6dccb",
    "plum": "#713f5a",
    "rose": "#c8707e",
    "sage": "#86a07c",
    "slate": "#54626b",
    "terracotta": "#bd6c4c",
    "wheat": "#ecca8c",
}
PAPER = "#fffaf2"
INK = "#43332f"
LEAF = "#6f8f68"
FLAME = "#f3b84a"
BLUSH = "#f2cdcb"


# --- Colours ---------------------------------------------------------------------------------------------------------


def channels(colour: str) -> list[int]:
    """Red, green and blue, each 0 to 255."""
    return [int(colour[n : n + 2], 16) for n in (1, 3, 5)]


def mix(colour: str, other: str, share: float) -> str:
    """A colour with a share (0 to 1) of another in it."""
    pairs = zip(channels(colour), channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def light(colour: str, share: float = 0.35) -> str:
    """The colour in the light."""
    return mix(colour, PAPER, share)


def dark(colour: str, share: float = 0.25) -> str:
    """The colour in the shade."""
    return mix(colour, INK, share)


# --- Strokes of the pen ----------------------------------------------------------------------------------------------


def circle(x: float, y: float, radius: float, fill: str) -> str:
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}"/>'


def ellipse(x: float, y: float, rx: float, ry: float, fill: str) -> str:
    return f'<ellipse cx="{x:g}" cy="{y:g}" rx="{rx:g}" ry="{ry:g}" fill="{fill}"/>'


def rect(x: float, y: float, width: float, height: float, fill: str, corner: float = 0) -> str:  # noqa: PLR0917 - in SVG's order
    rounded = f' rx="{corner:g}"' if corner else ""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"{rounded} fill="{fill}"/>'


def path(d: str, fill: str) -> str:
    return f'<path d="{d}" fill="{fill}"/>'


def line(d: str, colour: str, width: float = 5) -> str:
    """A line with round ends."""
    return f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="{width:g}" stroke-linecap="round"/>'


def turned(angle: float, x: float, y: float, *parts: str) -> str:
    """Parts drawn around the origin, turned clockwise and moved to a point."""
    return f'<g transform="translate({x:g} {y:g}) rotate({angle:g})">{"".join(parts)}</g>'


def leaf(x: float, y: float, length: float, angle: float, fill: str = LEAF) -> str:
    """A leaf that grows from a point; angle 0 is upright."""
    wide, middle = length * 0.36, length / 2
    return turned(angle, x, y, path(f"M0 0Q{wide:g} {-middle:g} 0 {-length:g}Q{-wide:g} {-middle:g} 0 0", fill))


def blossom(x: float, y: float, size: float, fill: str) -> str:
    """The house rose: five petals, a heart and two leaves."""
    petals = [
        circle(x + size * 0.55 * sin(n * 0.4 * pi), y - size * 0.55 * cos(n * 0.4 * pi), size * 0.52, fill)
        for n in range(5)
    ]
    leaves = [leaf(x, y + size * 0.6, size * 1.2, angle) for angle in (115, 245)]
    return "".join([*leaves, *petals, circle(x, y, size * 0.55, light(fill)), circle(x, y, size * 0.26, dark(fill))])


def flame(x: float, y: float) -> str:
    """A flame above a wick that ends at the point."""
    outer = path(f"M{x} {y - 40}q15 20 9 32a9.5 9.5 0 0 1-18 0q-6-12 9-32", FLAME)
    return line(f"M{x} {y + 8}V{y - 4}", INK, 3) + outer + ellipse(x, y - 9, 4, 7, PAPER)


def shadow(width: float, y: float = 240) -> str:
    """What a thing of that width casts on the table."""
    return f'<ellipse cx="200" cy="{y:g}" rx="{width / 2 + 16:g}" ry="11" fill="{INK}" opacity=".14"/>'


def shine(x: float, y: float, height: float) -> str:
    """Light on glass or glaze."""
    return f'<rect x="{x:g}" y="{y:g}" width="9" height="{height:g}" rx="4.5" fill="{PAPER}" opacity=".55"/>'


# --- Larder ----------------------------------------------------------------------------------------------------------


def jar(main: str, accent: str) -> str:
    label = rect(138, 150, 124, 58, PAPER) + blossom(178, 178, 13, accent)
    writing = line("M204 172h40M204 188h26", mix(accent, INK, 0.3), 4)
    cloth = path("M140 106q60-22 120 0l12 18q-14-6-24 0-12-8-24 0-12-8-24 0-12-8-24 0-12-8-24 0-10-6-24 0z", accent)
    glass = rect(138, 100, 124, 140, main, 24) + shine(149, 130, 92)
    return shadow(124) + glass + label + writing + cloth + ellipse(200, 97, 61, 14, light(accent))


def comb(main: str, accent: str) -> str:
    fills = (light(main), accent, light(main, 0.15), light(main), light(main, 0.5), light(main, 0.15), accent)
    cells = [
        turned(
            0, 137 + 35 * (n % 4) + 17.5 * (n // 4 % 2), 126 + 31 * (n // 4), path("M0-17 15-8V8L0 17-15 8V-8z", fill)
        )
        for n, fill in zip(range(16), fills * 3, strict=False)
    ]
    drip = path("M268 232q4 24 12 24t10-12q-4-8-6-24z", main)
    plate = ellipse(200, 240, 140, 20, PAPER) + ellipse(200, 237, 112, 13, dark(PAPER, 0.08))
    return shadow(260, 250) + plate + rect(108, 102, 184, 138, main, 16) + "".join(cells) + drip


def pouch(main: str, accent: str) -> str:
    bag = path("M142 240q-22-66 22-118l-16-34q52 16 104 0l-16 34q44 52 22 118z", light(accent, 0.1))
    ribbon = rect(160, 116, 80, 10, main, 5) + line("M200 122q-34-26-38 0t38 0q34-26 38 0t-38 0", main, 6)
    label = circle(200, 182, 30, main) + blossom(200, 180, 11, accent)
    sweets = rect(262, 206, 34, 34, main, 5) + rect(288, 220, 24, 20, dark(main, 0.15), 5)
    return shadow(180) + bag + ribbon + label + sweets


def bottle(main: str, accent: str) -> str:
    glass = path("M178 78h44v34q26 16 26 42v74q0 12-12 12h-72q-12 0-12-12v-74q0-26 26-42z", main)
    label = rect(152, 158, 96, 56, PAPER) + fruit(200, 188, 17, accent)
    return shadow(96) + glass + rect(174, 58, 52, 24, dark(accent), 6) + shine(162, 146, 84) + label


def fruit(x: float, y: float, radius: float, fill: str) -> str:
    """An apple."""
    left, right = (circle(x + side * radius * 0.36, y, radius * 0.86, fill) for side in (-1, 1))
    stalk = line(f"M{x:g} {y - radius * 0.6:g}q2 {-radius * 0.4:g} {radius * 0.2:g} {-radius * 0.8:g}", INK, radius / 8)
    return left + right + stalk + leaf(x + 2, y - radius * 0.8, radius * 0.9, 62)


def apples(main: str, accent: str) -> str:
    back = fruit(200, 142, 46, light(main, 0.12))
    front = fruit(136, 196, 48, main) + fruit(262, 198, 46, dark(main, 0.08))
    glints = "".join(turned(25, x, y, ellipse(0, 0, 7, 14, light(main, 0.55))) for x, y in ((106, 180), (232, 182)))
    return shadow(230) + back + front + glints + leaf(196, 238, 40, 80, accent)


def basket(main: str, accent: str) -> str:
    carrots = "".join(
        turned(
            angle, x, 150, path("M-13 0q13-16 26 0L0 76z", PALETTE["carrot"]), leaf(0, 0, 44, -14), leaf(0, 0, 44, 16)
        )
        for x, angle in ((236, 14), (266, 30))
    )
    greens = "".join(leaf(144 + 12 * n, 160, 76, -34 + 16 * n, accent if n % 2 else dark(accent)) for n in range(5))
    beet = circle(196, 150, 28, PALETTE["plum"]) + leaf(196, 126, 42, -12) + leaf(198, 126, 38, 24)
    bowl = path("M96 160h208l-22 68q-4 12-16 12H134q-12 0-16-12z", main)
    weave = line("M108 186h184M116 210h168", dark(main), 4)
    staves = line("M150 170l8 60M200 170v60M250 170l-8 60", dark(main, 0.15), 4)
    handle = line("M112 162C112 34 288 34 288 162", dark(main), 9)
    return (
        shadow(180)
        + handle
        + greens
        + beet
        + carrots
        + bowl
        + staves
        + weave
        + rect(90, 154, 220, 16, dark(main, 0.1), 8)
    )


def eggs(main: str, accent: str) -> str:
    shells = [main, light(main, 0.6), "#b9cdc9", light(main), main]
    row = "".join(ellipse(120 + 40 * n, 156, 21, 29, shell) for n, shell in enumerate(shells))
    glints = "".join(ellipse(113 + 40 * n, 144, 4, 8, PAPER) for n in range(5))
    cups = "".join(path(f"M{100 + 40 * n} 172q20 22 40 0v20h-40z", dark(accent, 0.12)) for n in range(5))
    box = path("M92 168h216l-10 62q-2 10-12 10H114q-10 0-12-10z", accent)
    label = rect(160, 198, 80, 28, PAPER, 5) + line("M176 212h48", LEAF, 5)
    return shadow(200) + row + glints + box + cups + label


# --- Bakery ----------------------------------------------------------------------------------------------------------


def loaf(main: str, accent: str) -> str:
    crust = path("M84 206C84 142 132 104 200 104s116 38 116 102q0 34-34 34H118q-34 0-34-34z", main)
    under = path("M84 206q0 34 34 34h164q34 0 34-34-30 18-116 18T84 206z", dark(main))
    cuts = "".join(path(f"M{x} {y}q32 22 30 76q-30-20-30-76z", accent) for x, y in ((132, 130), (184, 116), (236, 122)))
    return shadow(216) + crust + under + cuts


def tin(main: str, accent: str) -> str:
    bread = path("M118 240v-74q-28-20-10-44 14-18 92-18t92 18q18 24-10 44v74z", main)
    crumb = path("M132 232v-72q-20-14-8-28 12-14 76-14t76 14q12 14-8 28v72z", mix(main, accent, 0.62))
    spots = [(152, 146), (190, 136), (232, 150), (164, 184), (204, 176), (244, 192), (184, 214), (226, 220), (148, 216)]
    seeds = "".join(turned(40 * n, x, y, ellipse(0, 0, 7, 4, dark(main))) for n, (x, y) in enumerate(spots))
    return shadow(170) + bread + crumb + seeds


def buns(main: str, accent: str) -> str:
    def bun(x: float, y: float) -> str:
        swirl = f"M{x} {y}q10-8 14 4t-14 18-26-8 2-38 40-4 12 44"
        return circle(x, y, 46, dark(main, 0.12)) + circle(x, y - 4, 43, main) + line(swirl, accent, 7)

    tray = rect(88, 64, 224, 196, PALETTE["slate"], 18) + rect(96, 72, 208, 180, dark(PALETTE["slate"], 0.3), 14)
    return shadow(220, 262) + tray + "".join(bun(x, y) for x in (150, 250) for y in (118, 208))


def biscuits(main: str, accent: str) -> str:
    def finger(angle: float, x: float) -> str:
        dip = path("M-22 8q11-10 22 0t22 0v54q0 14-14 14H-8q-14 0-14-14z", accent)
        holes = "".join(circle(dx, y, 3, dark(main)) for dx in (-8, 8) for y in (-56, -36, -16))
        return turned(angle, x, 158, rect(-22, -76, 44, 152, main, 14), dip, holes)

    return shadow(190) + finger(-14, 140) + finger(2, 202) + finger(15, 264)


def rolling(main: str, accent: str) -> str:
    """Dough, a rolling pin and a dusting of flour."""
    dough = path("M92 220c-14-44 50-64 108-64s126 22 108 66q-8 24-108 24T92 220z", accent)
    fold = line("M134 206q60-26 132 0", dark(accent, 0.12), 6)
    pin = turned(
        -18,
        200,
        128,
        rect(-148, -9, 296, 18, dark(main), 9),
        rect(-98, -25, 196, 50, main, 18),
        rect(-90, -15, 180, 8, light(main), 4),
    )
    ears = "".join(leaf(316, 96 + 14 * n, 26, side, PALETTE["honey"]) for n in range(4) for side in (-32, 32))
    flour = "".join(circle(x, y, r, PAPER) for x, y, r in ((84, 252, 6), (104, 262, 4), (310, 256, 6), (326, 244, 3)))
    return shadow(240, 246) + dough + fold + pin + line("M316 162V84", PALETTE["crust"], 4) + ears + flour


# --- Dairy -----------------------------------------------------------------------------------------------------------


def wedge(main: str, accent: str) -> str:
    top = path("M84 166L246 96q52 14 70 62z", light(main, 0.45))
    side = path("M84 166l232-8v70q0 12-12 12H96q-12 0-12-12z", main)
    rind = path("M246 96q52 14 70 62v70q0 12-12 12h-6v-78q-14-42-52-66z", accent)
    holes = "".join(circle(x, y, r, dark(main, 0.14)) for x, y, r in ((130, 200, 9), (188, 216, 6), (240, 190, 11)))
    return shadow(230) + top + side + holes + rind


def blue(main: str, accent: str) -> str:
    top = path("M84 166L246 96q52 14 70 62z", light(main, 0.6))
    side = path("M84 166l232-8v70q0 12-12 12H96q-12 0-12-12z", main)
    rind = path("M246 96q52 14 70 62v70q0 12-12 12h-6v-78q-14-42-52-66z", mix(accent, PALETTE["linen"], 0.5))
    veins = line("M104 192q20-14 30 4t26 6M180 182q14 20 34 8t30 12M128 224q24-12 44 2M214 226q20-10 40 2", accent, 5)
    specks = line("M178 140q18-10 30 2M226 124q14-4 20 8M150 152q8-6 16-2", accent, 4)
    return shadow(230) + top + side + veins + specks + rind


def cheese(main: str, accent: str) -> str:
    body = path("M104 146v70c0 32 192 32 192 0v-70z", main)
    top = ellipse(200, 146, 96, 34, light(main, 0.3))
    inside = path("M200 146l30 40v54q46-6 62-18v-64z", accent) + path("M200 146l30 40v54l-30-36z", dark(accent, 0.12))
    gap = path("M200 146l30 32q40-6 64-26z", mix(accent, main, 0.25))
    herbs = leaf(138, 152, 52, 62) + leaf(150, 146, 40, 28) + leaf(152, 152, 40, 96)
    return shadow(210, 238) + body + top + inside + gap + herbs


def butter(main: str, accent: str) -> str:
    dish = path("M78 216h244q-6 26-32 26H110q-26 0-32-26z", dark(accent, 0.12)) + rect(70, 208, 260, 12, accent, 6)
    block = path("M112 154l26-26h158l-26 26z", light(main, 0.6)) + path("M270 154l26-26v54l-26 28z", dark(main, 0.14))
    slice_ = path("M98 210l-18-52 16-4 16 56z", light(main, 0.3))
    salt = "".join(circle(x, y, 2.5, PAPER) for x, y in ((150, 176), (176, 192), (204, 172), (232, 188), (196, 202)))
    return shadow(240) + rect(112, 154, 158, 56, main) + block + slice_ + salt + dish


# --- Pots ------------------------------------------------------------------------------------------------------------


def mug(main: str, accent: str) -> str:
    steam = line("M172 88q-12-14 0-26t0-26M204 84q-12-14 0-26t0-26", PAPER, 6)
    handle = line("M254 140c54-14 54 74 0 62", dark(main, 0.12), 16)
    body = path("M132 112h128v96q0 32-32 32h-64q-32 0-32-32z", main)
    glaze = path("M132 112h128v34q-12 14-22 2-12-12-22 6-10 16-22 0-12-18-22-2-10 14-20 0-10-10-20 0z", accent)
    return (
        shadow(140) + steam + handle + body + glaze + ellipse(196, 112, 64, 12, dark(main, 0.4)) + shine(146, 160, 54)
    )


def bowl(main: str, accent: str) -> str:
    body = path("M72 138h256c0 60-46 96-84 96h-88c-38 0-84-36-84-96z", main)
    bands = line("M92 178q108 26 216 0", accent, 7) + line("M100 194q100 24 200 0", light(main, 0.4), 4)
    rim = ellipse(200, 138, 128, 25, light(main, 0.3)) + ellipse(200, 141, 112, 18, dark(main, 0.2))
    return shadow(160) + rect(158, 224, 84, 18, dark(main), 6) + body + bands + rim


def jug(main: str, accent: str) -> str:
    handle = line("M250 122c62-10 58 84 4 82", dark(main, 0.16), 14)
    body = path("M156 92q8 30-8 56c-30 50-12 92 16 92h72c28 0 46-42 16-92q-14-26-6-56z", main)
    lip = path("M156 92l-24-14q34-12 116 4l-2 12z", light(main, 0.3)) + path(
        "M150 88q48-8 92 4-46 12-92-4z", dark(main, 0.35)
    )
    bands = line("M142 168q58 16 114 0", accent, 8) + line("M138 186q62 18 122 0", mix(accent, main, 0.5), 4)
    return shadow(130) + handle + body + bands + lip + shine(156, 196, 30)


def eggcups(main: str, accent: str) -> str:
    def cup(x: float, fill: str, egg: str) -> str:
        foot = path(f"M{x - 12} 190h24l6 34q22 4 22 16h-80q0-12 22-16z", dark(fill, 0.12))
        bowl_ = path(f"M{x - 44} 146h88q0 54-44 54t-44-54z", fill)
        return ellipse(x, 138, 33, 46, egg) + ellipse(x - 10, 118, 6, 12, PAPER) + foot + bowl_

    spots = "".join(circle(x, y, 3, accent) for x, y in ((118, 162), (140, 176), (158, 158), (136, 156), (150, 186)))
    return shadow(220) + cup(140, main, PALETTE["wheat"]) + spots + cup(260, accent, PALETTE["crust"])


def pot(main: str) -> str:
    """An ordinary plant pot, of which the plant grows at y = 160."""
    return path("M148 172h104l-14 60q-2 8-10 8h-56q-8 0-10-8z", main) + rect(140, 158, 120, 20, dark(main, 0.12), 6)


def planter(main: str, accent: str) -> str:
    leaves = "".join(
        leaf(200 + 6 * n, 152, 92 - 7 * abs(n), 17 * n, accent if n % 2 else dark(accent, 0.2)) for n in range(-4, 5)
    )
    body = path("M112 146h176l-20 82q-4 12-14 12H146q-10 0-14-12z", main)
    bands = line("M124 186q76 16 152 0", dark(main, 0.2), 5) + line("M128 202q72 16 144 0", dark(main, 0.2), 3)
    return shadow(160) + leaves + body + bands + rect(102, 136, 196, 24, light(main, 0.18), 8)


def throwing(main: str, accent: str) -> str:
    """A pot growing on the wheel."""
    wheel = ellipse(200, 226, 128, 24, dark(PALETTE["slate"])) + ellipse(200, 219, 128, 23, PALETTE["slate"])
    clay = path("M146 216c-34-40-18-84 18-104l-6-26h84l-6 26c36 20 52 64 18 104z", main)
    rings = line("M138 176q62 16 124 0M140 158q60 14 120 0M150 198q50 14 100 0", dark(main, 0.18), 4)
    mouth = ellipse(200, 86, 42, 10, light(main)) + ellipse(200, 87, 34, 7, dark(main, 0.4))
    motion = line("M84 196q-16 22 10 36M316 196q16 22-10 36", accent, 5)
    return shadow(280, 246) + wheel + ellipse(200, 217, 70, 11, dark(main, 0.3)) + clay + rings + mouth + motion


# --- Washing and light -----------------------------------------------------------------------------------------------


def soap(main: str, accent: str) -> str:
    back = turned(-8, 216, 132, rect(-86, -32, 172, 64, dark(main, 0.12), 14))
    front = rect(94, 160, 196, 80, main, 18) + rect(104, 168, 176, 10, light(main), 5)
    band = rect(150, 160, 84, 80, accent) + blossom(192, 198, 15, mix(main, PALETTE["rose"], 0.3))
    foam = [(298, 122, 20), (326, 152, 12), (304, 84, 9), (92, 118, 14), (72, 144, 8)]
    bubbles = "".join(
        circle(x, y, r, light(accent, 0.7)) + circle(x - r / 3, y - r / 3, r / 4, PAPER) for x, y, r in foam
    )
    return shadow(200) + back + bubbles + front + band


def candle(main: str, accent: str) -> str:
    glow = f'<circle cx="200" cy="84" r="58" fill="{FLAME}" opacity=".25"/>'
    glass = rect(136, 112, 128, 128, main, 16) + shine(148, 132, 88)
    wax = ellipse(200, 116, 64, 14, light(accent, 0.3)) + ellipse(200, 117, 50, 9, light(accent, 0.6))
    label = rect(164, 154, 72, 60, PAPER, 6) + blossom(200, 180, 14, mix(main, accent, 0.3))
    return shadow(128) + glow + glass + wax + flame(200, 108) + label


def tapers(main: str, accent: str) -> str:
    def taper(x: float, top: float) -> str:
        stick = path(f"M{x - 11} {top}h22l5 {232 - top:g}h-32z", main) + shine(x - 7, top + 14, 90)
        holder = path(f"M{x - 40} 240q6-22 24-22h32q18 0 24 22z", accent)
        return stick + holder + flame(x, top - 4)

    glow = "".join(
        f'<circle cx="{x}" cy="{y}" r="44" fill="{FLAME}" opacity=".25"/>' for x, y in ((156, 62), (244, 84))
    )
    return shadow(190) + glow + taper(156, 86) + taper(244, 108)


def balm(main: str, accent: str) -> str:
    lid = turned(
        -24, 284, 176, ellipse(0, 0, 46, 66, dark(main)), ellipse(-5, 0, 42, 61, main), blossom(-6, -2, 17, accent)
    )
    box = path("M84 180v32c0 38 164 38 164 0v-32z", main) + ellipse(166, 180, 82, 30, light(main))
    salve = ellipse(166, 182, 70, 23, accent) + line("M128 182q20-12 38 0t38-2", light(accent, 0.55), 5)
    return shadow(230) + lid + box + salve


# --- Garden ----------------------------------------------------------------------------------------------------------


def spikes(main: str, accent: str) -> str:
    def spike(n: int) -> str:
        height = 122 - 7 * abs(n)
        shaded, lit = ("".join(f"M0 {-height + 9 * k}h0" for k in range(start, 6, 2)) for start in (1, 0))
        florets = line(shaded, main, 15) + line(lit, light(main, 0.2), 12)
        return turned(11 * n, 200 + 8 * n, 162, line(f"M0 0V{40 - height}", LEAF, 4), florets)

    foliage = "".join(leaf(200 + 9 * n, 162, 46, 20 * n) for n in range(-3, 4))
    return shadow(110) + "".join(spike(n) for n in range(-3, 4)) + foliage + pot(accent)


def herb(main: str, accent: str) -> str:
    def sprig(n: int) -> str:
        needles = " ".join(f"M0 {-14 * k}l-13-9M0 {-14 * k}l13-9" for k in range(2, 9 - abs(n)))
        stem = line(f"M0 0V{-128 + 14 * abs(n)}", dark(main, 0.35), 4)
        return turned(14 * n, 200 + 9 * n, 162, stem, line(needles, main if n % 2 else dark(main, 0.15), 6))

    return shadow(110) + "".join(sprig(n) for n in range(-3, 4)) + pot(accent)


def strawberry(main: str, accent: str) -> str:
    leaves = "".join(
        leaf(200, 160, 84, angle, LEAF if n % 2 else dark(LEAF, 0.15))
        for n, angle in enumerate((-76, -52, -28, -8, 14, 36, 58, 80))
    )
    blossoms = (
        circle(178, 92, 11, PAPER)
        + circle(178, 92, 4, FLAME)
        + circle(240, 104, 11, PAPER)
        + circle(240, 104, 4, FLAME)
    )

    def berry(x: float, y: float) -> str:
        body = path(f"M{x - 19} {y}q19-16 38 0 2 24-19 40-21-16-19-40z", main)
        seeds = "".join(
            circle(x + dx, y + dy, 1.8, PALETTE["wheat"]) for dx, dy in ((-8, 8), (6, 6), (0, 18), (-6, 26), (9, 20))
        )
        return body + seeds + leaf(x, y - 2, 16, -60) + leaf(x, y - 2, 16, 60) + leaf(x, y, 15, 0)

    return shadow(110) + leaves + blossoms + pot(accent) + berry(138, 158) + berry(264, 162) + berry(206, 166)


def fern(main: str, accent: str) -> str:
    def frond(angle: float, length: int, fill: str) -> str:
        leaflets = "".join(
            f"M0 {-y}l{side * (length - y) * 0.3:.3g}-{4 + (length - y) / 9:.2g}"
            for y in range(26, length, 11)
            for side in (-1, 1)
        )
        return turned(angle, 200, 164, line(f"M0 0V{-length}", dark(fill), 3), line(leaflets, fill, 7))

    fronds = [(-72, 112), (72, 112), (-47, 124), (47, 124), (-23, 126), (23, 126), (0, 122)]
    drawn = "".join(frond(angle, length, dark(main, 0.3 - 0.05 * n)) for n, (angle, length) in enumerate(fronds))
    return shadow(110) + drawn + pot(accent)


def packet(main: str, accent: str) -> str:
    paper = (
        rect(130, 60, 140, 180, main, 6) + rect(130, 60, 140, 26, dark(accent, 0.1), 6) + rect(130, 78, 140, 8, accent)
    )
    frame = rect(144, 104, 112, 92, light(main, 0.7), 8)
    plant = (
        line("M200 190v-44M178 192q0-24-8-34M222 192q0-24 10-36", LEAF, 4)
        + leaf(200, 184, 26, 50)
        + leaf(200, 184, 26, -50)
    )
    flowers = "".join(
        circle(x, y, r, accent) + circle(x, y, r / 3, FLAME)
        for x, y, r in ((200, 138, 17), (168, 152, 11), (234, 150, 12))
    )
    seeds = "".join(ellipse(x, y, 5, 3.5, PALETTE["bark"]) for x, y in ((292, 238), (306, 230), (284, 228), (318, 241)))
    return (
        shadow(150)
        + paper
        + frame
        + plant
        + flowers
        + line("M160 214h80M176 226h48", mix(accent, INK, 0.35), 4)
        + seeds
    )


def kindling(main: str, accent: str) -> str:
    ends = [(140, 200), (176, 204), (212, 202), (248, 204), (158, 168), (194, 170), (230, 168), (176, 136), (212, 138)]
    logs = "".join(
        turned(9 * n, x, y, rect(-20, -20, 40, 40, main, 6), rect(-15, -15, 30, 30, accent, 5))
        + line(f"M{x - 8} {y}q8-8 16 0", mix(main, accent, 0.4), 3)
        for n, (x, y) in enumerate(ends)
    )
    twine = line("M112 226q-16-66 82-122 100 54 84 122", PALETTE["rose"], 5)
    bow = line("M194 104q-32-30-36-4t36 4q32-30 36-4t-36 4", PALETTE["rose"], 5)
    return shadow(190, 234) + logs + twine + bow


# --- Wool, cloth and paper -------------------------------------------------------------------------------------------


def cover(main: str, accent: str, *emblem: str) -> str:
    """A book that stands up, with something on its cover."""
    pages = path("M262 62l18 10v160l-18 8z", PALETTE["cream"]) + line("M268 72v158M274 76v152", PALETTE["linen"], 2)
    front = rect(122, 60, 146, 180, main, 6) + rect(122, 60, 20, 180, dark(main), 5)
    title = rect(160, 78, 90, 8, accent, 4) + rect(174, 94, 62, 6, accent, 3)
    return shadow(160) + pages + front + title + "".join(emblem)


def cookbook(main: str, accent: str) -> str:
    pan = path("M164 160h84v30q0 20-20 20h-44q-20 0-20-20z", accent) + rect(156, 152, 100, 12, dark(accent, 0.2), 6)
    steam = line("M190 142q-6-8 0-14M206 142q-6-8 0-14M222 142q-6-8 0-14", accent, 4)
    return cover(main, accent, pan, steam)


def guidebook(main: str, accent: str) -> str:
    hill = path("M142 216q30-60 60-40 30-36 66 14v26z", light(main, 0.45)) + circle(230, 138, 15, PALETTE["honey"])
    trail = line("M176 228q20-18 36-12t30-24", accent, 5)
    return cover(main, accent, hill, trail)


def storybook(main: str, accent: str) -> str:
    spines = "".join(leaf(208, 196, 46, angle, dark(accent, 0.1)) for angle in range(-84, 60, 16))
    body = path("M164 202q4-40 46-40 30 0 36 24l16 14q-2 8-16 8h-74q-10 0-8-6z", accent)
    face = path("M232 176q20 4 30 24-2 8-16 8h-26q-2-20 12-32z", PALETTE["wheat"])
    eye = circle(240, 190, 3, INK) + circle(262, 200, 4, INK)
    return cover(main, PAPER, spines, body, face, eye)


def notebook(main: str, accent: str) -> str:
    label = rect(162, 128, 76, 44, PAPER, 5) + line("M176 144h48M176 156h30", dark(main), 3)
    pages = path("M262 62l18 10v160l-18 8z", PALETTE["cream"])
    front = rect(122, 60, 146, 180, main, 10) + rect(122, 60, 20, 180, dark(main), 8)
    ribbon = path("M196 240v22l7-6 7 6v-22z", accent)
    return shadow(160) + ribbon + pages + front + label + rect(250, 60, 8, 180, accent)


def card(main: str, accent: str) -> str:
    def sheet(angle: float, fill: str, *drawn: str) -> str:
        return turned(angle, 200, 240, rect(-60, -168, 120, 160, fill, 5), *drawn)

    top = sheet(0, main, blossom(0, -104, 25, accent), line("M-26-44h52M-16-30h32", dark(accent, 0.1), 4))
    back = sheet(-24, light(accent, 0.45)) + sheet(-12, PALETTE["linen"])
    other = sheet(24, mix(PALETTE["sage"], PAPER, 0.4)) + sheet(12, light(PALETTE["honey"], 0.5))
    return shadow(180) + back + other + top


def bag(main: str, accent: str) -> str:
    far = line("M164 122C164 40 236 40 236 122", dark(main, 0.22), 9)
    body = path("M118 112h164l14 118q0 10-10 10H114q-10 0-10-10z", main)
    near = line("M158 134C158 54 242 54 242 134", dark(main, 0.1), 9)
    hem = line("M124 124h152", dark(main, 0.12), 3)
    return shadow(190) + far + body + hem + near + blossom(200, 182, 28, accent)


def towel(main: str, accent: str) -> str:
    rail = (
        rect(76, 62, 248, 10, PALETTE["bark"], 5)
        + circle(76, 67, 10, PALETTE["bark"])
        + circle(324, 67, 10, PALETTE["bark"])
    )
    cloth = rect(126, 60, 148, 176, main, 4) + rect(126, 60, 148, 16, dark(main, 0.1), 4)
    stripes = rect(126, 204, 148, 6, accent) + rect(126, 216, 148, 12, accent)
    stem = line("M200 188V104", dark(accent), 4)
    leaves = "".join(leaf(200, 184 - 22 * n, 36, side, accent) for n in range(4) for side in (-52, 52)) + leaf(
        200, 112, 30, 0, accent
    )
    return shadow(120, 258) + rail + cloth + stripes + stem + leaves


def scarf(main: str, accent: str) -> str:
    folded = rect(92, 128, 216, 46, dark(main, 0.1), 22) + rect(84, 164, 232, 52, main, 24)
    tail = rect(206, 148, 74, 84, light(main, 0.18), 6) + rect(206, 178, 74, 9, accent) + rect(206, 196, 74, 9, accent)
    stripes = (
        rect(116, 164, 10, 52, accent) + rect(134, 164, 5, 52, accent) + rect(116, 128, 10, 36, dark(accent, 0.12))
    )
    fringe = line("".join(f"M{212 + 12.4 * n:g} 232v18" for n in range(6)), light(main, 0.18), 5)
    return shadow(240, 236) + folded + stripes + tail + fringe


def booties(main: str, accent: str) -> str:
    def bootie(x: float, fill: str) -> str:
        foot = path(f"M{x} 128h58v44q40 2 52 32 8 34-22 36H{x + 14}q-16 0-16-18z", fill)
        knit = line(f"M{x + 12} 196q40-10 80 14M{x + 12} 214q40-10 78 10", light(fill, 0.3), 4)
        bow = line(f"M{x + 46} 172q-20-16-22 0t22 0q20-16 22 0t-22 0", accent, 5)
        return foot + knit + rect(x - 7, 112, 72, 28, accent, 12) + bow

    return shadow(230) + bootie(84, dark(main, 0.12)) + bootie(196, main)


def yarn(main: str, accent: str) -> str:
    needles = "".join(
        turned(angle, 200, 160, rect(-4, -126, 8, 190, PALETTE["crust"], 4), circle(0, -126, 9, PALETTE["honey"]))
        for angle in (-34, 34)
    )
    ball = circle(200, 168, 72, main)
    strands = line("M138 140q62-40 124 0M132 166q68-46 136 0M138 196q62-46 124 0", accent, 6)
    across = line("M166 110q-28 62 14 124M196 100q-10 70 34 132M230 106q18 56 20 110", mix(main, accent, 0.35), 6)
    tail = line("M214 238q50 10 76-4t40 6", main, 6)
    return shadow(160) + needles + ball + across + strands + tail


# --- Places ----------------------------------------------------------------------------------------------------------


def hills(main: str, accent: str) -> str:
    sky = rect(0, 0, 400, 300, light(accent, 0.72)) + circle(286, 92, 38, accent)
    far = path("M0 176q90-74 190-24 90-64 210 10v138H0z", light(main, 0.5))
    middle = path("M0 214q120-66 236-8 80-34 164-6v100H0z", main)
    near = path("M0 256q140-40 400 6v38H0z", dark(main, 0.22))
    trail = path("M196 300q-24-30 20-50t-6-48h10q50 26 14 50-30 22 2 48z", light(PALETTE["wheat"]))
    trees = "".join(
        rect(x - 3, y, 6, 26, PALETTE["bark"]) + circle(x, y - 8, 20, dark(main, 0.32))
        for x, y in ((78, 196), (112, 206), (326, 190))
    )
    birds = line("M120 84q8-9 14 0 7-9 14 0M160 62q6-7 11 0 6-7 11 0", INK, 3)
    return sky + far + middle + trees + near + trail + birds


def canal(main: str, accent: str) -> str:
    fronts = [accent, PALETTE["rose"], PALETTE["slate"], main, PALETTE["sage"]]

    def house(n: int, fill: str) -> str:
        x, top = 36 + 66 * n, 96 + 14 * (n % 3)
        gable = path(f"M{x} {top}h10v-16h12v-16h20v16h12v16h10V222H{x}z", fill)
        panes = "".join(
            rect(x + dx, top + dy, 14, 20, light(PALETTE["wheat"])) for dx in (12, 38) for dy in (14, 46, 78)
        )
        return gable + panes

    sky = rect(0, 0, 400, 300, light(PALETTE["honey"], 0.75)) + circle(134, 46, 22, PALETTE["honey"])
    water = rect(0, 222, 400, 78, "#9fb9bd") + line("M40 256h60M150 274h70M270 254h80M66 284h30", PAPER, 4)
    boat = path("M128 240h150q-8 26-34 26h-82q-26 0-34-26z", PALETTE["plum"])
    cargo = "".join(ellipse(172 + 32 * n, 234, 19, 12, main) for n in range(3))
    return (
        sky
        + "".join(house(n, fill) for n, fill in enumerate(fronts))
        + rect(0, 214, 400, 10, INK)
        + water
        + cargo
        + boat
    )


# --- Putting them on paper -------------------------------------------------------------------------------------------

KINDS: dict[str, Callable[[str, str], str]] = {
    kind.__name__: kind
    for kind in (
        *(
            jar,
            comb,
            pouch,
            bottle,
            apples,
            basket,
            eggs,
            loaf,
            tin,
            buns,
            biscuits,
            rolling,
            wedge,
            blue,
            cheese,
            butter,
        ),
        *(mug, bowl, jug, eggcups, planter, throwing, soap, candle, tapers, balm),
        *(spikes, herb, strawberry, fern, packet, kindling),
        *(cookbook, guidebook, storybook, notebook, card, bag, towel, scarf, booties, yarn, hills, canal),
    )
}


def room(main: str, accent: str) -> str:
    """A wall, a table and some light, in a tint that the thing stands out from."""
    tint = mix(min(main, accent, key=lambda colour: sum(channels(colour))), PAPER, 0.7)
    return (
        rect(0, 0, 400, 300, tint) + circle(200, 134, 122, light(tint, 0.5)) + rect(0, 214, 400, 86, dark(tint, 0.12))
    )


def picture(draw: str) -> str:
    """The SVG that a few words describe."""
    kind, *names = draw.split()
    main, accent = (PALETTE[name] for name in names)
    content = room(main, accent) + KINDS[kind](main, accent)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300">{content}</svg>\n'


def pictures() -> Iterator[tuple[str, str]]:
    """Every picture's path among the static files, and what is drawn on it."""
    things: Iterable[tuple[str, str]] = (
        *((good.picture, good.draw) for seller in SELLERS for good in seller.goods),
        *((programme.picture, programme.draw) for programme in PROGRAMMES),
    )
    for name, draw in things:
        yield name, picture(draw)


def main() -> None:
    """Write every picture."""
    for name, drawn in pictures():
        (FOLDER / name).parent.mkdir(exist_ok=True)
        (FOLDER / name).write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
