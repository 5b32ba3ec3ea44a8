"""What was found, in words: one plain sentence for a finding, and the impression of a whole document.

Nothing here classifies: no category of a reporting system is given, for those rest on enhancement, growth and history.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from panlesion.infer._words import (
    axes_digits,
    capital,
    clean,
    counted,
    hu_digits,
    known_type,
    listed,
    longest_mm,
    mm_digits,
    most_likely,
    percent,
    plural,
    type_words,
    with_article,
)
from panlesion.infer.places import organ_words, place_words, places_words
from panlesion.infer.record import Findings, FollowUp, LesionRecord, OperatingPoint, Reading
from panlesion.lesion.taxonomy import TYPES, LesionType, Neighbours, Reference
from panlesion.lesion.vocabulary import Invasion, Shape, Surface
from panlesion.nets.classes import OTHER_MASS

NODULE_MM = 30.0
"""Up to this a lesion of the lung is a nodule, beyond a mass (Fleischner Society glossary, Hansell et al. 2008)."""
FLUID_HU, RIM_SHARE, SURELY_MEASURED_MM = 20.0, 0.1, 10.0
"""Simple fluid measures up to 20 HU (Silverman et al., Radiology 2019); a cyst denser than that is said to be. The mean is over
the whole outline, so a tenth of the organ's contrast is granted to its rim; smaller cysts are all rim (both ours)."""

SUBJECTS: Mapping[str, str] = MappingProxyType(
    {
        "shape": "shape",
        "density": "density",
        "heterogeneity": "heterogeneity",
        "surface": "margin",
        "invasion": "relation to adjacent structures",
    }
)
"""The attributes as they are called in words."""
_VALUES: Mapping[str, str] = MappingProxyType(
    {
        Shape.ROUND: "rounded",
        Shape.WALL: "wall thickening",
        Shape.PUNCTATE: "nodular",
        Surface.WELL_DEFINED: "well-defined",
        Surface.ILL_DEFINED: "ill-defined",
        Invasion.CLOSE: "close",
        Invasion.NOT_CLOSE: "not close",
    }
)
_MOST_NUMBERS = 5
_STONES = frozenset({LesionType.GALLSTONE, LesionType.KIDNEY_STONE})
_CYSTS = frozenset({LesionType.LIVER_CYST, LesionType.PANCREAS_CYST, LesionType.KIDNEY_CYST})
_COMPARED: Mapping[Reference, str] = MappingProxyType({Reference.SOFT_TISSUE: " to muscle", Reference.CONTENT: " to bile"})


def worded(findings: Findings) -> Findings:
    """The document with a sentence for every finding, and its impression."""
    lesions = tuple(replace(one, sentence=sentence_of(one)) for one in findings.lesions)
    return replace(findings, lesions=lesions, impression=impression_of(findings))


def value_words(value: str) -> str:
    """An attribute's class as it is said of a lesion: "rounded" for "Round-like"."""
    return _VALUES.get(value, clean(value).lower())


def sentence_of(lesion: LesionRecord, certainty: str | None = None) -> str:
    """One sentence: size, what network and measurement agree on, place, HU, on what they disagree, probability and type.

    An attribute of which only one of the two says something is told as that one says. `certainty` stands in the place of
    `certainty_of`, where a reader has said what it is.
    """
    sure = certainty_of(lesion) if certainty is None else certainty
    readings = assessed(lesion)
    said = {name: value_words(value) for name, reading in readings.items() if (value := _agreed(reading))}
    where = f" in {place_words(lesion)}"
    relation = f", {said['invasion']} to adjacent structures" if "invasion" in said else ""
    hu = f" ({_hu(lesion)})" if lesion.mean_hu is not None else ""
    parts = [f"{axes_digits(lesion)} mm {_named(lesion, said)}{where}{relation}{hu}"]
    parts += [f"{clean(name)} {said[name]}" for name in said if name not in SUBJECTS]
    differing = [_difference(name, one) for name, one in readings.items() if one.disagree]
    if differing:
        parts.append(f"network and measurement disagree on {listed(differing)}")
    return "; ".join([*parts, sure]) + "."


def certainty_of(lesion: LesionRecord) -> str:
    """How probable it is to be a lesion, and of what type, as the network says."""
    return f"{percent(lesion.probability)} probability of a lesion, most likely {most_likely(lesion.type)}"


def assessed(lesion: LesionRecord) -> Mapping[str, Reading]:
    """The readings that mean something for the type: what lies free in a lumen has no relation to neighbours."""
    known = known_type(lesion.type)
    free = known is not None and TYPES[known].neighbours is Neighbours.NONE
    return {name: one for name, one in lesion.attributes.items() if not (free and name == "invasion")}


