"""Tumours of hollow organs: the wall thickens along the centreline and narrows the lumen, or a mass grows into it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Vector3
from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import Feature, Heterogeneity, Invasion, Shape, Surface
from panlesion.measure.margin import ill_defined_from_mm
from panlesion.synth.draw import Reading, Wanted, draw_mean_hu, draw_reading, find_seat, kept_gap_mm
from panlesion.synth.field import draw_field
from panlesion.synth.fit import (
    ILL_DEFINED_SHARE,
    Fitted,
    draw_margin_mm,
    fit_geometry,
    fit_matter,
    settled_surface,
    texture_layer,
)
from panlesion.synth.host import Site
from panlesion.synth.kinds.blob import draw_body, lobes, plan_of, shaped
from panlesion.synth.kinds.liver import NECROSIS_FROM_MM, necrosis_layer
from panlesion.synth.place import Survey
from panlesion.synth.plan import Confine, Geometry, Layer, LayerKind, Matter, Part, Plan, WallPatch
from panlesion.synth.seed import draw_seed, drawn
from panlesion.synth.shape.outline import draw_outline
from panlesion.synth.shape.spicules import point

TRIES = 6
SEAT_DEPTH_MM = (0.0, 3.0)


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a type grows. Lengths in mm; shares 0…1; `annular` applies where the organ is narrow enough to be encircled."""

    annular: float
    inward_mm: tuple[float, float]
    outward_mm: tuple[float, float]
    lumen_mm: tuple[float, float]
    shoulder: tuple[float, float]
    ulcer: float = 0.0
    papillary: float = 0.0
    replacing: float = 0.0


# Wall thickness: oesophagus > 5 mm is abnormal, cancers 6-20 (Reinig 1983, AJR 140:549); stomach > 10, cancers 10-30
# (Insko 2003, AJR 180:1281); colon > 6, apple-core cancers 10-30 over 3-8 cm with abrupt shoulders (Horton 2000, Radiographics
# 20:419); bladder > 5; gallbladder > 4, cancers 5-15 (Levy 2001, Radiographics 21:295).
STYLES: Mapping[LesionType, Style] = MappingProxyType(
    {
        LesionType.ESOPHAGEAL_CANCER: Style(
            annular=0.8, inward_mm=(6, 14), outward_mm=(2.0, 8.0), lumen_mm=(0.8, 2.5), shoulder=(2.0, 5.0)
        ),
        LesionType.GASTRIC_CANCER: Style(
            annular=0.25, inward_mm=(8, 20), outward_mm=(0.5, 3.0), lumen_mm=(3, 7), shoulder=(1.6, 4.0), ulcer=0.35
        ),
        LesionType.COLORECTAL_CANCER: Style(
            annular=0.7, inward_mm=(8, 18), outward_mm=(0.5, 4.0), lumen_mm=(1.5, 4.5), shoulder=(3.0, 8.0), ulcer=0.12
        ),
        LesionType.BLADDER_CANCER: Style(
            annular=0.0, inward_mm=(6, 14), outward_mm=(0.0, 2.0), lumen_mm=(5, 9), shoulder=(1.5, 3.0), papillary=0.5
        ),
        LesionType.GALLBLADDER_CANCER: Style(
            annular=0.35, inward_mm=(5, 12), outward_mm=(0.5, 3.5), lumen_mm=(2, 5), shoulder=(1.5, 3.5), replacing=0.3
        ),
    }
)
CLOSE_OUTWARD_MM = 4.0
STRANDING_SDS = 2.5
# A hollow organ lies against its neighbours nearly everywhere: who must keep clear of them starts in this freest share of its
# wall. A wish that a narrow organ has no room for is tried smaller and smaller, where no diameter is asked for.
FREEST = 0.04
SHRINK = 0.75
SMALLEST_MM = 13.0
# Centres of the lobes, in radii, that keep a body from reading as round.
KNOBBLY = (0.8, 1.1)
# Radii over the longest of a mass that has to have room for a faded margin.
THICK = 0.75


def draw_hollow_tumour(site: Site, wanted: Wanted, rng: np.random.Generator) -> Plan:
    """One tumour of oesophagus, stomach, colon, bladder or gallbladder."""
    reading = draw_reading(site, wanted, rng)
    problem = PlacementError(f"no place for a {site.type} in {site.host.id}")
    asked = reading
    for attempt in range(TRIES):
        reading = _eased(asked, wanted, attempt)
        try:
            fitted, label, features = _grown(site, reading, wanted, rng, attempt)
        except PlacementError as error:
            problem = error
            continue
        shape, invasion = fitted.shape(), fitted.invasion()
        if wanted.shape not in (None, shape) or (wanted.invasion or invasion) is not invasion:
            problem = PlacementError(
                f"a {site.type} of {fitted.diameter_mm:.0f} mm in {site.host.id} came out {shape!r}, {invasion!r}; "
                "ask for another diameter, or leave shape and relation open"
            )
            continue
        try:
            reading = settled_surface(replace(reading, shape=shape, invasion=invasion), wanted, fitted)
        except PlacementError as error:
            problem = error
            continue
        return _filled(site, wanted, reading, fitted, label, features, rng)
    raise problem


