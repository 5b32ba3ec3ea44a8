"""What a drawn table says is what is read of it, for every question."""

from collections import Counter

import numpy as np
import pytest

from panlesion.ct.region import Framing, Region
from panlesion.data.sources.case_check import check_table, kinds_of, refolded
from panlesion.data.sources.case_table import read_case_table
from panlesion.data.standins.case_tables import (
    LESION,
    draw_rows,
    write_attributes,
    write_case_table,
    write_clinical,
    write_detection,
)
from panlesion.lesion.case_task import CaseTask

WRITTEN = {
    CaseTask.DETECT: write_detection,
    CaseTask.DESCRIBE: write_attributes,
    CaseTask.STAGE: write_clinical,
    CaseTask.SURVIVE: write_clinical,
}


@pytest.mark.parametrize("task", CaseTask)
def test_a_drawn_table_is_sound_with_every_kind_in_turn(tmp_path, task):
    WRITTEN[task](tmp_path, 20)
    table = read_case_table(tmp_path, task, need_label=True)
    framing = Framing(region=Region.LESION, side=16, spacing_mm=4.0)
    checked = check_table(table, task, framing, folds=5, seed=0)
    assert checked.problems == ()
    counts = Counter(kind for case in table.cases for kind in kinds_of(case.targets, task))
    assert min(counts.values()) >= 5
    assert len({case.patient for case in table.cases}) == 15


def test_masks_are_those_of_the_value_asked_for(tmp_path):
    rows = draw_rows([CaseTask.DETECT], 2)
    write_case_table(tmp_path, rows, value=LESION)
    for row, opened in zip(rows, read_case_table(tmp_path, CaseTask.DETECT).stream(), strict=True):
        assert np.array_equal(opened.images[0].hu, row.case.ct.hu)
        assert np.array_equal(opened.label.labels == 1, row.case.label.labels == LESION)


def test_folds_of_another_seed_are_those_of_a_check_with_it(tmp_path):
    write_clinical(tmp_path, 20)
    table = read_case_table(tmp_path, CaseTask.STAGE, need_label=True)
    framing = Framing(region=Region.LESION, side=16, spacing_mm=4.0)
    first, second = (check_table(table, CaseTask.STAGE, framing, folds=5, seed=seed) for seed in (0, 1))
    again = refolded(table, first, CaseTask.STAGE, folds=5, seed=1)
    assert again.rows == second.rows != first.rows
