import io
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from report_scans_made import made_scan, on_grid, record_of

from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.infer.report_pictures import LARGE_PX, Scan, finding_pictures, overview_pictures, window_of
from panlesion.picture.caliper import CALIPER_COLOUR
from panlesion.picture.contour import LESION_COLOUR
from panlesion.picture.window import WINDOWS

LESION_SIDE_MM = 60.0  # a ball of 22 mm is shown on 60 mm


def pixels(picture):
    with Image.open(io.BytesIO(picture.jpeg)) as image:
        assert image.size == (picture.px, picture.px)
        return np.asarray(image.convert("RGB")).astype(int)


def of_colour(picture, colour, apart=110):
    return np.nonzero(np.abs(pixels(picture) - colour).sum(axis=2) < apart)


def pictures(number=1, axes="LPS", spacing_mm=(2.0, 2.0, 3.0), record=None):
    ct, labels = made_scan(axes, spacing_mm)
    return finding_pictures(Scan.of(ct, labels), record or record_of(labels, number, type="kidney_stone"))


def test_there_are_five_pictures_and_each_says_what_it_shows():
    five = pictures()
    assert len(five) == 5 and five[0].px == LARGE_PX
    assert all(one.alt.startswith("Finding 1: ") and one.alt.endswith(".") and one.caption for one in five)
    assert "calipers of 21 × 21 mm" in five[0].alt
    assert five[0].caption == "Axial, z 52 mm (slice index 17), window 250/1100 HU"


def test_the_calipers_end_where_the_record_says():
    record = record_of(made_scan()[1], 1, type="kidney_stone")
    rows, columns = of_colour(pictures()[0], CALIPER_COLOUR)
    found = np.stack([columns, rows], axis=-1) + 0.5
    px_per_mm = LARGE_PX / LESION_SIDE_MM
    box_centre = np.array([60.0, 70.0])  # of the ball, in L and P
    for line in (record.long, record.short):
        ends = np.array(line.ends_xyz)[:, :2] * (-1, -1)  # RAS to LP
        a, b = (ends - box_centre + LESION_SIDE_MM / 2) * px_per_mm
        for end in (a, b):
            assert np.linalg.norm(found - end, axis=1).min() < 3
        unit = (b - a) / np.linalg.norm(b - a)
        beside = np.abs((found - a) @ np.array([-unit[1], unit[0]])) < 3
        along = ((found - a) @ unit)[beside]
        drawn_mm = (along.max() - along.min()) / px_per_mm
        assert drawn_mm == pytest.approx(line.length_mm, abs=0.6)


def test_only_marked_pictures_are_marked():
    marked, plain, overview, coronal, sagittal = pictures()
    assert all(of_colour(one, LESION_COLOUR)[0].size for one in (marked, overview, coronal, sagittal))
    assert not of_colour(plain, LESION_COLOUR)[0].size and not of_colour(plain, CALIPER_COLOUR)[0].size
    assert not of_colour(coronal, CALIPER_COLOUR)[0].size


def test_the_outline_stands_around_the_lesion():
    rows, columns = of_colour(pictures()[0], LESION_COLOUR)
    px_per_mm = LARGE_PX / LESION_SIDE_MM
    for across in (rows, columns):
        assert np.ptp(across) / px_per_mm == pytest.approx(22.0, abs=2.5)
        assert (across.min() + across.max()) / 2 == pytest.approx(LARGE_PX / 2, abs=6)


@pytest.mark.parametrize("axes", ["RAS", "LAI", "PSL", "SAR", "IRP"])
@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0, 3.0), (1.5, 2.5, 6.0)])
def test_the_same_body_gives_the_same_pictures_whatever_its_axes(axes, spacing_mm):
    ct, labels = made_scan("LPS", spacing_mm)
    turned_ct, turned_labels = made_scan(axes, spacing_mm)
    record = record_of(labels, 2)
    other = replace(record, long=on_grid(record.long, turned_ct.grid), short=on_grid(record.short, turned_ct.grid))
    mine = finding_pictures(Scan.of(ct, labels), record)
    others = finding_pictures(Scan.of(turned_ct, turned_labels), other)
    assert [one.jpeg for one in mine] == [one.jpeg for one in others]
    assert [one.jpeg for one in overview_pictures(Scan.of(ct, labels))] == [
        one.jpeg for one in overview_pictures(Scan.of(turned_ct, turned_labels))
    ]


