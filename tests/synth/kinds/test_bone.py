"""Bone metastases are lytic, blastic or mixed, and may break through the cortex."""

import numpy as np
import pytest
from terrain_made import blocks_host

from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import Density, Feature, Invasion
from panlesion.synth.compose import draw_lesion, render_lesion
from panlesion.synth.draw import Wanted
from panlesion.synth.plan import Confine
from panlesion.synth.verify import verify


@pytest.fixture(scope="module")
def bone_host():
    """One large vertebra-like block of 220 HU with muscle beside it."""
    blocks = {20: ((-26.0, -26.0, -22.0), (16.0, 26.0, 22.0)), 102: ((20.0, -30.0, -26.0), (38.0, 30.0, 26.0))}
    return blocks_host(blocks, tissue_hu={20: 220.0})


def made(host, feature: Feature, seed: int, **wanted):
    wish = Wanted(features=frozenset({feature}), diameter_mm=(19.0, 24.0), **wanted)
    plan = draw_lesion(host, LesionType.BONE_METASTASIS, np.random.default_rng(seed), wanted=wish)
    rendered = render_lesion(plan, host)
    return plan, rendered, verify(rendered, host, host.ct.hu, host.organs.labels).attributes


@pytest.mark.parametrize("seed", range(3))
def test_lytic_lesions_lie_below_and_blastic_ones_above_the_bones_mean(bone_host, seed) -> None:
    lytic, _, below = made(bone_host, Feature.LYTIC, seed)
    blastic, _, above = made(bone_host, Feature.BLASTIC, seed)
    mean = bone_host.facts.organ_mean_hu(20)
    assert below.core_mean_hu < mean - 50
    assert above.core_mean_hu > mean + 100
    assert lytic.spec.density is Density.HYPO
    assert blastic.spec.density is Density.HYPER
    assert Feature.LYTIC in lytic.spec.features
    assert Feature.BLASTIC in blastic.spec.features


def test_mixed_lesions_have_both(bone_host) -> None:
    plan, rendered, _ = made(bone_host, Feature.MIXED, 1)
    values = rendered.hu[rendered.mask]
    assert Feature.MIXED in plan.spec.features
    assert (values < 130).sum() > 50
    assert (values > 350).sum() > 50


@pytest.mark.parametrize("seed", range(2))
def test_a_close_lesion_breaks_the_cortex_and_another_stays_in_its_bone(bone_host, seed) -> None:
    broken, through, _ = made(bone_host, Feature.LYTIC, seed, invasion=Invasion.CLOSE)
    whole, within, _ = made(bone_host, Feature.LYTIC, seed, invasion=Invasion.NOT_CLOSE)
    bone = bone_host.organs.labels == 20
    assert Feature.CORTEX_BREAK in broken.spec.features
    assert (through.mask & ~bone[through.box.slices]).any()
    assert whole.geometry.confine is Confine.ORGAN
    assert not (within.mask & ~bone[within.box.slices]).any()
