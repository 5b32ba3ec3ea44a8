"""The closed vocabularies of a lesion report.

The values of `Shape`, `Density`, `Heterogeneity`, `Surface` and `Invasion` are spelled, and ordered, as the public PASTA
loader reads them: the position of a value is its class index.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Shape(StrEnum):
    ROUND = "Round-like"
    IRREGULAR = "Irregular"
    WALL = "Wall thickening"
    PUNCTATE = "Punctate, nodular"


class Density(StrEnum):
    """Against the reference tissue of the lesion type, see `taxonomy.Reference`."""

    HYPO = "Hypodense"
    ISO = "Isodense"
    HYPER = "Hyperdense"


class Heterogeneity(StrEnum):
    HOMOGENEOUS = "Homogeneous"
    HETEROGENEOUS = "Heterogeneous"


class Surface(StrEnum):
    WELL_DEFINED = "Well-defined margin"
    ILL_DEFINED = "Ill-defined margin"


class Invasion(StrEnum):
    NOT_CLOSE = "No close relationship with adjacent structures"
    CLOSE = "Close relationship with adjacent structures"


READINGS: Mapping[str, type[StrEnum]] = MappingProxyType(
    {"shape": Shape, "density": Density, "heterogeneity": Heterogeneity, "surface": Surface, "invasion": Invasion}
)
"""The attributes that every report has a class of, by the names of `LesionSpec`'s fields, in the order of PASTA's loader."""


class Feature(StrEnum):
    """What else a radiologist would mention. Each is rendered; `synth` documents how."""

    # lung
    SOLID = "solid"
    PART_SOLID = "part-solid"
    GROUND_GLASS = "ground glass"
    SPICULATED = "spiculated margins"
    LOBULATED = "lobulated margins"
    PLEURAL_TAG = "pleural tag"
    CAVITY = "cavity"
    # enhancement and inner structure
    RIM_ENHANCEMENT = "ring enhancement"
    HYPERENHANCEMENT = "hyperenhancement"
    WASH_OUT = "wash-out"
    CAPSULE = "capsule"
    NECROSIS = "decreased-density areas"
    CALCIFICATION = "increased-density areas"
    FAT = "macroscopic fat"
    SEPTA = "septa"
    # ducts, lumen and wall
    DUCT_DILATATION = "upstream pancreatic duct dilatation"
    LUMINAL_NARROWING = "luminal narrowing"
    INTRALUMINAL = "protrusion into the lumen"
    ULCER = "ulceration"
    PAPILLARY = "papillary surface"
    ORGAN_REPLACEMENT = "replacement of the organ"
    EXOPHYTIC = "protruding from the organ surface"
    # stones
    RIM_CALCIFIED = "rim-calcified"
    DEPENDENT = "dependent position"
    MULTIPLE = "multiple"
    # bone
    LYTIC = "lytic"
    BLASTIC = "blastic"
    MIXED = "mixed lytic and blastic"
    CORTEX_BREAK = "cortical destruction"
    SOFT_TISSUE = "soft-tissue component"
