import numpy as np
import pytest

from panlesion.ct.volume import standard_grid
from panlesion.phantom.limb.limb import make_limb
from panlesion.phantom.limb.region import Region
from panlesion.synth.mass import draw_mass
from panlesion.synth.mass_body import mass_box, mass_level, mass_matte, mass_matter
from panlesion.synth.mass_host import MassHost


def test_the_level_is_negative_in_the_box_only():
    host = MassHost.of_limb(make_limb(3, region=Region.THIGH))
    plan = draw_mass(host, np.random.default_rng(2), diameter_mm=60.0)
    tight, wide = mass_box(plan, host, 0.0), mass_box(plan, host, 12.0)
    inside = mass_level(plan, host, wide) < 0
    assert inside.any()
    a, b, c = wide.start
    kept = np.zeros_like(inside)
    kept[tight.shifted((-a, -b, -c)).slices] = True
    assert np.mean(kept[inside]) > 0.98


def test_the_matte_falls_from_one_to_nothing_over_its_width():
    level = np.linspace(-12, 12, 49, dtype=np.float32)
    sharp, soft = mass_matte(level, 0.0, 3.0), mass_matte(level, 3.0, 3.0)
    assert sharp[24] == soft[24] == pytest.approx(0.5)
    assert np.all(np.diff(soft) <= 0)
    assert (soft > 0).sum() > (sharp > 0).sum()


def test_a_core_lies_deep():
    host = MassHost.of_limb(make_limb(3, region=Region.THIGH))
    plans = (draw_mass(host, np.random.default_rng(seed)) for seed in range(60))
    stuff = next(plan.stuff for plan in plans if plan.stuff.texture.value == "necrotic core")
    level = np.broadcast_to(np.linspace(-60, 10, 32, dtype=np.float32)[:, None, None], (32, 24, 24))
    hu = mass_matter(stuff, level, standard_grid((32, 24, 24), 3.0))
    assert hu[0].mean() < hu[-3].mean()
