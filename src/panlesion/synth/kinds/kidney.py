"""Kidney tumours: clear-cell, papillary, chromophobe, fat-containing; how far they leave the kidney; necrosis."""

import numpy as np

from panlesion.ct.phase import Phase
from panlesion.lesion.vocabulary import Feature, Heterogeneity, Invasion
from panlesion.synth.draw import Wanted, choose, draw_mean_hu, draw_reading
from panlesion.synth.field import draw_field
from panlesion.synth.fit import draw_margin_mm, fit_matter, texture_layer
from panlesion.synth.host import Site
from panlesion.synth.kinds.blob import Seating, outside_share, plan_of, seat_body
from panlesion.synth.kinds.liver import NECROSIS_FROM_MM, necrosis_layer
from panlesion.synth.plan import Confine, Layer, LayerKind, Matter, Plan
from panlesion.synth.seed import draw_seed, drawn

# Where the centre lies, in radii below the surface: exophytic, mesophytic, endophytic. Shares from the surface contact of the
# 489 KiTS23 kidneys (median 0.55 of a tumour's surface touches kidney).
GROWTH = {(0.0, 0.35): 0.45, (0.35, 0.9): 0.4, (0.9, 99.0): 0.15}
# Subtype shares in surgical series (clear-cell 75 %, papillary 15 %, chromophobe 5 %; WHO 2022), thinned for variety; fat in
# angiomyolipoma −20…−100 HU (Jinzaki 2014, Abdom Imaging 39:588).
SUBTYPES = {"clear-cell": 0.6, "papillary": 0.25, "fat-containing": 0.15}
FAT_HU = (-95.0, -45.0)


def draw_kidney_tumour(site: Site, wanted: Wanted, rng: np.random.Generator) -> Plan:
    """One solid kidney tumour."""
    reading = draw_reading(site, wanted, rng)
    diameter = reading.size.diameter_mm
    depth = choose(GROWTH, rng)
    # A tumour larger than the kidney is thick cannot have its centre a radius deep.
    seating = Seating(depth_radii=(min(depth[0], 10 / diameter), max(depth[1], 0.3)), confine=Confine.FREE)
    fitted, label, reading = seat_body(site, reading, wanted, rng, seating=seating)
    subtype = "fat-containing" if Feature.FAT in wanted.features else choose(SUBTYPES, rng)
    heterogeneous = reading.heterogeneity is Heterogeneity.HETEROGENEOUS
    target = draw_mean_hu(site, wanted, label, rng)
    layers: list[Layer] = [texture_layer(rng, diameter)]
    features: set[Feature] = set()
    if subtype == "clear-cell":
        features |= {Feature.HYPERENHANCEMENT} if site.phase is Phase.ARTERIAL and target > 95 else set()
        if heterogeneous and fitted.inscribed_mm >= NECROSIS_FROM_MM:
            features.add(Feature.NECROSIS)
            layers.append(necrosis_layer(rng, fitted, hu=float(rng.uniform(10, 32))))
    elif subtype == "fat-containing" and heterogeneous:
        features.add(Feature.FAT)
        clumps = draw_field(rng, wavelength_mm=(max(4.0, diameter / 4), max(8.0, 0.8 * diameter)))
        layers.append(Layer(kind=LayerKind.BLOBS, hu=drawn(rng, FAT_HU, 1), share=drawn(rng, (0.12, 0.4), 3), field=clumps))
    if outside_share(fitted.mask, fitted.terrain.own) > 0.2:
        features.add(Feature.EXOPHYTIC)
    close = reading.invasion is Invasion.CLOSE
    matter = Matter(
        base_hu=target,
        layers=tuple(layers),
        margin_mm=draw_margin_mm(reading, fitted, rng),
        push=0.0 if close else drawn(rng, (0.5, 0.9)),
        noise_seed=draw_seed(rng),
    )
    matter, mean, reading = fit_matter(matter, fitted, site, wanted, reading, rng, mean_hu=target)
    return plan_of(site, reading, fitted, matter, wanted, mean_hu=mean, organ_label=label, features=frozenset(features))
