"""One door for every CT: NIfTI, DICOM, zip; refused unless its values can be HU."""

import gzip
import shutil
import zipfile

import numpy as np
import pytest
from dicom_making import body, write_series

from panlesion.ct.nifti import write_volume
from panlesion.ct.read import list_series, read_ct
from panlesion.ct.volume import Grid, Volume
from panlesion.errors import NotCTError, ReadError

HU = np.ascontiguousarray(body().transpose(2, 1, 0))
GRID = Grid(shape=HU.shape, affine=np.diag([-1.5, -2.5, 3.0, 1.0]))


def test_all_ways_in_give_the_same_voxels(tmp_path):
    write_series(tmp_path / "dicom")
    with zipfile.ZipFile(tmp_path / "dicom.zip", "w") as archive:
        for file in (tmp_path / "dicom").iterdir():
            archive.write(file, file.name)
    write_volume(tmp_path / "ct.nii.gz", Volume(hu=HU, grid=GRID))
    write_volume(tmp_path / "ct.nii", Volume(hu=HU, grid=GRID))
    shutil.copy(tmp_path / "ct.nii.gz", tmp_path / "no_extension")
    for name in ("dicom", "dicom.zip", "ct.nii.gz", "ct.nii", "no_extension"):
        np.testing.assert_array_equal(read_ct(tmp_path / name).hu, HU, err_msg=name)


def test_one_file_of_a_series_is_one_slice(tmp_path):
    write_series(tmp_path)
    np.testing.assert_array_equal(read_ct(str(tmp_path / "I000")).hu, HU[:, :, :1])


def test_padding_becomes_air(tmp_path):
    hu = HU.copy()
    hu[0, 0] = -3024
    write_volume(tmp_path / "ct.nii.gz", Volume(hu=hu, grid=GRID))
    read = read_ct(tmp_path / "ct.nii.gz")
    assert (read.hu[0, 0] == -1024).all()
    np.testing.assert_array_equal(read.hu[1:], HU[1:])


def test_values_that_cannot_be_hu_are_refused_whatever_they_come_in(tmp_path):
    write_volume(tmp_path / "ct.nii.gz", Volume(hu=HU + np.int16(1024), grid=GRID))
    write_series(tmp_path / "dicom", change=lambda _, ds: setattr(ds, "RescaleIntercept", 0))
    for name in ("ct.nii.gz", "dicom"):
        with pytest.raises(NotCTError, match=f"{name}: values from .*intercept was not applied"):
            read_ct(tmp_path / name)


def test_a_series_is_no_part_of_a_nifti_file(tmp_path):
    write_volume(tmp_path / "ct.nii.gz", Volume(hu=HU, grid=GRID))
    with pytest.raises(ValueError, match="no series"):
        read_ct(tmp_path / "ct.nii.gz", series="3")


def test_series_are_listed(tmp_path):
    uid = write_series(tmp_path)
    assert [(info.uid, info.modality, info.images) for info in list_series(tmp_path)] == [(uid, "CT", 7)]


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("notes.txt", b"hello", "no DICOM file"),
        ("empty", b"", "no DICOM file"),
        ("scan.nii.gz", b"hello", "no NIfTI"),
        ("tar", gzip.compress(b"not an image" * 90, mtime=0), "no NIfTI"),
        ("half.zip", b"PK\x03\x04" + bytes(50), "no DICOM file"),
    ],
)
def test_what_is_nothing_we_read_is_said_to_be_so(tmp_path, name, content, rule):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=rule):
        read_ct(tmp_path / name)


def test_missing_paths_and_folders_of_nifti_say_what_to_do(tmp_path):
    with pytest.raises(ReadError, match="cannot be read"):
        read_ct(tmp_path / "nothing")
    write_volume(tmp_path / "ct.nii.gz", Volume(hu=HU, grid=GRID))
    with pytest.raises(ReadError, match="give one of the files"):
        read_ct(tmp_path)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["totalseg/ct.nii.gz", "lidc_0314/ct.nii.gz", "acrin_001/ct.nii.gz", "totalseg/ct_dicom"])
def test_real_cts_are_read(shared_data, name):
    volume = read_ct(shared_data / name)
    assert volume.hu.min() >= -1500
    assert (volume.hu > 0).any()
