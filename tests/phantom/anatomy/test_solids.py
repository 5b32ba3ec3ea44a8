import numpy as np
import pytest

from panlesion.phantom.anatomy.solids import (
    brick,
    capsule,
    curve,
    ellipsoid,
    fit_volume,
    keep_largest,
    rotation,
    smooth_max,
    smooth_min,
    triangle,
    volume_ml,
    waves,
)  # fmt: skip

AXIS = np.arange(-40, 41, 1.0, dtype=np.float32)
XYZ = tuple(np.meshgrid(AXIS, AXIS, AXIS, indexing="ij"))


@pytest.mark.parametrize("degrees", [(0, 0, 0), (20, -35, 50)])
def test_an_ellipsoid_has_its_volume_however_it_is_turned(degrees):
    field = ellipsoid(XYZ, (2.0, -1.0, 3.0), (20.0, 12.0, 9.0), degrees)
    assert volume_ml(field, 1.0) == pytest.approx(4 / 3 * np.pi * 20 * 12 * 9 / 1000, rel=0.03)


def test_distances_are_exact_where_they_can_be():
    along = (np.array([[[0.0]]]), np.array([[[17.0]]]), np.array([[[0.0]]]))
    assert capsule(along, (-10, 0, 0), (10, 0, 0), (5.0, 5.0))[0, 0, 0] == pytest.approx(12.0)
    assert brick(along, (0, 0, 0), (8, 6, 4), 1.0)[0, 0, 0] == pytest.approx(11.0)
    corners = np.array([[-9.0, 0, -9], [9, 0, -9], [0, 0, 9]])
    assert triangle(along, corners, (2, 2, 2))[0, 0, 0] == pytest.approx(15.0)


def test_smooth_joins_only_add_at_the_seam():
    a, b = ellipsoid(XYZ, (-9, 0, 0), (10,) * 3), ellipsoid(XYZ, (9, 0, 0), (10,) * 3)
    joined, cut = smooth_min(a, b, 6.0), smooth_max(a, b, 6.0)
    assert (joined <= np.minimum(a, b) + 1e-5).all()
    assert (cut >= np.maximum(a, b) - 1e-5).all()
    assert joined[40, 40, 40] < min(a[40, 40, 40], b[40, 40, 40])
    assert joined[5, 40, 40] == pytest.approx(a[5, 40, 40])


def test_the_volume_asked_for_is_found():
    field = fit_volume(lambda r: ellipsoid(XYZ, (0, 0, 0), (r, r, r)), 30.0, 1.0, 5.0, 35.0, rounds=10)
    assert volume_ml(field, 1.0) == pytest.approx(30.0, rel=0.02)


def test_only_the_largest_piece_stays():
    field = np.minimum(ellipsoid(XYZ, (-20, 0, 0), (10,) * 3), ellipsoid(XYZ, (20, 0, 0), (6,) * 3))
    kept = keep_largest(field)
    assert kept[20, 40, 40] < 0 < kept[60, 40, 40]


def test_noise_is_smooth_centred_and_repeatable():
    axes = [np.arange(0, 300, 3.0)] * 3
    noise = waves(axes, 5, 40.0, terms=12)
    assert np.array_equal(noise, waves(axes, 5, 40.0, terms=12))
    assert abs(noise.mean()) < 0.2
    assert noise.std() == pytest.approx(1.0, rel=0.35)
    assert np.abs(np.diff(noise, axis=0)).max() < 2.5


def test_a_curve_passes_its_knots_at_even_steps():
    knots = np.array([[0.0, 0, 0], [30, 10, 0], [40, 40, 20], [10, 50, 40]])
    drawn = curve(knots, [5, 6, 7, 8], 2.0)
    steps = np.linalg.norm(np.diff(drawn.points, axis=0), axis=1)
    assert steps.max() / steps.min() < 1.05
    for knot in knots:
        assert np.linalg.norm(drawn.points - knot, axis=1).min() < 1.2
    assert 5 <= drawn.radii_mm.min() <= drawn.radii_mm.max() <= 8


def test_rotations_are_rotations():
    r = rotation((10, 20, 30))
    np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(r) == pytest.approx(1.0)
