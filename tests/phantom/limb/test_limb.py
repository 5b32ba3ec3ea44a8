import json

import numpy as np
import pytest
from scipy import ndimage

from panlesion.ct.phase import Phase
from panlesion.phantom.limb.limb import make_limb
from panlesion.phantom.limb.region import Region
from panlesion.phantom.limb.render import Compartment


def test_equal_seeds_give_equal_bits():
    one, two = make_limb(4, shape=(40, 40, 24)), make_limb(4, shape=(40, 40, 24))
    assert np.array_equal(one.ct.hu, two.ct.hu)
    assert np.array_equal(one.compartments.labels, two.compartments.labels)
    assert one.record == two.record
    assert not np.array_equal(one.ct.hu, make_limb(5, shape=(40, 40, 24)).ct.hu)


def test_it_is_a_phantom_with_maps_on_one_grid():
    limb = make_limb(2, phase=Phase.PORTAL, region=Region.KNEE)
    assert limb.ct.grid.shape == (64, 64, 64)
    assert limb.ct.grid.axes == "LPS"
    assert limb.organs.grid is limb.ct.grid
    assert limb.compartments.grid is limb.ct.grid
    assert limb.record["phase"] == "portal"
    json.dumps(limb.record, allow_nan=False)


def test_grain_is_the_noise_and_nothing_but():
    for seed in range(4):
        limb = make_limb(seed, shape=(48, 48, 24))
        calm = (limb.ct.hu - limb.grain)[limb.ct.hu > -1000]
        assert abs(limb.grain[limb.ct.hu > -900].mean()) < 6
        muscle = ndimage.binary_erosion(limb.compartments.labels >= Compartment.MUSCLE, iterations=2)
        if muscle.sum() > 500:
            assert 2.5 < limb.grain[muscle].std() < 60
        assert calm.max() < 3071


def test_the_box_shows_a_limb():
    for seed in range(12):
        limb = make_limb(seed, shape=(48, 48, 16))
        assert 0.05 < np.mean(limb.compartments.labels > 0) <= 1.0


@pytest.mark.parametrize(("wrong", "message"), [({"spacing_mm": 0.1}, "spacing_mm"), ({"shape": (4, 4, 4)}, "shape")])
def test_what_no_limb_has_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        make_limb(0, **wrong)
    with pytest.raises(ValueError, match="seed"):
        make_limb(-1)
