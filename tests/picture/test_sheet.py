import numpy as np
import pytest

from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.picture.contour import LESION_COLOUR
from panlesion.picture.sheet import Words, case_sheet, case_tile, host_sheet, scene_of
from panlesion.picture.window import WINDOWS, Window

WIDE = Window(centre_hu=0, width_hu=2000)
TOP, LEFT, PX, GAP = 100, 24, 320, 6


def a_case(shape=(60, 50, 40), at=(40, 20, 18)):
    """A ball of 100 HU in a block of 0 HU; its centre lies left of the middle."""
    grid = standard_grid(shape, 2.0)
    ijk = np.stack(np.indices(shape), -1)
    lesion = np.linalg.norm(ijk - np.asarray(at), axis=-1) < 5
    label = np.zeros(shape, dtype=np.uint8)
    label[10:50, 10:40, 5:35] = 1
    healthy = np.zeros(shape, dtype=np.int16)
    image = healthy.copy()
    image[lesion] = 400
    label[lesion] = 2
    return Volume(hu=image, grid=grid), LabelMap(labels=label, grid=grid), Volume(hu=healthy, grid=grid)


def panel(sheet, row, column):
    pixels = np.asarray(sheet)
    y, x = TOP + row * (PX + GAP), LEFT + column * (PX + GAP)
    return pixels[y : y + PX, x : x + PX].astype(int)


def test_only_the_synthetic_panels_show_the_lesion():
    image, label, healthy = a_case()
    sheet = case_sheet(image, label, window=WIDE, healthy=healthy)
    for row in range(3):
        middle = slice(PX // 2 - 15, PX // 2 + 15)
        assert panel(sheet, row, 3)[middle, middle].mean() > panel(sheet, row, 2)[middle, middle].mean() + 30


def test_a_lesion_on_the_patients_left_is_on_the_right_of_the_picture():
    image, label, healthy = a_case()
    overview = panel(case_sheet(image, label, window=WIDE, healthy=healthy), 0, 1)
    difference = np.abs(overview - panel(case_sheet(healthy, label, window=WIDE, healthy=healthy), 0, 1)).sum(axis=2)
    columns = np.nonzero(difference.sum(axis=0))[0]
    # 40 of 60 voxels from the right, the long axis fills the panel
    assert columns.mean() / PX == pytest.approx(40.5 / 60, abs=0.02)


def test_only_the_last_column_is_outlined():
    image, label, healthy = a_case()
    sheet = case_sheet(image, label, window=WIDE, healthy=healthy)
    orange = [np.abs(panel(sheet, 0, column) - LESION_COLOUR).sum(axis=2) < 40 for column in range(5)]
    assert [bool(found.any()) for found in orange] == [False, False, False, False, True]


def test_the_outline_lies_around_the_middle_of_the_close_up():
    image, label, healthy = a_case()
    close = panel(case_sheet(image, label, window=WIDE, healthy=healthy), 0, 4)
    rows, columns = np.nonzero(np.abs(close - LESION_COLOUR).sum(axis=2) < 40)
    assert rows.mean() == pytest.approx(PX / 2, abs=4)
    assert columns.mean() == pytest.approx(PX / 2, abs=4)
    # 50 mm are shown; the ball reaches 5 voxels of 2 mm to every side
    assert columns.max() - columns.min() == pytest.approx(2 * 4.5 * 2 * PX / 50, abs=PX / 20)


def test_without_a_healthy_ct_the_sheet_is_two_columns_narrower():
    image, label, healthy = a_case()
    with_healthy = case_sheet(image, label, window=WIDE, healthy=healthy)
    assert case_sheet(image, label, window=WIDE).width == with_healthy.width - 2 * (PX + GAP)


def test_a_long_report_makes_the_sheet_taller_and_loses_no_line():
    image, label, _ = a_case()
    lines = [(f"field {n}", "a value of several words " * 4) for n in range(20)]
    assert case_sheet(image, label, window=WIDE, words=Words(lines=lines)).height > TOP + 20 * 70


def test_the_number_of_lesions_is_told_where_there_are_several():
    image, label, _ = a_case()
    two = label.labels.copy()
    two[12:14, 12:14, 8:10] = 2
    label = LabelMap(labels=two, grid=label.grid)
    first, second = (case_sheet(image, label, window=WIDE, lesion_number=n) for n in (1, 2))
    assert (np.asarray(first) != np.asarray(second)).any()
    assert scene_of(image, label, window=WIDE, lesion_number=2).focus.of == 2


def test_arrays_of_another_grid_are_refused():
    image, label, _ = a_case()
    _, other, healthy = a_case(shape=(50, 50, 40))
    with pytest.raises(ValueError, match="label has grid"):
        case_sheet(image, other, window=WIDE)
    with pytest.raises(ValueError, match="healthy has grid"):
        case_sheet(image, label, window=WIDE, healthy=healthy)


def test_a_case_without_a_lesion_shows_the_middle():
    image, label, _ = a_case()
    empty = LabelMap(labels=np.zeros_like(label.labels), grid=label.grid)
    assert case_sheet(image, empty, window=WIDE).height == TOP + 3 * (PX + GAP) - GAP + 24


def test_a_host_is_drawn_twice_where_organs_are_known():
    image, label, _ = a_case()
    liver = LabelMap(labels=np.where(label.labels > 0, 5, 0).astype(np.uint8), grid=label.grid)
    alone, outlined = host_sheet(image, None, window=WINDOWS["soft"]), host_sheet(image, liver, window=WINDOWS["soft"])
    assert outlined.width == alone.width
    assert outlined.height > 1.7 * alone.height


def test_a_tile_is_square_and_keeps_its_size_without_a_healthy_ct():
    image, label, healthy = a_case()
    assert case_tile(image, label, window=WIDE).size == case_tile(image, label, window=WIDE, healthy=healthy).size == (514, 514)
