"""What lesions, places and report attributes are called in DICOM: standard codes where PS3.16 has them, else our own scheme.

Standard codes are looked up in pydicom's copy of the PS3.16 dictionaries, so a value and its meaning cannot part. What
PS3.16 has no code for is in the private scheme `SCHEME`, which every object that uses it declares.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from panlesion.infer.record import LesionRecord
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.lesion.vocabulary import Density, Heterogeneity, Invasion, Shape, Surface
from panlesion.nets.classes import OTHER_MASS

SCHEME = "99PANLESION"
MAX_MEANING, MAX_VALUE = 64, 16
"""Longest code meaning (LO) and code value (SH)."""

QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
"""Heading of TID 1500 for what is no measurement; PS3.16 takes it from UMLS, and pydicom's dictionary lacks it."""

_DECLARED: Mapping[str, str] = MappingProxyType(
    {
        "Gallstone": "gallstone",
        "Lesion class of the network": "lesion-class",
        "Density against its reference tissue": "density",
        "Relation to adjacent structures": "relation",
        Shape.WALL.value: "wall-thickening",
        Shape.PUNCTATE.value: "punctate-nodular",
        Density.HYPO.value: "hypodense",
        Density.ISO.value: "isodense",
        Density.HYPER.value: "hyperdense",
        Invasion.NOT_CLOSE.value: "not-close",
        Invasion.CLOSE.value: "close",
    }
)
"""Meaning → code value of the private codes that are the same in every report."""


def declared_schemes() -> list[CodingSchemeIdentificationItem]:
    """How an object tells readers whose the private codes are."""
    about = "panlesion private codes, research use"
    return [CodingSchemeIdentificationItem(SCHEME, name=about, version="1", responsible_organization="panlesion")]


def private(words: str) -> Code:
    """A code of our own scheme; the same words always give the same one, and different words another.

    Words that are not declared get a value of their first letters and a checksum, for DICOM's values are too short for them.
    """
    meaning = one_line(words)[:MAX_MEANING] or "unnamed"
    value = _DECLARED.get(words)
    if value is None:
        slug = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
        value = f"{slug[:7] or 'x'}-{zlib.crc32(words.encode(errors='replace')):08x}"
    return Code(value, SCHEME, meaning)


def one_line(words: str) -> str:
    """Words as a short DICOM text may hold them: no control characters and no backslash, which separates values."""
    return " ".join("".join(" " if c == "\\" or not c.isprintable() else c for c in words).split())


_STONES = frozenset({LesionType.GALLSTONE, LesionType.KIDNEY_STONE})
_CYSTS = frozenset({LesionType.LIVER_CYST, LesionType.PANCREAS_CYST, LesionType.KIDNEY_CYST})
LESION_CATEGORY: Code = codes.cid7150.MorphologicallyAbnormalStructure
LESION_CLASS = private("Lesion class of the network")


def finding_type(name: str) -> Code:
    """The code of a network's lesion class, ours or not.

    Every tumour is a neoplasm, also where the class is called a cancer: a CT shows no histology.
    """
    if name == OTHER_MASS:
        return codes.cid7151.Mass
    if name not in set(LesionType):
        return codes.cid7151.Lesion
    type_ = LesionType(name)
    if type_ is LesionType.KIDNEY_STONE:
        return codes.SCT.RenalStone
    if type_ in _STONES:
        return private("Gallstone")
    if type_ in _CYSTS:
        return codes.cid7151.Cyst
    if type_ is LesionType.BONE_METASTASIS:
        return codes.cid7151.NeoplasmSecondary
    return codes.cid7151.Neoplasm


def finding_words(name: str) -> str:
    """A lesion class in a reader's words."""
    if name in set(LesionType):
        return TYPES[LesionType(name)].name
    return one_line(name.replace("_", " "))


_ORGANS: Mapping[str, Code] = MappingProxyType(
    {
        "spleen": codes.SCT.Spleen,
        "kidney": codes.SCT.Kidney,
        "gall": codes.SCT.Gallbladder,
        "gallbladder": codes.SCT.Gallbladder,
        "liver": codes.SCT.Liver,
        "stomach": codes.SCT.Stomach,
        "aorta": codes.SCT.Aorta,
        "inferior vena cava": codes.SCT.InferiorVenaCava,
        "pancreas": codes.SCT.Pancreas,
        "adrenal gland": codes.SCT.AdrenalGland,
        "lung": codes.SCT.Lung,
        "lung upper lobe": codes.SCT.UpperLobeOfLung,
        "lung middle lobe": codes.SCT.MiddleLobeOfRightLung,
        "lung lower lobe": codes.SCT.LowerLobeOfLung,
        "esophagus": codes.SCT.Esophagus,
        "trachea": codes.SCT.Trachea,
        "heart": codes.SCT.Heart,
        "heart myocardium": codes.SCT.Heart,
        "heart atrium left": codes.SCT.LeftAtrium,
        "heart ventricle left": codes.SCT.LeftVentricle,
        "heart atrium right": codes.SCT.RightAtrium,
        "heart ventricle right": codes.SCT.RightVentricle,
        "pulmonary artery": codes.SCT.PulmonaryArtery,
        "brain": codes.SCT.Brain,
        "iliac artery": codes.SCT.CommonIliacArtery,
        "iliac vena": codes.SCT.CommonIliacVein,
        "small bowel": codes.SCT.SmallIntestine,
        "bowel": codes.SCT.SmallIntestine,
        "duodenum": codes.SCT.Duodenum,
        "colon": codes.SCT.Colon,
        "bone": codes.SCT.Bone,
        "rib": codes.SCT.Rib,
        "humerus": codes.SCT.Humerus,
        "scapula": codes.SCT.Scapula,
        "clavicula": codes.SCT.Clavicle,
        "femur": codes.SCT.Femur,
        "sacrum": codes.SCT.Sacrum,
        "face": codes.SCT.Face,
        "muscle": codes.SCT.SkeletalMuscle,
        "autochthon": codes.SCT.ErectorSpinaeMuscle,
        "vessel": codes.SCT.BloodVessel,
        "bladder": codes.SCT.Bladder,
        "urinary bladder": codes.SCT.Bladder,
    }
)
"""v1 structures and anatomy classes of networks, side and number left out."""

