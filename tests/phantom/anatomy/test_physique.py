import numpy as np
import pytest

from panlesion.phantom.anatomy.lattice import Lattice
from panlesion.phantom.anatomy.physique import Frame, draw_physique


def frame(seed: int = 0) -> Frame:
    return Frame(draw_physique(np.random.default_rng(seed), None, None, None))


@pytest.mark.parametrize("seed", range(5))
def test_coordinates_undo_the_pose(seed):
    posed = frame(seed)
    lattice = Lattice.covering(np.array([[-30.0, -20.0, -40.0], [30.0, 20.0, 40.0]]), 0.0, 10.0)
    i, j, k = np.meshgrid(*lattice.axes_lps_mm(), indexing="ij")
    body = np.stack(posed.coordinates(lattice), axis=-1).astype(np.float64)
    # The bend is evaluated along one edge of the lattice, which is exact to a tenth of a millimetre.
    np.testing.assert_allclose(posed.to_world(body), np.stack([-i, -j, k], axis=-1), atol=0.15)


def test_women_are_shorter_and_fatter_at_the_same_bmi():
    women = [draw_physique(np.random.default_rng(s), "female", 50.0, 26.0) for s in range(60)]
    men = [draw_physique(np.random.default_rng(s), "male", 50.0, 26.0) for s in range(60)]
    assert np.mean([w.height_cm for w in women]) < np.mean([m.height_cm for m in men]) - 8
    assert np.mean([w.belly_fat_mm for w in women]) > np.mean([m.belly_fat_mm for m in men])


def test_breath_moves_the_dome_and_not_the_pelvis():
    posed = frame(2)
    points = np.array([[60.0, 30.0, 95.0], [0.0, 40.0, -230.0]])
    moved = posed.breathed(points)[:, 2] - posed.place(points)[:, 2]
    assert moved[0] == pytest.approx(0.85 * posed.diaphragm_shift_mm * posed.physique.length, rel=1e-6)
    assert moved[1] == pytest.approx(0.0)


def test_the_front_of_the_belly_moves_with_visceral_fat_and_the_spine_does_not():
    thin, thick = (Frame(draw_physique(np.random.default_rng(4), "male", 50.0, bmi)) for bmi in (19.0, 36.0))
    assert thick.place((0.0, 100.0, -60.0))[1] > thin.place((0.0, 100.0, -60.0))[1] + 10
    assert abs(thick.spine_y(-60.0) - thin.spine_y(-60.0)) < 3
