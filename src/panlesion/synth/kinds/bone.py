"""Bone metastases: lytic, blastic, mixed; cortex broken, soft tissue beyond it."""

from dataclasses import replace

import numpy as np

from panlesion.errors import PlacementError
from panlesion.lesion.vocabulary import Density, Feature, Heterogeneity, Invasion
from panlesion.synth.draw import Wanted, choose, draw_mean_hu, draw_mean_offset, draw_reading
from panlesion.synth.field import draw_field
from panlesion.synth.fit import draw_margin_mm, fit_matter, texture_layer
from panlesion.synth.host import Site
from panlesion.synth.kinds.blob import Seating, outside_share, plan_of, seat_body
from panlesion.synth.plan import Confine, Layer, LayerKind, Matter, Plan
from panlesion.synth.seed import draw_seed, drawn

# Shares ours, near those of mixed primaries (Macedo 2017, Oncol Rev 11:321). Blastic 400-1100 HU (Ulano 2016, AJR 207:362).
PATTERNS = {Feature.LYTIC: 0.5, Feature.BLASTIC: 0.28, Feature.MIXED: 0.22}
BLASTIC_HU = (450.0, 1050.0)
LYTIC_HU = (25.0, 70.0)
SOFT_TISSUE_HU = (40.0, 75.0)
MIXED_FROM_MM = 18.0
MOST_OUTSIDE = 0.55


def draw_bone_metastasis(site: Site, wanted: Wanted, rng: np.random.Generator) -> Plan:
    """One bone metastasis."""
    reading = draw_reading(site, wanted, rng)
    breach = reading.invasion is Invasion.CLOSE
    seating = Seating(depth_radii=(0.05, 0.7) if breach else (0.35, 99.0), confine=Confine.FREE if breach else Confine.ORGAN)
    fitted, label, reading = seat_body(site, reading, wanted, rng, seating=seating)
    if outside_share(fitted.mask, fitted.terrain.own) > MOST_OUTSIDE:
        raise PlacementError(f"a {site.type} in {site.host.id} came out mostly beyond its bone")
    diameter = reading.size.diameter_mm
    pattern = _pattern(wanted, diameter, rng)
    features = {pattern}
    texture = texture_layer(rng, diameter)
    layers: list[Layer] = [texture]
    target: float | None
    if pattern is Feature.LYTIC:
        base = target = draw_mean_hu(site, replace(wanted, density=Density.HYPO), label, rng)
    elif pattern is Feature.BLASTIC:
        reference = site.host.facts.reference_hu(site.type, label)
        low = max(BLASTIC_HU[0] - reference, 120.0)
        base = target = draw_mean_offset(
            site, replace(wanted, density=Density.HYPER), label, rng, offset_hu=(low, max(low + 100, BLASTIC_HU[1] - reference))
        )
    else:
        base, target = float(rng.uniform(*LYTIC_HU)), None
        clumps = draw_field(rng, wavelength_mm=(max(4.0, diameter / 4), max(8.0, 0.8 * diameter)))
        layers = [
            Layer(
                kind=LayerKind.BLOBS,
                hu=drawn(rng, BLASTIC_HU, 1),
                share=drawn(rng, (0.25, 0.55), 3),
                field=clumps,
            )
        ]
        reading = replace(reading, heterogeneity=Heterogeneity.HETEROGENEOUS)
    if breach:
        features |= {Feature.CORTEX_BREAK, Feature.SOFT_TISSUE}
        if pattern is not Feature.LYTIC:
            layers.append(Layer(kind=LayerKind.OUTSIDE, hu=drawn(rng, SOFT_TISSUE_HU, 1), soft_mm=1.5))
    matter = Matter(
        base_hu=round(base, 2), layers=tuple(layers), margin_mm=draw_margin_mm(reading, fitted, rng), noise_seed=draw_seed(rng)
    )
    matter, mean, reading = fit_matter(matter, fitted, site, wanted, reading, rng, mean_hu=target)
    return plan_of(site, reading, fitted, matter, wanted, mean_hu=mean, organ_label=label, features=frozenset(features))


def _pattern(wanted: Wanted, diameter_mm: float, rng: np.random.Generator) -> Feature:
    for pattern in PATTERNS:
        if pattern in wanted.features:
            return pattern
    if wanted.density is Density.HYPO:
        return Feature.LYTIC
    if wanted.density is Density.HYPER:
        return Feature.BLASTIC
    pattern = choose(PATTERNS, rng)
    return Feature.LYTIC if pattern is Feature.MIXED and diameter_mm < MIXED_FROM_MM else pattern
