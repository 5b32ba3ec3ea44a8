import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from surface_distance import compute_dice_coefficient

from panlesion.measure.overlap import dice

MASKS = arrays(bool, (4, 5, 3), elements=st.booleans())


@given(MASKS, MASKS)
def test_dice_is_symmetric_and_agrees_with_another_implementation(a, b):
    assert dice(a, b) == dice(b, a)
    if a.any() or b.any():
        assert dice(a, b) == pytest.approx(compute_dice_coefficient(a, b))


def test_nothing_found_where_nothing_is_counts_as_right():
    empty = np.zeros((3, 3, 3), dtype=bool)
    assert dice(empty, empty) == 1
    assert dice(empty, ~empty) == 0
