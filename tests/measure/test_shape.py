"""Shape features against analytic balls and ellipsoids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from panlesion.measure.shape import shape_features

SPACINGS = [(0.8, 0.8, 0.8), (1.0, 1.0, 1.0), (2.0, 2.0, 2.0), (1.0, 1.0, 3.0)]


def ellipsoid(radii_mm, spacing_mm, seed=0) -> NDArray:
    """A digitised ellipsoid at a random place and orientation."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    axes = [(np.arange(int(2 * max(radii_mm) / s) + 6) * s) for s in spacing_mm]
    offset = np.stack(np.meshgrid(*axes, indexing="ij"), -1) - [a.mean() for a in axes] - rng.uniform(-0.5, 0.5, 3) * spacing_mm
    return (((offset @ rotation) / radii_mm) ** 2).sum(axis=-1) <= 1


def area_of(radii_mm) -> float:
    """Surface area of an ellipsoid by quadrature."""
    a, b, c = radii_mm
    polar, azimuth = np.meshgrid((np.arange(400) + 0.5) / 400 * np.pi, (np.arange(400) + 0.5) / 400 * 2 * np.pi, indexing="ij")
    sine = np.sin(polar)
    element = np.sqrt(
        (b * c * sine * np.cos(azimuth)) ** 2 + (a * c * sine * np.sin(azimuth)) ** 2 + (a * b * np.cos(polar)) ** 2
    )
    return float((element * sine).mean() * 2 * np.pi**2)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("radii_mm", [(6, 6, 6), (12, 12, 12), (12, 9, 6), (14, 8, 8), (10, 10, 5), (30, 20, 15)])
def test_area_of_an_ellipsoid_is_within_three_per_cent(radii_mm, spacing_mm) -> None:
    found = [shape_features(ellipsoid(radii_mm, spacing_mm, seed), spacing_mm).area_mm2 for seed in range(3)]
    assert np.mean(found) == pytest.approx(area_of(radii_mm), rel=0.03)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_an_ellipsoid_is_convex_smooth_and_has_its_own_axes(spacing_mm) -> None:
    features = shape_features(ellipsoid((20, 14, 10), spacing_mm), spacing_mm)
    assert features.axes_mm == pytest.approx((40, 28, 20), rel=0.03)
    assert features.elongation == pytest.approx(0.7, abs=0.03)
    assert features.flatness == pytest.approx(0.5, abs=0.03)
    assert features.solidity > 0.999
    assert features.roughness < 0.03
    assert features.volume_ml == pytest.approx(4 / 3 * np.pi * 2.0 * 1.4, rel=0.03)
    assert features.diameter_mm == pytest.approx(40, abs=1.5 * max(spacing_mm))
    assert features.equivalent_diameter_mm == pytest.approx((8 * 20 * 14 * 10) ** (1 / 3), rel=0.02)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_two_balls_are_neither_convex_nor_smooth(spacing_mm) -> None:
    x, y, z = np.meshgrid(*[np.arange(0, 90, s) for s in spacing_mm], indexing="ij")
    pair = sum((x - c) ** 2 + (y - 45) ** 2 + (z - 45) ** 2 <= 12**2 for c in (35, 55)) > 0
    features = shape_features(pair, spacing_mm)
    assert features.solidity < 0.93
    assert features.roughness > 0.05


def test_solidity_of_a_cube_corner_is_what_its_voxels_say() -> None:
    mask = np.zeros((12, 12, 12), dtype=bool)
    mask[:10, :10, :10] = True
    assert shape_features(mask, (1, 1, 1)).solidity == 1.0
    mask[5:, 5:, 5:] = False
    assert 0.85 < shape_features(mask, (1, 1, 1)).solidity < 0.95


@given(
    radii_mm=st.tuples(*[st.floats(3.0, 10.0)] * 3),
    spacing_mm=st.sampled_from(SPACINGS),
    seed=st.integers(0, 2**16),
    padding=st.tuples(*[st.tuples(st.integers(0, 9), st.integers(0, 9))] * 3),
    order=st.permutations(range(3)),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_features_do_not_depend_on_place_axis_order_or_padding(radii_mm, spacing_mm, seed, padding, order) -> None:
    mask = ellipsoid(radii_mm, spacing_mm, seed)
    here = shape_features(mask, spacing_mm)
    there = shape_features(np.pad(mask, padding).transpose(order), tuple(spacing_mm[axis] for axis in order))
    for name, value in here.as_dict().items():
        if name != "extent_mm":
            assert there.as_dict()[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_a_large_body_is_measured_on_a_coarser_grid_with_the_same_result() -> None:
    fine = shape_features(ellipsoid((52, 44, 40), (1.0, 1.0, 1.0)), (1.0, 1.0, 1.0))
    assert fine.axes_mm == pytest.approx((104, 88, 80), rel=0.01)
    assert fine.area_mm2 == pytest.approx(area_of((52, 44, 40)), rel=0.02)
    assert fine.diameter_mm == pytest.approx(104, abs=3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 1), (3, 4, 1), (2, 2, 2)])
def test_specks_of_a_few_voxels_have_finite_features(shape) -> None:
    features = shape_features(np.ones(shape, dtype=bool), (1.0, 1.0, 1.0))
    values = np.hstack([np.ravel(v) for v in features.as_dict().values()])
    assert np.isfinite(values).all()
    assert 0 < features.solidity <= 1
    assert 0 < features.sphericity <= 1


def test_an_empty_or_flat_array_is_refused() -> None:
    with pytest.raises(ValueError, match="mask is empty"):
        shape_features(np.zeros((3, 3, 3), dtype=bool), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="must have 3"):
        shape_features(np.ones((3, 3), dtype=bool), (1.0, 1.0, 1.0))
