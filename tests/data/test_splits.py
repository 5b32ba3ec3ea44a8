import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panlesion.data.splits import few_shot_splits, patient_folds, stored_splits
from panlesion.errors import StoreError

PATIENTS = [f"p{n:02d}" for n in range(26)]


@given(st.integers(3, 60), st.integers(1, 8))
def test_no_patient_is_tested_and_trained_on(count, repetitions):
    names = [f"p{n}" for n in range(count)]
    for split in few_shot_splits(names, repetitions=repetitions):
        assert not set(split.test) & set(split.train)
        assert sorted((*split.test, *split.train)) == sorted(names)
        assert split.test
        assert split.train


def test_splits_depend_on_neither_order_nor_doubles():
    assert few_shot_splits(PATIENTS[::-1] + PATIENTS[:3], repetitions=3) == few_shot_splits(PATIENTS, repetitions=3)


def test_more_repetitions_keep_the_first_ones():
    assert few_shot_splits(PATIENTS, repetitions=5)[:2] == few_shot_splits(PATIENTS, repetitions=2)


def test_stored_splits_are_read_back(tmp_path):
    path = tmp_path / "splits.json"
    drawn = stored_splits(path, PATIENTS, repetitions=2)
    assert stored_splits(path, PATIENTS, repetitions=2) == drawn
    rows = json.loads(path.read_text())
    rows[0]["test"], rows[1]["test"] = rows[1]["test"], rows[0]["test"]
    path.write_text(json.dumps(rows))
    assert stored_splits(path, PATIENTS, repetitions=2)[0].test == drawn[1].test


@pytest.mark.parametrize(
    ("content", "says"), [("{", "no file of splits"), ('[{"seed": 0}]', "no file of splits"), ("[]", "holds 0 splits")]
)
def test_a_broken_file_is_named(tmp_path, content, says):
    path = tmp_path / "splits.json"
    path.write_text(content)
    with pytest.raises(StoreError, match=says):
        stored_splits(path, PATIENTS, repetitions=1)


def test_splits_of_other_patients_are_refused(tmp_path):
    path = tmp_path / "splits.json"
    stored_splits(path, PATIENTS, repetitions=1)
    with pytest.raises(StoreError, match="p25"):
        stored_splits(path, PATIENTS[:-1], repetitions=1)


def test_two_patients_are_too_few():
    with pytest.raises(ValueError, match="1 patients cannot be split"):
        few_shot_splits(["a"], repetitions=1)


def test_folds_hold_every_patient_once_and_each_stratum_evenly():
    strata = {f"p{n}": int(n % 5 == 0) for n in range(23)}
    of = patient_folds(strata, folds=4, seed=1)
    assert of == patient_folds(dict(reversed(strata.items())), folds=4, seed=1)
    assert of != patient_folds(strata, folds=4, seed=2)
    assert of.keys() == strata.keys()
    for kind in (0, 1):
        counts = np.bincount([of[name] for name in strata if strata[name] == kind], minlength=4)
        assert counts.max() - counts.min() <= 1
    with pytest.raises(ValueError, match="folds is 5 for 4 patients"):
        patient_folds(dict.fromkeys("abcd", 0), folds=5, seed=0)
