"""How large lesions are and how far from round: priors fitted to real masks where there are any, else to the literature.

Every family has knots of each parameter's distribution and the correlation of their normal scores (a Gaussian copula): a
draw is one normal vector, each component mapped through its knots. The outermost knots, 1 % and 99 %, clip. How the knots
were fitted, and how well masks drawn from them match real ones, is told in docs/calibration.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from panlesion.ct.volume import Vector3
from panlesion.lesion.priors.size_tables import LEVELS, PARAMETERS, TABLES, SizeTable
from panlesion.lesion.taxonomy import LesionType

_LOGARITHMIC = frozenset({"diameter_mm", "roughness", "shortest_wavelength"})
LONGEST_WAVELENGTH_RADII = 2.5
_SCORES = ndtri(LEVELS)


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size and shape one lesion shall have, free of place and orientation.

    `diameter_mm` is the largest distance between two voxels of the finished mask; `ratios` are the radii over the longest;
    `roughness`, `wavelength_radii`, `slope` and `bend` are those of an outline (`synth.shape.outline`).
    """

    diameter_mm: float
    ratios: Vector3
    roughness: float
    wavelength_radii: tuple[float, float]
    slope: float
    bend: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SizePrior:
    """Whose shape a type has, and how large it is.

    `diameter_mm` are the 1, 25, 50, 75 and 99 % points where the family's own masks do not give them; `source` says where the
    numbers are from and why a family is borrowed.
    """

    family: str
    source: str
    diameter_mm: tuple[float, float, float, float, float] | None = None


SIZES: Mapping[LesionType, SizePrior] = MappingProxyType(
    {
        LesionType.LUNG_TUMOR: SizePrior(family="lung_nodule", source="LIDC-IDRI nodules and MSD lung tumours"),
        LesionType.LIVER_TUMOR: SizePrior(family="liver_tumour", source="LiTS tumours"),
        LesionType.LIVER_CYST: SizePrior(
            family="kidney_cyst",
            diameter_mm=(5, 11, 18, 32, 110),
            source="simple cysts of both organs are thin-walled balls of fluid that lobulate where they touch, so the shape is "
            "the kidney's; sizes from millimetres to over 10 cm (ours)",
        ),
        LesionType.GALLBLADDER_CANCER: SizePrior(
            family="liver_tumour",
            diameter_mm=(10, 25, 38, 52, 90),
            source="masses that fill the lumen or grow into the liver bed are as irregular as liver tumours; polypoid ones "
            "over 1 cm, replacing masses several cm (ours)",
        ),
        LesionType.GALLSTONE: SizePrior(
            family="stone",
            diameter_mm=(3, 6, 10, 16, 35),
            source="shape: radii of kidney cysts under 30 mm with half their roughness (ours); sizes: ours",
        ),
        LesionType.PANCREAS_TUMOR: SizePrior(family="pancreas_tumour", source="MSD and Radboud (ULS23) pancreas tumours"),
        LesionType.PANCREAS_CYST: SizePrior(
            family="kidney_cyst",
            diameter_mm=(5, 9, 15, 27, 70),
            source="no masks of their own; round to lobulated fluid like renal cysts; incidental ones mostly under 2 cm: "
            "de Jong et al., Clin Gastroenterol Hepatol 2010;8:806; resected ones larger",
        ),
        LesionType.ESOPHAGEAL_CANCER: SizePrior(
            family="colon_tumour",
            diameter_mm=(15, 35, 50, 65, 110),
            source="grows along a tube as colon cancer does; lengths: ours (surgical series part short from long "
            "tumours at 3 or 4 cm)",
        ),
        LesionType.GASTRIC_CANCER: SizePrior(
            family="colon_tumour",
            diameter_mm=(12, 30, 45, 65, 130),
            source="grows along a wall as colon cancer does; sizes: 4.9 (SD 1.9) cm in 430 advanced tumours, Wang et al., "
            "World J Gastroenterol 2012;18:5470; tails ours",
        ),
        LesionType.COLORECTAL_CANCER: SizePrior(family="colon_tumour", source="MSD colon tumours"),
        LesionType.KIDNEY_TUMOR: SizePrior(family="kidney_tumour", source="KiTS23 tumours"),
        LesionType.KIDNEY_CYST: SizePrior(family="kidney_cyst", source="KiTS23 cysts"),
        LesionType.KIDNEY_STONE: SizePrior(
            family="stone",
            diameter_mm=(2, 3.5, 5, 8, 22),
            source="asymptomatic stones average 3 mm: Boyce et al., J Urol 2010;183:1017; raised here, for a stone under two "
            "voxels cannot be drawn (ours)",
        ),
        LesionType.BLADDER_CANCER: SizePrior(
            family="kidney_tumour",
            diameter_mm=(6, 16, 25, 38, 80),
            source="a lobulated mass on the wall, as compact as a kidney tumour (ours); about one in five is 3 cm or more at "
            "first resection, invasive ones larger (ours); shortest side 22 (SD 12) mm in "
            "50 patients: Helenius et al., Acta Radiol 2013",
        ),
        LesionType.BONE_METASTASIS: SizePrior(family="bone_lesion", source="ULS23 bone lesions (Radboud)"),
    }
)


