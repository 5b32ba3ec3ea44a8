"""Solid bodies: what lesions of parenchymal organs have in common."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Vector3
from panlesion.errors import PlacementError
from panlesion.lesion.priors.size import Size
from panlesion.lesion.spec import LesionSpec
from panlesion.lesion.vocabulary import Feature, Shape
from panlesion.measure.attributes import seat_xyz
from panlesion.synth.draw import GUARD_HU, Reading, Wanted, density_of, find_seat, kept_gap_mm
from panlesion.synth.fit import Fitted, fit_geometry, settled_surface
from panlesion.synth.host import Site
from panlesion.synth.kinds.foresight import foreseen
from panlesion.synth.plan import Confine, Geometry, Matter, Part, Plan, Strand
from panlesion.synth.seed import drawn
from panlesion.synth.shape.outline import draw_outline
from panlesion.synth.shape.spicules import draw_spicules

TRIES = 10


@dataclass(frozen=True, kw_only=True)
class Seating:
    """How deep a body's centre sits in its organ, in units of its radius, and how it may leave the organ."""

    depth_radii: tuple[float, float]
    confine: Confine
    bulge_mm: float = 0.0


def draw_body(size: Size, rng: np.random.Generator, *, centre_xyz: Vector3, scale: float = 1.0) -> Part:
    """One rough ellipsoid of a drawn size."""
    half = size.diameter_mm / 2 * scale
    a, b, c = (round(float(half * ratio), 3) for ratio in size.ratios)
    outline = draw_outline(
        rng,
        radii_mm=(a, b, c),
        roughness=round(size.roughness, 4),
        wavelength_radii=size.wavelength_radii,
        slope=size.slope,
        bend=size.bend,
    )
    return Part(centre_xyz=centre_xyz, outline=outline)


def shaped(size: Size, shape: Shape) -> Size:
    """A size pulled towards a wanted shape class: rounder and smoother, or longer and rougher."""
    if shape is Shape.ROUND:
        b, c = (max(ratio, 0.82) for ratio in size.ratios[1:])
        return replace(size, ratios=(1.0, b, c), roughness=min(size.roughness, 0.04))
    if shape is Shape.IRREGULAR:
        return replace(
            size, ratios=(1.0, min(size.ratios[1], 0.8), min(size.ratios[2], 0.65)), roughness=max(size.roughness, 0.16)
        )
    return size


def lobes(
    size: Size, rng: np.random.Generator, *, centre_xyz: Vector3, count: int, sunk: tuple[float, float] = (0.5, 0.75)
) -> tuple[Part, ...]:
    """Smaller bodies sunk into the surface of the first, which make it lobulated; `sunk`: their centres' distance in radii."""
    made = []
    for _ in range(count):
        direction = rng.standard_normal(3)
        direction /= np.linalg.norm(direction)
        at = np.asarray(centre_xyz) + direction * size.diameter_mm / 2 * rng.uniform(*sunk)
        x, y, z = at.round(3).tolist()
        small = replace(size, ratios=(1.0, 0.95, 0.9), roughness=0.02)
        made.append(draw_body(small, rng, centre_xyz=(x, y, z), scale=float(rng.uniform(0.35, 0.55))))
    return tuple(made)


def seat_body(
    site: Site,
    reading: Reading,
    wanted: Wanted,
    rng: np.random.Generator,
    *,
    seating: Seating,
    lobe_count: int = 0,
    spiculated: bool = False,
) -> tuple[Fitted, int, Reading]:
    """A body fitted to a place where its drawn readings hold; also the v1 label, and the reading as it came out.

    Raises:
        PlacementError: No place was found in `TRIES` tries.
    """
    problem = PlacementError(f"no place for a {site.type} in {site.host.id}")
    for attempt in range(TRIES):
        size, keep = reading.size, kept_gap_mm(site, reading)
        if wanted.shape is not None and (attempt > 0 or wanted.shape is Shape.IRREGULAR):
            size = shaped(size, wanted.shape)
        radius = size.diameter_mm / 2
        low, high = (share * radius for share in seating.depth_radii)
        try:
            centre, label = find_seat(site, reading, wanted, rng, depth_mm=(low, high))
            parts = (draw_body(size, rng, centre_xyz=centre), *lobes(size, rng, centre_xyz=centre, count=lobe_count))
            geometry = Geometry(
                parts=parts,
                spicules=draw_spicules(parts[0], rng) if spiculated else (),
                confine=seating.confine,
                bulge_mm=seating.bulge_mm,
                keep_gap_mm=keep,
                into_neighbour_mm=drawn(rng, (0.0, 2.0)) if keep == 0 else 0.0,
                smooth_union_mm=round(0.12 * size.diameter_mm, 2),
            )
            fitted = fit_geometry(geometry, site, organ_label=label, centre_xyz=centre, diameter_mm=size.diameter_mm)
        except PlacementError as error:
            problem = error
            continue
        # The relation is cheaper to measure than the shape, and refuses more often.
        invasion = fitted.invasion()
        if invasion is not reading.invasion:
            problem = PlacementError(f"a {site.type} placed in {site.host.id} came out {invasion!r}, not {reading.invasion!r}")
            continue
        shape = fitted.shape()
        if wanted.shape not in (None, shape):
            problem = PlacementError(f"a {site.type} of {size.diameter_mm:.1f} mm came out {shape!r}, not {wanted.shape!r}")
            continue
        return fitted, label, settled_surface(replace(reading, size=size, shape=shape), wanted, fitted)
    raise problem


def outside_share(mask: NDArray[np.bool_], own: NDArray[np.bool_]) -> float:
    """Share of a mask's voxels that lie outside the organ."""
    return float((mask & ~own).sum() / max(1, mask.sum()))


def plan_of(
    site: Site,
    reading: Reading,
    fitted: Fitted,
    matter: Matter,
    wanted: Wanted,
    *,
    mean_hu: float,
    organ_label: int,
    features: frozenset[Feature],
    strands: tuple[Strand, ...] = (),
) -> Plan:
    """The finished plan; the spec says what came out.

    Raises:
        PlacementError: The density came out on the fence between two classes, or in one the caller did not want.
    """
    mean_hu, reading = foreseen(site, fitted, matter, reading, wanted, mean_hu=mean_hu, organ_label=organ_label)
    density, guard = density_of(site, mean_hu, organ_label)
    if guard < GUARD_HU or wanted.density not in (None, density):
        raise PlacementError(f"a {site.type} of {mean_hu:.0f} HU came out {density!r}, {guard:.1f} HU from the next class")
    terrain = fitted.terrain
    seat = site.host.facts.atlas.seat(organ_label, seat_xyz(fitted.scene, organ_label, terrain.ct, terrain.organs))
    if wanted.seat not in (None, seat):
        raise PlacementError(f"a {site.type} seeded in {wanted.seat!r} has its centre in {seat!r}")
    spec = LesionSpec(
        type=site.type,
        phase=site.phase,
        organ_label=organ_label,
        seat=seat,
        centre_xyz=fitted.centre_xyz,
        diameter_mm=round(fitted.diameter_mm, 2),
        mean_hu=round(mean_hu, 2),
        shape=reading.shape,
        density=density,
        heterogeneity=reading.heterogeneity,
        surface=reading.surface,
        invasion=reading.invasion,
        features=features,
    )
    return Plan(spec=spec, geometry=fitted.geometry, matter=matter, strands=strands)
