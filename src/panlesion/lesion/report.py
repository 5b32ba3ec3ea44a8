"""The structured report: PASTA-Gen's `type.json` with the public loader's fields and the long template beside them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from panlesion.ct.organs import V1_NAMES
from panlesion.ct.phase import Phase
from panlesion.ct.volume import Index3
from panlesion.lesion.spec import LesionSpec
from panlesion.lesion.taxonomy import TYPES
from panlesion.lesion.vocabulary import Density, Feature, Heterogeneity, Invasion, Shape, Surface

PUBLIC_FIELDS = ("Shape", "Density", "Heterogeneity", "Surface", "Invasion")

_SHAPE: Mapping[Shape, str] = MappingProxyType(
    {
        Shape.ROUND: "round-like",
        Shape.IRREGULAR: "irregular",
        Shape.WALL: "irregular wall thickening",
        Shape.PUNCTATE: "punctate/nodular",
    }
)
_DENSITY: Mapping[Density, str] = MappingProxyType(
    {Density.HYPO: "hypodense", Density.ISO: "isodense", Density.HYPER: "hyperdense"}
)
_SHAPE_FEATURES: Mapping[Feature, str] = MappingProxyType(
    {Feature.LUMINAL_NARROWING: "luminal narrowing", Feature.INTRALUMINAL: "protrusion into the lumen"}
)


def describe(spec: LesionSpec, extent_voxels: Index3, centre_ijk: Index3, mean_hu: float) -> dict[str, Any]:
    """One lesion's report: the five public fields, exact values, then the long template in its own words.

    `mean_hu` is the mean over the finished mask, edges and noise included, which is what a reader's region of interest shows.
    """
    return {
        "Shape": spec.shape.value,
        "Density": spec.density.value,
        "Heterogeneity": spec.heterogeneity.value,
        "Surface": spec.surface.value,
        "Invasion": spec.invasion.value,
        "lesion type": spec.type.value,
        "enhancement status": "non-contrast CT" if spec.phase is Phase.NON_CONTRAST else "enhanced CT",
        "phase": spec.phase.value,
        "lesion location": str(spec.organ_label),
        "organ": V1_NAMES[spec.organ_label],
        "location in organ": spec.seat,
        "shape": ", ".join([_SHAPE[spec.shape], *(_SHAPE_FEATURES[f] for f in sorted(spec.features) if f in _SHAPE_FEATURES)]),
        "size": f"[{list(extent_voxels)}] pixel",
        "diameter_mm": round(spec.diameter_mm, 1),
        "density": _long_density(spec),
        "density variations": "homogeneous" if spec.heterogeneity is Heterogeneity.HOMOGENEOUS else "heterogeneous",
        "CT value": f"Mean density of the lesion region is approximately {mean_hu:.0f} HU",
        "mean_hu": round(mean_hu, 1),
        "surface characteristics": _surface(spec),
        "relationship with adjacent organs": (
            "close relationship with adjacent organs"
            if spec.invasion is Invasion.CLOSE
            else "no close relationship with surrounding organs"
        ),
        "specific features": ", ".join(sorted(f.value for f in spec.features)),
        "centre_ijk": list(centre_ijk),
    }


def _long_density(spec: LesionSpec) -> str:
    if Feature.GROUND_GLASS in spec.features:
        return "low-density ground-glass opacity"
    if Feature.PART_SOLID in spec.features:
        return "isodense soft tissue mass with peripheral low-density ground-glass opacity"
    if Feature.RIM_ENHANCEMENT in spec.features:
        return "ring enhancement"
    if spec.type.value.endswith("_cyst"):
        return "hypoattenuating fluid-like"
    if spec.density is Density.ISO and TYPES[spec.type].malignant:
        return "isodense soft tissue mass"
    return _DENSITY[spec.density]


def _surface(spec: LesionSpec) -> str:
    margin = "well-defined margin" if spec.surface is Surface.WELL_DEFINED else "ill-defined margin"
    if TYPES[spec.type].hollow and TYPES[spec.type].malignant:
        serosa = "clear serosal surface" if spec.invasion is Invasion.NOT_CLOSE else "serosal surface irregularity"
        return f"{margin}, {serosa}"
    return margin


def type_json(lesions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """`type.json`: the organ's v1 label → the first lesion's report; further lesions under "lesions" of that report.

    The public loader takes the first key and reads the five fields from it, so the first lesion is the one it learns.
    """
    first = lesions[0]
    return {first["lesion location"]: {**first, "lesions": list(lesions)}}
