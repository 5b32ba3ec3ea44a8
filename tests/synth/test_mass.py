import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from panlesion.ct.phase import Phase
from panlesion.errors import PlacementError
from panlesion.phantom.limb.limb import make_limb
from panlesion.phantom.limb.region import Region
from panlesion.phantom.limb.render import Compartment
from panlesion.synth.mass import draw_mass, render_mass
from panlesion.synth.mass_body import mass_box, reach_mm
from panlesion.synth.mass_host import MassHost
from panlesion.synth.mass_plan import Texture, mass_from_json, mass_to_json


@cache
def host(seed=3, region=Region.THIGH):
    return MassHost.of_limb(make_limb(seed, region=region, phase=Phase.NON_CONTRAST))


def drawn(seed, **wanted):
    return draw_mass(host(), np.random.default_rng(seed), **wanted)


def plain(plan, **changes):
    stuff = replace(plan.stuff, texture=Texture.PLAIN, core_mm=1e3, island_share=0.0, fleck_share=0.0, texture_sd_hu=0.0)
    stuff = replace(stuff, base_hu=30.0, septum_hu=30.0)
    return replace(plan, stuff=stuff, halo_hu=0.0, margin_mm=0.3, **changes)


def test_a_plan_is_json_and_renders_the_same_again():
    plan = drawn(1)
    again = mass_from_json(json.loads(json.dumps(mass_to_json(plan))))
    assert again == plan == drawn(1)
    one, two = render_mass(plan, host()), render_mass(again, host())
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])


@pytest.mark.parametrize("seed", range(10))
def test_a_mask_is_one_solid_piece_without_bone_within_the_body(seed):
    hu, mask = render_mass(drawn(seed), host())
    assert hu.dtype == np.int16
    assert mask.sum() >= 12
    assert ndimage.label(mask)[1] == 1
    bone = (host().compartments == Compartment.CORTEX) | (host().compartments == Compartment.MARROW)
    assert not (mask & bone).any()
    # Holes but for bone are no masses: fat or bone may lie inside, an empty middle may not.
    middle = ndimage.binary_fill_holes(mask) & ~mask
    assert not (middle & ~ndimage.binary_dilation(bone, iterations=2)).sum() > 0.02 * mask.sum()
    assert np.mean(hu[mask] < -300) < 0.02


@pytest.mark.parametrize("seed", range(6))
def test_nothing_changes_beyond_the_reach(seed):
    plan = drawn(seed, diameter_mm=45.0)
    hu, _ = render_mass(plan, host())
    box = mass_box(plan, host(), reach_mm(plan, host()))
    far = np.ones(hu.shape, dtype=bool)
    far[box.slices] = False
    assert far.any()
    assert np.array_equal(hu[far], host().hu[far])


def test_the_middle_has_the_drawn_hu_and_the_hosts_noise():
    plan = plain(drawn(2, diameter_mm=80.0))
    hu, mask = render_mass(plan, host())
    core = ndimage.binary_erosion(mask, iterations=3)
    assert core.sum() > 200
    assert hu[core].mean() == pytest.approx(30.0 + host().grain[core].mean(), abs=1.0)
    assert hu[core].std() == pytest.approx(host().grain[core].std(), rel=0.05)


def test_a_host_whose_noise_is_only_measured_gives_the_same_noise():
    limb = make_limb(3, region=Region.THIGH, phase=Phase.NON_CONTRAST)
    measured = MassHost.of(limb.ct, limb.organs, phase=Phase.NON_CONTRAST, psf_mm=limb.psf_mm)
    plan = plain(draw_mass(measured, np.random.default_rng(2), diameter_mm=70.0))
    hu, mask = render_mass(plan, measured)
    core = ndimage.binary_erosion(mask, iterations=2)
    assert core.sum() > 200
    assert hu[core].std() == pytest.approx(limb.grain[core].std(), rel=0.35)
    assert hu[core].mean() == pytest.approx(30.0, abs=4.0)


def test_a_mass_pushes_the_skin_up_and_keeps_it():
    plan = plain(drawn(4, diameter_mm=90.0), push=0.95)
    hu, _ = render_mass(plan, host())
    before, after = (ndimage.gaussian_filter(v.astype(np.float32), 1.0) > -300 for v in (host().hu, hu))
    assert after.sum() >= before.sum()


def test_sizes_and_kinds_are_spread():
    plans = [drawn(seed) for seed in range(120)]
    diameters = np.array([plan.diameter_mm for plan in plans])
    assert diameters.min() > 10
    assert diameters.max() <= 190
    assert 60 < np.median(diameters) < 130
    assert {plan.stuff.texture for plan in plans} == set(Texture)
    base = np.array([p.stuff.base_hu for p in plans if p.stuff.texture in {Texture.PLAIN, Texture.NECROTIC}])
    assert base.min() >= 22
    assert base.max() <= 48
    fatty = np.array([p.stuff.base_hu for p in plans if p.stuff.texture is Texture.FATTY])
    assert fatty.max() <= -20


def test_living_tumour_gains_after_contrast():
    enhanced = replace(host(), phase=Phase.PORTAL)
    for_plain, for_portal = (
        np.mean([p.stuff.base_hu for p in (draw_mass(h, np.random.default_rng(s)) for s in range(60))])
        for h in (host(), enhanced)
    )
    assert for_portal > for_plain + 10


def test_no_room_and_no_diameter_are_refused():
    nowhere = replace(host(), compartments=np.zeros_like(host().compartments))
    with pytest.raises(PlacementError, match="muscle or fat"):
        draw_mass(nowhere, np.random.default_rng(0))
    with pytest.raises(ValueError, match="diameter_mm"):
        draw_mass(host(), np.random.default_rng(0), diameter_mm=0.0)
