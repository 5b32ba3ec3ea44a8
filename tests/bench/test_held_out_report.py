from dataclasses import replace

import pytest
from held_out_made import VOXEL_ML, row

from panlesion.bench.held_out_report import (
    ARGMAX,
    OperatingPoint,
    by_type,
    choose_operating_point,
    false_positives_by,
    froc_table,
    lesion_free,
    lesion_free_table,
    markdown,
    table,
)
from panlesion.bench.held_out_scans import Split
from panlesion.lesion.taxonomy import LesionType


def test_numbers_of_a_type_and_of_all():
    rows = [row("a", (100, 0.9, 100), (5, 0.6, 0)), row("b", (3, 0.6, 0)), row("c", type_=LesionType.GALLSTONE, named=())]
    assert [one.type for one in by_type(rows)] == [LesionType.LIVER_CYST, LesionType.GALLSTONE, None]
    results = {one.type: one for one in by_type(rows)}
    cyst, stone, whole = results[LesionType.LIVER_CYST], results[LesionType.GALLSTONE], results[None]
    assert cyst.dice_any.mean == pytest.approx((200 / 205 + 0) / 2)
    assert (cyst.sensitivity_any.mean, cyst.false_per_scan.mean) == (0.5, 1.0)
    assert (stone.sensitivity_any.mean, stone.false_per_scan.mean) == (0, 0)
    assert (whole.sensitivity_any.n, whole.sensitivity_any.mean) == (3, pytest.approx(1 / 3))
    small_left_out = {one.type: one for one in by_type(rows, OperatingPoint(least_ml=0.06))}
    assert small_left_out[LesionType.LIVER_CYST].dice_any.mean == pytest.approx(0.5)
    assert small_left_out[None].false_per_scan.mean == 0


def test_a_threshold_of_whole_voxels_keeps_parts_of_that_size():
    reading = row("a", (5, 0.9, 0), (4, 0.9, 0)).any
    assert [part.voxels for part in OperatingPoint(least_ml=0.05).of(reading, VOXEL_ML).parts] == [5]


def test_lesion_free_scans_count_parts_and_clean_scans():
    rows = [row("a", (50, 0.9, 0), (10, 0.5, 0), type_=None), row("b", type_=None), row("c", (9, 0.9, 0), type_=None)]
    found = lesion_free(rows)
    assert found.false_per_scan.mean == 1
    assert found.false_ml_per_scan.mean == pytest.approx(0.69 / 3)
    assert (found.clean.mean, found.clean.n) == (pytest.approx(1 / 3), 3)
    assert lesion_free(rows, OperatingPoint(least_ml=0.1, least_score=0.6)).clean.mean == pytest.approx(2 / 3)
    assert lesion_free([row("a")]) is None


def test_the_point_is_chosen_on_validation_scans_alone():
    noise = [(8, 0.99, 0)] * 3
    validation = [row(f"v{n}", (100, 0.9, 90), *noise, split=Split.VALIDATION) for n in range(3)]
    point = choose_operating_point(validation)
    assert point == OperatingPoint(least_ml=0.1)  # the mildest of those that leave all noise out and every lesion in
    # test scans where that threshold is the worst of all change nothing
    contrary = [row(f"t{n}", (8, 0.6, 8), (500, 0.99, 0)) for n in range(9)]
    assert choose_operating_point([*validation, *contrary]) == point
    with pytest.raises(ValueError, match="validation"):
        choose_operating_point(contrary)


def test_a_point_can_be_one_of_probability():
    rows = [row(f"v{n}", (100, 0.9, 90), (300, 0.62, 0), split=Split.VALIDATION) for n in range(3)]
    assert choose_operating_point(rows) == OperatingPoint(least_score=0.65)


def test_where_nothing_is_found_no_threshold_is_made_up():
    assert choose_operating_point([row("v", (80, 0.6, 0), split=Split.VALIDATION)]) == ARGMAX


def test_false_positives_are_told_by_type_and_organ():
    rows = [row("a", (100, 0.9, 100), (20, 0.7, 0)), row("b", (30, 0.8, 0), type_=None)]
    rows.append(replace(rows[1], id="c", split=Split.VALIDATION))
    assert false_positives_by(rows) == [("liver_cyst", "liver", 2, pytest.approx(0.5))]
    assert false_positives_by(rows, OperatingPoint(least_score=0.75)) == [("liver_cyst", "liver", 1, pytest.approx(0.3))]


def test_tables_have_a_cell_for_every_head():
    rows = [row("a", (100, 0.9, 100)), row("b"), row("c", type_=None), row("v", (100, 0.9, 90), split=Split.VALIDATION)]
    head, cells = table(rows)
    assert [len(line) for line in cells] == [len(head)] * 2
    assert cells[0][:2] == ["liver cyst", "2"]
    head, cells = lesion_free_table(rows, [ARGMAX, OperatingPoint(least_ml=1)])
    assert [len(line) for line in cells] == [len(head)] * 3
    text = markdown(head, cells)
    assert text.splitlines()[0].startswith("| findings counted |")
    assert len(text.splitlines()) == 5


def test_the_curve_counts_lesion_free_scans_too():
    rows = [
        row("a", (100, 0.9, 100), (5, 0.6, 0), named=()),
        row("b", (90, 0.5, 90)),
        row("c", (4, 0.7, 0), (4, 0.2, 0), type_=None),
        row("d", (100, 0.1, 100), (4, 0.95, 0), split=Split.VALIDATION),
    ]
    head, cells = froc_table(rows)
    by_allowed = {line[0]: dict(zip(head, line, strict=True)) for line in cells}
    # three test scans: one false positive a scan is three of them, all there are
    assert by_allowed["1"]["false positives/scan"].startswith("1.00")
    assert by_allowed["1"]["sensitivity, any"].startswith("1.00")
    assert by_allowed["1"]["sensitivity, right type"].startswith("0.50")
    # none allowed: the threshold lies above the most certain false one, 0.7
    assert by_allowed["0.125"]["sensitivity, any"].startswith("0.50")
    assert by_allowed["0.125"]["false positives/scan"].startswith("0.00")


def test_without_lesions_there_is_no_curve():
    assert froc_table([row("c", (4, 0.7, 0), type_=None)])[1] == []
