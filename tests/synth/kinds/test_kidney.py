"""Kidney tumours leave the kidney or stay in it, and push it aside where they are not close to a neighbour."""

import numpy as np
import pytest
from terrain_made import KIDNEY, PSOAS, blocks_host

from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import Feature, Heterogeneity, Invasion
from panlesion.synth.compose import draw_lesion, render_lesion
from panlesion.synth.draw import Wanted
from panlesion.synth.plan import LayerKind


@pytest.fixture(scope="module")
def kidney_host():
    blocks = {KIDNEY: ((-26.0, -22.0, -24.0), (8.0, 22.0, 24.0)), PSOAS: ((28.0, -30.0, -28.0), (38.0, 30.0, 28.0))}
    return blocks_host(blocks, tissue_hu={KIDNEY: 160.0})


@pytest.mark.parametrize("seed", range(6))
def test_what_is_called_exophytic_has_left_the_kidney(kidney_host, seed) -> None:
    plan = draw_lesion(
        kidney_host, LesionType.KIDNEY_TUMOR, np.random.default_rng(seed), wanted=Wanted(diameter_mm=(18.0, 24.0))
    )
    rendered = render_lesion(plan, kidney_host)
    outside = rendered.mask & (kidney_host.organs.labels != KIDNEY)[rendered.box.slices]
    share = outside.sum() / rendered.mask.sum()
    assert share > 0.15 if Feature.EXOPHYTIC in plan.spec.features else share < 0.25
    assert (plan.matter.push > 0) == (plan.spec.invasion is Invasion.NOT_CLOSE)


def test_fat_is_drawn_when_wanted(kidney_host) -> None:
    wanted = Wanted(features=frozenset({Feature.FAT}), heterogeneity=Heterogeneity.HETEROGENEOUS, diameter_mm=(24.0, 28.0))
    plan = draw_lesion(kidney_host, LesionType.KIDNEY_TUMOR, np.random.default_rng(1), wanted=wanted)
    rendered = render_lesion(plan, kidney_host)
    fat = [layer for layer in plan.matter.layers if layer.kind is LayerKind.BLOBS]
    assert Feature.FAT in plan.spec.features
    assert fat[0].hu < -40
    assert (rendered.hu[rendered.mask] < -20).mean() > 0.03
