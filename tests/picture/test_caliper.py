import numpy as np
import pytest
from PIL import Image

from panlesion.ct.volume import standard_grid
from panlesion.picture.caliper import CALIPER_COLOUR, draw_caliper, pixel
from panlesion.picture.planes import Plane, View, cut, turn

PX, SIDE_MM = 240, 60.0
GREY = (90, 90, 90)


def view(plane=Plane.AXIAL):
    return View(plane=plane, centre_mm=(50.0, 40.0, 30.0), width_mm=SIDE_MM, height_mm=SIDE_MM)


def drawn(ends, plane=Plane.AXIAL, **more):
    picture = Image.new("RGB", (PX, PX), GREY)
    return np.asarray(draw_caliper(picture, view(plane), PX / SIDE_MM, ends, **more)).astype(int)


def blue(pixels):
    """Rows and columns, in pixel edges, of the middles of the caliper's pixels."""
    rows, columns = np.nonzero(np.abs(pixels - CALIPER_COLOUR).sum(axis=2) < 90)
    return rows + 0.5, columns + 0.5


@pytest.mark.parametrize("plane", Plane)
def test_a_point_lies_where_the_cut_shows_it(plane):
    array = np.zeros((100, 80, 60), dtype=np.float32)
    point = [53, 45, 21]
    array[tuple(point)] = 1
    image = cut(turn(array, standard_grid(array.shape, 1.0)), view_at(plane, point), 4.0, fill=0, smooth=False)
    rows, columns = np.indices(image.shape) + 0.5
    found = (columns * image).sum() / image.sum(), (rows * image).sum() / image.sum()
    assert found == pytest.approx(pixel(tuple(v + 0.5 for v in point), view_at(plane, point), 4.0), abs=0.01)


def view_at(plane, point):
    """The view moved into the depth of a point."""
    centre = list(view(plane).centre_mm)
    centre[plane.axes[2]] = point[plane.axes[2]] + 0.5
    return View(plane=plane, centre_mm=tuple(centre), width_mm=SIDE_MM, height_mm=SIDE_MM)


@pytest.mark.parametrize("ends", [((40.0, 40.0, 30.0), (62.0, 40.0, 30.0)), ((50.0, 25.0, 30.0), (50.0, 51.5, 30.0))])
def test_a_caliper_is_as_long_as_it_says_and_stands_where_it_says(ends):
    rows, columns = blue(drawn(ends))
    (ax, ay), (bx, by) = (pixel(end, view(), PX / SIDE_MM) for end in ends)
    horizontal = ay == by
    along = columns if horizontal else rows
    low, high = sorted((ax, bx) if horizontal else (ay, by))
    # the bars stand on the ends, half a line on either side
    assert (along.min(), along.max()) == pytest.approx((low, high), abs=1.0)


def test_a_slanted_caliper_has_the_length_of_its_ends():
    ends = ((35.0, 30.0, 30.0), (65.0, 52.0, 30.0))
    rows, columns = blue(drawn(ends))
    a, b = (np.array(pixel(end, view(), PX / SIDE_MM)) for end in ends)
    along = (np.stack([columns, rows], axis=-1) - a) @ ((b - a) / np.linalg.norm(b - a))
    assert along.max() - along.min() == pytest.approx(np.linalg.norm(b - a), abs=2.0)


def test_a_caliper_without_length_is_a_cross_at_its_place():
    rows, columns = blue(drawn(((50.0, 40.0, 30.0),) * 2, width_px=3.0))
    assert (rows.mean(), columns.mean()) == pytest.approx((PX / 2, PX / 2), abs=0.6)
    assert np.ptp(rows) > 6 and np.ptp(columns) > 6


def test_the_rest_of_the_picture_stays():
    pixels = drawn(((45.0, 40.0, 30.0), (55.0, 40.0, 30.0)))
    assert (pixels[: PX // 2 - 20] == GREY).all() and (pixels[:, : PX // 4] == GREY).all()


def test_ends_outside_the_picture_are_no_error():
    assert drawn(((-400.0, 40.0, 30.0), (900.0, 40.0, 30.0))).shape == (PX, PX, 3)