def _eased(reading: Reading, wanted: Wanted, attempt: int) -> Reading:
    """What gives way in further tries at a wanted shape or relation, where it is free: the diameter, then the gap kept."""
    asked = wanted.shape is not None or wanted.invasion is Invasion.NOT_CLOSE
    if wanted.shape is not None and wanted.invasion is None and attempt >= 2:
        reading = replace(reading, invasion=Invasion.CLOSE)
    if wanted.diameter_mm is not None or not asked:
        return reading
    diameter = reading.size.diameter_mm
    smaller = max(min(diameter, SMALLEST_MM), diameter * SHRINK**attempt)
    return replace(reading, size=replace(reading.size, diameter_mm=round(smaller, 2)))


def _least_gap_mm(survey: Survey, wanted: Wanted, keep_mm: float) -> float | None:
    """How far from neighbours a tumour starts: anywhere if the gap is kept by carving alone; None: the rule for close ones."""
    if keep_mm <= 0:
        return None
    wall = survey.gap_mm[survey.depth_mm <= SEAT_DEPTH_MM[1]]
    return float(np.quantile(wall, 1 - FREEST)) if wanted.invasion is Invasion.NOT_CLOSE and wall.size else 0.0


def _grown(
    site: Site, reading: Reading, wanted: Wanted, rng: np.random.Generator, attempt: int
) -> tuple[Fitted, int, set[Feature]]:
    """A geometry on its place: wall thickening or mass, as the reading's shape asks."""
    style, diameter = STYLES[site.type], reading.size.diameter_mm
    keep = kept_gap_mm(site, reading)
    seat, label = find_seat(
        site, reading, wanted, rng, depth_mm=SEAT_DEPTH_MM, least_gap_mm=_least_gap_mm(site.survey, wanted, keep)
    )
    wall = reading.shape is Shape.WALL
    around = site.survey.xyz - np.asarray(seat)
    near = np.einsum("nd,nd->n", around, around) < (max(12.0, 0.5 * diameter)) ** 2
    ridge, axis, inwards = _local_frame(site.survey, seat, near)
    encircling = wall and rng.random() < style.annular and ridge.depth_mm < 0.4 * diameter
    annular = encircling and wanted.invasion is not Invasion.NOT_CLOSE
    centre = ridge.xyz if annular else seat
    outward = float(rng.uniform(*style.outward_mm)) + (CLOSE_OUTWARD_MM if keep == 0 else 0.0)
    if reading.surface is Surface.ILL_DEFINED:
        # Within the organ a fading tumour shows the wall, which is as dense: only strands in the fat make it look ill-defined.
        outward += STRANDING_SDS * ILL_DEFINED_SHARE[0] * ill_defined_from_mm(site.host.ct.grid.spacing_mm)
    if wall:
        inward = float(min(rng.uniform(*style.inward_mm), 0.45 * diameter))
        lumen = float(min(rng.uniform(*style.lumen_mm), 0.6 * ridge.depth_mm))
        patch = WallPatch(
            centre_xyz=centre,
            axis=axis,
            annular=annular,
            half_length_mm=round(diameter / 2, 3),
            inward_mm=round(inward, 2),
            outward_mm=round(outward, 2),
            lumen_mm=round(lumen, 2),
            shoulder=drawn(rng, style.shoulder),
            roughness_mm=drawn(rng, (0.3, 1.1)),
            field=draw_field(rng, wavelength_mm=(6.0, 22.0)),
        )
        craters, ulcerated = _ulcer(style, wanted, seat, inwards, inward, rng) if not annular else ((), False)
        geometry = Geometry(
            wall=patch, confine=Confine.FREE, keep_gap_mm=keep, craters=craters, into_neighbour_mm=1.0 if keep == 0 else 0.0
        )
        features = {Feature.LUMINAL_NARROWING} if annular else set()
        features |= {Feature.ULCER} if ulcerated else set()
    else:
        geometry, centre, features = _mass(reading, wanted, style, seat, inwards, outward, keep, rng, attempt)
    return fit_geometry(geometry, site, organ_label=label, centre_xyz=centre, diameter_mm=diameter), label, features


@dataclass(frozen=True, kw_only=True)
class _Ridge:
    xyz: Vector3
    depth_mm: float


def _local_frame(survey: Survey, seat: Vector3, near: NDArray[np.bool_]) -> tuple[_Ridge, Vector3, NDArray]:
    """Where the organ is deepest near a seat, the direction it runs in, and the way from the seat into the lumen."""
    if near.sum() < 8:
        raise PlacementError(f"the organ has only {int(near.sum())} survey voxels around {seat}: too thin to grow in")
    xyz, depth = survey.xyz[near], survey.depth_mm[near]
    distance = np.linalg.norm(xyz - np.asarray(seat), axis=1)
    deepest = int(np.argmax(depth - 0.15 * distance))
    middle = depth >= 0.5 * depth.max()
    points = xyz[middle] if middle.sum() >= 4 else xyz
    _, _, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    inwards = xyz[deepest] - np.asarray(seat)
    length = float(np.linalg.norm(inwards))
    inwards = inwards / length if length > 1e-6 else np.array([0.0, 1.0, 0.0])
    return _Ridge(xyz=point(xyz[deepest]), depth_mm=float(depth[deepest])), point(axes[0]), inwards


