import shutil

import numpy as np
import pytest
from annotated_scans_made import rewrite, same_case, scans

from panlesion.data.sources.soft_tissue_sarcoma import SOURCE
from panlesion.data.standins._dicom import write_series
from panlesion.data.standins.tcia import write_soft_tissue_sarcoma
from panlesion.errors import ReadError, StoreError

PET_CLASS = "1.2.840.10008.5.1.4.1.1.128"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder, drawn = tmp_path_factory.mktemp("sts"), scans(2)
    write_soft_tissue_sarcoma(folder, drawn)
    return folder, drawn


@pytest.fixture
def root(written, tmp_path):
    shutil.copytree(written[0], tmp_path / "root")
    return tmp_path / "root"


def structures(root, patient="STS_001", name="RTstructCT"):
    (path,) = (root / "Soft-tissue-Sarcoma" / patient).rglob(f"*{name}*/*.dcm")
    return path


def test_the_tumour_of_the_ct_is_read_and_the_mr_with_its_own_set_passed_over(written):
    root, drawn = written
    for case, one in zip(SOURCE.stream(root), drawn, strict=True):
        assert same_case(case, one)
    assert [case.id for case in SOURCE.find(root / "Soft-tissue-Sarcoma")] == ["STS_001", "STS_002"]


def test_a_pet_with_a_set_of_its_own_is_passed_over(root, written):
    folder = root / "Soft-tissue-Sarcoma" / "STS_001" / "pet"
    write_series(folder, written[1][0].ct, patient="STS_001", study="3")

    def pet(ds):
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = PET_CLASS
        ds.Modality = "PT"

    for path in folder.iterdir():
        rewrite(path, pet)
    assert same_case(next(SOURCE.stream(root)), written[1][0])


def test_the_ct_that_the_set_names_is_taken_where_a_folder_holds_two(root, written):
    ct = SOURCE.find(root)[0].image
    write_series(ct, written[1][1].ct, patient="STS_001", number=7, name="zz{:03d}.dcm".format)
    assert same_case(SOURCE.read(SOURCE.find(root)[0]), written[1][0])


def test_a_set_whose_tumour_has_another_name_is_refused_with_the_names(root):
    def rename(ds):
        ds.StructureSetROISequence[1].ROIName = "GTV_Research"

    rewrite(structures(root), rename)
    with pytest.raises(StoreError, match=r"STS_001: 0 structure sets with GTV_Mass on a CT of 1.*GTV_Edema, GTV_Research"):
        SOURCE.find(root)


def test_two_sets_on_one_ct_are_refused(root):
    path = structures(root)
    shutil.copy(path, path.with_name("1-2.dcm"))
    with pytest.raises(StoreError, match="2 structure sets"):
        SOURCE.find(root)


def test_a_ct_without_the_slices_of_its_set_is_refused(root):
    image = SOURCE.find(root)[0].image
    for path in sorted(image.iterdir())[:9]:
        path.unlink()
    with pytest.raises(ReadError, match=r"STS_001: .*outside the scan"):
        SOURCE.read(SOURCE.find(root)[0])


@pytest.mark.parametrize("name", ["empty", "STS_1", "other"])
def test_a_tree_without_patients_is_refused(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(StoreError, match=r"holds no patient of Soft-tissue-Sarcoma: folders must be named like STS_001"):
        SOURCE.find(tmp_path)
    with pytest.raises(StoreError, match="is no folder"):
        SOURCE.find(tmp_path / "absent")


@pytest.mark.realdata
def test_a_real_patient_is_read(shared_data):
    (case,) = SOURCE.stream(shared_data / "sts_dicom")
    assert case.label.labels.sum() * case.label.grid.voxel_ml == pytest.approx(80.1, abs=0.1)
    assert 0 < np.median(case.ct.hu[case.label.labels > 0]) < 100
