from dataclasses import fields

import pytest

from panlesion.bench.protocol import Choices, Protocol
from panlesion.bench.registry import LIDC, ROWS
from panlesion.bench.task import Arm
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
