"""Properties of drawn sizes."""

import numpy as np
import pytest

from panlesion.lesion.priors.size import SIZES, draw_size
from panlesion.lesion.priors.size_tables import LEVELS, PARAMETERS, TABLES
from panlesion.lesion.taxonomy import LesionType


@pytest.mark.parametrize("type", LesionType)
def test_every_type_has_a_prior_with_a_source_and_valid_sizes(type) -> None:
    assert SIZES[type].source
    rng = np.random.default_rng(0)
    for _ in range(30):
        size = draw_size(type, rng)
        assert 1.0 <= size.diameter_mm <= 300.0
        assert size.ratios[0] == 1.0
        assert 0.05 < size.ratios[2] <= size.ratios[1] <= 1.0
        assert 0.0 < size.roughness < 0.6
        assert 0.0 < size.wavelength_radii[0] < size.wavelength_radii[1]
        assert 0.0 <= size.bend <= 1.0


@pytest.mark.parametrize("type", LesionType)
@pytest.mark.parametrize("wanted", [(4.0, 6.0), (24.0, 26.0), (25.0, 25.0), (250.0, 260.0)])
def test_a_wanted_diameter_is_kept_even_beyond_the_prior(type, wanted) -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        assert wanted[0] - 0.01 <= draw_size(type, rng, diameter_mm=wanted).diameter_mm <= wanted[1] + 0.01


def test_the_same_generator_draws_the_same_size() -> None:
    a, b = (draw_size(LesionType.LIVER_TUMOR, np.random.default_rng(7)) for _ in range(2))
    assert a == b


@pytest.mark.parametrize("wanted", [(0.0, 5.0), (-1.0, 5.0), (10.0, 5.0)])
def test_an_impossible_range_is_refused(wanted) -> None:
    with pytest.raises(ValueError, match="diameter_mm is"):
        draw_size(LesionType.KIDNEY_CYST, np.random.default_rng(0), diameter_mm=wanted)


@pytest.mark.parametrize("type", [LesionType.KIDNEY_TUMOR, LesionType.BONE_METASTASIS, LesionType.GALLSTONE])
def test_drawn_diameters_follow_their_knots(type) -> None:
    rng = np.random.default_rng(2)
    drawn = np.array([draw_size(type, rng).diameter_mm for _ in range(500)])
    prior = SIZES[type]
    middle = TABLES[prior.family].knots[0][LEVELS.index(0.5)] if prior.diameter_mm is None else prior.diameter_mm[2]
    assert np.median(drawn) == pytest.approx(middle, rel=0.15)


def test_a_range_keeps_the_shapes_of_that_size() -> None:
    """The mean roughness of small lesions drawn by range equals that of small lesions drawn freely."""
    rng = np.random.default_rng(3)
    free = [draw_size(LesionType.LIVER_TUMOR, rng) for _ in range(2000)]
    small = [size.roughness for size in free if 10 <= size.diameter_mm <= 14]
    asked = [draw_size(LesionType.LIVER_TUMOR, rng, diameter_mm=(10, 14)).roughness for _ in range(400)]
    assert np.median(asked) == pytest.approx(np.median(small), rel=0.2)


@pytest.mark.parametrize("family", TABLES)
def test_tables_are_monotonous_and_their_correlations_valid(family) -> None:
    table = TABLES[family]
    assert len(table.knots) == len(table.correlation) == len(PARAMETERS)
    for row in table.knots:
        assert len(row) == len(LEVELS)
        assert (np.diff(row) >= 0).all()
    correlation = np.asarray(table.correlation)
    assert np.allclose(correlation, correlation.T)
    assert np.allclose(np.diag(correlation), 1.0)
    assert np.linalg.eigvalsh(correlation).min() > 0
