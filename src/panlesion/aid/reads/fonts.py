"""Fonts of the PDF: one that has a patient's name in its letters, whatever those are."""

import logging
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

import reportlab
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

_log = logging.getLogger(__name__)
PLAIN, BOLD = "report", "report-bold"
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_SYSTEM = Path("/usr/share/fonts/truetype/dejavu")
_EAST_ASIAN = (
    ("HYSMyeongJo-Medium", (("\u1100", "\u11ff"), ("\u3130", "\u318f"), ("\uac00", "\ud7af"))),
    ("HeiseiKakuGo-W5", (("\u3040", "\u30ff"), ("\uff66", "\uff9f"))),
    ("STSong-Light", (("\u2e80", "\u303f"), ("\u3400", "\u9fff"), ("\uf900", "\ufaff"), ("\uff00", "\uff65"))),
)
"""Adobe's fonts that every PDF reader brings along, and what is written in them: Korean, Japanese, Chinese."""


@cache
def register() -> frozenset[int]:
    """Register the fonts; returns the code points that the plain one has.

    DejaVu Sans of the system or of matplotlib, which has Greek, Cyrillic, Hebrew and Arabic; else reportlab's own Vera, which
    has Western European letters alone.
    """
    plain, bold = _files()
    pdfmetrics.registerFont(TTFont(PLAIN, str(plain)))
    pdfmetrics.registerFont(TTFont(BOLD, str(bold)))
    pdfmetrics.registerFontFamily(PLAIN, normal=PLAIN, bold=BOLD, italic=PLAIN, boldItalic=BOLD)
    for name, _ in _EAST_ASIAN:
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    return frozenset(pdfmetrics.getFont(PLAIN).face.charToGlyph)


def _files() -> tuple[Path, Path]:
    places = [_SYSTEM]
    found = find_spec("matplotlib")  # not imported: only its fonts are wanted
    if found is not None and found.origin is not None:
        places.append(Path(found.origin).parent / "mpl-data" / "fonts" / "ttf")
    for place in places:
        pair = (place / "DejaVuSans.ttf", place / "DejaVuSans-Bold.ttf")
        if all(path.is_file() for path in pair):
            return pair
    _log.warning("DejaVu Sans is not installed; letters beyond Western European ones are not shown in PDFs")
    own = Path(str(files(reportlab))) / "fonts"
    return own / "Vera.ttf", own / "VeraBd.ttf"


def markup(text: str) -> str:
    """Text for reportlab's paragraphs: nothing in it is taken for markup, every letter is in a font that has it."""
    has = register()
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    parts = []
    for font, letters in groupby(printable, key=lambda letter: _font_of(letter, has)):
        words = escape("".join(letters))
        if font is None:
            parts.append(_UNKNOWN * len(words) if ord(_UNKNOWN) in has else "?" * len(words))
        else:
            parts.append(words if font == PLAIN else f'<font name="{font}">{words}</font>')
    return "".join(parts)


def _font_of(letter: str, has: frozenset[int]) -> str | None:
    if ord(letter) in has:
        return PLAIN
    return next((name for name, ranges in _EAST_ASIAN if any(low <= letter <= high for low, high in ranges)), None)
