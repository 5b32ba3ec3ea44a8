import shutil

import numpy as np
import pytest
from annotated_scans_made import rewrite, same_case, scans

from panlesion.data.sources.ircadb import SOURCE
from panlesion.data.standins.ircadb import write_ircadb
from panlesion.errors import ReadError, StoreError


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder, drawn = tmp_path_factory.mktemp("ircadb"), scans(2, 3, shape=(18, 20, 14))
    write_ircadb(folder, drawn)
    return folder, drawn


@pytest.fixture
def root(written, tmp_path):
    shutil.copytree(written[0], tmp_path / "root")
    return tmp_path / "root"


def test_liver_tumours_and_cysts_are_read_whatever_their_folders_are_called(written):
    root, drawn = written
    for case, one in zip(SOURCE.stream(root), drawn, strict=True):
        assert same_case(case, one)
        assert np.unique(case.label.labels).tolist() == [0, 1, 2, 3]


def test_patients_come_by_number_not_by_name(root):
    (root / "3Dircadb1.2").rename(root / "3Dircadb1.10")
    shutil.copytree(root / "3Dircadb1.1", root / "3Dircadb1.2")
    assert [case.id for case in SOURCE.find(root)] == ["3Dircadb1.1", "3Dircadb1.2", "3Dircadb1.10"]


def test_folders_doubled_by_unpacking_are_found(root, written):
    for name in ("PATIENT_DICOM", "MASKS_DICOM"):
        folder = root / "3Dircadb1.1" / name
        folder.rename(folder.with_name("x"))
        folder.mkdir()
        folder.with_name("x").rename(folder / name)
    assert same_case(next(SOURCE.stream(root)), written[1][0])


def test_several_tumours_are_joined_and_organs_other_than_the_liver_left_out(root):
    folder = root / "3Dircadb1.1" / "MASKS_DICOM"
    drawn = SOURCE.read(SOURCE.find(root)[0]).label.labels
    shutil.copytree(folder / "livercyst", folder / "livertumor07")
    shutil.copytree(folder / "livercyst", folder / "rightkidneytumor")
    shutil.rmtree(folder / "livercyst")
    read = SOURCE.read(SOURCE.find(root)[0]).label.labels
    assert np.array_equal(read, np.where(drawn == 3, 2, drawn))


def spoil_zip(root):
    shutil.rmtree(root / "3Dircadb1.2" / "MASKS_DICOM")
    (root / "3Dircadb1.2" / "MASKS_DICOM.zip").write_bytes(b"PK")


def spoil_ct(root):
    shutil.rmtree(root / "3Dircadb1.2" / "PATIENT_DICOM")


def spoil_liver(root):
    shutil.rmtree(root / "3Dircadb1.2" / "MASKS_DICOM" / "liver")


def spoil_all(root):
    for path in root.iterdir():
        shutil.rmtree(path)
    (root / "3Dircadb1.zip").write_bytes(b"PK")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_zip, r"MASKS_DICOM.zip was not unpacked; unpack every zip inside"),
        (spoil_ct, "3Dircadb1.2: no folder PATIENT_DICOM"),
        (spoil_liver, "no folder 'liver'; there are bone"),
        (spoil_all, "holds no patient of 3D-IRCADb-01.*unpack 3Dircadb1.zip first"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(root, spoil, says):
    spoil(root)
    with pytest.raises(StoreError, match=says):
        SOURCE.find(root)


def lose_mask(folder):
    (folder / "liver" / "image_3").unlink()


def cut_mask(folder):
    (folder / "liver" / "image_3").write_bytes((folder / "liver" / "image_3").read_bytes()[:800])


def turn_mask(folder):
    def turn(ds):
        ds.Rows, ds.Columns = ds.Columns, ds.Rows

    rewrite(folder / "liver" / "image_3", turn)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lose_mask, "3Dircadb1.1: .*liver: 13 files for 14 slices.*Without partner: image_3"),
        (cut_mask, "3Dircadb1.1: .*image_3: the mask cannot be read: damaged"),
        (turn_mask, r"3Dircadb1.1: .*image_3: \(18, 20\) pixels, its slice has \(20, 18\)"),
    ],
)
def test_a_broken_mask_is_refused_with_its_file(root, spoil, says):
    spoil(root / "3Dircadb1.1" / "MASKS_DICOM")
    with pytest.raises(ReadError, match=says):
        next(SOURCE.stream(root))