def _ulcer(
    style: Style, wanted: Wanted, seat: Vector3, inwards: NDArray, inward_mm: float, rng: np.random.Generator
) -> tuple[tuple[Part, ...], bool]:
    if not (Feature.ULCER in wanted.features or rng.random() < style.ulcer):
        return (), False
    radius = float(rng.uniform(0.45, 0.8) * inward_mm)
    outline = draw_outline(rng, radii_mm=(radius, radius, round(0.8 * radius, 3)), roughness=0.06)
    return (Part(centre_xyz=point(np.asarray(seat) + inwards * inward_mm), outline=outline),), True


def _mass(
    reading: Reading,
    wanted: Wanted,
    style: Style,
    seat: Vector3,
    inwards: NDArray,
    outward_mm: float,
    keep_gap_mm: float,
    rng: np.random.Generator,
    attempt: int,
) -> tuple[Geometry, Vector3, set[Feature]]:
    """A body on a base of wall: sessile, papillary, or one that replaces the organ.

    Cut to the wall, a body in a narrow organ is a wall thickening. A wanted shape of mass that did not come out is tried as one
    that grows through the wall, and as one that hangs deeper in the lumen.
    """
    size = reading.size if wanted.shape is None else shaped(reading.size, wanted.shape)
    if wanted.surface is Surface.ILL_DEFINED:
        b, c = size.ratios[1:]
        size = replace(size, ratios=(1.0, max(b, THICK), max(c, THICK)))
    features = {Feature.INTRALUMINAL}
    radius = size.diameter_mm / 2
    replacing = Feature.ORGAN_REPLACEMENT in wanted.features or rng.random() < style.replacing
    papillary = Feature.PAPILLARY in wanted.features or (not replacing and rng.random() < style.papillary)
    retried = wanted.shape is not None and attempt > 0
    through = replacing or (retried and attempt % 2 == 1)
    deep = (0.7, 1.0) if retried else (0.35, 0.7)
    centre = point(np.asarray(seat) + inwards * radius * (0.9 if replacing else rng.uniform(*deep)))
    parts = [draw_body(size, rng, centre_xyz=centre)]
    if retried and wanted.shape is Shape.IRREGULAR:
        parts += lobes(size, rng, centre_xyz=centre, count=4, sunk=KNOBBLY)
    if papillary:
        parts += list(lobes(replace(size, diameter_mm=0.85 * size.diameter_mm), rng, centre_xyz=centre, count=9))
        features.add(Feature.PAPILLARY)
    if replacing:
        features = {Feature.ORGAN_REPLACEMENT}
    elif through:
        features.add(Feature.EXOPHYTIC)
    geometry = Geometry(
        parts=tuple(parts),
        confine=Confine.FREE if through else Confine.BULGE,
        bulge_mm=round(outward_mm, 2),
        keep_gap_mm=keep_gap_mm,
        into_neighbour_mm=1.5 if keep_gap_mm == 0 else 0.0,
        smooth_union_mm=1.0 if papillary else round(0.1 * size.diameter_mm, 2),
    )
    return geometry, centre, features


def _filled(
    site: Site,
    wanted: Wanted,
    reading: Reading,
    fitted: Fitted,
    label: int,
    features: set[Feature],
    rng: np.random.Generator,
) -> Plan:
    diameter = reading.size.diameter_mm
    target = draw_mean_hu(site, wanted, label, rng)
    layers: list[Layer] = [texture_layer(rng, min(diameter, 30.0))]
    if (
        reading.heterogeneity is Heterogeneity.HETEROGENEOUS
        and fitted.inscribed_mm >= NECROSIS_FROM_MM
        and reading.shape is not Shape.WALL
    ):
        features.add(Feature.NECROSIS)
        layers.append(necrosis_layer(rng, fitted, hu=float(rng.uniform(12, 28))))
    elif site.phase.enhanced and rng.random() < 0.4:
        # The mucosa enhances more than the deep wall.
        layers.append(Layer(kind=LayerKind.RIM, hu=round(target + float(rng.uniform(8, 22)), 1), stop_mm=1.8, soft_mm=1.2))
    matter = Matter(
        base_hu=target,
        layers=tuple(layers),
        margin_mm=draw_margin_mm(reading, fitted, rng),
        push=0.0,
        noise_seed=draw_seed(rng),
    )
    matter, mean, reading = fit_matter(matter, fitted, site, wanted, reading, rng, mean_hu=target)
    return plan_of(site, reading, fitted, matter, wanted, mean_hu=mean, organ_label=label, features=frozenset(features))
