import logging
import shutil
import warnings

import numpy as np
import pydicom
import pytest
from dicom_made import (
    FRAME,
    ORIENTATIONS,
    STUDY,
    check_with_dciodvfy,
    laid_over,
    put,
    read_series,
    seg_of,
    three_findings,
)
from dicom_making import place
from pydicom import config
from records_made import findings

from panlesion.ct.dicom import read_dicom
from panlesion.errors import ReadError
from panlesion.infer.dicom_origin import equipment, made_uid, read_origin, short
from panlesion.infer.dicom_seg import write_seg


def test_a_zip_is_a_source_too(tmp_path):
    read_series(tmp_path / "ct")
    ct = read_dicom(shutil.make_archive(str(tmp_path / "ct"), "zip", tmp_path / "ct"))
    mask, path = seg_of(ct, tmp_path / "seg.dcm")
    assert np.array_equal(laid_over(path, ct), mask.labels)
    assert pydicom.dcmread(path).PatientName == "Muster^Erika"


def test_patient_and_study_are_those_of_the_ct(tmp_path):
    ct = read_series(tmp_path / "ct")
    _, path = seg_of(ct, tmp_path / "seg.dcm")
    seg = pydicom.dcmread(path)
    assert (seg.PatientName, seg.PatientID, seg.PatientBirthDate, seg.PatientSex) == ("Muster^Erika", "P-1", "19600102", "F")
    assert (seg.StudyInstanceUID, seg.StudyDate, seg.AccessionNumber) == (STUDY, "20250304", "A1")
    assert seg.FrameOfReferenceUID == FRAME
    assert seg.SeriesInstanceUID != ct.series_uid
    assert {file.name for file in tmp_path.iterdir()} == {"ct", "seg.dcm"}


