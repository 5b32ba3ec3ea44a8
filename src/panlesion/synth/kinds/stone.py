"""Stones: gallstones lie where gravity leaves them in a supine patient, kidney stones in calyces and pelvis."""

from dataclasses import replace

import numpy as np

from panlesion.ct.volume import Vector3
from panlesion.errors import PlacementError
from panlesion.lesion.priors.size import Size
from panlesion.lesion.vocabulary import Density, Feature, Heterogeneity, Invasion, Shape, Surface
from panlesion.synth.draw import Reading, Wanted, choose, draw_mean_hu, draw_mean_offset, draw_reading
from panlesion.synth.fit import fit_geometry, fit_matter, texture_layer
from panlesion.synth.host import Site
from panlesion.synth.kinds.blob import draw_body, plan_of
from panlesion.synth.plan import Confine, Geometry, Layer, LayerKind, Matter, Plan
from panlesion.synth.seed import draw_seed, drawn
from panlesion.synth.shape.spicules import point

# HU minus bile by composition (Brink 1994, AJR 163:1075): calcified through and through, a calcified rim around cholesterol,
# or faint. Shares ours.
GALLSTONES = {Feature.CALCIFICATION: 0.45, Feature.RIM_CALCIFIED: 0.3, Feature.SOLID: 0.25}
CALCIFIED_HU = (130.0, 900.0)
FAINT_HU = (18.0, 70.0)
RIM_HU = (180.0, 600.0)
RIM_CENTRE_HU = (5.0, 60.0)
RIM_FROM_MM = 6.0
# A stone lies on the mucosa: gallbladder wall, 1-3 mm.
WALL_MM = 1.0
FLOOR_MM = 1.5
SMALLEST_MM = 2.5


def draw_gallstone(site: Site, wanted: Wanted, rng: np.random.Generator) -> Plan:
    """One gallstone, resting on the gallbladder's floor or on the stones that lie there already."""
    reading = _stone_reading(site, wanted, rng)
    first = site.others[0] if site.others else None
    room = 2 * (float(site.survey.depth_mm.max()) - WALL_MM) + 1.0
    diameter = min(reading.size.diameter_mm, 0.85 * room)
    if first is not None:
        diameter = min(diameter, first.spec.diameter_mm * float(rng.uniform(0.6, 1.0)))
    if diameter < SMALLEST_MM:
        raise PlacementError(
            f"the gallbladder of {site.host.id} has {room:.1f} mm of room inside: too little for another stone"
        )
    size = _stone_size(reading.size, diameter)
    centre, label = _resting_place(site, diameter / 2, rng)
    geometry = Geometry(parts=(draw_body(size, rng, centre_xyz=centre),), confine=Confine.ORGAN, smooth_union_mm=0.0)
    fitted = fit_geometry(geometry, site, organ_label=label, centre_xyz=centre, diameter_mm=diameter)
    reading = replace(reading, size=size, shape=fitted.shape())
    layers: list[Layer] = [texture_layer(rng, diameter)] if reading.heterogeneity is Heterogeneity.HETEROGENEOUS else []
    kind = _gallstone_kind(first, wanted, diameter, rng)
    target: float | None = None
    if kind is Feature.RIM_CALCIFIED:
        base = site.host.facts.reference_hu(site.type, label) + float(rng.uniform(*RIM_CENTRE_HU))
        width = float(round(min(rng.uniform(1.0, 2.0), 0.2 * diameter), 2))
        layers.append(Layer(kind=LayerKind.RIM, hu=drawn(rng, RIM_HU, 1), stop_mm=width, soft_mm=0.6))
    elif first is not None:
        base = target = first.matter.base_hu
    else:
        base = target = draw_mean_offset(
            site, wanted, label, rng, offset_hu=FAINT_HU if kind is Feature.SOLID else CALCIFIED_HU
        )
    matter = Matter(base_hu=round(base, 2), layers=tuple(layers), noise_seed=draw_seed(rng))
    matter, mean, reading = fit_matter(matter, fitted, site, wanted, reading, rng, mean_hu=target)
    features = {Feature.DEPENDENT, kind} - {Feature.SOLID} | ({Feature.MULTIPLE} if first is not None else set())
    return plan_of(site, reading, fitted, matter, wanted, mean_hu=mean, organ_label=label, features=frozenset(features))


def _gallstone_kind(first: Plan | None, wanted: Wanted, diameter_mm: float, rng: np.random.Generator) -> Feature:
    """Stones of one gallbladder are of one kind."""
    if first is not None:
        same = [kind for kind in GALLSTONES if kind in first.spec.features]
        kind = same[0] if same else Feature.SOLID
    elif wanted.density is Density.ISO:
        kind = Feature.SOLID
    else:
        asked = [kind for kind in GALLSTONES if kind in wanted.features]
        kind = asked[0] if asked else choose(GALLSTONES, rng)
    return Feature.CALCIFICATION if kind is Feature.RIM_CALCIFIED and diameter_mm < RIM_FROM_MM else kind


