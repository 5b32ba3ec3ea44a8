"""Cysts are water in every phase."""

import numpy as np
import pytest
from terrain_made import LIVER, liver_host

from panlesion.ct.phase import Phase
from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import Density, Feature, Surface
from panlesion.synth.compose import draw_lesion, render_lesion
from panlesion.synth.draw import Wanted
from panlesion.synth.plan import Confine, LayerKind
from panlesion.synth.verify import verify


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("seed", range(2))
def test_a_cyst_is_water_in_every_phase(phase, seed) -> None:
    host = liver_host(phase=phase)
    plan = draw_lesion(host, LesionType.LIVER_CYST, np.random.default_rng(seed), wanted=Wanted(diameter_mm=(12.0, 20.0)))
    measured = verify(render_lesion(plan, host), host, host.ct.hu, host.organs.labels).attributes
    assert -3 <= measured.core_mean_hu <= 23
    assert plan.spec.density is Density.HYPO
    assert plan.spec.surface is Surface.WELL_DEFINED
    assert plan.geometry.confine is Confine.BULGE


@pytest.mark.parametrize("type", [LesionType.LIVER_CYST, LesionType.PANCREAS_CYST, LesionType.KIDNEY_CYST])
def test_cysts_of_all_organs_are_water(first_draws, type) -> None:
    for draw in first_draws[type]:
        if draw.check.attributes.inscribed_mm > 12:
            assert -5 <= draw.check.attributes.core_mean_hu <= 25


def test_septa_are_thin_sheets_when_wanted_and_told() -> None:
    wanted = Wanted(features=frozenset({Feature.SEPTA}), diameter_mm=(24.0, 30.0))
    plan = draw_lesion(liver_host(), LesionType.LIVER_CYST, np.random.default_rng(1), wanted=wanted)
    sheets = [layer for layer in plan.matter.layers if layer.kind is LayerKind.SHEETS]
    assert Feature.SEPTA in plan.spec.features
    assert len(sheets) == 1
    assert 0.3 <= sheets[0].start_mm <= 1.0
    assert plan.spec.organ_label == LIVER