NAMES = [
    ("ISO_IR 100", "Müller^Jörg"),
    ("ISO_IR 144", "Иванов^Иван"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ("GB18030", "Wang^XiaoDong=王^小东"),
    ("ISO_IR 192", "Ñandú^Ærø"),
    (None, "Bono"),
    (None, "../../etc/passwd^;rm -rf"),
    (None, "A" * 200),
    (None, "a=b=c=d"),
    (None, ""),
]


@pytest.mark.parametrize(("charset", "name"), NAMES)
def test_names_come_back_as_they_were_and_stay_out_of_logs(tmp_path, caplog, charset, name):
    def named(_, ds):
        if charset is not None:
            ds.SpecificCharacterSet = charset
        put(ds, PatientName=name)

    ct = read_series(tmp_path / "ct", change=named)
    caplog.clear()
    _, path = seg_of(ct, tmp_path / "seg.dcm")
    with config.disable_value_validation():
        seg = pydicom.dcmread(path)
        assert str(seg.PatientName) == name
    assert not name or name not in caplog.text
    assert {file.name for file in tmp_path.iterdir()} == {"ct", "seg.dcm"}


def test_bytes_that_are_no_text_and_values_that_are_none_do_no_harm(tmp_path):
    ct = read_series(tmp_path / "ct", change=broken)
    _, path = seg_of(ct, tmp_path / "seg.dcm")
    seg = pydicom.dcmread(path)
    assert "ller" in str(seg.PatientName)
    assert seg.PatientID == "a b c"
    assert (seg.PatientBirthDate, seg.PatientSex, seg.StudyDate) == ("", "", "")
    assert not {"PatientAge", "EthnicGroup"} & set(seg.dir())
    check_with_dciodvfy(path)


def broken(_, ds):
    """Latin letters in a file that says UTF-8, several values where one belongs, and dates and words that are none."""
    ds.SpecificCharacterSet = "ISO_IR 192"
    put(ds, PatientName=b"M\xfcller^J\x1bX", PatientID="a\\b\\c", PatientAge="65", PatientSex="female")
    put(ds, PatientBirthDate="1960-01-02", StudyDate="unknown", StudyTime="1:2", EthnicGroup="\0")


def test_numbers_that_are_none_and_unheard_of_characters_do_no_harm(tmp_path):
    def weighed(_, ds):
        ds.SpecificCharacterSet, ds.PatientWeight = "ISO_IR 100", "98.765"

    read_series(tmp_path / "ct", change=weighed)
    for file in (tmp_path / "ct").iterdir():
        file.write_bytes(file.read_bytes().replace(b"98.765", b"heavy ").replace(b"ISO_IR 100", b"ISO_IR 999"))
    ct = read_dicom(tmp_path / "ct")
    seg = pydicom.dcmread(seg_of(ct, tmp_path / "seg.dcm")[1])
    assert seg.PatientName == "Muster^Erika"
    assert "PatientWeight" not in seg


def test_what_the_ct_does_not_say_stays_empty(tmp_path):
    def bare(_, ds):
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
            delattr(ds, keyword)
        del ds.AccessionNumber, ds.ReferringPhysicianName, ds.FrameOfReferenceUID, ds.SeriesNumber, ds.SliceThickness

    ct = read_series(tmp_path / "ct", change=bare)
    mask, path = seg_of(ct, tmp_path / "seg.dcm")
    seg = pydicom.dcmread(path)
    assert seg.PatientID == "" and seg.FrameOfReferenceUID
    assert seg.FrameOfReferenceUID == pydicom.dcmread(write_seg(path, ct, mask, three_findings())).FrameOfReferenceUID
    assert np.array_equal(laid_over(path, ct), mask.labels)
    check_with_dciodvfy(path)


def test_a_series_of_many_studies_goes_by_its_first_slice(tmp_path, caplog):
    def scattered(index, ds):
        ds.StudyInstanceUID, ds.FrameOfReferenceUID = f"2.25.{index + 7}", f"2.25.{index + 77}"

    ct = read_series(tmp_path / "ct", change=scattered)
    with caplog.at_level(logging.WARNING):
        mask, path = seg_of(ct, tmp_path / "seg.dcm")
    assert "7 studies and 7 frames of reference" in caplog.text
    seg = pydicom.dcmread(path)
    assert (seg.StudyInstanceUID, seg.FrameOfReferenceUID) == ("2.25.7", "2.25.77")
    assert np.array_equal(laid_over(path, ct), mask.labels)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda ds: setattr(ds, "ImagePositionPatient", [0, 0, 0]), "not where it was"),
        (lambda ds: setattr(ds, "SOPInstanceUID", "2.25.9"), "is not there"),
    ],
)
def test_files_that_changed_are_refused(tmp_path, change, says):
    ct = read_series(tmp_path / "ct")
    ds = pydicom.dcmread(ct.slices[3].path)
    change(ds)
    ds.save_as(ct.slices[3].path)
    with pytest.raises(ReadError, match=says):
        seg_of(ct, tmp_path / "seg.dcm")


def test_emptied_uids_are_replaced_by_ones_that_follow_from_the_images(tmp_path, caplog):
    def emptied(_index, ds):
        ds.StudyInstanceUID = ds.SeriesInstanceUID = ds.SOPInstanceUID = ""
        put(ds, StudyID="longer than sixteen")

    ct = read_series(tmp_path / "ct", change=emptied)
    with caplog.at_level(logging.WARNING):
        mask, path = seg_of(ct, tmp_path / "seg.dcm")
    assert "without StudyInstanceUID" in caplog.text
    seg = pydicom.dcmread(path)
    origin, again = read_origin(ct), read_origin(ct)
    assert (origin.study_uid, origin.series_uid) == (again.study_uid, again.series_uid)
    assert seg.StudyInstanceUID == origin.study_uid and len({origin.study_uid, origin.series_uid, origin.frame_uid}) == 3
    assert not seg.StudyID
    stored = {pydicom.dcmread(ref.path).file_meta.MediaStorageSOPInstanceUID for ref in ct.slices}
    assert {ref.sop_instance for ref in ct.slices} == stored
    other = read_series(
        tmp_path / "other",
        change=lambda index, ds: (
            emptied(index, ds),
            setattr(ds.file_meta, "MediaStorageSOPInstanceUID", f"2.25.{index + 900}"),
        ),
    )
    assert read_origin(other).series_uid != origin.series_uid
    assert np.array_equal(laid_over(path, ct), mask.labels)


