"""Numbers, lists and nouns as a radiologist would dictate them: British spelling, no digit more than was measured."""

import math
from collections.abc import Sequence

from panlesion.infer.record import LesionRecord
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.nets.classes import OTHER_MASS

_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_PLURALS = {"metastasis": "metastases", "mass": "masses", "focus": "foci", "cancer": "cancer"}
_WHOLE_FROM_MM = 10.0


def clean(text: str) -> str:
    """A name of the caller's as words: underscores and control characters become blanks, no full stop at the end."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text.replace("_", " "))
    return " ".join(printable.split()).strip(" .,;")


def mm_digits(mm: float) -> str:
    """Whole millimetres from 10 on, one decimal below."""
    tenth = round(mm, 1)
    return f"{mm:.0f}" if tenth >= _WHOLE_FROM_MM else f"{tenth:.1f}"


def axes_digits(lesion: LesionRecord) -> str:
    """As in "24 × 15"; the long axis alone where the mask is one voxel wide, the diameter where it is one voxel."""
    long, short = lesion.long.length_mm, lesion.short.length_mm
    if round(long, 1) <= 0:
        return mm_digits(lesion.diameter_mm)
    return mm_digits(long) if round(short, 1) <= 0 else f"{mm_digits(long)} × {mm_digits(short)}"


def longest_mm(lesion: LesionRecord) -> float:
    """The long axis, or what `axes_digits` says in its place."""
    return lesion.long.length_mm if round(lesion.long.length_mm, 1) > 0 else lesion.diameter_mm


def ml_digits(ml: float) -> str:
    """Two significant digits; below a hundredth only that."""
    if ml < 0.01:
        return "<0.01"
    rounded = float(f"{ml:.1e}")
    return f"{rounded:.{max(0, 1 - math.floor(math.log10(rounded)))}f}"


def hu_digits(hu: float) -> str:
    """Whole HU, never minus nought."""
    return str(round(hu))


def percent(share: float) -> str:
    """Whole per cent; nothing is certain or impossible."""
    if share < 0.005:
        return "<1 %"
    return ">99 %" if share >= 0.995 else f"{100 * share:.0f} %"


def counted(n: int) -> str:
    """A number in words, in digits beyond twelve."""
    return _COUNTS[n] if n < len(_COUNTS) else str(n)


def listed(items: Sequence[str]) -> str:
    """As in "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def plural(noun: str) -> str:
    """Of a noun's last word."""
    *rest, last = noun.split(" ")
    return " ".join([*rest, _PLURALS.get(last, f"{last}s")])


def with_article(noun: str) -> str:
    """The noun after "a" or "an"; a cancer without, for it is not counted."""
    if noun.endswith("cancer"):
        return noun
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def capital(text: str) -> str:
    """The first letter large, the others as they are."""
    return text[:1].upper() + text[1:]


def known_type(name: str) -> LesionType | None:
    """The type a class name stands for; None for classes that are none of the fifteen."""
    return LesionType(name) if name in set(LesionType) else None


def type_words(name: str) -> str:
    """A class of the network in words: "liver tumour", "mass of none of the fifteen types", class “sarcoma”."""
    known = known_type(name)
    if known is not None:
        return TYPES[known].name
    if name == OTHER_MASS:
        return "mass of none of the fifteen types"
    return f"class “{clean(name)}”" if clean(name) else "class without a name"


def most_likely(name: str) -> str:
    """A class after "most likely" or "suspicious for": "a liver tumour", "gastric cancer", "of class “sarcoma”"."""
    counts = known_type(name) is not None or name == OTHER_MASS
    return with_article(type_words(name)) if counts else f"of {type_words(name)}"