def _agreed(reading: Reading) -> str | None:
    if reading.disagree:
        return None
    return reading.measured if reading.read is None else reading.read


def _difference(name: str, reading: Reading) -> str:
    read, measured = value_words(reading.read or ""), value_words(reading.measured or "")
    return f"{SUBJECTS.get(name, clean(name))} (read as {read}, measured as {measured})"


def _named(lesion: LesionRecord, said: Mapping[str, str]) -> str:
    """Adjectives, noun and margin: "irregular, hypodense lesion with an ill-defined margin"."""
    known = known_type(lesion.type)
    noun, shape = noun_of(lesion), said.get("shape", "")
    if shape == _VALUES[Shape.WALL]:
        noun, shape = shape, ""
    elif shape == _VALUES[Shape.PUNCTATE]:
        shape = "" if noun == "nodule" else "punctate" if known in _STONES else shape
    compared = "" if known is None else _COMPARED.get(TYPES[known].reference, "")
    density = said.get("density", "")
    adjectives = [shape, "" if compared else density, said.get("heterogeneity", "")]
    text = " ".join(filter(None, (", ".join(filter(None, adjectives)), noun)))
    margin = f" with {with_article(said['surface'])} margin" if "surface" in said else ""
    return f"{text}, {density}{compared},{margin}" if compared and density else f"{text}{margin}"


def noun_of(lesion: LesionRecord) -> str:
    """What a finding may be called before anybody has said what it is."""
    known = known_type(lesion.type)
    if known is LesionType.LUNG_TUMOR:
        return "nodule" if longest_mm(lesion) <= NODULE_MM else "mass"
    if known in _STONES:
        return "focus"
    return "mass" if lesion.type == OTHER_MASS else "lesion"


def _hu(lesion: LesionRecord) -> str:
    assert lesion.mean_hu is not None
    mean = f"mean {hu_digits(lesion.mean_hu)} HU"
    if lesion.organ_mean_hu is None:
        return mean
    return f"{mean}, {organ_words(lesion.organ, lesion.side) or 'organ'} {hu_digits(lesion.organ_mean_hu)} HU"


def impression_of(findings: Findings, read: Collection[int] = ()) -> tuple[str, ...]:
    """What matters, a line each: what is suspicious by organ, most probable first; benign types; advice; doubts.

    `read` are the numbers of findings that a reader marked: they count, and no probability is told of them.
    """
    least = findings.operating_point.least_probability
    counting = [one for one in findings.lesions if one.number in read or one.probability >= least]
    by_type: dict[str, list[LesionRecord]] = {}
    for one in sorted(counting, key=lambda one: -one.probability):
        by_type.setdefault(one.type, []).append(one)
    suspicious = {name: some for name, some in by_type.items() if not _benign(name)}
    lines = [_suspicion(name, some, read) for name, some in suspicious.items()]
    lines += [_benignity(name, some, read) for name, some in by_type.items() if _benign(name)]
    if not counting:
        lines += _nothing(findings)
    uncounted = len(findings.lesions) - len(counting)
    if uncounted:
        noun = "finding is" if uncounted == 1 else "findings are"
        lines.append(f"{capital(counted(uncounted))} more {noun} listed, but below the probability from which findings count.")
    if suspicious and findings.plain is True:
        lines.append(
            "This looks like a CT without contrast medium: a contrast-enhanced study is recommended for what is suspicious."
        )
    if findings.follow_up is not None:
        lines.append(comparison_of(findings.follow_up))
    return (*lines, *doubt_lines(findings))


def comparison_of(follow_up: FollowUp) -> str:
    """The line of a comparison with an earlier study."""
    prior = clean(follow_up.prior_case)
    return f"Compared with {prior}: {follow_up.response.value} by the rules of RECIST 1.1 ({clean(follow_up.reason)})."


def doubt_lines(findings: Findings) -> tuple[str, ...]:
    """The document's doubts as lines of its impression."""
    return tuple(f"Doubt: {capital(clean(doubt.words))}." for doubt in findings.doubts)


def _benign(name: str) -> bool:
    """Whether the class is a benign type; one that nobody told us of is not."""
    known = known_type(name)
    return known is not None and not TYPES[known].malignant


def _suspicion(name: str, lesions: Sequence[LesionRecord], read: Collection[int]) -> str:
    """The line of a class that is no benign type."""
    first, largest = lesions[0], max(lesions, key=longest_mm)
    known, nouns = known_type(name), {noun_of(one) for one in lesions}
    noun = nouns.pop() if len(nouns) == 1 else "lesion"
    if len(lesions) == 1:
        start = f"{capital(noun)} of {axes_digits(first)} mm in {place_words(first)}"
        kind = f"suspicious for {most_likely(name)}"
    else:
        start = f"{capital(counted(len(lesions)))} {plural(noun)} in {places_words(lesions)}, {_largest(largest)}"
        kind = f"suspicious for {plural(TYPES[known].name) if known is not None else type_words(name)}"
    if name == OTHER_MASS:
        kind = "suspicious, but of none of the fifteen types"
    elif known is None:
        kind = f"of this network's {type_words(name)}"
    return f"{start}, {kind} ({_probability(lesions, read)})."


