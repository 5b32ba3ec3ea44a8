from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from panlesion.ct.volume import standard_grid
from panlesion.phantom.limb.draw import draw_limb
from panlesion.phantom.limb.region import Region
from panlesion.phantom.limb.render import MUSCLES_OF_A_SEGMENT, Compartment, render_limb

LIMBS = (Region.THIGH, Region.KNEE, Region.CALF, Region.UPPER_ARM, Region.FOREARM, Region.BUTTOCK)


@cache
def rendered(region, seed=0):
    limb = draw_limb(np.random.default_rng([seed, 7]), region=region)
    # Alone, upright and in the middle of a box that holds all of its section.
    own = replace(limb.segments[0], axis_mm=(0.0, 0.0), slope=(0.0, 0.0))
    return own, render_limb(replace(limb, segments=(own,)), standard_grid((112, 112, 16), 3.0))


def muscle_of(compartments):
    return (compartments >= Compartment.MUSCLE) & (compartments < Compartment.MUSCLE + MUSCLES_OF_A_SEGMENT)


@pytest.mark.parametrize("region", LIMBS)
def test_bone_lies_in_muscle_in_fat_in_skin(region):
    _, drawn = rendered(region)
    kinds = drawn.compartments
    assert not kinds[0].any()
    assert not kinds[-1].any()
    body = kinds > 0
    rim = body & ~ndimage.binary_erosion(body, ndimage.generate_binary_structure(2, 1)[:, :, None])
    assert np.mean(kinds[rim] == Compartment.SKIN) > 0.97
    depth = ndimage.distance_transform_edt(np.pad(body, ((1, 1), (1, 1), (0, 0))), (3, 3, 1000))[1:-1, 1:-1]
    mean = {name: depth[hit].mean() for name, hit in parts(kinds).items()}
    assert mean["skin"] < mean["subcutaneous fat"] < mean["muscle"]
    assert mean["cortex"] > mean["subcutaneous fat"]
    assert mean["marrow"] > mean["cortex"] - 3


def parts(kinds):
    return {
        "skin": kinds == Compartment.SKIN,
        "subcutaneous fat": kinds == Compartment.SUBCUTANEOUS_FAT,
        "muscle": muscle_of(kinds),
        "cortex": kinds == Compartment.CORTEX,
        "marrow": kinds == Compartment.MARROW,
    }


@pytest.mark.parametrize("region", LIMBS)
def test_nothing_floats_and_marrow_is_walled_by_cortex(region):
    _, drawn = rendered(region)
    _, pieces = ndimage.label(drawn.compartments > 0)
    assert pieces == 1
    marrow = drawn.compartments == Compartment.MARROW
    around = ndimage.binary_dilation(marrow, ndimage.generate_binary_structure(2, 1)[:, :, None]) & ~marrow
    assert np.mean(drawn.compartments[around] == Compartment.CORTEX) > 0.9


@pytest.mark.parametrize(("region", "least_cm2", "most_cm2"), [(Region.THIGH, 55, 330), (Region.CALF, 14, 160)])
def test_muscle_has_a_plausible_section(region, least_cm2, most_cm2):
    for seed in range(4):
        _, drawn = rendered(region, seed)
        section_cm2 = muscle_of(drawn.compartments).sum(axis=(0, 1)).mean() * 0.09
        assert least_cm2 < section_cm2 < most_cm2


def test_a_thigh_has_its_muscles_and_its_femur():
    own, drawn = rendered(Region.THIGH)
    assert len(np.unique(drawn.compartments[muscle_of(drawn.compartments)])) >= 8
    assert set(np.unique(drawn.organs)) - {94, 95} == {0, 88 if own.side > 0 else 89}
    assert drawn.ideal_hu.min() == pytest.approx(-1000, abs=8)
    muscle = ndimage.binary_erosion(muscle_of(drawn.compartments), iterations=1)
    assert 30 < np.median(drawn.ideal_hu[muscle]) < 72
    fat = drawn.compartments == Compartment.SUBCUTANEOUS_FAT
    assert -120 < np.median(drawn.ideal_hu[fat]) < -80


def test_another_limb_keeps_its_own_muscles():
    limb = draw_limb(np.random.default_rng(1), region=Region.THIGH)
    own = replace(limb.segments[0], axis_mm=(-70.0, 0.0))
    other = replace(own, side=-own.side, axis_mm=(110.0, 0.0))
    kinds = render_limb(replace(limb, segments=(own, other)), standard_grid((96, 64, 8), 3.0)).compartments
    assert muscle_of(kinds).any()
    assert (kinds >= Compartment.MUSCLE + MUSCLES_OF_A_SEGMENT).any()
    assert not muscle_of(kinds)[80:].any()


def test_a_back_has_lung_ribs_and_autochthonous_muscle():
    _, drawn = rendered(Region.BACK)
    assert (drawn.compartments == Compartment.LUNG).any()
    assert (drawn.compartments == Compartment.VISCERA).any()
    assert {100, 101} & set(np.unique(drawn.organs).tolist())
