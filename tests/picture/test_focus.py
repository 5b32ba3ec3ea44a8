import numpy as np
import pytest

from panlesion.ct.volume import standard_grid
from panlesion.picture.focus import FewerLesionsError, focus_on, middle
from panlesion.picture.planes import Plane, turn


def two_boxes():
    mask = np.zeros((30, 20, 10), dtype=bool)
    mask[2:4, 2:4, 2:4] = True
    mask[10:20, 8:14, 4:8] = True
    return turn(mask, standard_grid(mask.shape, 2.0))


def test_the_largest_lesion_comes_first():
    first, second = focus_on(two_boxes()), focus_on(two_boxes(), 2)
    assert first is not None and second is not None
    assert first.centre_mm == (30.0, 22.0, 12.0)
    assert first.extent_mm == (20.0, 12.0, 8.0)
    assert second.centre_mm == (6.0, 6.0, 6.0)
    assert (first.of, second.number) == (2, 2)


def test_the_lesion_nearest_to_a_point_can_be_asked_for():
    near = focus_on(two_boxes(), near_mm=(0.0, 0.0, 0.0))
    assert near is not None
    assert near.centre_mm == (6.0, 6.0, 6.0)
    assert near.number == 2


def test_an_empty_mask_has_no_focus():
    assert focus_on(turn(np.zeros((4, 4, 4), dtype=bool), standard_grid((4, 4, 4), 1.0))) is None


@pytest.mark.parametrize("number", [0, 3])
def test_a_lesion_that_is_not_there_is_refused(number):
    with pytest.raises(FewerLesionsError, match="holds 2"):
        focus_on(two_boxes(), number)


def test_slices_through_a_ring_hit_the_ring():
    x, y = np.meshgrid(np.arange(30), np.arange(30), indexing="ij")
    ring = (np.abs(np.hypot(x - 15, y - 15) - 10) < 2)[..., None] & np.ones(9, dtype=bool)
    focus = focus_on(turn(ring, standard_grid(ring.shape, 1.0)))
    assert focus is not None
    i, j, k = (int(mm) for mm in focus.slices_mm)
    assert ring[i].any() and ring[:, j].any() and ring[:, :, k].any()
    view = focus.view(Plane.CORONAL, 40.0, 40.0)
    assert view.centre_mm[0] == pytest.approx(15.5)
    assert view.centre_mm[1] == focus.slices_mm[1]


def test_without_a_lesion_one_looks_at_the_middle():
    assert middle(two_boxes()).centre_mm == (30.0, 20.0, 10.0)
