"""The drawn body of a lesion: its level is a distance, and it has the volume, roughness and bend it was drawn with."""

import numpy as np
import pytest

from panlesion.ct.volume import standard_grid
from panlesion.measure.shape import shape_features
from panlesion.synth.shape.outline import draw_outline, render_outline

GRID = standard_grid((64, 64, 64), 1.0, (32.0, 32.0, -32.0))
CENTRE = (0.3, -0.2, 0.4)
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def level_of(**drawn) -> np.ndarray:
    return render_outline(draw_outline(np.random.default_rng(0), **drawn), CENTRE, GRID)


@pytest.mark.parametrize("bend", [0.0, 0.4, 0.8])
def test_volume_is_the_ellipsoids_bent_or_not(bend) -> None:
    inside = level_of(radii_mm=(20.0, 12.0, 9.0), roughness=0.0, bend=bend, rotation=UPRIGHT) < 0
    assert np.count_nonzero(inside) == pytest.approx(4 / 3 * np.pi * 20 * 12 * 9, rel=0.02)


def test_a_bent_body_is_as_smooth_but_less_convex() -> None:
    straight, bent = (
        shape_features(level_of(radii_mm=(22.0, 10.0, 8.0), roughness=0.0, bend=bend) < 0, (1.0, 1.0, 1.0))
        for bend in (0.0, 0.8)
    )
    assert straight.solidity > 0.99
    assert bent.solidity < 0.9
    assert bent.sphericity < straight.sphericity


def test_level_is_the_distance_near_the_surface_of_a_ball() -> None:
    level = level_of(radii_mm=(15.0, 15.0, 15.0), roughness=0.0)
    xyz = GRID.to_xyz(np.indices(GRID.shape).reshape(3, -1).T).reshape(*GRID.shape, 3)
    distance = np.linalg.norm(xyz - CENTRE, axis=-1) - 15.0
    assert np.abs(level - distance).max() < 0.02


@pytest.mark.parametrize("roughness", [0.05, 0.15])
def test_roughness_moves_the_surface_by_that_share_of_the_radius(roughness) -> None:
    drawn = {"radii_mm": (15.0, 15.0, 15.0), "wavelength_radii": (0.8, 2.5)}
    moved = level_of(roughness=roughness, **drawn) - level_of(roughness=0.0, **drawn)
    assert moved.std() == pytest.approx(15.0 * roughness, rel=0.25)


def test_the_same_outline_is_rendered_alike_on_any_grid() -> None:
    outline = draw_outline(np.random.default_rng(1), radii_mm=(14.0, 11.0, 8.0), roughness=0.12, bend=0.5)
    fine = np.count_nonzero(render_outline(outline, CENTRE, GRID) < 0)
    coarse_grid = standard_grid((32, 32, 32), 2.0, (32.0, 32.0, -32.0))
    coarse = np.count_nonzero(render_outline(outline, CENTRE, coarse_grid) < 0) * 8
    assert coarse == pytest.approx(fine, rel=0.05)