def _resting_place(site: Site, radius_mm: float, rng: np.random.Generator) -> tuple[Vector3, int]:
    """The most dependent free place: supine, gravity pulls towards the back (−A, the −y of RAS+)."""
    survey = site.survey
    fits = survey.depth_mm >= min(radius_mm + WALL_MM, float(survey.depth_mm.max()) - 0.01)
    for other in site.others:
        away = np.linalg.norm(survey.xyz - np.asarray(other.spec.centre_xyz), axis=1)
        fits &= away > 0.92 * (radius_mm + other.spec.diameter_mm / 2)
    if not fits.any():
        raise PlacementError(f"no free floor for a gallstone of {2 * radius_mm:.1f} mm in {site.host.id}")
    lowest = float(survey.xyz[fits, 1].min())
    floor = np.flatnonzero(fits & (survey.xyz[:, 1] <= lowest + FLOOR_MM))
    index = int(floor[rng.integers(floor.size)])
    return point(survey.xyz[index]), int(survey.label[index])


def _stone_reading(site: Site, wanted: Wanted, rng: np.random.Generator) -> Reading:
    """Stones have sharp edges and lie free."""
    reading = draw_reading(site, wanted, rng)
    return replace(reading, surface=Surface.WELL_DEFINED, invasion=Invasion.NOT_CLOSE)


def _stone_size(size: Size, diameter_mm: float) -> Size:
    """Stones are compact: faceted or mulberry, never long."""
    ratios = (1.0, max(0.75, size.ratios[1]), max(0.7, size.ratios[2]))
    return replace(size, diameter_mm=diameter_mm, ratios=ratios, roughness=min(size.roughness, 0.08))


# Calyces and pelvis: the middle of the kidney, towards its hilum (medial).
CALYX_DEPTH_MM = 5.0
STAGHORN_FROM_MM = 18.0
# Uric acid to calcium oxalate monohydrate, see priors.
KIDNEY_STONE_HU = (280.0, 1500.0)


def draw_kidney_stone(site: Site, wanted: Wanted, rng: np.random.Generator) -> Plan:
    """One stone in a calyx or the renal pelvis."""
    reading = _stone_reading(site, wanted, rng)
    reading = replace(reading, size=_stone_size(reading.size, reading.size.diameter_mm))
    diameter = reading.size.diameter_mm
    centre, label = _calyx(site, wanted, diameter, rng)
    branched = diameter >= STAGHORN_FROM_MM or wanted.shape is Shape.IRREGULAR
    body = draw_body(
        reading.size if not branched else replace(reading.size, ratios=(1.0, 0.5, 0.45), roughness=0.2), rng, centre_xyz=centre
    )
    geometry = Geometry(parts=(body,), confine=Confine.ORGAN, smooth_union_mm=0.0)
    fitted = fit_geometry(geometry, site, organ_label=label, centre_xyz=centre, diameter_mm=diameter)
    reading = replace(reading, shape=fitted.shape())
    target = float(np.clip(draw_mean_hu(site, wanted, label, rng), *KIDNEY_STONE_HU))
    layers = (texture_layer(rng, diameter),) if reading.heterogeneity is Heterogeneity.HETEROGENEOUS else ()
    matter = Matter(base_hu=target, layers=layers, noise_seed=draw_seed(rng))
    matter, mean, reading = fit_matter(matter, fitted, site, wanted, reading, rng, mean_hu=target)
    return plan_of(
        site, reading, fitted, matter, wanted, mean_hu=mean, organ_label=label, features=frozenset({Feature.CALCIFICATION})
    )


def _calyx(site: Site, wanted: Wanted, diameter_mm: float, rng: np.random.Generator) -> tuple[Vector3, int]:
    """A place in the collecting system: deep, medial, and by choice where the kidney holds fluid or sinus fat."""
    survey = site.survey
    fits = survey.depth_mm >= min(max(CALYX_DEPTH_MM, 0.5 * diameter_mm), 0.8 * float(survey.depth_mm.max()))
    if wanted.organ_label is not None:
        fits &= survey.label == wanted.organ_label
    if wanted.seat is not None:
        fits &= site.in_seat(wanted.seat)
    fits &= ~site.taken(diameter_mm)
    medial = np.zeros(fits.shape, dtype=bool)
    for label in np.unique(survey.label):
        mine = survey.label == label
        x = np.abs(survey.xyz[mine, 0] - site.midline_x)
        medial[mine] = x <= np.quantile(x, 0.6)
    sinus = fits & medial & (survey.hu < 0.5 * site.host.facts.organ_mean_hu(int(survey.label[0])))
    for candidates in (sinus, fits & medial, fits):
        if candidates.sum() >= 4:
            fits = candidates
            break
    index = survey.pick(fits, rng, f"a kidney stone of {diameter_mm:.1f} mm in {site.host.id}")
    return point(survey.xyz[index]), int(survey.label[index])
