import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panlesion.data.splits import few_shot_splits, fold_splits, stored_splits
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


@pytest.mark.parametrize(("count", "folds"), [(2, 2), (7, 5), (23, 5), (100, 3)])
def test_folds_test_every_patient_once_and_never_on_what_they_trained(count, folds):
    names = [f"p{n}" for n in range(count)]
    splits = fold_splits([*names, *names], folds=folds)
    assert sorted(name for split in splits for name in split.test) == sorted(names)
    assert all(set(split.test) | set(split.train) == set(names) for split in splits)
    assert not any(set(split.test) & set(split.train) for split in splits)
    sizes = [len(split.test) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    assert fold_splits(names[::-1], folds=folds) == splits


@pytest.mark.parametrize("folds", [1, 4])
def test_folds_that_patients_cannot_fill_are_refused(folds):
    with pytest.raises(ValueError, match=f"3 patients in {folds} folds"):
        fold_splits(["a", "b", "c"], folds=folds)


def test_stored_folds_stay(tmp_path):
    names = [f"p{n}" for n in range(10)]
    drawn = stored_splits(tmp_path / "s.json", names, repetitions=5, cross_validated=True)
    assert (
        drawn == stored_splits(tmp_path / "s.json", names, repetitions=5, cross_validated=True) == fold_splits(names, folds=5)
    )