_SEGMENTS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")
_PARTS: Mapping[tuple[str, str], Code] = MappingProxyType(
    {("liver", f"segment {n}"): getattr(codes.SCT, f"CouinaudHepaticSegment{n}") for n in _SEGMENTS}
    | {
        ("lung", "upper zone"): codes.SCT.UpperZoneOfLung,
        ("lung", "middle zone"): codes.SCT.MiddleZoneOfLung,
        ("lung", "lower zone"): codes.SCT.LowerZoneOfLung,
        ("colon", "caecum"): codes.SCT.Cecum,
        ("colon", "ascending"): codes.SCT.AscendingColon,
        ("colon", "transverse"): codes.SCT.TransverseColon,
        ("colon", "descending"): codes.SCT.DescendingColon,
        ("colon", "sigmoid"): codes.SCT.SigmoidColon,
        ("colon", "rectum"): codes.SCT.Rectum,
    }
)
"""Parts of organs that are structures of their own in SNOMED CT; all other parts are private modifiers of their organ."""

_SIDES: Mapping[str, Code] = MappingProxyType({"left": codes.cid244.Left, "right": codes.cid244.Right})
_SIDELESS = frozenset({"heart atrium left", "heart ventricle left", "heart atrium right", "heart ventricle right"})


@dataclass(frozen=True, kw_only=True)
class Site:
    """A place: the structure, its side, and the part of it, the last two only where there is one to tell."""

    structure: Code
    side: Code | None = None
    part: Code | None = None


def site_of(record: LesionRecord) -> Site | None:
    """Where a finding is. Without a known organ it is that of its type; None for a class of which nothing is known."""
    words = one_line(record.organ.replace("_", " ")).lower()
    if not words and record.type in set(LesionType):
        words = TYPES[LesionType(record.type)].system.value.lower()
    if not words:
        return None
    name = words if words in _SIDELESS else " ".join(w for w in words.split() if w not in _SIDES and not w.isdigit())
    stated = [record.side.lower(), *words.split()] if words not in _SIDELESS else []
    side = next((_SIDES[word] for word in stated if word in _SIDES), None)
    part = _PARTS.get((name, record.location))
    if part is not None:
        return Site(structure=part, side=side)
    structure = _structure(name)
    return Site(structure=structure, side=side, part=_modifier(name, structure, record.location))


def _structure(name: str) -> Code:
    kind, _, level = name.partition(" ")
    if kind == "vertebrae" and re.fullmatch(r"(c[1-7]|t([1-9]|1[0-2])|l[1-5])", level):
        found: Code = getattr(codes.SCT, f"{level.upper()}Vertebra")
        return found
    return _ORGANS.get(name) or private(name)


def _modifier(name: str, structure: Code, location: str) -> Code | None:
    """The part in words, unless it only says the structure again, as of vertebrae, lobes and most bones."""
    told = location.lower()
    again = name.startswith("lung ") or (name != "rib" and (name in told or structure.meaning.lower() in told))
    return None if not told or again else private(location)


_ATTRIBUTES: Mapping[str, Code] = MappingProxyType(
    {
        "shape": codes.SCT.Shape,
        "density": private("Density against its reference tissue"),
        "heterogeneity": codes.DCM.TextureDescriptor,
        "surface": codes.DCM.BorderDefinition,
        "invasion": private("Relation to adjacent structures"),
    }
)
_VALUES: Mapping[str, Code] = MappingProxyType(
    {
        Shape.ROUND.value: codes.cid6339.Round,
        Shape.IRREGULAR.value: codes.cid6339.Irregular,
        Heterogeneity.HOMOGENEOUS.value: codes.cid6131.Homogeneous,
        Heterogeneity.HETEROGENEOUS.value: codes.cid6131.Inhomogeneous,
        Surface.WELL_DEFINED.value: codes.cid6120.WellDefined,
        Surface.ILL_DEFINED.value: codes.cid6120.PoorlyDefined,
    }
)


def attribute_name(name: str, *, measured: bool = False) -> Code:
    """The code of a report attribute as the network reads it, or as the rules of `measure` find it.

    What is measured has a name of its own, so that no reader takes two answers to one question for a contradiction.
    """
    known = _ATTRIBUTES.get(name) or private(name)
    return private(f"{known.meaning}, measured") if measured else known


def attribute_value(value: str) -> Code:
    """The code of one answer."""
    return _VALUES.get(value) or private(value)
