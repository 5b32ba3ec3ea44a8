"""Simple and septated cysts: water, no enhancement, a wall too thin to see."""

import numpy as np

from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import Feature, Heterogeneity, Invasion, Shape
from panlesion.synth.draw import Wanted, draw_mean_hu, draw_reading
from panlesion.synth.field import draw_field
from panlesion.synth.fit import draw_margin_mm, fit_matter, texture_layer
from panlesion.synth.host import Site
from panlesion.synth.kinds.blob import Seating, plan_of, seat_body
from panlesion.synth.plan import Confine, Layer, LayerKind, Matter, Plan
from panlesion.synth.seed import draw_seed, drawn

# Share with visible septa: a third of cystic pancreas lesions (serous, mucinous: Sahani 2005, Radiographics 25:1471), few
# of liver and kidney (Bosniak II). Depth of the centre in radii: renal cysts are cortical and bulge, hepatic ones lie inside.
SEPTATED = {LesionType.LIVER_CYST: 0.12, LesionType.KIDNEY_CYST: 0.1, LesionType.PANCREAS_CYST: 0.35}
DEPTH_RADII = {LesionType.LIVER_CYST: (0.3, 99.0), LesionType.KIDNEY_CYST: (0.0, 1.1), LesionType.PANCREAS_CYST: (0.0, 99.0)}
BULGE_RADII = {LesionType.LIVER_CYST: 0.25, LesionType.KIDNEY_CYST: 1.3, LesionType.PANCREAS_CYST: 1.2}
SEPTUM_HALF_MM = (0.4, 0.8)


def draw_cyst(site: Site, wanted: Wanted, rng: np.random.Generator) -> Plan:
    """One cyst of liver, kidney or pancreas."""
    reading = draw_reading(site, wanted, rng)
    diameter = reading.size.diameter_mm
    bulge = round(BULGE_RADII[site.type] * diameter / 2, 2)
    seating = Seating(depth_radii=DEPTH_RADII[site.type], confine=Confine.BULGE, bulge_mm=bulge)
    grape = site.type is LesionType.PANCREAS_CYST and wanted.shape in (None, Shape.IRREGULAR) and rng.random() < 0.3
    lobe_count = int(rng.integers(3, 6)) if grape else 0
    fitted, label, reading = seat_body(site, reading, wanted, rng, seating=seating, lobe_count=lobe_count)
    septated = diameter > 14 and (Feature.SEPTA in wanted.features or rng.random() < SEPTATED[site.type])
    target = draw_mean_hu(site, wanted, label, rng)
    layers = [texture_layer(rng, diameter)] if reading.heterogeneity is Heterogeneity.HETEROGENEOUS else []
    if septated:
        layers.append(
            Layer(
                kind=LayerKind.SHEETS,
                hu=float(round(rng.uniform(40, 60) if site.phase.enhanced else rng.uniform(28, 40), 1)),
                start_mm=drawn(rng, SEPTUM_HALF_MM),
                soft_mm=0.4,
                field=draw_field(rng, wavelength_mm=(1.2 * diameter, 2.2 * diameter), waves=8),
            )
        )
    close = reading.invasion is Invasion.CLOSE
    matter = Matter(
        base_hu=target,
        layers=tuple(layers),
        margin_mm=draw_margin_mm(reading, fitted, rng),
        push=0.0 if close else drawn(rng, (0.4, 0.75)),
        noise_seed=draw_seed(rng),
    )
    matter, mean, reading = fit_matter(matter, fitted, site, wanted, reading, rng, mean_hu=target)
    features = {Feature.SEPTA} if septated else set()
    return plan_of(site, reading, fitted, matter, wanted, mean_hu=mean, organ_label=label, features=frozenset(features))
