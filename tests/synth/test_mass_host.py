import numpy as np
import pytest

from panlesion.ct.phase import Phase
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.phantom.limb.limb import make_limb
from panlesion.phantom.limb.region import Region
from panlesion.phantom.limb.render import Compartment
from panlesion.synth.mass_host import FOREIGN, MassHost


def test_a_ct_is_told_into_bone_muscle_fat_and_air():
    limb = make_limb(3, region=Region.THIGH, phase=Phase.NON_CONTRAST)
    host = MassHost.of(limb.ct, limb.organs, phase=Phase.NON_CONTRAST, psf_mm=limb.psf_mm)
    true = limb.compartments.labels
    muscle = (true >= Compartment.MUSCLE) & (true < Compartment.MUSCLE + 40)
    found = (host.compartments >= Compartment.MUSCLE) & (host.compartments != FOREIGN)
    assert np.mean(found[muscle]) > 0.7
    assert np.mean(host.compartments[true == Compartment.AIR] == Compartment.AIR) > 0.9
    assert np.all(host.hard_mm[limb.organs.mask({88, 89})] < 0)


def test_depths_are_signed():
    host = MassHost.of_limb(make_limb(3, region=Region.THIGH))
    body = host.compartments != Compartment.AIR
    assert np.mean(host.skin_mm[body] > -3) > 0.98
    assert np.mean(host.skin_mm[~body] < 3) > 0.98


def test_a_ct_without_muscle_is_refused():
    grid = standard_grid((16, 16, 16), 3.0)
    air = Volume(hu=np.full(grid.shape, -1000, dtype=np.int16), grid=grid)
    with pytest.raises(ValueError, match="muscle"):
        MassHost.of(air, LabelMap(labels=np.zeros(grid.shape, np.uint8), grid=grid), phase=Phase.PORTAL, psf_mm=(1.0, 1.0, 1.0))
