from dataclasses import replace

import pytest
from few_shot_made import TASK, made_cases

from panlesion.bench.task import Arm

CASES = list(made_cases(None, spacing_mm=3.0))
RESERVING = replace(TASK, reserved=2, baselines=(Arm.BALL, Arm.THRESHOLD))


def test_reserved_patients_are_never_compared_on():
    compared, reserved = (RESERVING.patients(CASES, development=chosen) for chosen in (False, True))
    assert (len(compared), len(reserved)) == (4, 2)
    assert sorted(compared + reserved) == sorted(case.patient for case in CASES)
    assert RESERVING.patients(CASES[::-1], development=True) == reserved


def test_a_task_without_reserved_patients_compares_on_all_and_has_no_development():
    assert len(TASK.patients(CASES, development=False)) == 6
    with pytest.raises(ValueError, match="reserves no patients"):
        TASK.patients(CASES, development=True)


def test_the_network_works_at_the_datas_spacing_unless_said():
    assert (TASK.working_mm, TASK.at(1.5).working_mm, TASK.at(1.5).spacing_mm) == (3.0, 1.5, 3.0)


def test_a_task_names_its_baselines():
    assert RESERVING.arms[:2] == (Arm.BALL, Arm.THRESHOLD)
    assert Arm.THRESHOLD not in TASK.arms
