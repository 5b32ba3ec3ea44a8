import numpy as np
import pytest

from panlesion.ct.volume import Grid, standard_grid
from panlesion.phantom.anatomy.canvas import Canvas
from panlesion.phantom.anatomy.lattice import Field, Lattice
from panlesion.phantom.tissue import Tissue

GRID = standard_grid((60, 60, 60), 1.0, (30.0, 30.0, -30.0))


def ball(radius_mm: float, step_mm: float = 2.0) -> Field:
    lattice = Lattice.covering(np.zeros((1, 3)), radius_mm + 6, step_mm)
    i, j, k = lattice.axes_lps_mm()
    distance = np.sqrt((i**2)[:, None, None] + (j**2)[:, None] + k**2) - radius_mm
    return Field(lattice=lattice, values=distance.astype(np.float32))


def test_layers_have_their_volumes():
    canvas = Canvas(GRID)
    canvas.paint(ball(20.0), [(0.0, Tissue.GUT_WALL), (-4.0, Tissue.GUT_FLUID)], 6)
    outer, inner = (canvas.organs == 6).sum(), (canvas.tissues == Tissue.GUT_FLUID).sum()
    assert outer == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.02)
    assert inner == pytest.approx(4 / 3 * np.pi * 16**3, rel=0.02)


def test_paint_keeps_to_what_it_may_cover():
    canvas = Canvas(GRID)
    canvas.paint(ball(20.0), [(0.0, Tissue.FAT)])
    canvas.paint(ball(10.0), [(0.0, Tissue.MUSCLE)])
    canvas.paint(ball(18.0), [(0.0, Tissue.LIVER)], 5, over=(Tissue.FAT,))
    assert canvas.tissues[30, 30, 30] == Tissue.MUSCLE
    assert canvas.tissues[30, 30, 44] == Tissue.LIVER
    assert ((canvas.tissues == Tissue.LIVER) == (canvas.organs == 5)).all()


def test_within_is_an_intersection():
    canvas = Canvas(GRID)
    canvas.paint(ball(20.0), [(0.0, Tissue.FAT)], within=[(ball(12.0), -2.0)])
    assert (canvas.tissues == Tissue.FAT).sum() == pytest.approx(4 / 3 * np.pi * 10**3, rel=0.03)


def test_a_capsule_has_its_volume_and_stays_on_the_grid():
    canvas = Canvas(GRID)
    ends = np.array([[[0.0, 0.0, -15.0], [0.0, 0.0, 15.0]], [[500.0, 0.0, 0.0], [510.0, 0.0, 0.0]]])
    canvas.paint_capsules(ends, np.full((2, 2), 5.3), Tissue.ARTERIAL_BLOOD, 7)
    assert (canvas.organs == 7).sum() == pytest.approx(np.pi * 5.3**2 * 30 + 4 / 3 * np.pi * 5.3**3, rel=0.04)


def test_other_axes_are_refused():
    with pytest.raises(ValueError, match="L,P,S"):
        Canvas(Grid(shape=(3, 3, 3), affine=np.diag([1.0, 1.0, 1.0, 1.0])))
