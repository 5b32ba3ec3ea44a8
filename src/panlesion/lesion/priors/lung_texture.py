"""Density, inner variation and edge of real lung nodules, by the readers' texture score.

Measured on the LIDC-IDRI cubes with benchmarks/calibration/lung_texture.py (median reader score 1–2 ground glass, between 2
and 4 part-solid, 4–5 solid); the core is the mask eroded by 3 mm, or as much as leaves 40 voxels. Medians over nodules;
spreads are interquartile ranges / 1.349. The part-solid and ground-glass rows rest on few nodules; docs/calibration.md has
the intervals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from panlesion.lesion.vocabulary import Feature


@dataclass(frozen=True, kw_only=True)
class LungTexture:
    """One class of nodules.

    `core_hu` and `core_hu_sd`: level of the core and its spread between nodules. `inner_sd_hu`: SD within the core, the
    scanner's noise taken off. `core_range_hu`: 10 and 90 % points within the core. `edge_sigma_mm`: SD of the error
    function through the margin, scanner included.
    """

    nodules: int
    core_hu: float
    core_hu_sd: float
    whole_hu: float
    inner_sd_hu: float
    core_range_hu: tuple[float, float]
    edge_sigma_mm: float


LUNG_TEXTURES: Mapping[Feature, LungTexture] = MappingProxyType(
    {
        Feature.SOLID: LungTexture(
            nodules=101,
            core_hu=33.0,
            core_hu_sd=71.0,
            whole_hu=-212.0,
            inner_sd_hu=30.0,
            core_range_hu=(-32.0, 77.0),
            edge_sigma_mm=0.7,
        ),
        Feature.PART_SOLID: LungTexture(
            nodules=6,
            core_hu=-392.0,
            core_hu_sd=196.0,
            whole_hu=-511.0,
            inner_sd_hu=169.0,
            core_range_hu=(-614.0, -90.0),
            edge_sigma_mm=1.2,
        ),
        Feature.GROUND_GLASS: LungTexture(
            nodules=4,
            core_hu=-574.0,
            core_hu_sd=55.0,
            whole_hu=-728.0,
            inner_sd_hu=76.0,
            core_range_hu=(-705.0, -429.0),
            edge_sigma_mm=1.5,
        ),
    }
)
