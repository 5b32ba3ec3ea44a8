import numpy as np
import pytest
from scipy import ndimage

from panlesion.data.sources._polygons import even_odd, points_on
from panlesion.data.standins._loops import borders, loops


def blobs(seed, smooth):
    mask = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(24, 30)), smooth) > 0.02
    mask[[0, -1]] = mask[:, [0, -1]] = False
    return mask


@pytest.mark.parametrize("smooth", [0, 1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_loops_enclose_the_mask_and_nothing_else(seed, smooth):
    mask = blobs(seed, smooth)
    assert np.array_equal(even_odd(loops(mask), mask.shape), mask)


@pytest.mark.parametrize("seed", range(8))
def test_pixels_strictly_within_the_borders_are_the_mask(seed):
    mask = blobs(seed, 2)
    inside = np.zeros_like(mask)
    for outer, pixels in sorted(borders(mask), key=lambda border: not border[0]):
        area = even_odd([np.array(pixels, dtype=float)], mask.shape)
        on = points_on(pixels)
        area[on[:, 0], on[:, 1]] = False
        inside = inside | area if outer else inside & ~area
    assert np.array_equal(inside, mask)


def test_a_ring_has_an_outer_and_an_inner_border():
    mask = np.zeros((9, 9), dtype=bool)
    mask[2:7, 2:7] = True
    mask[4, 4] = False
    (outer, around), (inner, within) = sorted(borders(mask), reverse=True)
    assert (outer, inner) == (True, False)
    assert not any(mask[pixel] for pixel in around)
    assert set(within) == {(3, 4), (5, 4), (4, 3), (4, 5)}
