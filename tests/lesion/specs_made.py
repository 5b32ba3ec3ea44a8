"""Lesion specifications made by hand."""

from typing import Any

from panlesion.ct.phase import Phase
from panlesion.lesion.spec import LesionSpec
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.lesion.vocabulary import Density, Heterogeneity, Invasion, Shape, Surface


def spec_of(type: LesionType, **changes: Any) -> LesionSpec:
    """A round, homogeneous, hypodense lesion of 20 mm unless told otherwise."""
    values = {
        "type": type,
        "phase": Phase.PORTAL,
        "organ_label": min(TYPES[type].organ_labels),
        "seat": "segment 7",
        "centre_xyz": (1.0, 2.0, 3.0),
        "diameter_mm": 20.04,
        "mean_hu": 43.21,
        "shape": Shape.ROUND,
        "density": Density.HYPO,
        "heterogeneity": Heterogeneity.HOMOGENEOUS,
        "surface": Surface.WELL_DEFINED,
        "invasion": Invasion.NOT_CLOSE,
    }
    return LesionSpec(**{**values, **changes})
