"""A scaled geometry is the same shape, larger or smaller about a point."""

import numpy as np
import pytest
from terrain_made import full_plan, grid_of, world

from panlesion.ct.volume import Grid
from panlesion.measure.size import largest_diameter_mm
from panlesion.synth.plan import Geometry, Part
from panlesion.synth.shape.outline import draw_outline, render_outline
from panlesion.synth.shape.scale import scaled

CENTRE = (4.0, -3.0, 2.0)


def rough(seed: int) -> Geometry:
    rng = np.random.default_rng(seed)
    outline = draw_outline(rng, radii_mm=(12.0, 9.0, 7.0), roughness=0.12, bend=0.3)
    return Geometry(parts=(Part(centre_xyz=CENTRE, outline=outline),))


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
def test_scaling_scales_the_diameter(factor) -> None:
    grid = grid_of((90.0, 80.0, 80.0))
    before, after = (
        largest_diameter_mm(render_outline(g.parts[0].outline, g.parts[0].centre_xyz, grid) < 0, grid.spacing_mm)
        for g in (rough(1), scaled(rough(1), factor, CENTRE))
    )
    assert after == pytest.approx(factor * before, abs=1.0)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_level_of_the_scaled_shape_is_the_scaled_level(factor) -> None:
    grid = grid_of((50.0, 50.0, 50.0), (2.0, 2.0, 2.0))
    affine = grid.affine.copy()
    affine[:3, :3] *= factor
    affine[:3, 3] = np.asarray(CENTRE) + factor * (affine[:3, 3] - np.asarray(CENTRE))
    before, after = rough(2).parts[0], scaled(rough(2), factor, CENTRE).parts[0]
    level = render_outline(before.outline, before.centre_xyz, grid)
    larger = render_outline(after.outline, after.centre_xyz, Grid(shape=grid.shape, affine=affine))
    assert np.allclose(larger, factor * level, atol=0.02 * factor)
    assert world(grid).shape == (*level.shape, 3)


def test_there_and_back_again_is_the_same_geometry_within_rounding() -> None:
    geometry = full_plan().geometry
    back = scaled(scaled(geometry, 1.4, CENTRE), 1 / 1.4, CENTRE)
    for before, after in zip(geometry.parts, back.parts, strict=True):
        assert np.allclose(before.centre_xyz, after.centre_xyz, atol=1e-3)
        assert np.allclose(before.outline.radii_mm, after.outline.radii_mm, atol=1e-3)
        assert np.allclose(before.outline.field.wave_vectors, after.outline.field.wave_vectors, atol=1e-5)


def test_thickness_width_and_gaps_are_anatomy_and_stay() -> None:
    geometry = full_plan().geometry
    larger = scaled(geometry, 1.5, CENTRE)
    before, after = geometry.wall, larger.wall
    assert after.half_length_mm == pytest.approx(1.5 * before.half_length_mm, abs=1e-3)
    assert (after.inward_mm, after.outward_mm, after.lumen_mm) == (before.inward_mm, before.outward_mm, before.lumen_mm)
    assert (larger.keep_gap_mm, larger.bulge_mm) == (geometry.keep_gap_mm, geometry.bulge_mm)
    for one, two in zip(geometry.spicules, larger.spicules, strict=True):
        assert two.base_radius_mm == one.base_radius_mm
        lengths = [np.linalg.norm(np.subtract(s.tip_xyz, s.base_xyz)) for s in (one, two)]
        assert lengths[0] == pytest.approx(lengths[1], abs=1e-3)
