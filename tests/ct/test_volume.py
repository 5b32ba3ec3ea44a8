from itertools import permutations, product

import numpy as np
import pytest

from panlesion.ct.volume import Grid, LabelMap

AFFINE = np.array([[-0.8, 0, 0, 10], [0, 0.9, 0, -7], [0, 0, 2.5, 40], [0, 0, 0, 1.0]])
GRID = Grid(shape=(5, 6, 7), affine=AFFINE)


def turned(grid, order, flips):
    """The same voxels with axes in another order and direction."""
    affine, start = np.eye(4), np.zeros(3)
    for axis, (source, flip) in enumerate(zip(order, flips, strict=True)):
        affine[:3, axis] = grid.affine[:3, source] * (-1 if flip else 1)
        start[source] = grid.shape[source] - 1 if flip else 0
    affine[:3, 3] = grid.to_xyz(start)
    return Grid(shape=tuple(grid.shape[source] for source in order), affine=affine)


@pytest.mark.parametrize(("order", "flips"), list(product(permutations(range(3)), product((False, True), repeat=3))))
def test_a_turned_copy_lies_nowhere_else(order, flips):
    copy = turned(GRID, order, flips)
    assert copy.apart_mm(GRID) == pytest.approx(0, abs=1e-9)
    assert GRID.same_as(copy) == (order == (0, 1, 2) and not any(flips))


@pytest.mark.parametrize("axis", range(3))
def test_a_shift_lies_its_length_apart_both_ways(axis):
    affine = AFFINE.copy()
    affine[axis, 3] += 0.3
    other = Grid(shape=GRID.shape, affine=affine)
    assert GRID.apart_mm(other) == other.apart_mm(GRID) == pytest.approx(0.3)


def test_a_grid_that_ends_elsewhere_is_apart():
    longer = Grid(shape=(5, 6, 8), affine=AFFINE)
    assert GRID.apart_mm(longer) == longer.apart_mm(GRID) == pytest.approx(2.5)


def test_values_are_those_that_occur_without_background():
    labels = np.zeros((5, 6, 7), dtype=np.uint8)
    assert LabelMap(labels=labels, grid=GRID).values == frozenset()
    labels[0, 0, 0], labels[4, 5, 6], labels[2] = 255, 1, 7
    assert LabelMap(labels=labels, grid=GRID).values == {1, 7, 255}
