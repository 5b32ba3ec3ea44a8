"""MR scans: read from NIfTI and DICOM, and brought to the scale of a CT."""

import nibabel as nib
import numpy as np
import pytest
from dicom_making import SLICES, body, write_series
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import MRImageStorage

from panlesion.ct.dicom import list_dicom, read_dicom
from panlesion.ct.intensity import to_network
from panlesion.ct.mr import on_ct_scale, read_mr, read_mr_with_source
from panlesion.errors import NotCTError, NotMRError, ReadError


def brightness(seed=0, shape=(30, 28, 20)):
    """A body of three tissues in dark, noisy air."""
    rng = np.random.default_rng(seed)
    values = np.abs(rng.normal(0, 4, shape))
    values[5:25, 5:23, 2:18] = rng.normal(300, 20, (20, 18, 16))
    values[8:14, 8:14, 4:12] = rng.normal(900, 30, (6, 6, 8))
    return values.astype(np.float32)


def as_mr(slope=None, intercept=None):
    def change(_index, ds):
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
        ds.Modality = "MR"
        del ds.RescaleType
        if slope is None:
            del ds.RescaleSlope, ds.RescaleIntercept
        else:
            ds.RescaleSlope, ds.RescaleIntercept = slope, intercept

    return change


def write_nifti(path, values):
    nib.Nifti1Image(values, np.diag([2.0, 2.0, 3.0, 1.0])).to_filename(path)
    return path


@given(st.floats(1e-3, 1e3), st.integers(0, 5))
def test_a_factor_changes_nothing(factor, seed):
    values = brightness(seed)
    one, other = on_ct_scale(values, "a"), on_ct_scale(values * np.float32(factor), "b")
    assert np.abs(to_network(one) - to_network(other)).max() < 2e-3


def test_the_order_of_brightness_is_kept_and_the_whole_range_used():
    values = brightness()
    x = to_network(on_ct_scale(values, "a"))
    order = np.argsort(values.ravel())
    assert (np.diff(x.ravel()[order]) >= 0).all()
    assert x.max() == 1 and x.min() < 0.01
    linear = values < 800
    slope = x[linear] / values[linear]
    assert np.ptp(slope[values[linear] > 100]) < 0.02 * slope.max()


def test_more_air_around_the_body_changes_little():
    values = brightness()
    padded = np.pad(values, 20)
    a, b = on_ct_scale(values, "a"), on_ct_scale(padded, "b")[20:-20, 20:-20, 20:-20]
    assert np.abs(to_network(a) - to_network(b)).max() < 0.01


def test_nifti_and_its_grid(tmp_path):
    volume = read_mr(write_nifti(tmp_path / "mr.nii.gz", brightness()))
    np.testing.assert_array_equal(volume.hu, on_ct_scale(brightness(), ""))
    assert volume.grid.spacing_mm == (2, 2, 3)


@pytest.mark.parametrize(("slope", "intercept"), [(None, None), (1, 0), (0.0025, 0)])
def test_dicom_with_and_without_a_rescale_reads_the_same(tmp_path, slope, intercept):
    write_series(tmp_path, change=as_mr(slope, intercept))
    volume, source = read_mr_with_source(tmp_path)
    stored = (body().astype(np.int32) + 1024).transpose(2, 1, 0).astype(np.float32)
    np.testing.assert_allclose(to_network(volume.hu), to_network(on_ct_scale(stored, "")), atol=2e-3)
    assert volume.grid.axes == "LPS" and len(source.slices) == SLICES
    assert list_dicom(tmp_path)[0].problem is None


def test_each_reader_refuses_the_others_scans(tmp_path):
    write_series(tmp_path / "mr", change=as_mr())
    write_series(tmp_path / "ct")
    with pytest.raises(NotCTError, match="--mr reads an MR"):
        read_dicom(tmp_path / "mr")
    with pytest.raises(NotMRError, match="Modality CT; only MR"):
        read_mr(tmp_path / "ct")
    ct = write_nifti(tmp_path / "ct.nii.gz", body().astype(np.int16))
    with pytest.raises(NotMRError, match="below 0"):
        read_mr(ct)


def test_an_mr_beside_a_ct_is_found_by_what_is_asked_for(tmp_path):
    mr = write_series(tmp_path / "a", change=as_mr())
    ct = write_series(tmp_path / "b", prefix="J")
    assert read_mr_with_source(tmp_path)[1].series_uid == mr
    assert read_dicom(tmp_path).series_uid == ct


@pytest.mark.parametrize("value", [0.0, -5.0, np.nan, np.inf])
def test_nothing_and_no_numbers_are_refused_by_name(tmp_path, value):
    path = write_nifti(tmp_path / "odd.nii.gz", np.full((8, 8, 8), value, np.float32))
    with pytest.raises(NotMRError, match=r"odd\.nii\.gz"):
        read_mr(path)


def test_a_series_belongs_to_dicom(tmp_path):
    with pytest.raises(ValueError, match="NIfTI file has no series"):
        read_mr(write_nifti(tmp_path / "mr.nii.gz", brightness()), series="1")
    with pytest.raises(ReadError):
        read_mr(tmp_path / "nothing")
