"""Verification measures the finished voxels and lists every reading of the report that they contradict."""

from dataclasses import replace

import numpy as np
import pytest
from terrain_made import ORGAN_HU, ball_plan, liver_host

from panlesion.lesion.vocabulary import Density, Heterogeneity, Invasion, Shape, Surface
from panlesion.synth.compose import render_lesion
from panlesion.synth.plan import Matter
from panlesion.synth.verify import contradictions, verify


@pytest.fixture(scope="module")
def checked():
    host = liver_host()
    plan = ball_plan(10.0, matter=Matter(base_hu=50.0, noise_seed=2))
    rendered = render_lesion(plan, host)
    check = verify(rendered, host, host.ct.hu, host.organs.labels)
    return host, rendered, check


def true_spec(rendered, check):
    """The spec as measured, so that nothing contradicts it."""
    m = check.attributes
    return replace(
        rendered.plan.spec, diameter_mm=m.size.diameter_mm, seat=m.seat, shape=m.shape, density=m.density,
        heterogeneity=m.heterogeneity, surface=m.surface, invasion=m.invasion,
    )  # fmt: skip


def test_a_ball_made_by_hand_reads_as_it_was_made(checked) -> None:
    host, rendered, check = checked
    measured = check.attributes
    assert measured.size.diameter_mm == pytest.approx(20.0, abs=1.0)
    assert measured.core_mean_hu == pytest.approx(50.0, abs=2.0)
    assert measured.offset_hu == pytest.approx(50.0 - ORGAN_HU, abs=3.0)
    assert (measured.shape, measured.density) == (Shape.ROUND, Density.HYPO)
    assert (measured.heterogeneity, measured.surface) == (Heterogeneity.HOMOGENEOUS, Surface.WELL_DEFINED)
    assert measured.invasion is Invasion.NOT_CLOSE
    assert np.allclose(host.ct.grid.to_xyz(check.centre_ijk), rendered.plan.spec.centre_xyz, atol=1.5)
    assert contradictions(true_spec(rendered, check), measured, 1.0) == []


@pytest.mark.parametrize(
    ("field", "lie", "word"),
    [
        ("diameter_mm", 26.0, "diameter"),
        ("diameter_mm", 17.0, "diameter"),
        ("shape", Shape.IRREGULAR, "shape"),
        ("density", Density.ISO, "density"),
        ("heterogeneity", Heterogeneity.HETEROGENEOUS, "heterogeneity"),
        ("surface", Surface.ILL_DEFINED, "surface"),
        ("invasion", Invasion.CLOSE, "invasion"),
        ("seat", "the moon", "location"),
    ],
)
def test_every_lie_is_found_and_named(checked, field, lie, word) -> None:
    _, rendered, check = checked
    spec = replace(true_spec(rendered, check), **{field: lie})
    found = contradictions(spec, check.attributes, 1.0)
    assert len(found) == 1
    assert found[0].startswith(word)
    if isinstance(lie, str):
        assert str(lie) in found[0]


def test_a_diameter_is_true_within_a_tenth_or_a_voxel(checked) -> None:
    _, rendered, check = checked
    spec, size = true_spec(rendered, check), check.attributes.size.diameter_mm
    assert contradictions(replace(spec, diameter_mm=1.09 * size), check.attributes, 1.0) == []
    assert contradictions(replace(spec, diameter_mm=1.15 * size), check.attributes, 1.0) != []
    assert contradictions(replace(spec, diameter_mm=1.15 * size), check.attributes, 3.5) == []


def test_what_is_measured_is_the_case_and_not_the_host(checked) -> None:
    host, rendered, _ = checked
    hu = host.ct.hu.copy()
    hu[rendered.box.slices] = 3000
    again = verify(rendered, host, hu, host.organs.labels)
    assert again.attributes.core_mean_hu == pytest.approx(50.0, abs=2.0)
