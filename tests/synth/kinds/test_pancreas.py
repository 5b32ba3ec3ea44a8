"""Pancreas tumours are dark, bright ones are told, and the duct is dilated upstream of them only."""

import numpy as np
import pytest

from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import Density, Feature
from panlesion.synth.compose import draw_lesion, render_lesion
from panlesion.synth.draw import Wanted
from panlesion.synth.kinds.pancreas import DUCT_RADIUS_MM
from panlesion.synth.terrain import distance_mm


@pytest.fixture(scope="module")
def with_duct(phantom_host):
    """Tumours for which a dilated duct was wanted."""
    wanted = Wanted(features=frozenset({Feature.DUCT_DILATATION}), density=Density.HYPO, diameter_mm=(14.0, 22.0))
    plans = [draw_lesion(phantom_host, LesionType.PANCREAS_TUMOR, np.random.default_rng(n), wanted=wanted) for n in range(4)]
    return [plan for plan in plans if plan.strands]


def test_the_duct_runs_from_the_tumour_towards_the_tail_within_the_gland(with_duct, phantom_host) -> None:
    assert len(with_duct) >= 2
    away = distance_mm(phantom_host.organs.labels == 10, phantom_host.ct.grid.spacing_mm)
    for plan in with_duct:
        path = np.array(plan.strands[0].path_xyz)
        assert Feature.DUCT_DILATATION in plan.spec.features
        assert np.allclose(path[0], plan.spec.centre_xyz, atol=0.01)
        assert np.all(np.diff(path[:, 0]) < 0), "the tail lies to the patient's left, at negative x in RAS+"
        ijk = np.rint(phantom_host.ct.grid.to_ijk(path[1:])).astype(int)
        assert away[tuple(ijk.T)].max() < 8
        assert DUCT_RADIUS_MM[0] <= plan.strands[0].radius_mm <= DUCT_RADIUS_MM[1]


def test_the_duct_is_dark_and_no_part_of_the_lesion(with_duct, phantom_host) -> None:
    plan = with_duct[0]
    rendered = render_lesion(plan, phantom_host)
    tail = np.rint(phantom_host.ct.grid.to_ijk(plan.strands[0].path_xyz[-2])).astype(int) - rendered.box.start
    assert not rendered.mask[tuple(tail)]
    before = phantom_host.ct.hu[rendered.box.slices]
    assert rendered.hu[tuple(tail)] < before[tuple(tail)]


def test_bright_tumours_are_told_and_bright(phantom_host) -> None:
    wanted = Wanted(density=Density.HYPER, diameter_mm=(14.0, 20.0))
    plan = draw_lesion(phantom_host, LesionType.PANCREAS_TUMOR, np.random.default_rng(0), wanted=wanted)
    assert plan.spec.mean_hu > phantom_host.facts.organ_mean_hu(10) + 10
