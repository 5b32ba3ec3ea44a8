"""Liver tumours enhance as their phase says."""

from types import SimpleNamespace

import numpy as np
import pytest
from terrain_made import liver_host

from panlesion.ct.phase import Phase
from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import Density, Feature, Heterogeneity
from panlesion.synth.compose import draw_lesion
from panlesion.synth.draw import Wanted
from panlesion.synth.kinds.liver import VIABLE_MM, necrosis_layer
from panlesion.synth.plan import LayerKind

BIG = (26.0, 30.0)


def plans(phase: Phase, count: int, **wanted) -> list:
    host = liver_host(phase=phase, spacing_mm=(1.5, 1.5, 1.5))
    return [
        draw_lesion(host, LesionType.LIVER_TUMOR, np.random.default_rng(n), wanted=Wanted(diameter_mm=BIG, **wanted))
        for n in range(count)
    ]


def test_bright_tumours_are_seen_in_the_arterial_phase_only() -> None:
    arterial, portal = ({p.spec.density for p in plans(phase, 9)} for phase in (Phase.ARTERIAL, Phase.PORTAL))
    assert Density.HYPER in arterial
    assert Density.HYPER not in portal


def test_wash_out_is_dark_late_and_enhancement_bright_early() -> None:
    for plan in plans(Phase.DELAYED, 6):
        assert Feature.HYPERENHANCEMENT not in plan.spec.features
        if Feature.WASH_OUT in plan.spec.features:
            assert plan.spec.mean_hu < 100
    for plan in plans(Phase.ARTERIAL, 6):
        assert Feature.WASH_OUT not in plan.spec.features
        if Feature.HYPERENHANCEMENT in plan.spec.features:
            assert plan.spec.mean_hu > 100


def test_plain_tumours_have_neither_rim_nor_capsule() -> None:
    for plan in plans(Phase.NON_CONTRAST, 6, heterogeneity=Heterogeneity.HETEROGENEOUS):
        assert not plan.spec.features & {Feature.RIM_ENHANCEMENT, Feature.CAPSULE, Feature.HYPERENHANCEMENT}
        assert all(layer.kind is not LayerKind.RIM for layer in plan.matter.layers)


@pytest.mark.parametrize("inscribed_mm", [24.0, 30.0, 60.0])
def test_a_necrotic_core_leaves_a_shell_of_viable_tumour(inscribed_mm) -> None:
    fitted = SimpleNamespace(inscribed_mm=inscribed_mm)
    layers = [necrosis_layer(np.random.default_rng(n), fitted, hu=20.0) for n in range(50)]
    assert min(layer.start_mm for layer in layers) >= VIABLE_MM
    assert max(1 - 2 * layer.start_mm / inscribed_mm for layer in layers) <= 0.67
    assert min(1 - 2 * layer.start_mm / inscribed_mm for layer in layers) >= 0.39
    assert {layer.kind for layer in layers} == {LayerKind.CORE}
