import json
from dataclasses import asdict

import numpy as np
import pytest

from panlesion.ct.phase import Phase
from panlesion.phantom.limb.draw import draw_limb
from panlesion.phantom.limb.region import Region


def test_equal_seeds_draw_equal_limbs():
    assert draw_limb(np.random.default_rng(5)) == draw_limb(np.random.default_rng(5))
    assert draw_limb(np.random.default_rng(5)) != draw_limb(np.random.default_rng(6))


@pytest.mark.parametrize("region", list(Region))
def test_what_is_given_is_kept_and_the_record_is_json(region):
    limb = draw_limb(np.random.default_rng(1), region=region, phase=Phase.PORTAL)
    assert limb.segments[0].region is region
    assert limb.paint.phase is Phase.PORTAL
    json.dumps(asdict(limb), allow_nan=False)


def test_regions_phases_noise_and_company_vary():
    limbs = [draw_limb(np.random.default_rng(seed)) for seed in range(200)]
    assert {limb.segments[0].region for limb in limbs} == set(Region)
    plain = np.mean([limb.paint.phase is Phase.NON_CONTRAST for limb in limbs])
    assert 0.55 < plain < 0.8
    noise = np.array([np.hypot(limb.scanner.noise_sd_hu * 0.75, limb.streaks.sd_hu) for limb in limbs])
    assert noise.min() >= 4.9
    assert noise.max() <= 30.1
    assert noise.max() / noise.min() > 4
    alone = np.mean([len(limb.segments) == 1 for limb in limbs])
    assert 0.1 < alone < 0.8
