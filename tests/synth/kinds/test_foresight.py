"""What is foreseen of thin lesions is what their voxels say; what noise could turn is refused."""

from dataclasses import replace

import numpy as np
import pytest
from terrain_made import LIVER, ball, liver_host

from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import Density, Heterogeneity
from panlesion.synth.draw import Wanted, draw_reading
from panlesion.synth.fit import fit_geometry
from panlesion.synth.host import Site
from panlesion.synth.kinds.foresight import foreseen
from panlesion.synth.plan import Confine, Geometry, Matter


def site_of(noise_hu: float) -> Site:
    """A liver of 100 HU on a grid of 2 mm, with noise of that SD."""
    return Site(host=liver_host(spacing_mm=(2.0, 2.0, 2.0), sd_hu=noise_hu), type=LesionType.LIVER_TUMOR)


def look(site: Site, diameter_mm: float, base_hu: float, wanted: Wanted | None = None):
    """What is foreseen of a smooth ball of one density, told that its mean is its matter's."""
    centre = (-5.0, 0.0, 0.0)
    geometry = Geometry(parts=(ball(centre, diameter_mm / 2),), confine=Confine.FREE)
    fitted = fit_geometry(geometry, site, organ_label=LIVER, centre_xyz=centre, diameter_mm=diameter_mm)
    wanted = wanted or Wanted()
    reading = draw_reading(site, Wanted(diameter_mm=(diameter_mm,) * 2), np.random.default_rng(0))
    reading = replace(reading, heterogeneity=Heterogeneity.HOMOGENEOUS)
    matter = Matter(base_hu=base_hu)
    return foreseen(site, fitted, matter, reading, wanted, mean_hu=base_hu, organ_label=LIVER), reading


def test_the_mean_of_a_thin_lesion_is_diluted_by_its_edge() -> None:
    (mean, reading), _ = look(site_of(4.0), 9.0, 40.0)
    assert 40 < mean < 75
    assert reading.heterogeneity is Heterogeneity.HOMOGENEOUS


def test_a_thick_lesion_is_as_it_was_fitted() -> None:
    (mean, reading), before = look(site_of(60.0), 26.0, 40.0)
    assert mean == 40.0
    assert reading is before


def test_a_mean_that_noise_could_turn_is_refused() -> None:
    (mean, _), _ = look(site_of(3.0), 11.0, 74.0)
    assert mean < 86
    with pytest.raises(PlacementError, match="next class"):
        look(site_of(60.0), 11.0, 74.0)


def test_a_density_that_was_not_wanted_is_refused() -> None:
    with pytest.raises(PlacementError, match="Hypodense"):
        look(site_of(3.0), 11.0, 40.0, Wanted(density=Density.ISO))
