"""Text on pictures: one typeface in a few sizes and greys, wrapped to a width."""

from functools import cache

from PIL import ImageDraw, ImageFont

from panlesion.picture.contour import Colour

INK: Colour = (236, 238, 240)
PALE: Colour = (150, 156, 164)
FAINT: Colour = (84, 90, 98)
GROUND: Colour = (14, 16, 19)


# What reports contain and Pillow's typeface has no glyph for.
_SPELLED = str.maketrans({"×": "x", "≥": ">=", "≤": "<=", "−": "-", "→": "to", "≈": "about ", "–": "-", "—": "-"})


def spelled(text: str) -> str:
    """The text in characters the typeface has."""
    return text.translate(_SPELLED)


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface, so that pictures look alike on every machine."""
    return ImageFont.load_default(size)


def width_px(text: str, size: int) -> int:
    """How far a line of text reaches."""
    return round(font(size).getlength(text))


def wrapped(text: str, size: int, limit_px: int) -> list[str]:
    """The text in lines no longer than `limit_px`, broken at blanks; one word never is."""
    lines: list[str] = []
    for word in spelled(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_px(longer, size) <= limit_px:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def paragraph(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, *, size: int, colour: Colour, limit_px: int, leading: float = 1.3
) -> int:
    """Write wrapped text with its top left at `at`; the y below it."""
    x, y = at
    for line in wrapped(text, size, limit_px):
        draw.text((x, y), line, font=font(size), fill=colour)
        y += round(size * leading)
    return y
