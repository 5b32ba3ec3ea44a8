from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pydicom
import pytest
from dicom_making import ct_slice
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import SecondaryCaptureImageStorage

from panlesion.aid.reads.deidentify import Pseudonyms, Scrubber, deidentify, left_out_for, open_key
from panlesion.aid.reads.deidentify_table import TABLE, Change, change_of

OURS = Pseudonyms(key=b"k" * 32)
NOTHING = Scrubber.of([])


def full_image():
    """An image that names its patient wherever it can."""
    ds = ct_slice(0, "1.2.3.4")
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName, ds.PatientID, ds.AccessionNumber = "Muster^Erika", "P-1", "A-77"
    ds.PatientBirthDate, ds.StudyDate, ds.AcquisitionDateTime, ds.PatientAge = "19600102", "20250304", "20250304101112", "065Y"
    ds.InstitutionName, ds.ReferringPhysicianName, ds.OperatorsName = "Clinic of Muster", "Doc^Ruth", "Op^Olaf"
    ds.StudyDescription = ds.SeriesDescription = ds.ProtocolName = ds.ImageComments = "for Erika"
    ds.ConvolutionKernel = "Muster kernel"
    private = ds.private_block(0x0009, "VENDOR", create=True)
    private.add_new(1, "LO", "Erika")
    inner = Dataset()
    inner.ReferencedSOPClassUID, inner.ReferencedSOPInstanceUID = ds.SOPClassUID, "1.2.3.5"
    inner.PatientName = "Muster^Erika"
    inner.add_new(0x000B0010, "LO", "Erika")
    ds.ReferencedImageSequence = Sequence([inner])
    ds.add_new(0x60003000, "OW", b"Erika Muster")
    ds.add_new(0x60004000, "LT", "Erika")
    ds.add_new(0x00421011, "OB", b"%PDF Erika")
    ds.preamble = b"Muster^Erika".ljust(128)
    return ds


def test_nothing_of_the_patient_is_in_the_bytes_and_the_pixels_are(tmp_path):
    ds = full_image()
    pixels = bytes(ds.PixelData)
    deidentify(ds, OURS, Scrubber.of(["Muster^Erika", "P-1"])).save_as(tmp_path / "a.dcm", enforce_file_format=True)
    data = (tmp_path / "a.dcm").read_bytes()
    for word in (
        b"Muster",
        b"Erika",
        b"P-1",
        b"A-77",
        b"1.2.3.",
        b"Ruth",
        b"Olaf",
        b"1960",
        b"2025",
        b"065Y",
        b"VENDOR",
        b"PDF",
    ):
        assert word not in data, word
    back = pydicom.dcmread(tmp_path / "a.dcm")
    assert back.PixelData == pixels
    assert back.PatientID == back.PatientName == OURS.patient("P-1", "")
    assert back.ConvolutionKernel == "REMOVED"
    assert back.ReferencedImageSequence[0].ReferencedSOPInstanceUID == OURS.uid("1.2.3.5")
    assert not any(one.tag.is_private or one.tag.group == 0x6000 for one in back)
    assert (back.StudyDate, back.AccessionNumber, back.PatientBirthDate) == ("", "", "")
    assert back.file_meta.MediaStorageSOPInstanceUID == back.SOPInstanceUID


def test_the_same_uid_is_always_the_same_new_one_and_another_key_makes_another():
    assert OURS.uid("1.2.3") == Pseudonyms(key=b"k" * 32).uid("1.2.3") != Pseudonyms(key=b"l" * 32).uid("1.2.3")
    assert pydicom.uid.UID(OURS.uid("1.2.3")).is_valid
    assert OURS.uid("1.2.840.10008.5.1.4.1.1.2") == "1.2.840.10008.5.1.4.1.1.2"
    assert OURS.patient("", "1.2.3") != OURS.patient("", "1.2.4")
    assert OURS.uuid(id_ := uuid4()) != id_


@pytest.mark.parametrize(
    ("keyword", "vr", "group", "change"),
    [
        ("PatientName", "PN", 0x0010, Change.DUMMY),
        ("StudyDate", "DA", 0x0008, Change.EMPTY),
        ("StudyInstanceUID", "UI", 0x0020, Change.UID),
        ("Rows", "US", 0x0028, Change.KEEP),
        ("Rows", "US", 0x0029, Change.REMOVE),
        ("SomethingNewerThanUs", "LO", 0x0008, Change.REMOVE),
        ("SomeDate", "DA", 0x0008, Change.REMOVE),
        ("", "UN", 0x0010, Change.REMOVE),
        ("ClinicalTrialSubjectID", "LO", 0x0012, Change.REMOVE),
        ("EncapsulatedDocument", "OB", 0x0042, Change.REMOVE),
    ],
)
def test_what_becomes_of_an_attribute(keyword, vr, group, change):
    assert change_of(keyword, vr, group) is change


def test_the_table_names_attributes_that_there_are():
    unknown = [keyword for keyword in TABLE if pydicom.datadict.tag_for_keyword(keyword) is None]
    assert unknown == []


def test_images_whose_pixels_may_show_a_name_are_left_out():
    plain = ct_slice(0, "1.2.3")
    assert left_out_for(plain) == ""
    burned, screen, capture, colour = (ct_slice(0, "1.2.3") for _ in range(4))
    burned.BurnedInAnnotation = "YES"
    screen.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    capture.SOPClassUID = SecondaryCaptureImageStorage
    colour.PhotometricInterpretation = "RGB"
    assert all(left_out_for(one) for one in (burned, screen, capture, colour))


def test_words_and_dates_are_scrubbed_whole_and_nothing_else():
    scrub = Scrubber.of(["Li^Wei=李^伟", "P-1"])
    assert scrub("Liver lesion of LI, wei (p-1), seen 2024-05-06 and 6.5.2024") == (
        "Liver lesion of [removed], [removed] ([removed]), seen [removed] and [removed]"
    )
    assert scrub("见李伟") == "见[removed][removed]"
    assert NOTHING("24 × 15 mm, 3.2 ml, P-12") == "24 × 15 mm, 3.2 ml, P-12"


def test_of_many_who_ask_for_the_first_key_all_get_one(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: open_key(tmp_path), range(32)))
    assert len(keys) == 1 and len(keys.pop()) == 32
    assert [path.name for path in tmp_path.iterdir()] == ["deidentify.key"]
    assert (tmp_path / "deidentify.key").stat().st_mode & 0o777 == 0o600
