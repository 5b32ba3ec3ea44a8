"""Headers: what is refused, with the value and the rule, and what is read of them."""

from datetime import UTC, date, datetime

import pydicom
import pytest
from dicom_made import put
from dicom_making import enhanced
from pydicom.uid import JPEG2000Lossless, MRImageStorage, RLELossless
from study_made import write_study

from panlesion.aid.store.check import RefusedError, check, clean
from panlesion.errors import PanlesionError


@pytest.fixture
def path(tmp_path):
    return write_study(tmp_path / "ct", slices=1)[0]


def changed(path, **values):
    ds = pydicom.dcmread(path)
    put(ds, **values)
    ds.save_as(path)
    return path


def test_what_a_header_says_is_read(path):
    told = check(path, name="a")
    assert (told.patient_id, told.patient_name, told.birth_date, told.sex) == ("P-1", "Muster^Erika", date(1960, 1, 2), "F")
    assert told.study_at == datetime(2025, 3, 4, 10, 11, 12, tzinfo=UTC)
    assert (told.rows, told.columns, told.frames, told.is_ct) == (40, 48, 1, True)
    zoned = check(changed(path, TimezoneOffsetFromUTC="+0200"), name="a")
    assert zoned.study_at == datetime(2025, 3, 4, 8, 11, 12, tzinfo=UTC)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("value", ["../../etc/passwd", "1.2.3/4", "1..2", "1", ".1.2", "1." * 40 + "1"])
def test_uids_that_are_none_are_refused(path, keyword, value):
    with pytest.raises(PanlesionError):
        check(changed(path, **{keyword: value}), name="a")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"Rows": 60000, "Columns": 60000}, "beyond all measure"),
        ({"Rows": 4097}, "beyond all measure"),
        ({"NumberOfFrames": 1 << 29}, "beyond all measure"),
        ({"NumberOfFrames": -1}, "positive"),
        ({"NumberOfFrames": 2}, "truncated"),
        ({"Rows": 41}, "truncated"),
        ({"SOPClassUID": "1.2.840.10008.1.3.10"}, "no image or document"),
        ({"SOPClassUID": "1.2.3.4"}, "no image or document"),
        ({"SOPClassUID": "1.2.840.10008.1.1"}, "no image or document"),
        ({"Rows": None}, "Rows"),
        ({"ImagePositionPatient": ["1", "2"]}, "ImagePositionPatient"),
    ],
)
def test_headers_that_cannot_be_true_are_refused_by_name(path, values, reason):
    with pytest.raises(PanlesionError, match=reason):
        check(changed(path, **values), name="a")


def test_what_is_no_file_of_an_image_is_refused(tmp_path, path):
    (tmp_path / "x").write_bytes(b"hello")
    with pytest.raises(RefusedError, match="DICM"):
        check(tmp_path / "x", name="x")
    ds = pydicom.dcmread(path)
    ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    ds.save_as(tmp_path / "DICOMDIR")
    with pytest.raises(RefusedError, match="index of other files"):
        check(tmp_path / "DICOMDIR", name="DICOMDIR")
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = "1.2.840.113619.5.2"
    ds.save_as(tmp_path / "private", implicit_vr=True, little_endian=True)
    with pytest.raises(RefusedError, match="TransferSyntaxUID"):
        check(tmp_path / "private", name="private")


def test_a_ct_without_pixels_is_refused_and_another_object_without_is_kept(path):
    ds = pydicom.dcmread(path)
    del ds.PixelData
    ds.save_as(path)
    with pytest.raises(RefusedError, match="PixelData"):
        check(path, name="a")
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    ds.save_as(path)
    assert not check(path, name="a").is_ct


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless])
def test_compressed_pixels_must_be_whole(tmp_path, path, syntax):
    ds = pydicom.dcmread(path)
    ds.compress(syntax, generate_instance_uid=False)
    ds.save_as(path)
    assert check(path, name="a").transfer_syntax == syntax
    data = path.read_bytes()
    for lost in (1, 9, 500):
        (tmp_path / "cut").write_bytes(data[:-lost])
        with pytest.raises(RefusedError, match="truncated"):
            check(tmp_path / "cut", name="cut")


def test_an_enhanced_ct_is_one_file_of_many_frames(tmp_path):
    ds = enhanced()
    ds.save_as(tmp_path / "e", enforce_file_format=True)
    assert (check(tmp_path / "e", name="e").frames, check(tmp_path / "e", name="e").is_ct) == (ds.NumberOfFrames, True)


def test_other_modalities_are_not_held_to_the_rules_of_ct(path):
    values = {"SOPClassUID": MRImageStorage, "Modality": "MR", "ImagePositionPatient": ["1", "2"]}
    assert check(changed(path, **values), name="a").modality == "MR"


def test_texts_are_cleaned_and_cut():
    assert clean("a\x00\x1b\u202e\ud800b\n  ", 10) == "ab" and clean("x" * 50, 7) == "x" * 7
