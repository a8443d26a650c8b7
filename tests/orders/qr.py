"""Reading a QR code of the smallest size (version 1) off its drawing, as a camera does: for tests."""

import re

SIDE = 21
ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
MASKS = [
    lambda r, c: (r + c) % 2 == 0,
    lambda r, c: r % 2 == 0,
    lambda r, c: c % 3 == 0,
    lambda r, c: (r + c) % 3 == 0,
    lambda r, c: (r // 2 + c // 3) % 2 == 0,
    lambda r, c: (r * c) % 2 + (r * c) % 3 == 0,
    lambda r, c: ((r * c) % 2 + (r * c) % 3) % 2 == 0,
    lambda r, c: ((r + c) % 2 + (r * c) % 3) % 2 == 0,
]


def read_svg(svg: str) -> str:
    """The text of the QR code that an SVG draws with one path of horizontal strokes; letters and digits only."""
    dark = _squares(svg)
    top, left = min(row for row, _column in dark), min(column for _row, column in dark)
    modules = {(row - top, column - left) for row, column in dark}
    assert max(max(module) for module in modules) == SIDE - 1
    return _text_in(_bits(modules))


def _squares(svg: str) -> set[tuple[int, int]]:
    """Row and column of each dark square."""
    (path,) = re.findall(r' d="([^"]+)"', svg)
    squares, x, y = set(), 0, 0.0
    for move, across, down, stroke in re.findall(r"([Mm])(-?[\d.]+) (-?[\d.]+)h(\d+)|$", path):
        if not move:
            continue
        x, y = (int(across), float(down)) if move == "M" else (x + int(across), y + float(down))
        squares |= {(int(y), column) for column in range(x, x + int(stroke))}
        x += int(stroke)
    return squares


def _is_data(row: int, column: int) -> bool:
    """Whether a square carries data: neither a finder with its format beside it, nor a timing line."""
    corner = (row < 9 and column < 9) or (row < 9 and column > 12) or (row > 12 and column < 9)
    return not corner and 6 not in (row, column)


def _bits(modules: set[tuple[int, int]]) -> str:
    """The data without its mask, in pairs of columns from the right, up and down in turns."""
    mask = sum(((8, 2 + place) in modules) << (2 - place) for place in range(3)) ^ 0b101
    bits, upwards = "", True
    for right in (20, 18, 16, 14, 12, 10, 8, 5, 3, 1):
        for row in range(SIDE - 1, -1, -1) if upwards else range(SIDE):
            for column in (right, right - 1):
                if _is_data(row, column):
                    bits += str(int(((row, column) in modules) != MASKS[mask](row, column)))
        upwards = not upwards
    return bits


def _text_in(bits: str) -> str:
    assert bits[:4] == "0010"  # letters and digits
    length, text, at = int(bits[4:13], 2), "", 13
    while len(text) + 1 < length:
        first, second = divmod(int(bits[at : at + 11], 2), 45)
        text, at = text + ALPHANUMERIC[first] + ALPHANUMERIC[second], at + 11
    return text + (ALPHANUMERIC[int(bits[at : at + 6], 2)] if len(text) < length else "")
