"""DICOM series: found, chosen, listed and read, from folders, zips and single files."""

import logging
import shutil
import zipfile

import numpy as np
import pytest
from dicom_making import COLUMNS, PIXEL_MM, ROWS, SLICES, STEP_MM, body, ct_slice, enhanced, place, write_series
from pydicom.uid import RTStructureSetStorage, SecondaryCaptureImageStorage, generate_uid

from panlesion.ct.dicom import list_dicom, read_dicom
from panlesion.errors import GeometryError, NotCTError, ReadError


def assert_is_the_body(volume):
    np.testing.assert_array_equal(volume.hu, body().transpose(2, 1, 0))
    assert volume.grid.axes == "LPS"
    assert volume.grid.spacing_mm == pytest.approx((PIXEL_MM[1], PIXEL_MM[0], STEP_MM))
    x, y, z = place(2)
    corner = volume.grid.to_xyz((5, 3, 2))
    np.testing.assert_allclose(corner, (-(x + 5 * PIXEL_MM[1]), -(y + 3 * PIXEL_MM[0]), z), atol=1e-6)


@pytest.mark.parametrize("suffix", ["", ".dcm"])
def test_a_folder_in_any_file_order_becomes_the_volume(tmp_path, suffix):
    write_series(tmp_path / "deep" / "er", suffix=suffix)
    (tmp_path / "readme.txt").write_text("not DICOM")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(400))
    (tmp_path / "empty").write_bytes(b"")
    assert_is_the_body(read_dicom(tmp_path).volume)


def test_slices_are_told_in_the_order_of_the_array(tmp_path):
    write_series(tmp_path)
    ct = read_dicom(tmp_path)
    assert len({ref.sop_instance for ref in ct.slices}) == SLICES
    assert [int(ref.path.name[1:]) for ref in ct.slices] == [index * 5 % SLICES for index in range(SLICES)]


