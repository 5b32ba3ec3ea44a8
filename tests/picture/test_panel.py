import numpy as np
import pytest

from panlesion.ct.volume import standard_grid
from panlesion.picture.panel import Line, Panel
from panlesion.picture.planes import Plane, View, turn, whole
from panlesion.picture.window import Window

BLACK_TO_WHITE = Window(centre_hu=0, width_hu=100)


def a_panel(scale=2.0, **more):
    hu = np.full((50, 50, 50), -50, dtype=np.int16)
    turned = turn(hu, standard_grid(hu.shape, 1.0))
    view = whole(turned, Plane.AXIAL, (25.0, 25.0, 25.0))
    return Panel(image=turned, view=view, window=BLACK_TO_WHITE, px=200, px_per_mm=scale, letters=False, **more)


@pytest.mark.parametrize(("scale", "length_mm"), [(1.0, 50), (2.0, 20), (3.9, 10)])
def test_the_scale_bar_is_as_long_as_it_says(scale, length_mm):
    pixels = np.asarray(a_panel(scale).draw())
    bar = pixels[200 - 10]
    white = np.nonzero((bar > 200).all(axis=1))[0]
    assert white.max() - white.min() == pytest.approx(length_mm * scale, abs=1.5)


def test_a_view_smaller_than_the_panel_is_centred():
    panel = a_panel(2.0)
    box = turn(np.full((50, 50, 50), 50, dtype=np.int16), standard_grid((50, 50, 50), 1.0))
    pixels = np.asarray(Panel(image=box, view=panel.view, window=BLACK_TO_WHITE, px=200, px_per_mm=2.0, letters=False).draw())
    white = np.nonzero((pixels[100] > 250).all(axis=1))[0]
    assert (white.min(), white.max()) == (50, 149)


def test_the_frame_stands_around_what_is_enlarged():
    frame = View(plane=Plane.AXIAL, centre_mm=(35.0, 15.0, 25.0), width_mm=20.0, height_mm=20.0)
    plain, framed = (np.asarray(a_panel(4.0, frame=one).draw()).astype(int) for one in (None, frame))
    rows, columns = np.nonzero(np.abs(plain - framed).sum(axis=2))
    assert (columns.min(), columns.max()) == (100, 180)
    assert (rows.min(), rows.max()) == (20, 100)


def test_the_frame_of_a_coronal_view_counts_from_the_head():
    turned = turn(np.zeros((50, 50, 50), dtype=np.int16), standard_grid((50, 50, 50), 1.0))
    view = whole(turned, Plane.CORONAL, (25.0, 25.0, 25.0))
    frame = View(plane=Plane.CORONAL, centre_mm=(25.0, 25.0, 40.0), width_mm=10.0, height_mm=10.0)
    images = [
        np.asarray(Panel(image=turned, view=view, window=BLACK_TO_WHITE, px=200, px_per_mm=4.0, frame=one).draw()).astype(int)
        for one in (None, frame)
    ]
    rows, _ = np.nonzero(np.abs(images[0] - images[1]).sum(axis=2))
    assert (rows.min(), rows.max()) == pytest.approx((20, 60), abs=1)  # one pixel of shadow


def test_lines_take_their_colour():
    mask = np.zeros((50, 50, 50), dtype=bool)
    mask[20:30, 20:30, 20:30] = True
    line = Line(mask=turn(mask, standard_grid(mask.shape, 1.0)), colour=(255, 0, 0))
    pixels = np.asarray(a_panel(4.0, lines=[line]).draw())
    assert ((pixels[..., 0] > 100) & (pixels[..., 1] < 60)).sum() > 100


def test_letters_and_scale_bar_grow_together():
    small, large = (a_panel(2.0, text_px=px).draw() for px in (13, 26))
    white = [(np.asarray(image) > 200).all(axis=2) for image in (small, large)]
    assert white[1].sum() > 1.5 * white[0].sum()
    assert white[1][190 - 2 : 190 + 3, 180].all() and not white[0][190 - 2 : 190 + 3, 180].all()
