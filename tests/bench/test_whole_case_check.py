import json
import os

import pytest

from panlesion.bench.whole_case_check import CHECKED, checked_table, folded
from panlesion.ct.region import Framing, Region
from panlesion.data.sources.case_table import read_case_table
from panlesion.data.standins.case_tables import write_clinical
from panlesion.errors import StoreError
from panlesion.lesion.case_task import CaseTask

FRAMING = Framing(region=Region.LESION, side=16, spacing_mm=4.0)


@pytest.fixture
def table(tmp_path):
    return read_case_table(write_clinical(tmp_path / "data", 16), CaseTask.SURVIVE, need_label=True)


def opened_by(table, out, framing=FRAMING):
    """What the check finds, and how many cases it opened."""
    seen = []
    out.mkdir(exist_ok=True)
    checked = checked_table(table, CaseTask.SURVIVE, framing, out, progress=lambda *one: seen.append(one))
    return checked, len(seen)


def test_cases_are_opened_once_and_again_when_a_file_or_the_framing_has_changed(tmp_path, table):
    first, count = opened_by(table, tmp_path / "out")
    again, none = opened_by(table, tmp_path / "out")
    assert (count, none) == (16, 0)
    assert again.rows == first.rows
    assert again.folds == first.folds
    os.utime(table.cases[3].images[0], (1, 1))
    assert opened_by(table, tmp_path / "out")[1] == 16
    assert opened_by(table, tmp_path / "out", Framing(region=Region.LESION, side=24, spacing_mm=4.0))[1] == 16


@pytest.mark.parametrize("content", ["", "[]", "{", '{"key": 1}', "\x00"])
def test_a_damaged_memory_is_only_slower(tmp_path, table, content):
    first, _ = opened_by(table, tmp_path / "out")
    (tmp_path / "out" / CHECKED).write_text(content)
    again, count = opened_by(table, tmp_path / "out")
    assert (again.rows, count) == (first.rows, 16)
    told = json.loads((tmp_path / "out" / CHECKED).read_text())
    told["rows"] = told["rows"][1:]
    (tmp_path / "out" / CHECKED).write_text(json.dumps(told))
    assert opened_by(table, tmp_path / "out")[1] == 16


def test_a_scan_that_cannot_be_read_stops_everything_and_is_named(tmp_path, table):
    table.cases[5].images[0].write_bytes(b"half")
    with pytest.raises(StoreError, match=r"1 problems: case005"):
        opened_by(table, tmp_path / "out")
    assert not (tmp_path / "out" / CHECKED).exists()


def test_folds_keep_patients_whole_whatever_the_seed(tmp_path, table):
    checked, _ = opened_by(table, tmp_path / "out")
    for seed in range(3):
        rows = folded(table, checked, CaseTask.SURVIVE, seed).rows
        where = {}
        for row in rows:
            where.setdefault(row.case.patient, set()).add(row.fold)
        assert all(len(folds) == 1 for folds in where.values())
        assert {row.fold for row in rows} == set(range(5))
