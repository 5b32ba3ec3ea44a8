"""Lung tumours: solid, part-solid, ground glass; spiculated or lobulated; pleural tags; cavities; calcifications."""

import numpy as np

from panlesion.lesion.vocabulary import Density, Feature, Heterogeneity, Invasion
from panlesion.synth.draw import Reading, Wanted, choose, draw_mean_hu, draw_reading
from panlesion.synth.field import draw_field
from panlesion.synth.fit import Fitted, draw_margin_mm, fit_matter, texture_layer
from panlesion.synth.host import Site
from panlesion.synth.kinds.blob import Seating, plan_of, seat_body
from panlesion.synth.plan import Blend, Confine, Layer, LayerKind, Matter, Plan, Strand
from panlesion.synth.seed import draw_seed, drawn
from panlesion.synth.shape.spicules import point

# Shares of attenuation kinds: ours, weighted towards the subsolid ones that networks see too rarely.
KINDS = {Feature.SOLID: 0.66, Feature.PART_SOLID: 0.18, Feature.GROUND_GLASS: 0.16}
# Pure ground glass −750…−450 HU (Nomori 2003, Ann Thorac Surg 75:867; Funama 2009, AJR 193:1313).
GROUND_GLASS_HU = (-700.0, -480.0)
SOLID_PART_HU = (-20.0, 45.0)
CAVITY_HU = -930.0
CAVITY_FROM_MM = 14.0
CALCIUM_HU = (250.0, 600.0)
TAG_MM = (3.0, 22.0)


def draw_lung_tumour(site: Site, wanted: Wanted, rng: np.random.Generator) -> Plan:
    """One lung tumour."""
    reading = draw_reading(site, wanted, rng)
    kind = _kind(wanted, rng)
    spiculated = kind is not Feature.GROUND_GLASS and (Feature.SPICULATED in wanted.features or rng.random() < 0.35)
    lobulated = Feature.LOBULATED in wanted.features or (not spiculated and rng.random() < 0.3)
    close = reading.invasion is Invasion.CLOSE
    seating = Seating(depth_radii=(0.1, 0.9) if close else (0.9, 99.0), confine=Confine.FREE if close else Confine.ORGAN)
    lobe_count = int(rng.integers(2, 5)) if lobulated else 0
    fitted, label, reading = seat_body(
        site, reading, wanted, rng, seating=seating, lobe_count=lobe_count, spiculated=spiculated
    )
    features = {kind} | ({Feature.SPICULATED} if spiculated else set()) | ({Feature.LOBULATED} if lobulated else set())
    matter, target, more = _matter(site, wanted, reading, fitted, label, kind, rng)
    matter, mean, reading = fit_matter(matter, fitted, site, wanted, reading, rng, mean_hu=target)
    strands: tuple[Strand, ...] = ()
    if not close and (Feature.PLEURAL_TAG in wanted.features or rng.random() < 0.35):
        strands = _pleural_tag(fitted, rng)
        features |= {Feature.PLEURAL_TAG} if strands else set()
    return plan_of(
        site,
        reading,
        fitted,
        matter,
        wanted,
        mean_hu=mean,
        organ_label=label,
        features=frozenset(features | more),
        strands=strands,
    )


def _kind(wanted: Wanted, rng: np.random.Generator) -> Feature:
    for kind in KINDS:
        if kind in wanted.features:
            return kind
    if wanted.density is Density.HYPO:
        return choose({Feature.PART_SOLID: 0.5, Feature.GROUND_GLASS: 0.5}, rng)
    return Feature.SOLID if wanted.density is not None else choose(KINDS, rng)


