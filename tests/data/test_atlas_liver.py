import pytest
from sources_made import relabel, tiny

from panlesion.ct.modality import Modality
from panlesion.ct.nifti import write_volume
from panlesion.data.sources.atlas_liver import ATLAS_LIVER
from panlesion.data.standins.nifti import write_atlas_liver
from panlesion.errors import PanlesionError, ReadError, StoreError

TRAIN = "atlas-train-dataset-1.0.1/train"


@pytest.fixture
def root(tmp_path):
    return write_atlas_liver(tmp_path, tiny(ATLAS_LIVER.classes, 11, modality=Modality.MR))


def test_cases_come_in_the_order_of_their_numbers(root):
    cases = ATLAS_LIVER.find(root)
    assert [case.id for case in cases] == [f"im{n}" for n in range(11)]
    assert all(case.label.name == f"lb{n}.nii.gz" for n, case in enumerate(cases))
    assert cases == ATLAS_LIVER.find(root / TRAIN) == ATLAS_LIVER.find(root / "atlas-train-dataset-1.0.1")


def spoil_label(root):
    (root / TRAIN / "labelsTr" / "lb3.nii.gz").unlink()


def spoil_image(root):
    (root / TRAIN / "imagesTr" / "im4.nii.gz").unlink()


def spoil_folder(root):
    (root / TRAIN / "labelsTr").rename(root / TRAIN / "labels")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_label, "no label for im3.nii.gz"),
        (spoil_image, "no image for lb4.nii.gz"),
        (spoil_folder, "holds no labelsTr"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(root, spoil, says):
    spoil(root)
    with pytest.raises(StoreError, match=says):
        ATLAS_LIVER.find(root)


def test_an_unknown_value_is_refused(root):
    relabel(root / TRAIN / "labelsTr" / "lb0.nii.gz", 3)
    with pytest.raises(ReadError, match=r"im0: .*label value 3; this set has 0 background, 1 liver, 2 tumor"):
        next(ATLAS_LIVER.stream(root))


def test_a_ct_in_its_place_is_refused(root):
    write_volume(root / TRAIN / "imagesTr" / "im0.nii.gz", tiny(ATLAS_LIVER.classes, 1)[0].ct)
    with pytest.raises(PanlesionError, match=r"im0: .*below 0"):
        next(ATLAS_LIVER.stream(root))
