import numpy as np
import pytest

from panlesion.aid.reads.measurements import MeasurementError, measured
from panlesion.aid.schemas.reading import MeasurementIn
from panlesion.ct.volume import Grid, Volume

STRAIGHT = np.eye(3)
TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])


def grid_of(turn=STRAIGHT, spacing=(1.0, 1.5, 3.0)):
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing)
    affine[:3, 3] = (-20, 10, 100)
    return Grid(shape=(40, 30, 12), affine=affine)


def scan_of(grid):
    i, j, k = np.indices(grid.shape)
    return Volume(hu=(i + 100 * j + 1000 * k).astype(np.int16), grid=grid)


def measure(kind, points, grid=None):
    grid = grid or grid_of()
    return measured(MeasurementIn(kind=kind, points_xyz=points), grid, lambda: scan_of(grid)).values


def test_a_length_is_the_distance_of_its_ends():
    assert measure("length", [(0, 0, 100), (2, 3, 106)]) == {"length_mm": 7.0}


def test_the_longer_line_is_the_long_axis_whichever_was_drawn_first():
    long, short = [(0, 0, 100), (20, 0, 100)], [(9, -4, 100), (9, 4, 100)]
    assert measure("bidirectional", long + short) == measure("bidirectional", short + long) == {"long_mm": 20, "short_mm": 8}


@pytest.mark.parametrize(("degrees", "fits"), [(76, True), (104, True), (74, False), (106, False), (0, False)])
def test_lines_of_a_bidirectional_measurement_are_nearly_at_right_angles(degrees, fits):
    turn = np.radians(degrees)
    points = [(0, 0, 100), (20, 0, 100), (0, 0, 100), (8 * np.cos(turn), 8 * np.sin(turn), 100)]
    if fits:
        assert measure("bidirectional", points)["short_mm"] == pytest.approx(8)
    else:
        with pytest.raises(MeasurementError, match="right angle"):
            measure("bidirectional", points)


@pytest.mark.parametrize("turn", [STRAIGHT, TURN])
@pytest.mark.parametrize("across", [0, 1, 2])
def test_an_outline_in_a_voxel_plane_has_the_voxels_whose_centres_it_holds(turn, across):
    grid = grid_of(turn)
    others = [axis for axis in range(3) if axis != across]
    corners = np.zeros((4, 3))
    corners[:, across] = 5
    corners[:, others] = [(2.5, 3.5), (7.5, 3.5), (7.5, 9.5), (2.5, 9.5)]
    values = measure("roi", [tuple(one) for one in grid.to_xyz(corners).tolist()], grid)
    inside = [slice(None)] * 3
    inside[across], inside[others[0]], inside[others[1]] = slice(5, 6), slice(3, 8), slice(4, 10)
    hu = scan_of(grid).hu[tuple(inside)]
    assert hu.size == 30
    assert values["area_mm2"] == pytest.approx(30 * grid.spacing_mm[others[0]] * grid.spacing_mm[others[1]])
    assert values["mean_hu"] == pytest.approx(hu.mean()) and values["sd_hu"] == pytest.approx(hu.std())
    assert (values["min_hu"], values["max_hu"]) == (hu.min(), hu.max())


def test_an_outline_between_planes_takes_the_nearest_one_and_a_tiny_one_takes_its_voxel():
    grid = grid_of()
    corners = np.array([(2.5, 3.5, 4.4), (7.5, 3.5, 4.4), (7.5, 9.5, 4.4), (2.5, 9.5, 4.4)])
    assert measure("roi", [tuple(one) for one in grid.to_xyz(corners).tolist()])["min_hu"] == 3 + 400 + 4000
    tiny = np.array([(2.1, 3.1, 4), (2.3, 3.1, 4), (2.2, 3.3, 4)])
    values = measure("roi", [tuple(one) for one in grid.to_xyz(tiny).tolist()])
    assert values["min_hu"] == values["max_hu"] == 2 + 300 + 4000 and values["sd_hu"] == 0


def test_an_oblique_outline_follows_its_own_plane():
    grid = grid_of(spacing=(1.0, 1.0, 1.0))
    corners = np.array([(2.5, 3.5, 2), (8.5, 3.5, 5), (8.5, 9.5, 5), (2.5, 9.5, 2)])
    values = measure("roi", [tuple(one) for one in grid.to_xyz(corners).tolist()], grid)
    assert values["area_mm2"] == pytest.approx(6 * np.hypot(6, 3))
    i, j = np.mgrid[3:9, 4:10]
    k = np.rint(2 + (i - 2.5) / 2).astype(int)
    assert values["mean_hu"] == pytest.approx(scan_of(grid).hu[i, j, k].mean(), abs=400)
    assert values["max_hu"] >= 5000


@pytest.mark.parametrize(
    ("kind", "points", "says"),
    [
        ("length", [(0, 0, 0), (float("nan"), 0, 0)], "not finite"),
        ("length", [(0, 0, 0), (float("inf"), 0, 0)], "not finite"),
        ("length", [(0, 0, 0), (0, 0, 9000)], "at most 2000"),
        ("length", [(0, 0, 0), (1, 0, 0), (2, 0, 0)], "3 points"),
        ("length", [(1, 2, 3), (1, 2, 3)], "one point"),
        ("bidirectional", [(0, 0, 0), (1, 0, 0)], "2 points"),
        ("roi", [(0, 0, 100), (5, 0, 100)], "at least three"),
        ("roi", [(0, 0, 100), (5, 0, 100), (10, 0, 100)], "no area"),
        ("roi", [(0, 0, 100), (9, 0, 100), (9, 9, 120), (0, 9, 100)], "from one plane"),
        ("roi", [(500, 500, 100), (509, 500, 100), (509, 509, 100)], "outside the scan"),
    ],
)
def test_points_that_make_no_such_figure_are_refused(kind, points, says):
    with pytest.raises(MeasurementError, match=says):
        measure(kind, points)
