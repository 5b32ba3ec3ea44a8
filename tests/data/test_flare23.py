import numpy as np
import pytest
from sources_made import relabel, tiny

from panlesion.ct.nifti import read_labels, write_labels
from panlesion.ct.volume import LabelMap
from panlesion.data.sources.flare23 import FIXES, FLARE23, FLARE23_VALIDATION
from panlesion.data.standins.nifti import write_flare23, write_flare23_validation
from panlesion.errors import ReadError, StoreError


@pytest.fixture
def root(tmp_path):
    return write_flare23(tmp_path, tiny(FLARE23.classes, 3))


def test_value_14_is_the_lesion():
    assert FLARE23.classes[13] == "lesion"
    assert FLARE23.lesions == ("lesion",)
    assert len(FLARE23.classes) == 14


def test_a_corrected_label_takes_the_place_of_the_first_release(root):
    first, second, third = FLARE23.find(root)  # nor is the unlabelled scan among them
    assert first.label.parent.name == FIXES
    assert second.label.parent.name == third.label.parent.name == "labelsTr2200"
    assert FLARE23.read(first).label.labels.any()


def test_what_is_annotated_differs_by_case(root):
    path = root / "labelsTr2200" / "FLARE23_0002.nii.gz"
    label = read_labels(path)
    write_labels(path, LabelMap(labels=np.where(label.labels == 14, label.labels, np.uint8(0)), grid=label.grid))
    _, lesions_alone, whole = FLARE23.stream(root)
    assert lesions_alone.annotated == {"lesion"}
    assert whole.annotated == set(FLARE23.classes)


def test_the_validation_part_is_its_labelled_half(tmp_path):
    write_flare23_validation(tmp_path, tiny(FLARE23.classes))
    assert [case.id for case in FLARE23_VALIDATION.find(tmp_path)] == ["FLARE23Ts_0001", "FLARE23Ts_0003"]
    with pytest.raises(StoreError, match="holds no labelsTr2200"):
        FLARE23.find(tmp_path)
    (tmp_path / "validation" / "FLARE23Ts_0003_0000.nii.gz").unlink()
    with pytest.raises(StoreError, match=r"no image for FLARE23Ts_0003.nii.gz"):
        FLARE23_VALIDATION.find(tmp_path)


def spoil_label(root):
    (root / "labelsTr2200" / "FLARE23_0002.nii.gz").unlink()


def spoil_image(root):
    (root / "imagesTr2200" / "FLARE23_0003_0000.nii.gz").unlink()


def spoil_fixed(root):
    (root / "labelsTr2200" / FIXES / "FLARE23_0001.nii.gz").rename(root / "labelsTr2200" / FIXES / "FLARE23_0099.nii.gz")


def spoil_all(root):
    for path in [*root.glob("*/*.nii.gz"), *root.glob(f"*/{FIXES}/*")]:
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_label, "no label for FLARE23_0002_0000.nii.gz"),
        (spoil_image, "no image for FLARE23_0003.nii.gz"),
        (spoil_fixed, "corrects FLARE23_0099, which have no image"),
        (spoil_all, "there is no case in it"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(root, spoil, says):
    spoil(root)
    with pytest.raises(StoreError, match=says):
        FLARE23.find(root)


def test_an_unknown_value_is_refused(root):
    relabel(root / "labelsTr2200" / "FLARE23_0003.nii.gz", 15)
    with pytest.raises(ReadError, match=r"FLARE23_0003: .*label value 15; .*14 lesion"):
        list(FLARE23.stream(root))