def test_thick_slices_do_not_squeeze_the_lesion():
    for one in pictures(spacing_mm=(1.0, 2.0, 4.0))[3:]:
        rows, columns = of_colour(one, LESION_COLOUR)
        px_per_mm = one.px / LESION_SIDE_MM
        assert np.ptp(rows) / px_per_mm == pytest.approx(22.0, abs=4.0)
        assert np.ptp(columns) / px_per_mm == pytest.approx(22.0, abs=2.5)


def test_the_patients_left_is_on_the_right():
    ct, labels = made_scan()
    scan = Scan.of(ct, labels)
    columns = [of_colour(finding_pictures(scan, record_of(labels, n))[2], LESION_COLOUR)[1].mean() for n in (1, 2)]
    px = finding_pictures(scan, record_of(labels, 1))[2].px
    assert columns[0] / px == pytest.approx(60 / 192, abs=0.02)
    assert columns[1] / px == pytest.approx(130 / 192, abs=0.02)


def test_a_finding_that_the_mask_does_not_hold_is_shown_without_outline():
    ct, labels = made_scan()
    record = record_of(labels, 1)
    empty = LabelMap(labels=np.zeros_like(labels.labels), grid=labels.grid)
    marked = finding_pictures(Scan.of(ct, empty), record)[0]
    assert of_colour(marked, CALIPER_COLOUR)[0].size and not of_colour(marked, LESION_COLOUR)[0].size


def test_a_finding_at_the_edge_of_the_scan_is_shown_on_black():
    ct, labels = made_scan(balls=(((4.0, 80.0, 2.0), 6.0),))
    assert len(finding_pictures(Scan.of(ct, labels), record_of(labels, 1))) == 5


def test_one_voxel_is_shown():
    labels = np.zeros((20, 20, 20), dtype=np.uint8)
    labels[10, 10, 10] = 1
    grid = standard_grid(labels.shape, 3.0)
    ct, lesions = Volume(hu=np.zeros(labels.shape, dtype=np.int16), grid=grid), LabelMap(labels=labels, grid=grid)
    assert "3.7 mm" in finding_pictures(Scan.of(ct, lesions), record_of(lesions, 1))[0].alt


def test_the_window_is_that_of_the_type_or_of_the_organ():
    _, labels = made_scan()
    window = lambda **changes: window_of(record_of(labels, 1, **changes))  # noqa: E731
    assert window(type="lung_tumor", organ="liver") == WINDOWS["lung"]
    assert window(type="sarcoma", organ="lung_lower_lobe_left") == window(type="sarcoma", organ="lung") == WINDOWS["lung"]
    assert window(type="sarcoma", organ="hip_left") == window(type="sarcoma", organ="bone") == WINDOWS["bone"]
    assert window(type="other_mass", organ="") == WINDOWS["soft"]


def test_lesions_on_another_grid_are_refused():
    ct, _ = made_scan()
    _, labels = made_scan("RAS")
    with pytest.raises(ValueError, match="same grid"):
        Scan.of(ct, labels)


def test_a_large_ct_is_never_copied():
    shape = (512, 512, 300)
    grid = standard_grid(shape, 0.8)
    hu, labels = np.zeros(shape, dtype=np.int16), np.zeros(shape, dtype=np.uint8)
    labels[150:180, 140:160, 100:110] = 1
    ct, lesions = Volume(hu=hu, grid=grid), LabelMap(labels=labels, grid=grid)
    small = LabelMap(labels=labels[140:190, 130:170, 90:120], grid=standard_grid((50, 40, 30), 0.8))
    record = record_of(small, 1)
    moved = [
        replace(line, ends_ijk=tuple((i + 140, j + 130, k + 90) for i, j, k in line.ends_ijk))
        for line in (record.long, record.short)
    ]
    tracemalloc.start()
    scan = Scan.of(ct, lesions)
    overview_pictures(scan)
    _, without_outlines = tracemalloc.get_traced_memory()
    finding_pictures(scan, replace(record, long=moved[0], short=moved[1]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert without_outlines < 20e6
    # outlines are drawn on a finer raster, whose size is the picture's and not the CT's
    assert peak < hu.nbytes
