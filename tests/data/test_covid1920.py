import pytest
from sources_made import relabel, tiny

from panlesion.data.sources.covid1920 import COVID1920
from panlesion.data.standins.nifti import write_covid1920
from panlesion.errors import ReadError, StoreError

FIRST, SECOND = "volume-covid19-A-0003", "volume-covid19-A-0003_1"


@pytest.fixture
def root(tmp_path):
    return write_covid1920(tmp_path / "COVID-19-20_v2", tiny(COVID1920.classes, 3))


def test_scans_of_one_patient_are_known_by_their_names(root):
    cases = COVID1920.find(root)
    assert [case.id for case in cases] == [FIRST, SECOND, "volume-covid19-A-0004_1"]
    assert [case.patient[-4:] for case in cases] == ["0003", "0003", "0004"]


def test_a_day_in_the_name_is_no_patient(root):
    for part in ("ct", "seg"):
        (root / "Train" / f"{SECOND}_{part}.nii.gz").rename(root / "Train" / f"{FIRST}_day008_{part}.nii.gz")
    assert {case.patient for case in COVID1920.find(root)} == {FIRST, "volume-covid19-A-0004"}


def test_the_training_folder_or_one_above_it_may_be_given(root):
    assert COVID1920.find(root) == COVID1920.find(root / "Train") == COVID1920.find(root.parent) != []


def test_the_validation_part_has_no_labels(root):
    with pytest.raises(StoreError, match=r"holds no volume-covid19-A-\*_seg.nii.gz"):
        COVID1920.find(root / "Validation")


def spoil_label(root):
    (root / "Train" / f"{SECOND}_seg.nii.gz").unlink()


def spoil_image(root):
    (root / "Train" / f"{FIRST}_ct.nii.gz").unlink()


def spoil_name(root):
    (root / "Train" / f"{FIRST}_ct.nii.gz").rename(root / "Train" / "patient3_ct.nii.gz")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_name, "patient3_ct.nii.gz not named as the set names its cases"),
        (spoil_label, f"no label for {SECOND}_ct.nii.gz"),
        (spoil_image, f"no image for {FIRST}_seg.nii.gz"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(root, spoil, says):
    spoil(root)
    with pytest.raises(StoreError, match=says):
        COVID1920.find(root)


def test_an_unknown_value_is_refused(root):
    relabel(root / "Train" / f"{FIRST}_seg.nii.gz", 2)
    with pytest.raises(ReadError, match=f"{FIRST}: .*label value 2; this set has 0 background, 1 lesion"):
        next(COVID1920.stream(root))
