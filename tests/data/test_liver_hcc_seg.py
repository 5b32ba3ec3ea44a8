import shutil

import numpy as np
import pytest
from sources_made import crop, relabel, tiny

from panlesion.ct.modality import Modality
from panlesion.ct.nifti import read_labels, write_labels
from panlesion.ct.volume import LabelMap
from panlesion.data.sources.liver_hcc_seg import LIVER_HCC_SEG
from panlesion.data.standins.nifti import write_liver_hcc_seg
from panlesion.errors import ReadError, StoreError

EXAM = "nifti_and_segms/TCGA-ZZ-0000/02-21-2000"
CASE = "TCGA-ZZ-0000_02-21-2000"


@pytest.fixture
def root(tmp_path):
    return write_liver_hcc_seg(tmp_path, tiny(LIVER_HCC_SEG.classes, modality=Modality.MR))


def test_an_exam_is_a_case_of_its_patient_unless_nobody_drew_on_it(root):
    cases = LIVER_HCC_SEG.find(root)
    assert [case.id for case in cases] == [CASE, "TCGA-ZZ-0001_02-21-2000"]
    assert [case.patient for case in cases] == ["TCGA-ZZ-0000", "TCGA-ZZ-0001"]
    assert cases == LIVER_HCC_SEG.find(root / "nifti_and_segms")
    assert (root / "nifti_and_segms" / "TCGA-ZZ-9999" / "01-01-2001" / "art.nii.gz").is_file()


def test_all_files_of_tumours_are_one_class_within_the_liver(root):
    files = sorted((root / EXAM).glob("rater1_tumor*.nii.gz"))
    assert len(files) == 2
    tumour = sum(read_labels(path).labels for path in files)
    (first, _) = LIVER_HCC_SEG.stream(root)
    np.testing.assert_array_equal(first.label.labels == 2, tumour > 0)
    np.testing.assert_array_equal(first.label.labels > 0, read_labels(root / EXAM / "rater1_liver.nii.gz").labels > 0)


def test_the_second_reader_changes_nothing(root):
    before = next(LIVER_HCC_SEG.stream(root))
    path = root / EXAM / "rater2_liver.nii.gz"
    write_labels(path, LabelMap(labels=np.ones_like(read_labels(path).labels), grid=read_labels(path).grid))
    np.testing.assert_array_equal(next(LIVER_HCC_SEG.stream(root)).label.labels, before.label.labels)


def test_each_exam_of_a_patient_is_a_case(root):
    shutil.copytree(root / EXAM, (root / EXAM).parent / "2003-04-05")
    cases = LIVER_HCC_SEG.find(root)[:2]
    assert [case.id for case in cases] == [CASE, "TCGA-ZZ-0000_2003-04-05"]
    assert {case.patient for case in cases} == {"TCGA-ZZ-0000"}


def test_a_patient_may_have_no_tumour_left(root):
    for path in (root / EXAM).glob("rater?_tumor*.nii.gz"):
        path.unlink()
    assert set(np.unique(next(LIVER_HCC_SEG.stream(root)).label.labels)) == {0, 1}


def spoil_phase(root):
    (root / EXAM / "art.nii.gz").unlink()


def spoil_liver(root):
    (root / EXAM / "rater1_liver.nii.gz").unlink()


def spoil_masks(root):
    for path in root.rglob("rater*"):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_phase, f"{CASE} lack art.nii.gz"),
        (spoil_liver, f"{CASE} lack rater1_liver.nii.gz"),
        (spoil_masks, "no exam with masks"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(root, spoil, says):
    spoil(root)
    with pytest.raises(StoreError, match=says):
        LIVER_HCC_SEG.find(root)


def spoil_empty(root):
    path = root / EXAM / "rater1_tumor1.nii.gz"
    write_labels(path, LabelMap(labels=np.zeros_like(read_labels(path).labels), grid=read_labels(path).grid))


def spoil_value(root):
    relabel(root / EXAM / "rater1_tumor1.nii.gz", 2)


def spoil_slices(root):
    crop(root / EXAM / "rater1_liver.nii.gz")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_empty, "rater1_tumor1.nii.gz: the mask is empty"),
        (spoil_value, "rater1_tumor1.nii.gz: label value 2; this set has 0 background, 1 tumor"),
        (spoil_slices, "rater1_liver.nii.gz: the CT has .* voxels, its label"),
    ],
)
def test_a_mask_that_breaks_a_rule_is_refused(root, spoil, says):
    spoil(root)
    with pytest.raises(ReadError, match=f"{CASE}: .*{says}"):
        next(LIVER_HCC_SEG.stream(root))
