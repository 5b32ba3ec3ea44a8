"""`LesionSpec`: what a lesion shall be, in the words of its report. No voxels, no random numbers."""

from dataclasses import dataclass

from panlesion.ct.phase import Phase
from panlesion.ct.volume import Vector3
from panlesion.errors import SpecError
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.lesion.vocabulary import Density, Feature, Heterogeneity, Invasion, Shape, Surface


@dataclass(frozen=True, kw_only=True)
class LesionSpec:
    """One lesion as its report describes it.

    `organ_label` is the v1 label it grows in, `seat` the part of that organ in words (lobe, segment, pole, level …),
    `centre_xyz` its seed in RAS+ world mm, `diameter_mm` the largest distance between two of its voxels (3D),
    `mean_hu` the mean that its core, free of edges and noise, shall have.
    """

    type: LesionType
    phase: Phase
    organ_label: int
    seat: str
    centre_xyz: Vector3
    diameter_mm: float
    mean_hu: float
    shape: Shape
    density: Density
    heterogeneity: Heterogeneity
    surface: Surface
    invasion: Invasion
    features: frozenset[Feature] = frozenset()

    def __post_init__(self) -> None:
        labels = TYPES[self.type].organ_labels
        if self.organ_label not in labels:
            raise SpecError(f"organ_label is {self.organ_label}; a {self.type} grows in one of {sorted(labels)}")
        if not 1.0 <= self.diameter_mm <= 300.0:
            raise SpecError(f"diameter_mm is {self.diameter_mm}; it must be between 1 and 300")
