import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from panlesion.ct.volume import Box

SIDE = 12
edges = st.tuples(st.integers(0, SIDE - 1), st.integers(1, SIDE)).map(lambda e: (min(e), max(*e, min(e) + 1)))
boxes = st.tuples(edges, edges, edges).map(lambda e: Box(start=tuple(a for a, _ in e), stop=tuple(b for _, b in e)))


def painted(box):
    mask = np.zeros((SIDE,) * 3, dtype=bool)
    mask[box.slices] = True
    return mask


@given(boxes, boxes)
def test_what_two_boxes_share_is_the_same_voxels_in_both(a, b):
    whole = np.arange(SIDE**3).reshape((SIDE,) * 3)
    here, there = a.shared(b)
    assert np.array_equal(whole[a.slices][here], whole[b.slices][there])
    assert sorted(whole[a.slices][here].ravel()) == np.flatnonzero(painted(a) & painted(b)).tolist()


@given(boxes, boxes)
def test_joined_is_the_tightest_box_around_both(a, b):
    assert a.joined(b) == Box.of(painted(a) | painted(b)) == b.joined(a)


def test_a_cube_has_its_middle_at_half_its_side_and_may_leave_the_grid():
    box = Box.cube((1, 15, 29), 10)
    assert box.start == (-4, 10, 24)
    assert box.shape == (10, 10, 10)
