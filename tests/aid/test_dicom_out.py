from dataclasses import replace
from datetime import UTC, datetime

import highdicom as hd
import pydicom
import pytest
from dicom_made import check_with_dciodvfy, laid_over
from report_made import document, finding, read_study
from server_made import serve

from panlesion.aid.reads.dicom_out import person_name, view_of, write_pdf_dicom, write_seg_and_sr
from panlesion.aid.reads.report import Signature, load_images, report_of
from panlesion.aid.schemas.reading import AddendumOut
from panlesion.aid.vocabulary import Decision, Origin

SIGNATURE = Signature(name="Dr Erika Maria Mustermann", at=datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC), sha256="ab" * 32)


def loaded(tmp_path, told=None, **settings):
    served = serve(tmp_path, **settings)
    made = read_study(served, told)
    with served.app.state.sessions() as session:
        report = report_of(session, served.settings, made.study)
    return made, report, load_images(served.settings, report)


def test_a_segment_tells_whose_outline_it_is(tmp_path):
    made, report, images = loaded(
        tmp_path, document(finding(1), finding(2, mask_edited=True), finding(3, origin=Origin.READER))
    )
    seg = write_seg_and_sr(tmp_path, report, images)
    segments = pydicom.dcmread(seg).SegmentSequence
    assert [one.SegmentAlgorithmType for one in segments] == ["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"]
    assert ["SegmentationAlgorithmIdentificationSequence" in one for one in segments] == [True, True, False]
    assert (laid_over(seg, made.ct) == made.mask).all()
    check_with_dciodvfy(seg)


def test_a_proposal_is_half_a_persons(tmp_path):
    _, report, images = loaded(tmp_path, document(finding(1, origin=Origin.PROPOSAL), finding(2), finding(3)))
    seg = pydicom.dcmread(write_seg_and_sr(tmp_path, report, images))
    assert seg.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"


def test_a_signed_report_is_verified_and_final_and_a_draft_is_not(tmp_path):
    _, report, images = loaded(tmp_path, organisation="Clinic of Tests")
    write_seg_and_sr(tmp_path, report, images)
    draft = pydicom.dcmread(tmp_path / "sr.dcm")
    assert (draft.VerificationFlag, draft.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    assert "VerifyingObserverSequence" not in draft and "signed by nobody" in draft.to_json()
    said = AddendumOut(at=SIGNATURE.at, by="Dr Late", text="One more thing.")
    write_seg_and_sr(tmp_path, replace(report, signature=SIGNATURE, addenda=(said,)), images)
    signed = pydicom.dcmread(tmp_path / "sr.dcm")
    assert (signed.VerificationFlag, signed.PreliminaryFlag, signed.CompletionFlag) == ("VERIFIED", "FINAL", "COMPLETE")
    (observer,) = signed.VerifyingObserverSequence
    assert observer.VerifyingObserverName == "Mustermann^Erika Maria^^Dr"
    assert observer.VerifyingOrganization == "Clinic of Tests"
    assert observer.VerificationDateTime == "20260506070809.000000+0000"
    for words in ("Read after the tumour board.", "Ask for an MR.", "Set by the reader: density.", "One more thing."):
        assert words in signed.to_json()
    people = [one.observer_type.meaning for one in hd.sr.srread(tmp_path / "sr.dcm").content.get_observer_contexts()]
    assert people == ["Person", "Device"]
    check_with_dciodvfy(tmp_path / "sr.dcm")


def test_what_a_person_drew_has_no_algorithm_and_no_probability(tmp_path):
    _, report, images = loaded(tmp_path)
    write_seg_and_sr(tmp_path, report, images)
    groups = hd.sr.srread(tmp_path / "sr.dcm").content.get_volumetric_roi_measurement_groups()
    sure = [["Certainty of Finding" in [m.name.meaning for m in group.get_measurements()]] for group in groups]
    assert sure == [[True], [True], [False]]


def test_a_draft_tells_open_findings_too_and_none_without_a_voxel(tmp_path):
    told = document(finding(1, decision=Decision.REJECTED), finding(2, decision=Decision.OPEN), finding(3, size=None))
    _, report, images = loaded(tmp_path, told)
    view = view_of(report, images)
    assert [record.tracking_uid for record in view.findings.lesions] == ["2.25.772"]
    assert ((view.lesions.labels == 1) == (images.lesions.labels == 2)).all()


def test_the_pdf_is_a_dicom_object_of_the_same_study(tmp_path):
    made, report, images = loaded(tmp_path)
    path = write_pdf_dicom(tmp_path / "pdf.dcm", report, images, b"%PDF-1.4 odd")
    held = pydicom.dcmread(path)
    assert held.StudyInstanceUID == made.study.study_uid and held.PatientName == made.study.patient_name
    assert bytes(held.EncapsulatedDocument)[: held.EncapsulatedDocumentLength] == b"%PDF-1.4 odd"
    assert held.SourceInstanceSequence[0].ReferencedSOPInstanceUID == made.ct.slices[0].sop_instance
    check_with_dciodvfy(path)


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        ("Dr Erika Muster", "Muster^Erika^^Dr"),
        ("Muster", "Muster^"),
        ("", "Unknown^"),
        ("a^b=c\\d", "d^a b c"),
        ("Prof. Dr. Li", "Li^^^Prof. Dr."),
    ],
)
def test_a_shown_name_becomes_a_person_name(shown, name):
    assert person_name(shown) == name