def test_files_that_are_gone_are_named(tmp_path):
    ct = read_series(tmp_path / "ct")
    shutil.rmtree(tmp_path / "ct")
    with pytest.raises(ReadError, match="no such file"):
        seg_of(ct, tmp_path / "seg.dcm")


def test_positions_are_the_files_own_and_small_departures_do_no_harm(tmp_path):
    def jittered(index, ds):
        x, y, z = place(index)
        ds.ImagePositionPatient = [x + 0.004 * (-1) ** index, y, z]
        ds.ImageOrientationPatient = [1, 1e-5 * (index % 2), 0, -1e-5 * (index % 2), 1, 0]

    ct = read_series(tmp_path / "ct", change=jittered)
    mask, path = seg_of(ct, tmp_path / "seg.dcm")
    assert np.array_equal(laid_over(path, ct), mask.labels)
    stored = {tuple(map(float, ds.ImagePositionPatient)) for ds in map(pydicom.dcmread, (tmp_path / "ct").iterdir())}
    assert {plane.position_lps for plane in read_origin(ct).planes} == stored
    for group in pydicom.dcmread(path).PerFrameFunctionalGroupsSequence:
        assert tuple(map(float, group.PlanePositionSequence[0].ImagePositionPatient)) in stored


def test_images_are_listed_in_the_order_of_the_arrays_planes(tmp_path):
    ct = read_series(tmp_path / "ct", orientation=ORIENTATIONS["coronal"])
    origin = read_origin(ct)
    assert list(origin.instances()) == [ref.sop_instance for ref in ct.slices]
    for k, plane in enumerate(origin.planes):
        x, y, z = ct.volume.grid.to_xyz((0, 0, k))
        assert plane.position_lps == pytest.approx((-x, -y, z))


def test_uids_that_break_the_rules_are_carried_over(tmp_path):
    def odd(index, ds):
        put(ds, SOPInstanceUID=f"1.2.03.{index}", StudyInstanceUID="1.2.007")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, on what is written here
        ct = read_series(tmp_path / "ct", change=odd)
    mask, path = seg_of(ct, tmp_path / "seg.dcm")
    assert np.array_equal(laid_over(path, ct), mask.labels)
    with config.disable_value_validation():
        seg = pydicom.dcmread(path)
        assert seg.StudyInstanceUID == "1.2.007"
        assert seg.SourceImageSequence[4].ReferencedSOPInstanceUID == "1.2.03.4"


def test_deidentified_and_lossy_series_say_so(tmp_path):
    def anonymous(_, ds):
        ds.PatientIdentityRemoved, ds.DeidentificationMethod = "YES", "by hand"
        code = pydicom.Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = (
            "113100",
            "DCM",
            "Basic Application Confidentiality Profile",
        )
        ds.DeidentificationMethodCodeSequence = [code]
        ds.LossyImageCompression, ds.LossyImageCompressionRatio, ds.LossyImageCompressionMethod = "01", 10, "ISO_15444_1"

    ct = read_series(tmp_path / "ct", change=anonymous)
    _, path = seg_of(ct, tmp_path / "seg.dcm")
    seg = pydicom.dcmread(path)
    assert (seg.PatientIdentityRemoved, seg.DeidentificationMethod) == ("YES", "by hand")
    assert seg.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert (seg.LossyImageCompression, seg.LossyImageCompressionRatio) == ("01", 10)
    check_with_dciodvfy(path)


def test_words_are_cut_to_what_a_field_holds():
    assert short("a\nb\\c") == "a b c"
    assert short("x" * 64) == "x" * 64
    assert short("x" * 65) == "x" * 63 + "…"


def test_equipment_has_no_empty_field():
    algorithm = findings().algorithm
    made = equipment(type(algorithm)(name="", version="", checkpoint="", weights_sha256=""))
    assert made["software_versions"] == made["device_serial_number"] == "unknown"
    assert equipment(algorithm)["device_serial_number"] == "ab" * 32


def test_made_uids_follow_from_their_words():
    assert made_uid("a", "b") == made_uid("a", "b") != made_uid("b", "a")