def draw_size(type: LesionType, rng: np.random.Generator, *, diameter_mm: tuple[float, float] | None = None) -> Size:
    """One size and shape; with `diameter_mm` from that range only, the shape then as lesions of that size have it.

    Raises:
        ValueError: The range is empty or not positive.
    """
    prior = SIZES[type]
    table = TABLES[prior.family]
    knots = {name: np.asarray(values) for name, values in zip(PARAMETERS, table.knots, strict=True)}
    if prior.diameter_mm is not None:
        knots["diameter_mm"] = np.exp(np.interp(_SCORES, ndtri([0.01, 0.25, 0.5, 0.75, 0.99]), np.log(prior.diameter_mm)))
    scores = _normal_scores(table, rng)
    diameter = float(_through(knots["diameter_mm"], scores[0], log=True))
    if diameter_mm is not None:
        diameter, scores = _within(diameter_mm, knots["diameter_mm"], scores, table, rng)
    value = {
        name: float(_through(knots[name], score, log=name in _LOGARITHMIC))
        for name, score in zip(PARAMETERS, scores, strict=True)
    }
    second = value["second_ratio"]
    shortest = value["shortest_wavelength"]
    return Size(
        diameter_mm=round(diameter, 2),
        ratios=(1.0, round(second, 4), round(second * value["third_ratio"], 4)),
        roughness=round(value["roughness"], 4),
        wavelength_radii=(round(shortest, 3), LONGEST_WAVELENGTH_RADII),
        slope=round(value["slope"], 3),
        bend=round(max(0.0, value["bend"]), 3),
    )


def _normal_scores(table: SizeTable, rng: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(np.linalg.cholesky(np.asarray(table.correlation)) @ rng.standard_normal(len(PARAMETERS)))


def _through(knots: NDArray, score: float, *, log: bool) -> NDArray[np.float64]:
    """The value whose normal score is `score`; beyond the outermost knots, those."""
    values = np.log(knots) if log else knots
    found = np.interp(score, _SCORES, values)
    return np.exp(found) if log else np.asarray(found)


def _within(
    wanted_mm: tuple[float, float], knots: NDArray, scores: NDArray, table: SizeTable, rng: np.random.Generator
) -> tuple[float, NDArray]:
    """A diameter of the prior cut to a range (log-uniform where the prior has nothing there), and scores that go with it."""
    low, high = wanted_mm
    if not 0 < low <= high:
        raise ValueError(f"diameter_mm is {wanted_mm}; it must be 0 < low <= high")
    ends = np.interp(np.log([low, high]), np.log(knots), _SCORES)
    chance = rng.uniform(*ndtr(ends))
    score = float(ndtri(chance))
    if ends[1] - ends[0] > 1e-6 and knots[0] < high and low < knots[-1]:
        diameter = float(np.clip(_through(knots, score, log=True), low, high))
    else:
        diameter = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    # The other scores follow the first by their correlation with it.
    return diameter, scores + np.asarray(table.correlation)[:, 0] * (score - scores[0])
