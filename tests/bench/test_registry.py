from dataclasses import fields

import pytest

from panlesion.bench.protocol import Asked, Choices, Protocol
from panlesion.bench.registry import LIDC, ROWS
from panlesion.bench.task import Arm
from panlesion.errors import StoreError
from panlesion.nets.classes import LESIONS, pan_tumour_classes


def test_every_protocol_has_a_row_and_every_choice_is_one():
    assert {row.protocol for row in ROWS.values()} == set(Protocol)
    assert all(row.takes <= {one.name for one in fields(Choices)} for row in ROWS.values())
    assert all(row.id == name for name, row in ROWS.items())


def test_nodules_start_from_lung_tumours_beside_the_threshold():
    assert LIDC.start_from in pan_tumour_classes().group(LESIONS).classes
    assert LIDC.start_from == "lung_tumor"
    assert Arm.THRESHOLD in LIDC.arms


@pytest.mark.realdata
def test_a_patients_nodules_stay_together_and_reserved_ones_stay_out(shared_data):
    cases = LIDC.cases(shared_data)
    assert len(cases) == 125
    compared = LIDC.patients(cases, development=False)
    assert (len(compared), len(LIDC.patients(cases, development=True))) == (78, 20)


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.data is not None], ids=lambda row: row.id)
@pytest.mark.parametrize("state", ["missing", "empty", "foreign", "a file"])
def test_what_is_missing_is_told_with_what_to_get_where_it_goes_and_how(tmp_path, row, state):
    for folder in row.data.folders if state != "missing" else ():
        if state == "a file":
            (tmp_path / folder).write_text("no folder")
            continue
        (tmp_path / folder).mkdir()
        if state == "foreign":
            (tmp_path / folder / "notes.txt").write_text("not a case")
    asked = Asked(root=tmp_path, checkpoint="nano", out=tmp_path / "out", choices=Choices())
    with pytest.raises(StoreError) as caught:
        row.check(asked)
    every = state in {"missing", "a file"}  # else the first that is looked into
    folders = row.data.folders if every else row.data.folders[:1]
    for word in (row.data.get, row.data.layout, *(str(tmp_path / folder) for folder in folders)):
        assert word in str(caught.value)
    assert not asked.out.exists()
