"""The intensity map: its knots, its clipping, its inverse."""

import numpy as np
import pytest

from panlesion.ct.intensity import to_hu, to_network


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
def test_knots_map_onto_knots(dtype):
    hu = np.array([-1000, -200, 200, 1000], dtype=dtype)
    np.testing.assert_allclose(to_network(hu), [0, 0.2, 0.9, 1], atol=1e-6)


def test_inverse_gives_the_hu_back_between_the_outer_knots():
    hu = np.arange(-1000, 1001, dtype=np.int16).reshape(3, 23, 29)
    np.testing.assert_allclose(to_hu(to_network(hu)), hu, atol=1e-3)


def test_values_beyond_the_outer_knots_are_clipped():
    np.testing.assert_array_equal(to_network(np.array([-32768, -1024, 1001, 32767], dtype=np.int16)), [0, 0, 1, 1])


def test_integer_and_float_input_agree_on_every_int16():
    hu = np.arange(-32768, 32768).astype(np.int16)
    np.testing.assert_array_equal(to_network(hu), to_network(hu.astype(np.float64)))
    assert to_network(hu).dtype == np.float32
