"""Pancreas tumours: ductal adenocarcinoma with the duct dilated upstream of it, and bright neuroendocrine tumours."""

import numpy as np

from panlesion.ct.phase import Phase
from panlesion.lesion.vocabulary import Density, Feature, Heterogeneity, Invasion
from panlesion.synth.draw import Wanted, draw_mean_hu, draw_mean_offset, draw_reading
from panlesion.synth.fit import Fitted, draw_margin_mm, fit_matter, texture_layer
from panlesion.synth.host import Site
from panlesion.synth.kinds.blob import Seating, plan_of, seat_body
from panlesion.synth.kinds.liver import NECROSIS_FROM_MM, necrosis_layer
from panlesion.synth.plan import Confine, Matter, Plan, Strand
from panlesion.synth.seed import draw_seed, drawn
from panlesion.synth.shape.spicules import point

# Neuroendocrine share ours; +30…+80 HU over pancreas in the arterial phase, +10…+40 portal (Ichikawa 2000, Radiology 216:163).
NEUROENDOCRINE = 0.15
NEUROENDOCRINE_HU = {Phase.ARTERIAL: (25.0, 80.0), Phase.PORTAL: (12.0, 40.0)}
# Normal duct up to 3 mm; dilated 4-10 mm across (Edge 2007, J Gastrointest Surg 11:1460).
DUCT_RADIUS_MM = (1.6, 3.6)
DILATED = 0.55
DUCT_HU = 8.0
UPSTREAM_BIN_MM = 8.0


def draw_pancreas_tumour(site: Site, wanted: Wanted, rng: np.random.Generator) -> Plan:
    """One pancreas tumour."""
    reading = draw_reading(site, wanted, rng)
    diameter = reading.size.diameter_mm
    close = reading.invasion is Invasion.CLOSE
    seating = Seating(
        depth_radii=(0.0, 99.0), confine=Confine.FREE if close else Confine.BULGE, bulge_mm=round(0.3 * diameter, 2)
    )
    fitted, label, reading = seat_body(site, reading, wanted, rng, seating=seating)
    phase = site.phase
    bright = phase in NEUROENDOCRINE_HU and wanted.density in (None, Density.HYPER) and rng.random() < NEUROENDOCRINE
    features: set[Feature] = set()
    if bright:
        target = draw_mean_offset(site, wanted, label, rng, offset_hu=NEUROENDOCRINE_HU[phase])
        features.add(Feature.HYPERENHANCEMENT)
    else:
        target = draw_mean_hu(site, wanted, label, rng)
    layers = [texture_layer(rng, diameter)]
    if reading.heterogeneity is Heterogeneity.HETEROGENEOUS and fitted.inscribed_mm >= NECROSIS_FROM_MM and rng.random() < 0.5:
        features.add(Feature.NECROSIS)
        layers.append(necrosis_layer(rng, fitted, hu=float(rng.uniform(10, 28))))
    matter = Matter(
        base_hu=target,
        layers=tuple(layers),
        margin_mm=draw_margin_mm(reading, fitted, rng),
        push=0.0 if close else drawn(rng, (0.0, 0.5)),
        noise_seed=draw_seed(rng),
    )
    matter, mean, reading = fit_matter(matter, fitted, site, wanted, reading, rng, mean_hu=target)
    strands: tuple[Strand, ...] = ()
    if not bright and (Feature.DUCT_DILATATION in wanted.features or rng.random() < DILATED):
        strands = upstream_duct(site, fitted, rng)
        features |= {Feature.DUCT_DILATATION} if strands else set()
    return plan_of(
        site, reading, fitted, matter, wanted, mean_hu=mean, organ_label=label, features=frozenset(features), strands=strands
    )


def upstream_duct(site: Site, fitted: Fitted, rng: np.random.Generator) -> tuple[Strand, ...]:
    """A fluid tube along the gland's middle from the tumour to near the tail; none for a tumour of the tail itself.

    The pancreas runs from the head on the patient's right to the tail on the left, so bins along the left axis, each
    at its deepest voxels, follow the duct.
    """
    survey = site.survey
    leftward = -(survey.xyz[:, 0] - fitted.centre_xyz[0])
    tail = float(leftward.max()) - UPSTREAM_BIN_MM
    if tail < fitted.diameter_mm / 2 + 15:
        return ()
    path = [np.asarray(fitted.centre_xyz)]
    for start in np.arange(fitted.diameter_mm / 2, tail, UPSTREAM_BIN_MM):
        here = np.flatnonzero((leftward >= start) & (leftward < start + UPSTREAM_BIN_MM))
        if here.size < 4:
            continue
        deep = here[survey.depth_mm[here] >= np.quantile(survey.depth_mm[here], 0.8)]
        path.append(np.average(survey.xyz[deep], axis=0))
    if len(path) < 3:
        return ()
    points = np.array(path)
    points[1:-1] = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
    radius = drawn(rng, DUCT_RADIUS_MM)
    return (Strand(path_xyz=tuple(point(p) for p in points), radius_mm=radius, hu=DUCT_HU),)