def test_a_zip_reads_like_its_folder_and_nothing_is_unpacked(tmp_path):
    write_series(tmp_path / "in")
    with zipfile.ZipFile(tmp_path / "study.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, file in enumerate(sorted((tmp_path / "in").iterdir())):
            archive.write(file, f"../../outside/{number}")
        archive.writestr("notes.txt", "hello")
    shutil.rmtree(tmp_path / "in")
    assert_is_the_body(read_dicom(tmp_path / "study.zip").volume)
    assert [file.name for file in tmp_path.iterdir()] == ["study.zip"]


def test_several_series_are_listed_and_one_is_asked_for(tmp_path):
    first = write_series(tmp_path / "a", number=2)
    second = write_series(tmp_path / "b", number=5, prefix="J", change=lambda _, ds: setattr(ds, "SeriesDescription", "Lung"))
    with pytest.raises(ReadError, match="2 CT series") as caught:
        read_dicom(tmp_path)
    for words in (first, second, "--series", "'Body 3.0' 48x40x7 at 1.5x2.5x3 mm", "'Lung'"):
        assert words in str(caught.value)
    assert read_dicom(tmp_path, series=second).series_uid == second
    assert read_dicom(tmp_path, series="2").series_uid == first
    with pytest.raises(ReadError, match="no series is called '9'"):
        read_dicom(tmp_path, series="9")
    info = list_dicom(tmp_path)
    assert [(s.uid, s.number, s.modality, s.images) for s in info] == [(first, 2, "CT", SLICES), (second, 5, "CT", SLICES)]
    assert info[0].shape == (COLUMNS, ROWS, SLICES)
    assert info[0].problem is None


def structure_set(tmp_path, name="rs"):
    ds = ct_slice(0, generate_uid())
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(ds, keyword)
    ds.SOPClassUID, ds.Modality = RTStructureSetStorage, "RTSTRUCT"
    ds.save_as(tmp_path / name, enforce_file_format=True)


def screen_capture(tmp_path, name="sc"):
    ds = ct_slice(0, generate_uid())
    ds.SOPClassUID = SecondaryCaptureImageStorage
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient"):
        delattr(ds, keyword)
    ds.save_as(tmp_path / name, enforce_file_format=True)


def test_the_one_ct_among_other_objects_is_read_and_the_others_are_named(tmp_path, caplog):
    write_series(tmp_path)
    structure_set(tmp_path)
    screen_capture(tmp_path)
    with caplog.at_level(logging.INFO, logger="panlesion"):
        assert_is_the_body(read_dicom(tmp_path).volume)
    assert "RTSTRUCT" in caplog.text
    assert {s.modality: s.problem is None for s in list_dicom(tmp_path) if s.images != 1} == {"CT": True, "RTSTRUCT": False}


def test_no_ct_among_several_series_is_told_with_the_list(tmp_path):
    structure_set(tmp_path)
    screen_capture(tmp_path)
    with pytest.raises(NotCTError, match=r"no CT series(.|\n)*RTSTRUCT"):
        read_dicom(tmp_path)


def test_a_localizer_in_the_series_is_left_out_and_told(tmp_path, caplog):
    series = write_series(tmp_path)
    scout = ct_slice(0, series, hu=np.zeros((60, 56), np.int16), orientation=(0, 1, 0, 0, 0, -1))
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.save_as(tmp_path / "scout", enforce_file_format=True)
    with caplog.at_level(logging.WARNING, logger="panlesion"):
        assert_is_the_body(read_dicom(tmp_path).volume)
    assert "left out 1 localizer" in caplog.text
    assert list_dicom(tmp_path)[0].localizers == 1


def test_only_localizers_are_no_ct(tmp_path):
    write_series(tmp_path, change=lambda _, ds: setattr(ds, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    with pytest.raises(NotCTError, match="only localizers"):
        read_dicom(tmp_path)


@pytest.mark.parametrize("shared_rescale", [True, False])
def test_an_enhanced_ct_reads_frame_by_frame(tmp_path, shared_rescale):
    order = [3, 0, 6, 1, 5, 2, 4]
    enhanced(order=order, shared_rescale=shared_rescale).save_as(tmp_path / "multi", enforce_file_format=True)
    ct = read_dicom(tmp_path / "multi")
    assert_is_the_body(ct.volume)
    assert [ref.frame for ref in ct.slices] == [order.index(index) for index in range(SLICES)]


def test_a_scout_frame_of_an_enhanced_ct_is_left_out(tmp_path):
    enhanced(order=[0, *range(SLICES)], scout=True).save_as(tmp_path / "multi", enforce_file_format=True)
    assert_is_the_body(read_dicom(tmp_path).volume)


def test_a_multi_frame_file_without_functional_groups_is_refused(tmp_path):
    ds = enhanced()
    del ds.PerFrameFunctionalGroupsSequence
    ds.save_as(tmp_path / "multi", enforce_file_format=True)
    with pytest.raises(GeometryError, match="ImagePositionPatient"):
        read_dicom(tmp_path)


def test_frames_and_functional_groups_must_agree(tmp_path):
    ds = enhanced()
    ds.NumberOfFrames = 5
    ds.save_as(tmp_path / "multi", enforce_file_format=True)
    with pytest.raises(ReadError, match="7 functional groups for 5 frames"):
        read_dicom(tmp_path)


def test_a_single_slice_takes_its_thickness(tmp_path):
    ct_slice(3, generate_uid()).save_as(tmp_path / "one.dcm", enforce_file_format=True)
    volume = read_dicom(tmp_path / "one.dcm").volume
    np.testing.assert_array_equal(volume.hu[:, :, 0], body()[3].T)
    assert volume.grid.spacing_mm == pytest.approx((1.5, 2.5, 3.0))


def test_another_modality_is_named(tmp_path):
    write_series(tmp_path, change=lambda _, ds: setattr(ds, "Modality", "MR"))
    with pytest.raises(NotCTError, match="Modality MR"):
        read_dicom(tmp_path)


def test_images_of_several_sizes_are_refused(tmp_path):
    series = write_series(tmp_path)
    odd = ct_slice(0, series, hu=np.zeros((20, 48), np.int16))
    odd.ImagePositionPatient = place(7)
    odd.save_as(tmp_path / "odd", enforce_file_format=True)
    with pytest.raises(GeometryError, match=r"several sizes \(7 of 40x48, 1 of 20x48\)"):
        read_dicom(tmp_path)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("folder", "shape", "spacing_mm"),
    [
        ("totalseg/ct_dicom", (512, 512, 20), (0.9766, 0.9766, 2.0)),
        ("sts_dicom/STS_003", (154, 158, 51), (0.9766, 0.9766, 3.27)),
        ("dicom_objects/dcmqi_ct-3slice", (512, 512, 3), (0.8105, 0.8105, 1.0)),
    ],
)
def test_real_series_are_read(shared_data, folder, shape, spacing_mm):
    volume = read_dicom(shared_data / folder).volume
    assert volume.hu.shape == shape
    assert volume.grid.spacing_mm == pytest.approx(spacing_mm, abs=1e-3)
    assert volume.grid.axes == "LPS"


@pytest.mark.realdata
def test_the_dicom_and_nifti_of_one_real_patient_agree(shared_data):
    from panlesion.ct.nifti import read_volume

    full = read_dicom(shared_data / "sts_dicom/STS_003").volume
    box = read_volume(shared_data / "sts/STS_003/ct.nii.gz")
    # The box has half the in-plane resolution, so its voxels are compared with the slice they lie on, smoothed by eye:
    # medians of the whole box must agree, which they cannot if an axis were flipped or shifted by centimetres.
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in box.hu.shape], indexing="ij"), axis=-1)
    at = np.rint(full.grid.to_ijk(box.grid.to_xyz(ijk))).astype(int)
    inside = ((at >= 0) & (at < full.hu.shape)).all(axis=-1)
    assert inside.mean() > 0.95
    a, b = full.hu[tuple(at[inside].T)].astype(float), box.hu[inside].astype(float)
    assert np.corrcoef(a, b)[0, 1] > 0.9


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["seg.dcm", "sr.dcm", "liver.dcm", "seg_image_ct_binary.dcm", "sr_document.dcm"])
def test_foreign_segmentations_and_reports_are_no_ct(shared_data, name):
    with pytest.raises(NotCTError, match=r"Modality (SEG|SR)"):
        read_dicom(shared_data / "dicom_objects" / name)
