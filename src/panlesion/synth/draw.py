"""The steps of drawing one lesion that all types share: what it shall read as, where it sits, how dense it is.

`fit` brings it to its host, `kinds` holds what differs between types. The order is fixed: readings, seat, geometry (scaled
until its mask has the drawn diameter), matter (shifted and stretched until its mean and spread are the drawn ones), plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from panlesion.ct.volume import Vector3
from panlesion.errors import PlacementError
from panlesion.lesion.priors.appearance import APPEARANCE
from panlesion.lesion.priors.size import Size, draw_size
from panlesion.lesion.taxonomy import TYPES, LesionType, Neighbours
from panlesion.lesion.vocabulary import Density, Feature, Heterogeneity, Invasion, Shape, Surface
from panlesion.measure.attributes import PUNCTATE_MM, density_class
from panlesion.synth.host import Site

T = TypeVar("T")

# Readings are drawn clear of the thresholds they are measured by: a reading on the fence would be a coin toss.
GUARD_HU = 4.0
# Smaller lesions have no room for clumps that a reader would call heterogeneous.
HETEROGENEOUS_FROM_MM = 18.0
KEEP_GAP_MM = 3.0
KEEP_VOXELS = 2.0
# Trachea, aorta, heart and spine leave no room beside a gullet: of six wishes for a mass one was granted, after many draws.
ONLY_WALL = frozenset({LesionType.ESOPHAGEAL_CANCER})


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the caller fixes of a lesion; whatever is None is drawn from the priors."""

    organ_label: int | None = None
    seat: str | None = None
    diameter_mm: tuple[float, float] | None = None
    shape: Shape | None = None
    density: Density | None = None
    heterogeneity: Heterogeneity | None = None
    surface: Surface | None = None
    invasion: Invasion | None = None
    features: frozenset[Feature] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one lesion shall read as, before it has a place."""

    size: Size
    shape: Shape
    heterogeneity: Heterogeneity
    surface: Surface
    invasion: Invasion


def choose(shares: Mapping[T, float], rng: np.random.Generator) -> T:
    """One key, with probability proportional to its share."""
    keys = list(shares)
    weights = np.array([shares[key] for key in keys], dtype=float)
    return keys[int(rng.choice(len(keys), p=weights / weights.sum()))]


def check_wishes(type: LesionType, wanted: Wanted) -> None:
    """Refuse at once what practically no host can grant, before any place is tried.

    Raises:
        PlacementError: A wish contradicts the type or the wanted diameter; says why and what to ask for instead.
    """
    low, high = wanted.diameter_mm or (0.0, np.inf)
    info, shape = TYPES[type], wanted.shape
    why = None
    if shape is Shape.PUNCTATE and low > PUNCTATE_MM:
        why = f"lesions above {PUNCTATE_MM:.0f} mm are not {shape!s}: ask for a smaller diameter"
    elif shape not in (None, Shape.PUNCTATE) and high <= PUNCTATE_MM:
        why = f"lesions up to {PUNCTATE_MM:.0f} mm are {Shape.PUNCTATE!s}, not {shape!s}: ask for a larger diameter"
    elif shape is Shape.WALL and (not info.hollow or info.neighbours is Neighbours.NONE):
        why = f"{shape!s} is of tumours of hollow organs: ask for another shape"
    elif shape in (Shape.ROUND, Shape.IRREGULAR) and type in ONLY_WALL:
        why = f"its neighbours leave it no room beside the wall: ask for {Shape.WALL!s}, or leave the shape open"
    elif info.neighbours is Neighbours.NONE and wanted.invasion is Invasion.CLOSE:
        why = f"a stone lies free in its lumen: ask for {Invasion.NOT_CLOSE!s}"
    elif info.neighbours is Neighbours.NONE and wanted.surface is Surface.ILL_DEFINED:
        why = f"stones have sharp edges: ask for {Surface.WELL_DEFINED!s}"
    if why is not None:
        raise PlacementError(f"no {type} can be drawn as wanted: {why}")


def draw_reading(site: Site, wanted: Wanted, rng: np.random.Generator) -> Reading:
    """What the lesion shall read as: the caller's wishes, else the type's shares.

    Raises:
        PlacementError: No host can grant the wishes.
    """
    check_wishes(site.type, wanted)
    prior = APPEARANCE[site.type]
    size = draw_size(site.type, rng, diameter_mm=wanted.diameter_mm)
    shape = wanted.shape or choose(prior.shapes, rng)
    if wanted.shape is None and size.diameter_mm <= 9.5:
        shape = Shape.PUNCTATE
    heterogeneous = rng.random() < prior.heterogeneous and size.diameter_mm > HETEROGENEOUS_FROM_MM
    ill_defined = rng.random() < prior.ill_defined and size.diameter_mm > 9
    close = rng.random() < prior.close
    return Reading(
        size=size,
        shape=shape,
        heterogeneity=wanted.heterogeneity or (Heterogeneity.HETEROGENEOUS if heterogeneous else Heterogeneity.HOMOGENEOUS),
        surface=wanted.surface or (Surface.ILL_DEFINED if ill_defined else Surface.WELL_DEFINED),
        invasion=wanted.invasion or (Invasion.CLOSE if close else Invasion.NOT_CLOSE),
    )


def kept_gap_mm(site: Site, reading: Reading) -> float:
    """How far voxel centres stay from those of neighbours, 0 for a lesion that shall be close.

    Boundaries are nearer than centres, by √3 voxels along a diagonal. Of all offsets between voxels of 1 to 3 mm whose
    boundaries are nearer than the gap, the longest exceeds it by 1.5 voxels (2 mm: (2, 2, 1) voxels, which are 6 mm). Half
    a voxel more, for labels that the mass effect moves come to lie on whole voxels.
    """
    return KEEP_GAP_MM + KEEP_VOXELS * max(site.host.ct.grid.spacing_mm) if reading.invasion is Invasion.NOT_CLOSE else 0.0


def find_seat(
    site: Site,
    reading: Reading,
    wanted: Wanted,
    rng: np.random.Generator,
    *,
    depth_mm: tuple[float, float],
    least_gap_mm: float | None = None,
) -> tuple[Vector3, int]:
    """A world position in the organ at a depth range, and its v1 label, where the wanted relation to neighbours can hold.

    With `least_gap_mm` any place counts that is so far from neighbours, for lesions that are carved to keep clear of them.

    Raises:
        PlacementError: The organ has no such place.
    """
    survey = site.survey
    radius = reading.size.diameter_mm / 2
    fits = (survey.depth_mm >= depth_mm[0]) & (survey.depth_mm <= depth_mm[1])
    fits &= ~site.taken(reading.size.diameter_mm)
    gap = survey.gap_mm
    if least_gap_mm is not None:
        fits &= gap >= least_gap_mm
    elif TYPES[site.type].neighbours in (Neighbours.LABELLED, Neighbours.OUTSIDE):
        fits &= (
            gap <= 0.75 * radius if reading.invasion is Invasion.CLOSE else gap >= min(radius + KEEP_GAP_MM, 0.6 * radius + 6)
        )
    if wanted.organ_label is not None:
        fits &= survey.label == wanted.organ_label
    if wanted.seat is not None:
        fits &= site.in_seat(wanted.seat)
    what = f"a {site.type} of {reading.size.diameter_mm:.0f} mm ({reading.invasion.lower()}) in {site.host.id}"
    # Larger vessels and ducts are avoided where there is a choice.
    calm = fits & survey.calm
    index = survey.pick(calm if calm.any() else fits, rng, what)
    jitter = rng.uniform(-0.5, 0.5, 3) * np.asarray(survey.spacing_mm)
    x, y, z = (survey.xyz[index] + jitter).round(3).tolist()
    return (x, y, z), int(survey.label[index])


def density_of(site: Site, mean_hu: float, organ_label: int) -> tuple[Density, float]:
    """The density class of a mean, and how far in HU it is from the nearest threshold."""
    low, high = TYPES[site.type].isodense_hu
    offset = mean_hu - site.host.facts.reference_hu(site.type, organ_label)
    guard = min(abs(offset - low), abs(offset - high))
    return density_class(offset, TYPES[site.type]), guard


def draw_mean_hu(site: Site, wanted: Wanted, organ_label: int, rng: np.random.Generator) -> float:
    """A mean HU from the type's regression on the host, clear of the class thresholds and in the wanted class."""
    line = APPEARANCE[site.type].density[site.phase]
    expected = line.mean_hu(site.host.facts.reference_hu(site.type, organ_label))
    for widen in np.linspace(1.0, 8.0, 40):
        mean = float(rng.normal(expected, line.sd_hu * widen))
        density, guard = density_of(site, mean, organ_label)
        if guard >= GUARD_HU and wanted.density in (None, density):
            return round(mean, 2)
    raise PlacementError(f"no {wanted.density} {site.type} is plausible on a {site.phase} host; ask for another density")


def draw_mean_offset(
    site: Site, wanted: Wanted, organ_label: int, rng: np.random.Generator, *, offset_hu: tuple[float, float]
) -> float:
    """A mean HU at an offset from the reference drawn from a range, clear of the class thresholds and in the wanted class."""
    reference = site.host.facts.reference_hu(site.type, organ_label)
    for _ in range(40):
        mean = reference + float(rng.uniform(*offset_hu))
        density, guard = density_of(site, mean, organ_label)
        if guard >= GUARD_HU and wanted.density in (None, density):
            return round(mean, 2)
    raise PlacementError(f"no {wanted.density} {site.type} lies {offset_hu} HU from its reference; ask for another density")
