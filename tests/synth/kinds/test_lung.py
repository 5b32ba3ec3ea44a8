"""Lung tumours: ground glass lets vessels through, solid ones do not; spicules, tags and cavities are what they are called."""

import numpy as np
import pytest
from terrain_made import lung_host, world

from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import Density, Feature
from panlesion.synth.compose import draw_lesion, render_lesion
from panlesion.synth.draw import Wanted
from panlesion.synth.plan import Blend, LayerKind


def made(feature: Feature, seed: int, diameter_mm=(20.0, 26.0), **wanted):
    host = lung_host()
    plan = draw_lesion(
        host,
        LesionType.LUNG_TUMOR,
        np.random.default_rng(seed),
        wanted=Wanted(features=frozenset({feature}), diameter_mm=diameter_mm, **wanted),
    )
    rendered = render_lesion(plan, host)
    hu, mask = host.ct.hu.copy(), np.zeros(host.ct.grid.shape, dtype=bool)
    hu[rendered.box.slices] = rendered.hu
    mask[rendered.box.slices] = rendered.mask
    return plan, host, hu, mask


@pytest.mark.parametrize("seed", range(3))
def test_vessels_stay_visible_in_ground_glass(seed) -> None:
    plan, host, hu, mask = made(Feature.GROUND_GLASS, seed)
    vessel, lung = mask & (host.ct.hu > -150), mask & (host.ct.hu < -750)
    assert plan.matter.blend is Blend.VEIL
    assert plan.spec.density is Density.HYPO
    assert vessel.sum() > 5
    assert -760 < hu[lung].mean() < -430
    assert hu[vessel].mean() > hu[lung].mean() + 250
    assert hu[vessel].mean() > host.ct.hu[vessel].mean() - 150


def test_vessels_vanish_in_a_solid_tumour() -> None:
    plan, host, hu, mask = made(Feature.SOLID, 1)
    assert plan.matter.blend is Blend.REPLACE
    lung = mask & (host.ct.hu < -750)
    assert hu[lung].mean() > -350


def test_a_part_solid_tumour_has_a_dense_middle() -> None:
    plan, _, hu, mask = made(Feature.PART_SOLID, 2)
    from_centre = np.linalg.norm(world(lung_host().ct.grid) - plan.spec.centre_xyz, axis=-1)
    radius = plan.spec.diameter_mm / 2
    assert hu[mask & (from_centre < 0.3 * radius)].mean() > hu[mask & (from_centre > 0.75 * radius)].mean() + 200


def test_a_cavity_is_air() -> None:
    plan, _, hu, mask = made(Feature.CAVITY, 3, diameter_mm=(26.0, 30.0))
    if Feature.CAVITY in plan.spec.features:
        core = [layer for layer in plan.matter.layers if layer.kind is LayerKind.CORE]
        assert core[0].hu < -900
        assert (hu[mask] < -800).sum() > 50


def test_spicules_and_lobes_are_drawn_when_asked_for() -> None:
    spiculated, *_ = made(Feature.SPICULATED, 4)
    lobulated, *_ = made(Feature.LOBULATED, 5)
    assert (Feature.SPICULATED in spiculated.spec.features) == bool(spiculated.geometry.spicules) is True
    assert Feature.LOBULATED in lobulated.spec.features
    assert len(lobulated.geometry.parts) >= 3