def _benignity(name: str, lesions: Sequence[LesionRecord], read: Collection[int]) -> str:
    """The line of a cyst's or stone's type."""
    type_ = LesionType(name)
    first, largest = lesions[0], max(lesions, key=longest_mm)
    located = all(organ_words(one.organ) for one in lesions)
    noun = TYPES[type_].name.split(" ")[-1] if located else TYPES[type_].name
    # a gallstone needs no place: it names its own
    if len(lesions) == 1:
        place = "" if type_ is LesionType.GALLSTONE and located else f" in {place_words(first)}"
        start = f"{capital(noun)} of {axes_digits(first)} mm{place}"
    else:
        place = "" if type_ is LesionType.GALLSTONE and located else f" in {places_words(lesions, parts=False)}"
        start = f"{capital(counted(len(lesions)))} {plural(noun)}{place}, {_largest(largest)}"
    return f"{start}; benign type ({_probability(lesions, read)}){_caution(type_, lesions)}."


def _caution(type_: LesionType, lesions: Sequence[LesionRecord]) -> str:
    """What keeps a cyst from being called harmless."""
    dense = [one for one in lesions if type_ in _CYSTS and _dense(one)]
    told = ""
    if dense:
        densest = hu_digits(max(one.mean_hu for one in dense if one.mean_hu is not None))
        who = "" if len(lesions) == 1 else "all of them " if len(dense) == len(lesions) else f"{counted(len(dense))} of them "
        told = f"; {who}denser than fluid (mean {'' if len(dense) == 1 else 'up to '}{densest} HU), to be checked"
    if type_ is LesionType.PANCREAS_CYST:
        told += "; cystic tumours of the pancreas are not told apart from cysts"
    return told


def _dense(cyst: LesionRecord) -> bool:
    rim_hu = 0.0 if cyst.organ_mean_hu is None else RIM_SHARE * max(0.0, cyst.organ_mean_hu - FLUID_HU)
    return cyst.mean_hu is not None and cyst.mean_hu > FLUID_HU + rim_hu and longest_mm(cyst) >= SURELY_MEASURED_MM


def _largest(lesion: LesionRecord) -> str:
    return f"the largest {mm_digits(longest_mm(lesion))} mm"


def _probability(lesions: Sequence[LesionRecord], read: Collection[int]) -> str:
    """Where to find them in the document, and how probable they are."""
    rated = [one.probability for one in lesions if one.number not in read]
    most = percent(max(rated)) if rated else ""
    if len(lesions) == 1:
        return f"finding {lesions[0].number}" + (f", probability {most}" if most else "")
    numbers = [str(one.number) for one in lesions]
    start = f"findings {listed(numbers)}" if len(numbers) <= _MOST_NUMBERS else "" if rated else "marked by a reader"
    return ", ".join(filter(None, (start, f"probability up to {most}" if most else "")))


def _nothing(findings: Findings) -> list[str]:
    """That nothing was found, and what that means."""
    point = findings.operating_point
    places = {place: share for place, share in findings.suspicion.items() if place != "overall" and share >= 0.01}
    lines = [
        f"No lesion of the fifteen types was found; findings count from a probability of {percent(point.least_probability)} on."
    ]
    if places:
        place = max(places, key=lambda name: places[name])
        lines.append(f"The strongest suspicion that does not count: {organ_words(place)}, {percent(places[place])}.")
    lines.append(f"This does not exclude a lesion: {point_words(point)}. Other diseases were not looked for.")
    if findings.plain is True:
        lines.append("This looks like a CT without contrast medium, on which lesions as dense as their organ cannot be seen.")
    return lines


def point_words(point: OperatingPoint) -> str:
    """What the operating point was found to give, without a full stop."""
    where = f"on {clean(point.calibrated_on)}" if clean(point.calibrated_on) else "where it was calibrated"
    found = "" if point.sensitivity is None else f"found {percent(point.sensitivity)} of the lesions"
    false = "" if point.false_per_scan is None else f"{point.false_per_scan:.1f} false findings a scan"
    if not found and not false:
        return "how many this operating point finds is not known"
    if not found:
        return f"{where} this operating point gave {false}"
    return f"{where} this operating point {found}" + (f", with {false}" if false else "")
