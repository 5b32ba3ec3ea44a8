"""Where a finding lies, in words: organ, side and part of a record become "the upper pole of the left kidney"."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from panlesion.ct.organs import BONE_LABELS, LUNG_LABELS, V1_LABELS, V1_NAMES
from panlesion.infer._words import clean, listed, plural
from panlesion.infer.record import LesionRecord
from panlesion.measure.location.solid import structure_name

UNKNOWN = "an organ that was not recognised"
LEGEND: Mapping[int, str] = MappingProxyType(
    {
        V1_LABELS["lung_upper_lobe_left"]: "left lung",
        V1_LABELS["lung_upper_lobe_right"]: "right lung",
        V1_LABELS["sacrum"]: "bone",
        V1_LABELS["heart_myocardium"]: "heart",
        V1_LABELS["aorta"]: "vessel",
        V1_LABELS["autochthon_left"]: "muscle",
        V1_LABELS["small_bowel"]: "bowel",
    }
)
"""What labels that stand for more than their own structure mean in an organ map that `organ_map` made."""
_MOST_PARTS = 3
_SIDES = ("left", "right")
_COLON_PARTS = frozenset({"ascending", "transverse", "descending", "sigmoid"})
_NAMES_ITSELF = frozenset({"caecum", "rectum"})
_WITHOUT_ARTICLE: Mapping[str, str] = MappingProxyType({"bone": "bone", "muscle": "muscle", "vessel": "a vessel"})

# American or anatomically odd names of organ maps and anatomy classes, as a British radiologist says them.
_BRITISH: Mapping[str, str] = MappingProxyType(
    {
        "gall": "gallbladder",
        "esophagus": "oesophagus",
        "urinary bladder": "bladder",
        "portal vein and splenic vein": "portal and splenic veins",
        "left heart atrium": "left atrium",
        "right heart atrium": "right atrium",
        "left heart ventricle": "left ventricle",
        "right heart ventricle": "right ventricle",
        "heart myocardium": "myocardium",
        "left iliac vena": "left iliac vein",
        "right iliac vena": "right iliac vein",
        "left autochthon": "left deep back muscles",
        "right autochthon": "right deep back muscles",
        "background": "",
    }
)


def organ_and_side(label: int, *, from_network: bool) -> tuple[str, str]:
    """A label's organ and its side, empty where it has none; of a network's own map those that `LEGEND` makes of it."""
    name = V1_NAMES[label]
    side = next((side for side in _SIDES if side in name.split("_")), "")
    if from_network and label in LUNG_LABELS:
        return "lung", side
    return (LEGEND[label], "") if from_network and label in LEGEND else (name, side)


def organ_words(organ: str, side: str = "") -> str:
    """A v1 name or anatomy class as "left kidney", "L3 vertebra", "oesophagus"; empty where no organ is known."""
    label = V1_LABELS.get(organ)
    name = clean(organ) if label is None else structure_name(label)
    name = _BRITISH.get(name, name)
    return f"{side} {name}" if name and side in _SIDES and side not in name.split() else name


def place_words(lesion: LesionRecord) -> str:
    """What follows "in": "segment VII of the liver", "the left upper lobe", "bone"."""
    organ, part = organ_words(lesion.organ, lesion.side), clean(lesion.location)
    if not part or part == organ:
        return _the(organ) if organ else UNKNOWN
    if V1_LABELS.get(lesion.organ) in BONE_LABELS | LUNG_LABELS or part in _NAMES_ITSELF:
        return f"the {part}"
    if part in _COLON_PARTS:
        return f"the {part} colon"
    part = _without(part, organ)
    start = part if part.lower().startswith("segment") else f"the {part}"
    return f"{start} of {_the(organ)}" if organ else start


def places_words(lesions: Sequence[LesionRecord], *, parts: bool = True) -> str:
    """What follows "in" for several findings: "both kidneys", "the liver (segments II and VII)"."""
    homes = list(dict.fromkeys(_home(one) for one in lesions))
    if homes == [""]:
        return UNKNOWN
    if len(homes) > _MOST_PARTS or "" in homes:
        return "several organs"
    where = _both(homes) or listed([_the(home) for home in homes])
    told = list(dict.fromkeys(_part(one, homes) for one in lesions))
    if not parts or "" in told or len(told) > _MOST_PARTS:
        return where
    return f"{where} ({_listed_parts(told)})"


def _the(organ: str) -> str:
    return _WITHOUT_ARTICLE.get(organ, f"the {organ}")


def _without(part: str, organ: str) -> str:
    """The part without a side that the organ's name has already."""
    sided = [side for side in _SIDES if side in organ.split()]
    return " ".join(word for word in part.split() if word not in sided) or part


def _home(lesion: LesionRecord) -> str:
    """The organ as a whole: the lung of a lobe, bone for every bone."""
    label = V1_LABELS.get(lesion.organ)
    if label in BONE_LABELS:
        return "bone"
    if label in LUNG_LABELS:
        return f"{organ_words(lesion.organ).split()[0]} lung"
    return organ_words(lesion.organ, lesion.side)


def _both(homes: Sequence[str]) -> str:
    """As in "both kidneys", for a left and a right one; empty for other organs."""
    nouns = {home.partition(" ")[2] for home in homes}
    if len(homes) == 2 and len(nouns) == 1 and {home.partition(" ")[0] for home in homes} == set(_SIDES):
        return f"both {plural(nouns.pop())}"
    return ""


def _part(lesion: LesionRecord, homes: Sequence[str]) -> str:
    """Where in its organ a finding lies, beside the organ's name; a bone or a lobe is told even without a part."""
    label = V1_LABELS.get(lesion.organ)
    whole = BONE_LABELS | LUNG_LABELS
    part = clean(lesion.location) or (organ_words(lesion.organ) if label in whole else "")
    return _without(part, homes[0]) if len(homes) == 1 else part


def _listed_parts(parts: Sequence[str]) -> str:
    if len(parts) > 1 and all(part.startswith("segment ") for part in parts):
        return f"segments {listed([part.removeprefix('segment ') for part in parts])}"
    return listed(parts)