def _matter(
    site: Site, wanted: Wanted, reading: Reading, fitted: Fitted, label: int, kind: Feature, rng: np.random.Generator
) -> tuple[Matter, float | None, set[Feature]]:
    """Matter, the mean it shall have (None: what comes out), and the features it adds."""
    diameter, margin, seed = reading.size.diameter_mm, draw_margin_mm(reading, fitted, rng), draw_seed(rng)
    texture = texture_layer(rng, diameter)
    if kind is Feature.GROUND_GLASS:
        target = float(rng.uniform(*GROUND_GLASS_HU))
        veil = Matter(base_hu=target, layers=(texture,), margin_mm=max(margin, 0.4), blend=Blend.VEIL, noise_seed=seed)
        return veil, round(target, 2), set()
    if kind is Feature.PART_SOLID:
        ragged = draw_field(rng, wavelength_mm=(max(3.0, diameter / 4), max(6.0, diameter)))
        core = Layer(
            kind=LayerKind.CORE,
            hu=drawn(rng, SOLID_PART_HU),
            start_mm=round(fitted.inscribed_mm / 2 * float(rng.uniform(0.3, 0.6)), 2),
            soft_mm=1.5,
            field=ragged,
            ragged_mm=round(0.06 * fitted.inscribed_mm, 2),
        )
        base = drawn(rng, GROUND_GLASS_HU)
        return Matter(base_hu=base, layers=(core,), margin_mm=max(margin, 0.4), blend=Blend.VEIL, noise_seed=seed), None, set()
    target = draw_mean_hu(site, wanted, label, rng)
    layers = [texture]
    features: set[Feature] = set()
    if fitted.inscribed_mm >= CAVITY_FROM_MM and (
        Feature.CAVITY in wanted.features or (wanted.density is None and rng.random() < 0.12)
    ):
        features.add(Feature.CAVITY)
        wall = float(rng.uniform(0.22, 0.45) * fitted.inscribed_mm / 2 + 1.5)
        ragged = draw_field(rng, wavelength_mm=(diameter / 4, diameter))
        layers.append(
            Layer(
                kind=LayerKind.CORE,
                hu=CAVITY_HU,
                start_mm=round(wall, 2),
                soft_mm=0.8,
                field=ragged,
                ragged_mm=round(0.25 * wall, 2),
            )
        )
    elif reading.heterogeneity is Heterogeneity.HETEROGENEOUS and rng.random() < 0.4:
        features.add(Feature.CALCIFICATION)
        clumps = draw_field(rng, wavelength_mm=(max(2.5, diameter / 6), max(5.0, diameter / 2)))
        layers.append(
            Layer(kind=LayerKind.BLOBS, hu=drawn(rng, CALCIUM_HU, 1), share=drawn(rng, (0.02, 0.08), 3), field=clumps)
        )
    mean = None if Feature.CAVITY in features else target
    return Matter(base_hu=target, layers=tuple(layers), margin_mm=margin, noise_seed=seed), mean, features


def _pleural_tag(fitted: Fitted, rng: np.random.Generator) -> tuple[Strand, ...]:
    """A thin strand to the nearest pleura, when that is neither touching nor far."""
    depth, grid, mask = fitted.terrain.depth_mm, fitted.terrain.grid, fitted.mask
    edge = np.argwhere((depth > 0) & (depth < 1.5 * max(grid.spacing_mm)) & ~mask)
    if edge.size == 0:
        return ()
    xyz = grid.to_xyz(edge)
    centre = np.asarray(fitted.centre_xyz)
    distance = np.linalg.norm(xyz - centre, axis=1)
    pleura = xyz[int(distance.argmin())]
    free = float(distance.min()) - fitted.diameter_mm / 2
    if not TAG_MM[0] <= free <= TAG_MM[1]:
        return ()
    way = (pleura - centre) / np.linalg.norm(pleura - centre)
    sag = rng.standard_normal(3)
    sag = 0.06 * free * (sag - way * (sag @ way))
    start = centre + way * fitted.diameter_mm * 0.4
    path = (point(start), point((start + pleura) / 2 + sag), point(pleura))
    return (Strand(path_xyz=path, radius_mm=drawn(rng, (0.5, 0.9)), hu=-50.0),)
