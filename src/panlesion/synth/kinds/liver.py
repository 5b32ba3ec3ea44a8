"""Liver tumours: what enhances when, rims, capsules, necrosis; and simple cysts of liver, kidney and pancreas."""

import numpy as np

from panlesion.ct.phase import Phase
from panlesion.lesion.vocabulary import Density, Feature, Heterogeneity, Invasion
from panlesion.synth.draw import Reading, Wanted, choose, draw_mean_hu, draw_mean_offset, draw_reading
from panlesion.synth.field import draw_field
from panlesion.synth.fit import Fitted, draw_margin_mm, fit_matter, texture_layer
from panlesion.synth.host import Site
from panlesion.synth.kinds.blob import Seating, plan_of, seat_body
from panlesion.synth.plan import Confine, Layer, LayerKind, Matter, Plan
from panlesion.synth.seed import draw_seed, drawn

# Shares ours. Hepatocellular carcinoma: bright in the arterial phase, darker than liver later (wash-out), with a capsule;
# metastasis: dark with a rim; cholangiocarcinoma: dark, its centre filling in late (LI-RADS 2018; Horowitz 2017).
ENTITIES = {"metastasis": 0.5, "hepatocellular": 0.35, "cholangiocarcinoma": 0.15}
# Lesion minus liver in HU (range) for hepatocellular carcinoma: arterial +25…+60, portal −8…−35, delayed −12…−35, plain
# −6…−22 (Liu 2013, AJR 201:W83; Lee 2012, Radiology 262:493). Hypervascular metastases behave alike in the arterial phase.
HEPATOCELLULAR_HU = {
    Phase.NON_CONTRAST: (-22.0, -6.0),
    Phase.ARTERIAL: (22.0, 60.0),
    Phase.PORTAL: (-38.0, -8.0),
    Phase.DELAYED: (-38.0, -12.0),
}
# Encapsulated tumours push the liver aside, the others mostly replace it.
PUSH = {"hepatocellular": (0.5, 0.8), "metastasis": (0.1, 0.6), "cholangiocarcinoma": (0.0, 0.3)}
RIM_MM = (1.5, 4.0)
# Necrosis needs a lesion this thick: a shell of viable tumour, and a centre large enough to see. Within the shell the margin
# is read, so a thinner one would blur it.
NECROSIS_FROM_MM = 24.0
VIABLE_MM = 6.0
NECROSIS_HU = (12.0, 30.0)


def draw_liver_tumour(site: Site, wanted: Wanted, rng: np.random.Generator) -> Plan:
    """One malignant liver tumour."""
    reading = draw_reading(site, wanted, rng)
    close = reading.invasion is Invasion.CLOSE
    seating = Seating(
        depth_radii=(0.1, 0.8) if close else (0.5, 99.0), confine=Confine.BULGE, bulge_mm=0.1 * reading.size.diameter_mm
    )
    fitted, label, reading = seat_body(site, reading, wanted, rng, seating=seating)
    entity = choose(ENTITIES, rng)
    phase = site.phase
    if entity == "hepatocellular" and wanted.density in (None, Density.HYPER if phase is Phase.ARTERIAL else Density.HYPO):
        target = draw_mean_offset(site, wanted, label, rng, offset_hu=HEPATOCELLULAR_HU[phase])
    else:
        target = draw_mean_hu(site, wanted, label, rng)
    layers, features = _layers(site, reading, fitted, entity, label, target, rng)
    matter = Matter(
        base_hu=target,
        layers=(texture_layer(rng, reading.size.diameter_mm), *layers),
        margin_mm=draw_margin_mm(reading, fitted, rng),
        push=0.0 if close else drawn(rng, PUSH[entity]),
        noise_seed=draw_seed(rng),
    )
    matter, mean, reading = fit_matter(matter, fitted, site, wanted, reading, rng, mean_hu=target)
    return plan_of(site, reading, fitted, matter, wanted, mean_hu=mean, organ_label=label, features=frozenset(features))


def _layers(
    site: Site, reading: Reading, fitted: Fitted, entity: str, label: int, target_hu: float, rng: np.random.Generator
) -> tuple[list[Layer], set[Feature]]:
    phase, diameter = site.phase, reading.size.diameter_mm
    liver = site.host.facts.organ_mean_hu(label)
    layers: list[Layer] = []
    features: set[Feature] = set()
    if entity == "hepatocellular":
        features |= {Feature.HYPERENHANCEMENT} if phase is Phase.ARTERIAL and target_hu > liver else set()
        features |= {Feature.WASH_OUT} if phase in (Phase.PORTAL, Phase.DELAYED) and target_hu < liver else set()
    heterogeneous = reading.heterogeneity is Heterogeneity.HETEROGENEOUS
    if heterogeneous and fitted.inscribed_mm >= NECROSIS_FROM_MM and rng.random() < 0.75:
        features.add(Feature.NECROSIS)
        layers.append(necrosis_layer(rng, fitted, hu=float(rng.uniform(*NECROSIS_HU))))
    elif heterogeneous and entity == "cholangiocarcinoma" and phase is Phase.DELAYED:
        layers.append(necrosis_layer(rng, fitted, hu=liver + float(rng.uniform(5, 25))))
    if phase.enhanced and diameter > 14 and heterogeneous and rng.random() < 0.6:
        width = float(min(rng.uniform(*RIM_MM), 0.12 * diameter))
        features.add(Feature.CAPSULE if entity == "hepatocellular" else Feature.RIM_ENHANCEMENT)
        bright = liver + float(rng.uniform(8, 35) if entity == "hepatocellular" else rng.uniform(0, 25))
        ragged = draw_field(rng, wavelength_mm=(0.3 * diameter, diameter))
        layers.append(
            Layer(
                kind=LayerKind.RIM,
                hu=round(bright, 1),
                stop_mm=round(width, 2),
                soft_mm=1.2,
                field=ragged,
                ragged_mm=round(0.3 * width, 2),
            )
        )
    return layers, features


def necrosis_layer(rng: np.random.Generator, fitted: Fitted, *, hu: float) -> Layer:
    """A ragged centre of another density, a third to two thirds of the lesion's thickness across."""
    thick = fitted.inscribed_mm
    ragged = 0.05 * thick
    return Layer(
        kind=LayerKind.CORE,
        hu=round(hu, 1),
        start_mm=round(max(VIABLE_MM + ragged, thick / 2 * float(rng.uniform(0.35, 0.6))), 2),
        soft_mm=2.5,
        field=draw_field(rng, wavelength_mm=(max(5.0, 0.25 * thick), max(8.0, thick))),
        ragged_mm=round(ragged, 2),
    )
